//! The simulated Lightning network: one model, and its face as a process that speaks LND's gRPC.
//!
//! ```text
//! model/      PURE. Nodes, channels, invoices, payments, faults; no I/O, no clock, no randomness.
//!   state.rs    what is known          event.rs    what changed         apply.rs   the only change
//!   send.rs, subject.rs  SendPaymentV2   flight.rs  HTLCs under way   route.rs  the path search
//!   receive.rs  invoices               query.rs    lists and tracking   stream.rs  who is told what
//!   fault.rs    faults by name         control.rs  what no real node offers
//! host.rs     drives the model: a lock, a writer of the log, a keeper of time
//! journal.rs  the log of events, replayed at the start; survives kill -9 at any moment
//! lnd/        LND's services with its own message types, generated in build.rs
//! macaroon.rs, identity.rs, net.rs   permissions, what a node keeps, a port that can be slammed
//! port/       the network behind the Lightning port, in this process, for seeded simulation
//! control.rs  the control face (proto/control.proto) for tests, benches and the auditor
//! sim.rs      `Sim::start(Config)`: all of it together
//! ```
//!
//! A command locks the model, commits events, and leaves; the writer puts the events of all commands
//! that gathered meanwhile into the log with one write, then lets their answers and updates go. So
//! nothing that was ever answered is lost, whenever the process dies.

mod clock;
mod config;
mod control;
mod host;
mod identity;
mod journal;
mod lnd;
mod macaroon;
pub mod model;
mod net;
pub mod port;
mod rfc3339;
mod sim;

pub use config::{ChannelEnd, ChannelSpec, Config, NodeSpec};
pub use control::{ControlClient, connect as connect_control, proto as control_proto};
pub use identity::IdentityError;
pub use journal::JournalError;
pub use model::{Chain, Msat, NodeOptions, Policy, Role};
pub use sim::{Endpoint, MacaroonFile, Sim, SimError};
