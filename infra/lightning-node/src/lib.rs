//! The Lightning port spoken to lnd: its gRPC over a pinned connection, its macaroons, its invoices.
//!
//! ```text
//! bolt11.rs    reads an invoice             macaroon.rs  reads permissions, adds `time-before`
//! channel.rs   a connection that trusts one certificate
//! lnd.rs       `Lnd`, the port's adapter; below it one file for each subject
//! clock.rs     how far a node's clock is from ours, told by its own permissions
//! register.rs  everything that can be known of a node before it is used
//! ```

pub mod bolt11;
mod channel;
mod clock;
mod lnd;
pub mod macaroon;
pub mod register;
mod rfc3339;

pub use clock::clock_offset;
pub use lnd::{ConnectError, Lnd, Settings, Timing};
