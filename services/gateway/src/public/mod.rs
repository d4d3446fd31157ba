//! switchyard.v1: what a key may ask for. One file for each service.

mod bolt11;
mod lines;
mod list;
mod payments;
mod wallets;
mod watch;

pub(crate) use lines::Lines;
pub(crate) use payments::Payments;
pub(crate) use wallets::Wallets;
