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

/// What becomes of settled invoices that the ledger does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// It is the house's node, and nobody else makes invoices there: a restored database has lost them
    /// (`money-safety` rule 24).
    Kept,
    /// It is a customer's node, whose owner may be paid by other means.
    Counted,
}

/// A settled invoice of the house's own node that the ledger does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnknownReceipt {
    pub node: NodeId,
    pub hash: PaymentHash,
    pub paid_msat: Msat,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TakenIn {
    /// Those of ours that are not booked yet.
    pub open: Vec<OpenReceipt>,
    /// Those that the ledger does not know and no person has taken as they are.
    pub unknown: Vec<UnknownReceipt>,
}

#[async_trait]
pub trait Receipts: Send + Sync {
    /// The last settlement taken in from the node; 0 at first.
    async fn settle_cursor(&self, node: NodeId) -> Result<u64, StoreError>;

    /// The books of a node begin: what it had settled up to here is not ours.
    async fn begin_receipts(&self, node: NodeId, settle_index: u64) -> Result<(), StoreError>;

    /// Takes settlements in, keeping the greatest amount for each hash, and moves the cursor, in one
    /// transaction (`money-safety` rule 22). What is unknown and to be kept is put on record in it as well,
    /// but for spontaneous payments and what is older than the node's books.
    async fn take_in(
        &self,
        node: NodeId,
        settlements: &[Settlement],
        unknown: Unknown,
    ) -> Result<TakenIn, StoreError>;

    /// Every receipt on record that the ledger does not know and no person has taken as it is, in order. One
    /// that was taken as it is stays on record; more of it is unknown again.
    async fn unknown_receipts(&self) -> Result<Vec<UnknownReceipt>, StoreError>;

    /// Everything that is not booked in full.
    async fn open_receipts(&self) -> Result<Vec<OpenReceipt>, StoreError>;
}
