//! What a caller may do about a request that was not carried out.

use crate::{EnvironmentId, LineId, Msat, NodeId, PaymentId, WalletId};

/// Sorts every error of the system by whether it happened and what the caller should do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// Not done: fix the request.
    Invalid,
    /// Not done: get access.
    Denied,
    /// Not done: check the id.
    NotFound,
    /// Not done, by rule: change something first.
    Rejected,
    /// Not done: use a new id, or another name.
    Conflict,
    /// Certainly not done: repeat later with the same id.
    Unavailable,
    /// Perhaps done: repeat with the same id, or read by id.
    Uncertain,
    /// Unknown: stop and tell us.
    Bug,
}

/// Why a command was refused. Nothing was stored and nothing happened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("wallet {0} not found")]
    WalletNotFound(WalletId),
    #[error("line of credit {0} not found")]
    LineNotFound(LineId),
    #[error("environment {0} not found")]
    EnvironmentNotFound(EnvironmentId),
    #[error("node {0} not found")]
    NodeNotFound(NodeId),
    #[error("payment {0} not found")]
    PaymentNotFound(PaymentId),
    #[error("the id was used before with another body")]
    IdReused,
    #[error("the name is in use")]
    NameTaken,
    #[error("the invoice is for {found}, this installation is on {expected}")]
    WrongNetwork { expected: &'static str, found: &'static str },
    #[error("the invoice has expired")]
    InvoiceExpired,
    #[error("the invoice names no amount, so the request must")]
    AmountMissing,
    #[error("the invoice fixes the amount at {} msat, so the request must not name one", .0.get())]
    AmountGiven(Msat),
    #[error("an amount must be above zero and at most the bitcoin supply")]
    AmountOutOfRange,
    #[error("the fee limit must be at most the bitcoin supply")]
    FeeLimitOutOfRange,
    #[error("the invoice is of our node {0} but not in the ledger, so it cannot be paid from here")]
    InvoiceUnknownToLedger(NodeId),
    #[error("the expiry must be between 1 second and 30 days")]
    ExpiryOutOfRange,
    #[error("the text must be at most {0} bytes long")]
    TextTooLong(usize),
    #[error("metadata must be at most 50 pairs of at most 256 characters, none of them zero")]
    MetadataOutOfRange,
    #[error("wallet {0} has a balance, something held or an open payment")]
    WalletNotEmpty(WalletId),
    #[error("line of credit {0} is disabled")]
    LineDisabled(LineId),
    #[error("{left} msat are left to allocate", left = .0.get())]
    CannotAllocate(Msat),
    #[error("the organisation has {0} open payments, as many as it may have")]
    TooManyOpen(usize),
    #[error("the evidence must say something")]
    EvidenceMissing,
    #[error("payment {0} has not stopped: no person is needed to say how it ended")]
    NotStopped(PaymentId),
    #[error("payment {0} was resolved before, otherwise or on other evidence")]
    AlreadyResolved(PaymentId),
    #[error("the preimage is not of the payment's hash")]
    WrongPreimage,
    #[error("payment {0} is proven to be paid, so it did not fail")]
    ProvenPaid(PaymentId),
    #[error("more than one node has tried payment {0}: say which one has paid")]
    PayingNodeMissing(PaymentId),
    #[error("node {0} is not one that may have paid it")]
    NotThePayer(NodeId),
    #[error("node {0} shows the payment as paid")]
    NodeShowsPaid(NodeId),
    #[error("node {0} shows the payment as in flight")]
    NodeShowsInFlight(NodeId),
    #[error("node {node} may be asked to pay for {left_ms} ms more: repeat it after that")]
    StillPermitted { node: NodeId, left_ms: i64 },
    #[error("by its own clock node {0} may still be asked to pay: repeat it later")]
    PermittedByItsClock(NodeId),
}

impl Rejection {
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::WalletNotFound(_)
            | Self::LineNotFound(_)
            | Self::EnvironmentNotFound(_)
            | Self::NodeNotFound(_)
            | Self::PaymentNotFound(_) => ErrorClass::NotFound,
            Self::IdReused | Self::NameTaken | Self::AlreadyResolved(_) => ErrorClass::Conflict,
            Self::WrongNetwork { .. }
            | Self::InvoiceExpired
            | Self::AmountMissing
            | Self::AmountGiven(_)
            | Self::AmountOutOfRange
            | Self::FeeLimitOutOfRange
            | Self::ExpiryOutOfRange
            | Self::TextTooLong(_)
            | Self::MetadataOutOfRange
            | Self::EvidenceMissing
            | Self::WrongPreimage
            | Self::PayingNodeMissing(_)
            | Self::NotThePayer(_) => ErrorClass::Invalid,
            Self::InvoiceUnknownToLedger(_)
            | Self::CannotAllocate(_)
            | Self::WalletNotEmpty(_)
            | Self::LineDisabled(_)
            | Self::NotStopped(_)
            | Self::ProvenPaid(_)
            | Self::NodeShowsPaid(_)
            | Self::NodeShowsInFlight(_) => ErrorClass::Rejected,
            Self::TooManyOpen(_) | Self::StillPermitted { .. } | Self::PermittedByItsClock(_) => {
                ErrorClass::Unavailable
            }
        }
    }

    /// A stable name for programs. The message is for people and may change.
    pub fn code(&self) -> &'static str {
        match self {
            Self::WalletNotFound(_) => "wallet_not_found",
            Self::LineNotFound(_) => "line_of_credit_not_found",
            Self::EnvironmentNotFound(_) => "environment_not_found",
            Self::NodeNotFound(_) => "node_not_found",
            Self::PaymentNotFound(_) => "payment_not_found",
            Self::IdReused => "id_reused",
            Self::NameTaken => "name_taken",
            Self::WrongNetwork { .. } => "wrong_network",
            Self::InvoiceExpired => "invoice_expired",
            Self::AmountMissing => "amount_missing",
            Self::AmountGiven(_) => "amount_given",
            Self::AmountOutOfRange => "amount_out_of_range",
            Self::FeeLimitOutOfRange => "fee_limit_out_of_range",
            Self::InvoiceUnknownToLedger(_) => "invoice_unknown_to_ledger",
            Self::ExpiryOutOfRange => "expiry_out_of_range",
            Self::TextTooLong(_) => "text_too_long",
            Self::MetadataOutOfRange => "metadata_out_of_range",
            Self::WalletNotEmpty(_) => "wallet_not_empty",
            Self::LineDisabled(_) => "line_of_credit_disabled",
            Self::CannotAllocate(_) => "cannot_allocate",
            Self::TooManyOpen(_) => "too_many_open_payments",
            Self::EvidenceMissing => "evidence_missing",
            Self::NotStopped(_) => "payment_not_stopped",
            Self::AlreadyResolved(_) => "payment_already_resolved",
            Self::WrongPreimage => "wrong_preimage",
            Self::ProvenPaid(_) => "payment_proven_paid",
            Self::PayingNodeMissing(_) => "paying_node_missing",
            Self::NotThePayer(_) => "not_the_paying_node",
            Self::NodeShowsPaid(_) => "node_shows_paid",
            Self::NodeShowsInFlight(_) => "node_shows_in_flight",
            Self::StillPermitted { .. } | Self::PermittedByItsClock(_) => "node_still_permitted",
        }
    }
}
