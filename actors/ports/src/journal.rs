//! The journal: the one history of every organisation, and the fence around it.

use async_trait::async_trait;
use domain::{
    Msat, NodeId, OrgId, PaymentHash, PaymentId, Preimage, SessionId, Timestamp,
    lightning::FailureId,
    org::{Event, Org, Row},
    payment::Epoch,
};

use crate::StoreError;

/// Position in one organisation's journal: how many events it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u64);

/// One organisation's decision, to be committed with many others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Append {
    pub org: OrgId,
    pub epoch: Epoch,
    /// The position before these events.
    pub expected: Seq,
    pub at: Timestamp,
    pub events: Vec<Event>,
    /// The rows that the events touched, as they stand after them.
    pub rows: Vec<Row>,
    /// Preimages of invoices requested here. The store seals them (`money-safety` rule 31).
    pub preimages: Vec<Preimage>,
    /// Receipts of the inbox that the events have taken in, up to an amount.
    pub taken: Vec<Taken>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    pub node: NodeId,
    pub hash: PaymentHash,
    pub paid_msat: Msat,
}

/// Why a batch was not committed, or may not have been.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Rolled back: another payment holds an id or hash that these organisations claim.
    #[error("an id or hash is held by another payment")]
    LostClaim(Vec<OrgId>),
    /// Rolled back: these organisations have been loaded elsewhere, or have moved on.
    #[error("another writer has loaded the organisation")]
    Fenced(Vec<OrgId>),
    /// Rolled back: certainly not done.
    #[error("the transaction was aborted: {0}")]
    Aborted(String),
    /// Committed or not: only loading can tell.
    #[error("the store did not say whether it committed: {0}")]
    Unknown(String),
}

/// What loading has found.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub org: Org,
    pub seq: Seq,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    #[error("organisation {0} not found")]
    NotFound(OrgId),
    /// This session is not, or no longer, among the living: its lease was taken over.
    #[error("this process does not own the organisation")]
    NotOwner,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What to look up before a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    pub org: OrgId,
    pub payment: PaymentId,
    /// The hash of a send.
    pub hash: Option<PaymentHash>,
    /// The payer and its payment, of a claim that `org` has got.
    pub claim: Option<(OrgId, PaymentId)>,
}

/// What the store knows about a question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The payment under that id in that organisation.
    pub payment: Option<Row>,
    /// The payment that holds the hash, in any organisation.
    pub paid_by: Option<(OrgId, PaymentId)>,
    /// The node that has paid the hash without our knowing, as a person has found: only this one may be
    /// asked for it, as it answers with the payment that it has.
    pub foreign_on: Option<NodeId>,
    /// The invoice of ours that has the hash.
    pub issued: Option<Issued>,
    pub older_failures: Vec<(NodeId, FailureId)>,
    /// The claim is on record ([`Unique::Claim`](domain::org::Unique::Claim)).
    pub claim_seen: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Issued {
    pub org: OrgId,
    pub payment: PaymentId,
    pub node: NodeId,
}

/// The lane of an organisation: always the same one, so that its transactions follow each other.
pub fn lane_of(org: OrgId, lanes: usize) -> usize {
    let lanes = u128::try_from(lanes).expect("a few lanes");
    usize::try_from(org.uuid().as_u128() % lanes).expect("a few lanes")
}

/// Durable, fenced, and the only truth there is.
#[async_trait]
pub trait Journal: Send + Sync {
    /// How many transactions may be under way at once, each of other organisations ([`lane_of`]).
    fn lanes(&self) -> usize {
        1
    }

    /// Loads an organisation and moves its epoch, in one transaction.
    ///
    /// Whoever loaded last is the only writer: a transaction under way from an older load either
    /// commits before this one and is seen by it, or fails on the epoch. So loading also settles a
    /// commit whose answer was lost. Implementors must refuse a session without a live lease row.
    async fn load(&self, org: OrgId, session: SessionId) -> Result<Loaded, LoadError>;

    /// Commits all appends in one transaction, or none.
    ///
    /// Appends of one organisation are contiguous in `expected` and in order. Implementors move the
    /// head under fence first, then claim unique facts, then write rows; they read every result
    /// before COMMIT, and answer [`AppendError::Unknown`] only when COMMIT itself was not answered.
    async fn append(&self, batch: &[Append]) -> Result<(), AppendError>;

    /// Answers each question, in order, as of one instant.
    async fn look_up(&self, questions: &[Question]) -> Result<Vec<Known>, StoreError>;

    /// The preimage of an invoice of ours, opened with the key that sealed it.
    async fn preimage(&self, hash: PaymentHash) -> Result<Option<Preimage>, StoreError>;
}
