//! The whole brain of Switchyard: what an organisation decides, as plain data and plain functions.
//!
//! Architecture invariant: nothing here waits, reads a clock, draws a random number or knows a wire
//! format. Time, identities and what others know arrive as arguments; what should happen next leaves
//! as a list of [`org::Effect`]s.

pub mod broken;
pub mod error;
pub mod id;
pub mod ledger;
pub mod lightning;
pub mod money;
pub mod org;
pub mod payment;
pub mod permission;
pub mod routing;
pub mod time;

pub use error::{ErrorClass, Rejection};
pub use id::{EnvironmentId, KeyId, LineId, NodeId, OrgId, PaymentId, SessionId, WalletId};
pub use lightning::{InvoiceTerms, Network, PaymentHash, Preimage, PublicKey};
pub use money::{Msat, SignedMsat};
pub use permission::Permission;
pub use time::Timestamp;
