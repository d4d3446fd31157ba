//! Whether this history is the one we left: generation, freeze, and what nodes know beyond it.

use async_trait::async_trait;
use domain::{NodeId, OrgId, PaymentHash, PaymentId};

use crate::StoreError;

/// How the store's generation compares with the one on record (`money-safety` rule 24).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Generation {
    Same,
    /// The database was restored or replaced.
    Changed {
        recorded: String,
        found: String,
    },
}

/// A payment of ours that its node has shown a record of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sighting {
    pub node: NodeId,
    pub org: OrgId,
    pub payment: PaymentId,
    pub hash: PaymentHash,
}

/// How a node of the pool came to pay without our knowing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// Before its books began.
    Older,
    /// Since then: a restored database has lost the payment.
    Lost,
}

/// What a person takes as it is of one node, by letting sends go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    pub node: NodeId,
    /// Of a node that may have lost what it has shown: nothing that it has shown, and none of these, is held
    /// against it again. `None`: it has lost nothing.
    pub lost: Option<Vec<Sighting>>,
    /// `None`: it could not be read.
    pub paid: Option<Paid>,
}

/// What a node has paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paid {
    /// No payment of ours accounts for these, so they are on record as lost from now on; in order.
    pub unaccounted: Vec<PaymentHash>,
    /// The last `payment_index` that was read.
    pub cursor: u64,
}

#[async_trait]
pub trait Guard: Send + Sync {
    async fn generation(&self) -> Result<Generation, StoreError>;

    /// Why every outgoing send of the installation is frozen, if it is.
    async fn frozen(&self) -> Result<Option<String>, StoreError>;
    async fn freeze(&self, why: &str) -> Result<(), StoreError>;
    /// Lets sends go on, and takes as it is, in the same transaction, what was found: this of the nodes, every
    /// receipt of theirs that the ledger does not know, and the generation found now. Answers why sends were
    /// frozen. `None`: they were not, and nothing is changed.
    ///
    /// Callers hand in every node, as they have read it since they found sends frozen. Implementors judge by
    /// the freeze on record, which nobody may change until they have committed.
    async fn thaw(&self, accepted: &[Accepted]) -> Result<Option<String>, StoreError>;

    /// The greatest `payment_index` of the node that has been matched with the journal; 0 at first.
    async fn payment_cursor(&self, node: NodeId) -> Result<u64, StoreError>;
    async fn move_payment_cursor(&self, node: NodeId, to: u64) -> Result<(), StoreError>;
    /// Those of the hashes that no attempt of ours on the node accounts for.
    async fn unknown_payments(
        &self,
        node: NodeId,
        hashes: &[PaymentHash],
    ) -> Result<Vec<PaymentHash>, StoreError>;

    /// The node has paid these, or may yet, and no payment of ours accounts for them: from now on
    /// [`Known::foreign_on`](crate::journal::Known) tells of it. What is on record stays as it is.
    async fn record_foreign(
        &self,
        node: NodeId,
        hashes: &[PaymentHash],
        how: Foreign,
    ) -> Result<(), StoreError>;

    /// What is on record of the node as lost, in order, whether or not a payment of ours has come to account
    /// for it since.
    async fn lost_payments(&self, node: NodeId) -> Result<Vec<PaymentHash>, StoreError>;

    /// What the node has shown as far as it was put on record, in order, and whether it is excused.
    async fn sightings(&self, node: NodeId) -> Result<Vec<(Sighting, bool)>, StoreError>;
    /// Adds some and drops others, of any nodes, in one transaction. One that is there stays as it is.
    async fn change_sightings(
        &self,
        added: &[Sighting],
        dropped: &[Sighting],
    ) -> Result<(), StoreError>;
    /// A person takes as it is what the node has lost: nothing that it has shown, and none of these,
    /// is held against it again.
    async fn excuse_sightings(&self, node: NodeId, also: &[Sighting]) -> Result<(), StoreError>;
}
