//! The door, spoken to over real sockets. Behind it stands a small organisation in memory that
//! decides with the real rules.

mod admin;
mod auth;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod kept;
mod lists;
mod payments;
#[cfg(test)]
mod rest;
#[cfg(test)]
mod world;
