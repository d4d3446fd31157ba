//! What an organisation can be asked to do, with the facts that only others know.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    EnvironmentId, InvoiceTerms, LineId, Msat, Network, NodeId, OrgId, PaymentHash, PaymentId,
    Preimage, Timestamp, WalletId, lightning::FailureId, org::Backing, payment::Finding,
};

/// The caller's own words about a wallet or a payment: kept and given back, never looked at.
pub type Metadata = BTreeMap<String, String>;

/// The caller's own fields of a send. A repeat must bring the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendTerms {
    pub wallet: WalletId,
    pub invoice: InvoiceTerms,
    /// Named by the caller; only for an invoice without amount.
    pub amount_msat: Option<u64>,
    /// The caller's cap on routing fees; 0 means fee-free routes only, `None` the house's default.
    pub fee_limit_msat: Option<u64>,
    /// The caller's own note; the invoice has the payee's.
    pub description: Option<String>,
    pub metadata: Metadata,
}

/// The caller's own fields of a receive. A repeat must bring the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiveTerms {
    pub wallet: WalletId,
    /// `None`: the payer names the amount.
    pub amount_msat: Option<u64>,
    pub description: String,
    pub expiry_seconds: u32,
    pub metadata: Metadata,
}

/// What others know that a send needs, gathered before `decide`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendFacts {
    /// Another payment of the installation holds the hash.
    pub hash_taken: bool,
    pub payee: Payee,
    /// Usable nodes of the wallet's rail, best first.
    pub plan: Vec<NodeId>,
    /// Failures of this hash on record, on any node.
    pub older_failures: Vec<(NodeId, FailureId)>,
    /// What permissions issued now carry: the lease as granted at its last renewal.
    pub permitted_until: Timestamp,
    /// The network that this installation is on.
    pub network: Network,
    /// Fee cap when the caller names none, in millionths of the amount.
    pub default_fee_ppm: u32,
    /// The least fee cap when the caller names none.
    pub default_fee_min_msat: Msat,
}

/// Whose invoice it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payee {
    Outside,
    /// Issued on this platform. `backing` is `None` for a wallet on the credit pool, else its node.
    Inside {
        org: OrgId,
        payment: PaymentId,
        node: Option<NodeId>,
    },
    /// The payee is a node of ours, but the ledger does not know the invoice.
    UnknownOn(NodeId),
}

/// How a person has found that a payment ended which the nodes leave open, or tell in two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    Paid {
        /// Which node has paid. `None`: the only one that was tried.
        node: Option<NodeId>,
        preimage: Preimage,
        fee_msat: Msat,
    },
    Failed,
}

/// What the nodes say of a payment that a person resolves, gathered before `decide`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolveFacts {
    /// Its node was restored and may have made it; a person has taken the node as it is.
    pub lost: bool,
    /// What each node that was tried says. One that could not be reached is not here.
    pub says: Vec<(NodeId, NodeSays)>,
    /// An instant before the first of them was asked.
    pub asked_at: Timestamp,
}

/// What a node says of a payment hash now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeSays {
    /// By its own clock a permission to pay it is not over, so what else it says proves nothing.
    Permitted,
    Nothing,
    InFlight,
    Failed(FailureId),
    Paid {
        amount_msat: Msat,
        fee_msat: Msat,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimRequest {
    pub payer: OrgId,
    pub payer_payment: PaymentId,
    pub payment: PaymentId,
    pub hash: PaymentHash,
    pub amount_msat: Msat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimAnswer {
    Credited,
    Refused,
}

/// What the node says when told to cancel an invoice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvoiceEnd {
    Cancelled,
    /// It was paid before it could be cancelled; the receipt brings the amount.
    Settled,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    CreateEnvironment {
        environment: EnvironmentId,
        name: String,
    },
    RenameEnvironment {
        environment: EnvironmentId,
        name: String,
    },
    OpenLine {
        line: LineId,
        environment: EnvironmentId,
        limit_msat: Msat,
    },
    SetLineLimit {
        line: LineId,
        limit_msat: Msat,
    },
    /// Stops new sends and new wallets on the line; what it has lent and receives goes on.
    DisableLine {
        line: LineId,
    },
    EnableLine {
        line: LineId,
    },
    /// Records an own node, or what its owner declares it to hold.
    SetNodeFunds {
        node: NodeId,
        funds_msat: Msat,
    },
    CreateWallet {
        wallet: WalletId,
        environment: EnvironmentId,
        name: String,
        backing: Backing,
        limit_msat: Msat,
        metadata: Metadata,
    },
    SetWalletLimit {
        wallet: WalletId,
        limit_msat: Msat,
    },
    RenameWallet {
        wallet: WalletId,
        name: String,
    },
    /// Ends an empty wallet and frees its share.
    DeleteWallet {
        wallet: WalletId,
    },

    Send {
        payment: PaymentId,
        terms: Arc<SendTerms>,
        facts: Box<SendFacts>,
    },
    /// What a node actor has learned about an attempt.
    Report {
        payment: PaymentId,
        attempt: u32,
        request: u32,
        finding: Finding,
        /// What permissions issued now carry.
        permitted_until: Timestamp,
    },
    /// Nothing was heard of a payment for a while, or the organisation was just loaded.
    Drive {
        payment: PaymentId,
    },
    /// A person says how a payment that has stopped has ended, and why that is known.
    Resolve {
        payment: PaymentId,
        resolution: Resolution,
        /// For whoever asks later; the customer sees it too.
        evidence: String,
        facts: Box<ResolveFacts>,
    },
    /// Its caller wants it no more: withdraws an invoice, and tries nothing more for a send.
    Cancel {
        payment: PaymentId,
    },

    Receive {
        payment: PaymentId,
        terms: ReceiveTerms,
        hash: PaymentHash,
        node: NodeId,
    },
    /// The node has made the invoice.
    InvoiceMade {
        payment: PaymentId,
        invoice: InvoiceTerms,
    },
    /// The node will never make the invoice.
    InvoiceNotMade {
        payment: PaymentId,
    },
    /// The greatest total that the node has ever reported as settled for this hash.
    Receipt {
        payment: PaymentId,
        paid_msat: Msat,
    },
    /// The node says that the invoice can no longer be paid.
    InvoiceOver {
        payment: PaymentId,
        end: InvoiceEnd,
    },

    /// Another organisation's payment (or our own) wants to pay an open invoice of ours.
    Claim {
        request: ClaimRequest,
        text: String,
        /// A claim of this payer's payment is on record: it was taken, or refused for ever.
        seen_before: bool,
    },
    /// The payee's committed answer.
    ClaimAnswered {
        payment: PaymentId,
        answer: ClaimAnswer,
    },
    /// A claim has waited too long for the node's cancel.
    GiveUpClaim {
        payment: PaymentId,
    },
}
