//! The actors: thin shells around `domain` that load, decide, commit and perform.
//!
//! Architecture invariant: nothing leaves (no answer, no effect, no news) before the journal has
//! committed it, and memory that may differ from the store is thrown away, never patched.

mod admission;
mod attempt;
mod audit;
mod by_hand;
mod effect;
mod fair_queue;
mod foreign;
mod freeze;
mod gate;
mod hands;
mod health;
mod house;
mod invoice;
mod journal_lane;
mod kinds;
mod lease;
mod limits;
mod lookup;
mod meters;
mod node;
mod observe;
mod open_payments;
mod org;
mod orgs;
mod place;
mod platform;
mod reconcile;
mod records;
mod registry;
mod restore;
mod router;
mod sighting;
mod spans;
mod tree;
mod turns;
mod waiters;
mod wish;

pub use house::{Connect, Settings, Sockets};
pub use limits::CLOCK_TOLERANCE_MS;
pub use place::Membership;
pub use platform::{Platform, StartError};
pub use reconcile::ReconcileError;
