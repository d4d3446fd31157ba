//! Spending power on its way from one pod to another (`money-safety` rule 31).

use domain::NodeId;

/// Safe to show, useless without the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    pub key_id: String,
    /// The nonce and then the sealed value.
    pub bytes: Vec<u8>,
}

/// It could not be sealed, or does not open.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SealFailure(pub String);

/// Seals with keys that every pod of the installation has, and nobody else.
pub trait Seal: Send + Sync {
    /// For its way to the engine that takes the node in: it opens as that of this node, and as nothing else.
    fn seal_macaroon(&self, node: NodeId, macaroon: &[u8]) -> Result<Sealed, SealFailure>;
    fn open_macaroon(&self, node: NodeId, sealed: &Sealed) -> Result<Vec<u8>, SealFailure>;
}
