//! switchyard.v1: what a key may ask for. One file for each service.

mod bolt11;
pub(crate) mod deadline;
mod door;
mod events;
mod guard;
mod health;
mod lines;
mod list;
mod nodes;
mod payments;
mod send_stream;
mod wallets;
mod watch;

pub(crate) use door::Door;
pub(crate) use events::Events;
pub(crate) use health::{Health, Shared as SharedHealth};
pub(crate) use lines::Lines;
pub(crate) use nodes::Nodes;
pub(crate) use payments::Payments;
pub(crate) use wallets::Wallets;
