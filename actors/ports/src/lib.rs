//! The sockets in the wall: what the actors need from the world, and the contract of each.
//!
//! A trait here says what callers must do and what implementors must; every adapter passes the same
//! conformance suite.

pub mod clock;
pub mod directory;
pub mod guard;
pub mod hints;
pub mod idempotency;
pub mod journal;
pub mod lightning;
pub mod operations;
pub mod orgs;
pub mod placement;
pub mod reads;
pub mod receipts;
pub mod restore;
pub mod seal;

pub use clock::Clock;
pub use directory::Directory;
pub use guard::Guard;
pub use hints::{SharedCounts, Wakes};
pub use idempotency::Idempotency;
pub use journal::Journal;
pub use lightning::LightningNode;
pub use operations::Operations;
pub use orgs::{Orgs, Peers};
pub use placement::{Cluster, Placement};
pub use reads::Reads;
pub use receipts::Receipts;
pub use seal::Seal;

use domain::ErrorClass;

/// Why a store could not answer. Nothing of what was asked has been done, unless it says perhaps.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Certainly not done.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// The connection was lost while committing.
    #[error("the store did not say whether it committed: {0}")]
    Unknown(String),
    /// What is stored cannot be read; a person has to look.
    #[error("the store holds what it should not: {0}")]
    Corrupt(String),
    #[error("already there, with other values")]
    AlreadyThere,
}

impl StoreError {
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Unavailable(_) => ErrorClass::Unavailable,
            Self::Unknown(_) => ErrorClass::Uncertain,
            Self::Corrupt(_) => ErrorClass::Bug,
            Self::AlreadyThere => ErrorClass::Conflict,
        }
    }

    /// A stable name for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "unavailable",
            Self::Unknown(_) => "outcome_unknown",
            Self::Corrupt(_) => "internal",
            Self::AlreadyThere => "id_reused",
        }
    }
}
