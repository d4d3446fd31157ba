//! A Lightning node that we may pay and be paid through: the credit pool's, or a customer's own.

use async_trait::async_trait;
use domain::{
    InvoiceTerms, Msat, Network, PaymentHash, Preimage, PublicKey, Timestamp,
    lightning::{FailureId, FailureReason},
    org::InvoiceEnd,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayRequest {
    pub hash: PaymentHash,
    pub invoice: String,
    /// Only for an invoice without amount.
    pub amount_msat: Option<Msat>,
    /// 0 means fee-free routes only; includes the fees of route hints.
    pub fee_limit_msat: Msat,
    /// The node must refuse the request from this instant on.
    pub until: Timestamp,
}

/// One piece of news about a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PayUpdate {
    InFlight,
    Succeeded { preimage: Preimage, amount_msat: Msat, fee_msat: Msat },
    Failed { reason: FailureReason, failure: FailureId },
}

/// How a send call ended without a terminal update of its own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayError {
    /// The server refused before any update. Proves nothing by itself.
    #[error("the node refused: {0}")]
    Refused(String),
    /// The permission was over when the node looked: the request did not run.
    #[error("the permission was over when the node looked at the request")]
    PermissionLapsed,
    /// Lost stream, time-out, transport, or the node has the hash already: the payment may be under
    /// way, so it has to be tracked.
    #[error("the connection to the node was lost: {0}")]
    Lost(String),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NodeError {
    #[error("the node cannot be reached: {0}")]
    Unreachable(String),
    #[error("the node does not accept the macaroon: {0}")]
    Denied(String),
    #[error("the node refused: {0}")]
    Refused(String),
}

/// Whether and how a node may be used, read from the node itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeStatus {
    pub identity: PublicKey,
    pub network: Option<Network>,
    pub version: String,
    /// All of its services answer and it follows the chain.
    pub serving: bool,
    pub outbound_msat: Msat,
    pub largest_channel_msat: Msat,
    pub inbound_msat: Msat,
    /// HTLCs that it may have out at once, over all channels that work; at most 483 each with a real node.
    pub slots: u32,
    pub pending_htlcs: u32,
}

/// One settled invoice, as the node reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settlement {
    pub hash: PaymentHash,
    /// Everything ever paid to the hash.
    pub paid_msat: Msat,
    pub settle_index: u64,
    /// Nobody had made an invoice for it (keysend, AMP): anybody may send such a thing.
    pub spontaneous: bool,
}

/// One outgoing payment on the node's own books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodePayment {
    pub hash: PaymentHash,
    pub payment_index: u64,
    pub last: PayUpdate,
    /// A probe: random hash, no invoice; never money.
    pub probe: bool,
}

/// A stream of a node: `None` when it has ended, whatever the reason.
#[async_trait]
pub trait Stream<T>: Send {
    async fn next(&mut self) -> Option<Result<T, PayError>>;
}

#[async_trait]
pub trait LightningNode: Send + Sync {
    /// Starts paying, or joins the payment that the node has under this hash.
    ///
    /// Callers have journaled the request, with the same `until`. Implementors set the fee limit as
    /// given, put `until` into the permission, and never turn silence or a lost stream into failure.
    async fn pay(&self, request: &PayRequest) -> Result<Box<dyn Stream<PayUpdate>>, PayError>;

    /// What the node knows of the hash now, then its changes; `Ok(None)` if it knows nothing.
    async fn track(
        &self,
        hash: PaymentHash,
    ) -> Result<Option<Box<dyn Stream<PayUpdate>>>, NodeError>;

    /// Whether the node itself says that a permission of `until` is over.
    async fn has_lapsed(&self, until: Timestamp) -> Result<bool, NodeError>;

    /// Makes the invoice of this preimage, or finds the one it has made before.
    async fn make_invoice(
        &self,
        preimage: Preimage,
        amount_msat: Option<Msat>,
        description: &str,
        expires_at: Timestamp,
    ) -> Result<InvoiceTerms, NodeError>;

    /// Cancels an invoice and says how it ended. Cancelling twice is safe.
    async fn cancel_invoice(&self, hash: PaymentHash) -> Result<InvoiceEnd, NodeError>;

    /// What one invoice of the node has been paid, by a plain look-up. `None`: nothing is settled, or the
    /// node does not know the hash.
    async fn settled(&self, hash: PaymentHash) -> Result<Option<Settlement>, NodeError>;

    async fn status(&self) -> Result<NodeStatus, NodeError>;

    /// How many connections to it have been made. Where there is one more it may have been away meanwhile.
    fn connections(&self) -> u64 {
        0
    }

    /// Settled invoices after a cursor, then new ones as they settle. 0 means from the beginning.
    async fn settlements(&self, after: u64) -> Result<Box<dyn Stream<Settlement>>, NodeError>;

    /// The greatest settle index so far; 0 if nothing was ever settled.
    async fn last_settle_index(&self) -> Result<u64, NodeError>;

    /// Outgoing payments after an index, oldest first, failed and open ones included; a page.
    async fn payments(&self, after_index: u64) -> Result<Vec<NodePayment>, NodeError>;
}
