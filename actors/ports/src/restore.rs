//! What a restored database or node has lost, and what becomes of it (`money-safety` rule 24).

use std::borrow::Cow;

use domain::{Msat, NodeId, OrgId, PaymentHash, PaymentId};

/// Whether what can be proven is only told, or done as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restoring {
    DryRun,
    Apply,
}

/// Whether sends go on while a restore has something due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thawing {
    OnceSafe,
    /// A person has said so.
    Anyway,
}

/// What becomes of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It can be reconciled from what the nodes say, and is not yet.
    Due,
    /// This call has reconciled it.
    Done,
    /// Nothing proves how it ended, or whose it is: a person has to say.
    Person,
}

/// Where the nodes' records and the ledger differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// A stable name for programs, such as `lost_payment`.
    pub code: Cow<'static, str>,
    pub step: Step,
    pub org: Option<OrgId>,
    pub payment: Option<PaymentId>,
    pub node: Option<NodeId>,
    pub hash: Option<PaymentHash>,
    /// What the node says was paid; `None`: it does not say, or that is not what differs.
    pub amount_msat: Option<Msat>,
    pub fee_msat: Option<Msat>,
    /// What differs, and what is done about it.
    pub text: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RestoreReport {
    /// Why every outgoing send is frozen, if it is.
    pub frozen: Option<String>,
    /// Nodes whose records were read.
    pub nodes: u64,
    /// Open payments of the ledger that their node has and that are simply not over: they go on.
    pub in_flight: u64,
    pub differences: Vec<Difference>,
}

impl RestoreReport {
    /// Whether sends may go on without anything being paid twice. What is left for a person stays held, or
    /// is on record so that no other node pays it.
    pub fn thaw_is_safe(&self) -> bool {
        self.differences.iter().all(|difference| difference.step != Step::Due)
    }
}
