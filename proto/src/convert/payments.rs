//! switchyard.v1.Payments

use std::{collections::HashMap, time::Duration};

use domain::{
    InvoiceTerms, NodeId, PaymentId, Timestamp, WalletId,
    lightning::FailureReason,
    org::{
        Incoming, IncomingState, Metadata, Outgoing, OutgoingState, PaymentFailure, PaymentStatus,
        Rail, ReceiveTerms, Resolution, Resolved, Row, SendTerms,
    },
    payment::{Attempt, AttemptEnd},
};

use super::{WAIT_SECONDS_MAX, WireError, hex, id, text};
use crate::v1;

/// Of an invoice whose caller names no expiry.
const EXPIRY_SECONDS_DEFAULT: u32 = 3_600;

/// How long a receive waits for its invoice when the caller does not say.
const RECEIVE_WAIT_SECONDS_DEFAULT: u32 = 10;

/// How long a cancel waits for the end when the caller does not say: a node that is there needs less.
pub const CANCEL_WAIT_SECONDS_DEFAULT: u32 = 5;

/// A send as asked for; its invoice has not been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Send {
    pub payment: PaymentId,
    pub wallet: WalletId,
    pub invoice: String,
    pub amount_msat: Option<u64>,
    pub fee_limit_msat: Option<u64>,
    pub description: Option<String>,
    pub metadata: Metadata,
    pub wait: Duration,
}

impl Send {
    /// The caller's own fields, once the invoice was read.
    pub fn terms(&self, invoice: InvoiceTerms) -> SendTerms {
        SendTerms {
            wallet: self.wallet,
            invoice,
            amount_msat: self.amount_msat,
            fee_limit_msat: self.fee_limit_msat,
            description: self.description.clone(),
            metadata: self.metadata.clone(),
        }
    }

    /// A send of a stream, which tells the end by itself.
    pub fn on_stream(request: v1::SendRequest) -> Result<Send, WireError> {
        match request.wait_seconds {
            0 => request.try_into(),
            _ => Err(WireError::WaitOnStream),
        }
    }
}

impl TryFrom<v1::SendRequest> for Send {
    type Error = WireError;

    fn try_from(request: v1::SendRequest) -> Result<Send, WireError> {
        Ok(Send {
            payment: id("id", &request.id)?,
            wallet: id("wallet_id", &request.wallet_id)?,
            invoice: request.invoice,
            amount_msat: request.amount_msat,
            fee_limit_msat: request.fee_limit_msat,
            description: Some(text("description", request.description)?)
                .filter(|description| !description.is_empty()),
            metadata: request.metadata,
            wait: wait(request.wait_seconds)?,
        })
    }
}

impl From<Send> for v1::SendRequest {
    fn from(send: Send) -> v1::SendRequest {
        v1::SendRequest {
            id: send.payment.to_string(),
            wallet_id: send.wallet.to_string(),
            invoice: send.invoice,
            amount_msat: send.amount_msat,
            fee_limit_msat: send.fee_limit_msat,
            wait_seconds: seconds(send.wait),
            description: send.description.unwrap_or_default(),
            metadata: send.metadata,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receive {
    pub payment: PaymentId,
    pub terms: ReceiveTerms,
    pub wait: Duration,
}

impl TryFrom<v1::ReceiveRequest> for Receive {
    type Error = WireError;

    fn try_from(request: v1::ReceiveRequest) -> Result<Receive, WireError> {
        Ok(Receive {
            payment: id("id", &request.id)?,
            terms: ReceiveTerms {
                wallet: id("wallet_id", &request.wallet_id)?,
                amount_msat: request.amount_msat,
                description: text("description", request.description)?,
                expiry_seconds: request.expiry_seconds.unwrap_or(EXPIRY_SECONDS_DEFAULT),
                metadata: request.metadata,
            },
            wait: wait(request.wait_seconds.unwrap_or(RECEIVE_WAIT_SECONDS_DEFAULT))?,
        })
    }
}

impl From<Receive> for v1::ReceiveRequest {
    fn from(receive: Receive) -> v1::ReceiveRequest {
        v1::ReceiveRequest {
            id: receive.payment.to_string(),
            wallet_id: receive.terms.wallet.to_string(),
            amount_msat: receive.terms.amount_msat,
            description: receive.terms.description,
            expiry_seconds: Some(receive.terms.expiry_seconds),
            wait_seconds: Some(seconds(receive.wait)),
            metadata: receive.terms.metadata,
        }
    }
}

/// A payment that its caller wants no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cancel {
    pub payment: PaymentId,
    pub wait: Duration,
}

impl TryFrom<v1::CancelRequest> for Cancel {
    type Error = WireError;

    fn try_from(request: v1::CancelRequest) -> Result<Cancel, WireError> {
        Ok(Cancel {
            payment: id("id", &request.id)?,
            wait: wait(request.wait_seconds.unwrap_or(CANCEL_WAIT_SECONDS_DEFAULT))?,
        })
    }
}

pub fn payment_id(request_id: &str) -> Result<PaymentId, WireError> {
    id("id", request_id)
}

/// Of a request about one of its payments.
pub fn wallet_id(request_wallet_id: &str) -> Result<WalletId, WireError> {
    id("wallet_id", request_wallet_id)
}

/// `None` for a row that is not a payment.
pub fn payment(row: &Row, node_names: &HashMap<NodeId, String>) -> Option<v1::Payment> {
    match row {
        Row::Outgoing(payment) => Some(outgoing(payment, node_names)),
        Row::Incoming(payment) => Some(incoming(payment)),
        Row::Environment(..)
        | Row::Line(..)
        | Row::Node(..)
        | Row::Wallet(..)
        | Row::Account(..) => None,
    }
}

pub fn outgoing(payment: &Outgoing, node_names: &HashMap<NodeId, String>) -> v1::Payment {
    let invoice = &payment.terms.invoice;
    let (failure, paid) = match payment.state {
        OutgoingState::InFlight => (None, None),
        OutgoingState::Posted { fee_msat, preimage } => (None, Some((fee_msat, preimage))),
        OutgoingState::Refused(failure) | OutgoingState::Voided(failure) => {
            (Some(payment_failure(failure)), None)
        }
    };
    let attempts = payment.attempts.iter().zip(1..);
    v1::Payment {
        id: payment.id.to_string(),
        wallet_id: payment.terms.wallet.to_string(),
        environment_id: payment.environment.to_string(),
        direction: v1::Direction::Send.into(),
        status: status(payment.status()).into(),
        amount_msat: Some(payment.amount_msat.get()),
        invoice: invoice.text.clone(),
        payment_hash: invoice.hash.to_string(),
        description: payment.terms.description.clone().unwrap_or_default(),
        created_at_ms: payment.created_at.millis(),
        updated_at_ms: payment.updated_at.millis(),
        expires_at_ms: invoice.expires_at.millis(),
        failure,
        fee_limit_msat: Some(payment.fee_limit_msat.get()),
        fee_msat: paid.map(|(fee_msat, _)| fee_msat.get()),
        preimage: paid
            .and_then(|(_, preimage)| preimage)
            .map(|preimage| hex(&preimage.0))
            .unwrap_or_default(),
        rail: rail(payment.rail).into(),
        attempts: attempts
            .map(|(attempt, number)| self::attempt(attempt, number, node_names))
            .collect(),
        contradicted: payment.contradicted,
        resolved: payment.resolved.as_deref().map(resolved),
        cancel_requested: payment.cancelled,
        received_msat: None,
        memo: invoice.description.clone(),
        metadata: payment.terms.metadata.clone(),
        updated_seq: None,
    }
}

pub fn incoming(payment: &Incoming) -> v1::Payment {
    let invoice = payment.invoice.as_ref();
    v1::Payment {
        id: payment.id.to_string(),
        wallet_id: payment.terms.wallet.to_string(),
        environment_id: payment.environment.to_string(),
        direction: v1::Direction::Receive.into(),
        status: status(payment.status()).into(),
        amount_msat: payment.terms.amount_msat,
        invoice: invoice.map(|invoice| invoice.text.clone()).unwrap_or_default(),
        payment_hash: payment.hash.to_string(),
        description: payment.terms.description.clone(),
        created_at_ms: payment.created_at.millis(),
        updated_at_ms: payment.updated_at.millis(),
        expires_at_ms: payment.expires_at.millis(),
        failure: incoming_failure(payment),
        fee_limit_msat: None,
        fee_msat: None,
        preimage: String::new(),
        rail: v1::Rail::Unspecified.into(),
        attempts: Vec::new(),
        contradicted: false,
        resolved: None,
        cancel_requested: payment.state == IncomingState::Cancelling,
        received_msat: Some(payment.credited_msat.get()),
        memo: payment.terms.description.clone(),
        metadata: payment.terms.metadata.clone(),
        updated_seq: None,
    }
}

fn resolved(told: &Resolved) -> v1::Resolved {
    let status = match told.resolution {
        Resolution::Paid { .. } => v1::PaymentStatus::Completed,
        Resolution::Failed => v1::PaymentStatus::Failed,
    };
    let evidence = told.evidence.clone();
    v1::Resolved { status: status.into(), evidence, at_ms: told.at.millis() }
}

pub fn invoice(terms: &InvoiceTerms) -> v1::Invoice {
    v1::Invoice {
        invoice: terms.text.clone(),
        network: terms.network.name().to_owned(),
        payment_hash: terms.hash.to_string(),
        amount_msat: terms.amount_msat.map(|amount| amount.get()),
        payee: terms.payee.to_string(),
        description: terms.description.clone(),
        expires_at_ms: terms.expires_at.millis(),
    }
}

/// The contract's word, for people and exports.
pub fn status_word(status: v1::PaymentStatus) -> &'static str {
    match status {
        v1::PaymentStatus::Unspecified => "unspecified",
        v1::PaymentStatus::Sending => "sending",
        v1::PaymentStatus::Completed => "completed",
        v1::PaymentStatus::Failed => "failed",
        v1::PaymentStatus::Generating => "generating",
        v1::PaymentStatus::Receiving => "receiving",
        v1::PaymentStatus::Expired => "expired",
    }
}

/// Whether the payment can still change. A late payment to an ended invoice is booked all the same.
pub fn has_ended(status: v1::PaymentStatus) -> bool {
    match status {
        v1::PaymentStatus::Completed | v1::PaymentStatus::Failed | v1::PaymentStatus::Expired => {
            true
        }
        v1::PaymentStatus::Unspecified
        | v1::PaymentStatus::Sending
        | v1::PaymentStatus::Generating
        | v1::PaymentStatus::Receiving => false,
    }
}

/// The same of a payment; a row that is none has nothing to end.
pub fn row_has_ended(row: &Row) -> bool {
    match row {
        Row::Outgoing(payment) => has_ended(status(payment.status())),
        Row::Incoming(payment) => has_ended(status(payment.status())),
        Row::Environment(..)
        | Row::Line(..)
        | Row::Node(..)
        | Row::Wallet(..)
        | Row::Account(..) => true,
    }
}

fn wait(wait_seconds: u32) -> Result<Duration, WireError> {
    match wait_seconds {
        0..=WAIT_SECONDS_MAX => Ok(Duration::from_secs(u64::from(wait_seconds))),
        _ => Err(WireError::Wait),
    }
}

fn seconds(wait: Duration) -> u32 {
    u32::try_from(wait.as_secs()).unwrap_or(u32::MAX)
}

fn rail(rail: Rail) -> v1::Rail {
    match rail {
        Rail::Internal { .. } => v1::Rail::Internal,
        Rail::CreditPool => v1::Rail::CreditPool,
        Rail::CustomerNode(_) => v1::Rail::CustomerNode,
    }
}

fn attempt(attempt: &Attempt, number: u32, node_names: &HashMap<NodeId, String>) -> v1::Attempt {
    let (status, ended_at, failure) = match attempt.end {
        None => (v1::AttemptStatus::InFlight, None, None),
        Some(AttemptEnd::Paid { at }) => (v1::AttemptStatus::Paid, Some(at), None),
        Some(AttemptEnd::Failed { at, reason }) => {
            (v1::AttemptStatus::Failed, Some(at), Some(node_failure(reason)))
        }
    };
    v1::Attempt {
        number,
        node_id: attempt.node.to_string(),
        node_name: node_names.get(&attempt.node).cloned().unwrap_or_default(),
        status: status.into(),
        started_at_ms: attempt.started_at.millis(),
        ended_at_ms: ended_at.map(Timestamp::millis),
        failure,
        requests: u32::try_from(attempt.requests.len()).unwrap_or(u32::MAX),
    }
}

pub fn status(status: PaymentStatus) -> v1::PaymentStatus {
    match status {
        PaymentStatus::Sending => v1::PaymentStatus::Sending,
        PaymentStatus::Completed => v1::PaymentStatus::Completed,
        PaymentStatus::Failed => v1::PaymentStatus::Failed,
        PaymentStatus::Generating => v1::PaymentStatus::Generating,
        PaymentStatus::Receiving => v1::PaymentStatus::Receiving,
        PaymentStatus::Expired => v1::PaymentStatus::Expired,
    }
}

pub fn incoming_failure(payment: &Incoming) -> Option<v1::Failure> {
    match (payment.state, &payment.invoice) {
        (IncomingState::Failed, None) => {
            Some(failure("invoice_not_made", "the node could not make the invoice"))
        }
        (IncomingState::Failed, Some(_)) => {
            Some(failure("invoice_withdrawn", "the invoice was withdrawn unpaid"))
        }
        (
            IncomingState::Generating
            | IncomingState::Open
            | IncomingState::Claimed(_)
            | IncomingState::Withdrawn(_)
            | IncomingState::Cancelling
            | IncomingState::Paid
            | IncomingState::PaidInternally(_)
            | IncomingState::Expired,
            _,
        ) => None,
    }
}

pub fn payment_failure(why: PaymentFailure) -> v1::Failure {
    match why {
        PaymentFailure::LineDisabled => {
            failure("line_of_credit_disabled", "the wallet's line of credit is disabled")
        }
        PaymentFailure::InsufficientFunds => failure(
            "insufficient_funds",
            "amount and largest routing fee exceed what the wallet may spend",
        ),
        PaymentFailure::InvoiceAlreadyPaid => {
            failure("invoice_already_paid", "the invoice was paid, or is being paid")
        }
        PaymentFailure::NoUsableNode => {
            failure("no_usable_node", "no node can take the payment now")
        }
        PaymentFailure::Node(reason) => node_failure(reason),
        PaymentFailure::PayeeRefused => {
            failure("payee_refused", "the payee's invoice is no longer open")
        }
        PaymentFailure::Cancelled => {
            failure("cancelled", "it was cancelled before a node had paid it")
        }
    }
}

pub fn node_failure(reason: FailureReason) -> v1::Failure {
    match reason {
        FailureReason::Timeout => failure("timeout", "no route worked in the time allowed"),
        FailureReason::NoRoute => {
            failure("no_route", "no route to the payee within amount and fee limit")
        }
        FailureReason::Error => failure("node_error", "the node gave up for a reason of its own"),
        FailureReason::IncorrectPaymentDetails => failure(
            "incorrect_payment_details",
            "the payee does not know the payment, or not with this amount",
        ),
        FailureReason::InsufficientBalance => {
            failure("insufficient_liquidity", "the node's channels cannot carry the amount")
        }
        FailureReason::Canceled => failure("canceled", "the payment was cancelled on the node"),
        FailureReason::Refused => failure("node_refused", "the node refused the payment"),
        FailureReason::Unreachable => {
            failure("node_unreachable", "the node could not be reached in time")
        }
        FailureReason::FoundUnpaid => {
            failure("found_unpaid", "a person has looked and found that it was not paid")
        }
    }
}

fn failure(code: &str, message: &str) -> v1::Failure {
    v1::Failure { code: code.to_owned(), message: message.to_owned() }
}
