//! What has happened. Committed once, never changed; `apply` turns it into state.

use std::sync::Arc;

use crate::{
    EnvironmentId, InvoiceTerms, LineId, Msat, NodeId, OrgId, PaymentHash, PaymentId, Preimage,
    Timestamp, WalletId,
    ledger::Entry,
    lightning::{FailureId, FailureReason},
    org::{
        Backing, ClaimedBy, Metadata, PaymentFailure, Rail, ReceiveTerms, Resolution, SendTerms,
    },
    payment::Epoch,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    EnvironmentCreated {
        environment: EnvironmentId,
        name: String,
    },
    EnvironmentRenamed {
        environment: EnvironmentId,
        name: String,
    },
    LineOpened {
        line: LineId,
        environment: EnvironmentId,
        limit_msat: Msat,
    },
    LineLimitSet {
        line: LineId,
        limit_msat: Msat,
    },
    LineDisabled {
        line: LineId,
    },
    LineEnabled {
        line: LineId,
    },
    NodeFundsSet {
        node: NodeId,
        funds_msat: Msat,
    },
    WalletCreated {
        wallet: WalletId,
        environment: EnvironmentId,
        name: String,
        backing: Backing,
        limit_msat: Msat,
        metadata: Metadata,
    },
    WalletLimitSet {
        wallet: WalletId,
        limit_msat: Msat,
    },
    WalletRenamed {
        wallet: WalletId,
        name: String,
    },
    WalletDeleted {
        wallet: WalletId,
    },

    /// A well-formed send that a rule refuses: the id has its answer for ever.
    SendRefused {
        payment: PaymentId,
        terms: Arc<SendTerms>,
        amount_msat: Msat,
        fee_limit_msat: Msat,
        rail: Rail,
        failure: PaymentFailure,
    },
    Held {
        payment: PaymentId,
        terms: Arc<SendTerms>,
        amount_msat: Msat,
        fee_limit_msat: Msat,
        rail: Rail,
        plan: Vec<NodeId>,
        older_failures: Vec<(NodeId, FailureId)>,
    },
    /// The next node of the plan, with its first request.
    AttemptStarted {
        payment: PaymentId,
        hash: PaymentHash,
        /// From 1.
        number: u32,
        node: NodeId,
        epoch: Epoch,
        until: Timestamp,
    },
    /// The same attempt, sent once more.
    RequestIssued {
        payment: PaymentId,
        epoch: Epoch,
        until: Timestamp,
    },
    /// Request number `request` (from 1) certainly never ran.
    RequestUnsent {
        payment: PaymentId,
        request: u32,
    },
    AttemptFailed {
        payment: PaymentId,
        node: NodeId,
        hash: PaymentHash,
        reason: FailureReason,
        failure: Option<FailureId>,
    },
    Posted {
        payment: PaymentId,
        fee_msat: Msat,
        preimage: Option<Preimage>,
        entry: Entry,
    },
    Voided {
        payment: PaymentId,
        hash: PaymentHash,
        failure: PaymentFailure,
    },
    /// A node contradicted its record: paid after a proven failure, or more than was allowed.
    Contradicted {
        payment: PaymentId,
        node: NodeId,
        hash: PaymentHash,
        paid_msat: Msat,
        fee_msat: Msat,
    },
    /// A person has said how it ended. What that moves is posted or voided beside it.
    Resolved {
        payment: PaymentId,
        resolution: Resolution,
        evidence: String,
        /// What a payment that was posted before is corrected by: another fee than was booked.
        correction: Option<Entry>,
    },

    /// Its caller wants the payment no more. How it ends is said by others.
    CancelRequested {
        payment: PaymentId,
    },

    InvoiceRequested {
        payment: PaymentId,
        terms: ReceiveTerms,
        hash: PaymentHash,
        node: NodeId,
        expires_at: Timestamp,
    },
    InvoiceMade {
        payment: PaymentId,
        invoice: InvoiceTerms,
    },
    InvoiceNotMade {
        payment: PaymentId,
    },
    /// Money arrived at the node.
    Received {
        payment: PaymentId,
        amount_msat: Msat,
        entry: Entry,
    },
    InvoiceExpired {
        payment: PaymentId,
    },
    InvoiceClaimed {
        payment: PaymentId,
        by: ClaimedBy,
    },
    /// Credited to a payment inside the platform, after the node had cancelled the invoice.
    ClaimCredited {
        payment: PaymentId,
        entry: Entry,
    },
    /// The claim will never be credited. `payment` had been claimed by it.
    ClaimWithdrawn {
        payment: PaymentId,
    },
    /// The claim never took the invoice.
    ClaimRefused {
        payer: OrgId,
        payer_payment: PaymentId,
        payment: PaymentId,
    },
    /// The withdrawn invoice was cancelled unpaid.
    InvoiceWithdrawn {
        payment: PaymentId,
    },
}

/// A fact that may exist only once in the installation, or a change of one. The store enforces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unique {
    /// An id in its organisation.
    Payment(PaymentId),
    /// An outgoing hash; held until the payment is proven failed.
    OutgoingHash {
        hash: PaymentHash,
        payment: PaymentId,
    },
    /// The hash is now with this attempt (from 1) on this node.
    OutgoingHashMoved {
        hash: PaymentHash,
        node: NodeId,
        attempt: u32,
    },
    OutgoingHashFreed {
        hash: PaymentHash,
        payment: PaymentId,
    },
    /// A node says that it has paid the hash for this payment, whatever was proven before: unless
    /// another payment holds the hash by now, it is this one's for ever. Never refused.
    OutgoingHashKept {
        hash: PaymentHash,
        payment: PaymentId,
    },
    IncomingHash {
        hash: PaymentHash,
        payment: PaymentId,
        node: NodeId,
    },
    /// The one answer that a payer's payment gets to its claim, kept for ever by the payee.
    Claim {
        payer: OrgId,
        payer_payment: PaymentId,
    },
    /// One failure of a hash on a node, on record for ever.
    Failure {
        node: NodeId,
        hash: PaymentHash,
        failure: FailureId,
    },
}

impl Event {
    /// The payment that the event is about, if any.
    pub fn payment(&self) -> Option<PaymentId> {
        match self {
            Self::EnvironmentCreated { .. }
            | Self::EnvironmentRenamed { .. }
            | Self::LineOpened { .. }
            | Self::LineLimitSet { .. }
            | Self::LineDisabled { .. }
            | Self::LineEnabled { .. }
            | Self::NodeFundsSet { .. }
            | Self::WalletCreated { .. }
            | Self::WalletLimitSet { .. }
            | Self::WalletRenamed { .. }
            | Self::WalletDeleted { .. }
            | Self::ClaimRefused { .. } => None,
            Self::SendRefused { payment, .. }
            | Self::Held { payment, .. }
            | Self::AttemptStarted { payment, .. }
            | Self::RequestIssued { payment, .. }
            | Self::RequestUnsent { payment, .. }
            | Self::AttemptFailed { payment, .. }
            | Self::Posted { payment, .. }
            | Self::Voided { payment, .. }
            | Self::Contradicted { payment, .. }
            | Self::Resolved { payment, .. }
            | Self::CancelRequested { payment }
            | Self::InvoiceRequested { payment, .. }
            | Self::InvoiceMade { payment, .. }
            | Self::InvoiceNotMade { payment }
            | Self::Received { payment, .. }
            | Self::InvoiceExpired { payment }
            | Self::InvoiceClaimed { payment, .. }
            | Self::ClaimCredited { payment, .. }
            | Self::ClaimWithdrawn { payment }
            | Self::InvoiceWithdrawn { payment } => Some(*payment),
        }
    }

    /// The ledger entry that the event posts, if any.
    pub fn entry(&self) -> Option<&Entry> {
        match self {
            Self::Posted { entry, .. }
            | Self::Received { entry, .. }
            | Self::ClaimCredited { entry, .. } => Some(entry),
            Self::Resolved { correction, .. } => correction.as_ref(),
            Self::EnvironmentCreated { .. }
            | Self::EnvironmentRenamed { .. }
            | Self::LineOpened { .. }
            | Self::LineLimitSet { .. }
            | Self::LineDisabled { .. }
            | Self::LineEnabled { .. }
            | Self::NodeFundsSet { .. }
            | Self::WalletCreated { .. }
            | Self::WalletLimitSet { .. }
            | Self::WalletRenamed { .. }
            | Self::WalletDeleted { .. }
            | Self::SendRefused { .. }
            | Self::Held { .. }
            | Self::AttemptStarted { .. }
            | Self::RequestIssued { .. }
            | Self::RequestUnsent { .. }
            | Self::AttemptFailed { .. }
            | Self::Voided { .. }
            | Self::Contradicted { .. }
            | Self::CancelRequested { .. }
            | Self::InvoiceRequested { .. }
            | Self::InvoiceMade { .. }
            | Self::InvoiceNotMade { .. }
            | Self::InvoiceExpired { .. }
            | Self::InvoiceClaimed { .. }
            | Self::ClaimWithdrawn { .. }
            | Self::ClaimRefused { .. }
            | Self::InvoiceWithdrawn { .. } => None,
        }
    }

    /// Unique facts that the event brings or changes.
    pub fn uniques(&self) -> Vec<Unique> {
        match self {
            Self::SendRefused { payment, .. } => vec![Unique::Payment(*payment)],
            Self::Held { payment, terms, .. } => vec![
                Unique::Payment(*payment),
                Unique::OutgoingHash { hash: terms.invoice.hash, payment: *payment },
            ],
            Self::AttemptFailed { node, hash, failure: Some(failure), .. } => {
                vec![Unique::Failure { node: *node, hash: *hash, failure: *failure }]
            }
            Self::Voided { payment, hash, .. } => {
                vec![Unique::OutgoingHashFreed { hash: *hash, payment: *payment }]
            }
            Self::InvoiceRequested { payment, hash, node, .. } => vec![
                Unique::Payment(*payment),
                Unique::IncomingHash { hash: *hash, payment: *payment, node: *node },
            ],
            Self::AttemptStarted { hash, number, node, .. } => {
                vec![Unique::OutgoingHashMoved { hash: *hash, node: *node, attempt: *number }]
            }
            Self::Contradicted { payment, hash, .. } => {
                vec![Unique::OutgoingHashKept { hash: *hash, payment: *payment }]
            }
            Self::InvoiceClaimed { by, .. } => {
                vec![Unique::Claim { payer: by.payer, payer_payment: by.payment }]
            }
            Self::ClaimRefused { payer, payer_payment, .. } => {
                vec![Unique::Claim { payer: *payer, payer_payment: *payer_payment }]
            }
            Self::EnvironmentCreated { .. }
            | Self::EnvironmentRenamed { .. }
            | Self::LineOpened { .. }
            | Self::LineLimitSet { .. }
            | Self::LineDisabled { .. }
            | Self::LineEnabled { .. }
            | Self::NodeFundsSet { .. }
            | Self::WalletCreated { .. }
            | Self::WalletLimitSet { .. }
            | Self::WalletRenamed { .. }
            | Self::WalletDeleted { .. }
            | Self::RequestIssued { .. }
            | Self::RequestUnsent { .. }
            | Self::AttemptFailed { failure: None, .. }
            | Self::Posted { .. }
            | Self::Resolved { .. }
            | Self::CancelRequested { .. }
            | Self::InvoiceMade { .. }
            | Self::InvoiceNotMade { .. }
            | Self::Received { .. }
            | Self::InvoiceExpired { .. }
            | Self::ClaimCredited { .. }
            | Self::ClaimWithdrawn { .. }
            | Self::InvoiceWithdrawn { .. } => Vec::new(),
        }
    }
}
