//! The inbox: what nodes say they have been paid, kept until the organisation has booked it.

use async_trait::async_trait;
use domain::{Msat, NodeId, OrgId, PaymentHash, PaymentId};

use crate::{StoreError, lightning::Settlement};

/// A receipt that its organisation has not booked in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenReceipt {
    pub org: OrgId,
    pub payment: PaymentId,
    pub node: NodeId,
    pub hash: PaymentHash,
    pub paid_msat: Msat,
}

#[async_trait]
pub trait Receipts: Send + Sync {
    /// The last settlement taken in from the node; 0 at first.
    async fn settle_cursor(&self, node: NodeId) -> Result<u64, StoreError>;

    /// Takes settlements in, keeping the greatest amount for each hash, and moves the cursor, in one
    /// transaction (`money-safety` rule 22). Answers those of ours that are not booked yet.
    async fn take_in(
        &self,
        node: NodeId,
        settlements: &[Settlement],
    ) -> Result<Vec<OpenReceipt>, StoreError>;

    /// Everything that is not booked in full.
    async fn open_receipts(&self) -> Result<Vec<OpenReceipt>, StoreError>;
}
