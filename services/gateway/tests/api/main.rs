//! The door, spoken to over real sockets. Behind it stands a small organisation in memory that
//! decides with the real rules.

mod admin;
mod auth;
mod events;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod kept;
mod lines;
#[cfg(test)]
mod lists;
mod nodes;
mod payments;
#[cfg(test)]
mod rest;
#[cfg(test)]
mod send_stream;
#[cfg(test)]
mod standard;
mod wallets;
#[cfg(test)]
mod world;
