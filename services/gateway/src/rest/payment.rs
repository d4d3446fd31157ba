//! A payment in the contract's words: modern amounts, and the older numbers beside them.

use std::collections::HashMap;

use domain::{
    Msat, NodeId, OrgId, Timestamp,
    org::{Incoming, IncomingState, Metadata, Outgoing, OutgoingState, PaymentFailure, Rail, Row},
    payment::{Attempt, AttemptEnd},
};
use proto::convert::{hex, payments as words};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{amount::Amount, text};

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Payment {
    id: Uuid,
    wallet_id: Uuid,
    organization_id: Uuid,
    environment_id: Uuid,
    #[schema(example = "standard")]
    payment_category: &'static str,
    /// `send` or `receive`.
    #[schema(example = "send")]
    direction: &'static str,
    #[serde(rename = "type")]
    #[schema(example = "bolt11")]
    kind: &'static str,
    #[schema(example = "btc")]
    currency: &'static str,
    /// Of a send `sending`, `completed` or `failed`; of a receive `generating`, `receiving`,
    /// `completed`, `expired` or `failed`.
    #[schema(example = "sending")]
    status: &'static str,
    #[serde(skip_serializing_if = "Metadata::is_empty")]
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    metadata: Metadata,
    created_at: String,
    updated_at: String,
    /// Why it failed. A fact of the payment: repeating it changes nothing.
    error: Option<PaymentError>,
    #[schema(value_type = Vec<Object>)]
    exchanges: [Value; 0],
    data: PaymentData,
    /// Once money has moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_breakdown: Option<Breakdown>,
    /// Where it last changed in the event feed; in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_seq: Option<u64>,
    /// It was cancelled and goes on nevertheless, or has; of a receive, while its node is being told.
    #[serde(skip_serializing_if = "is_false")]
    cancel_requested: bool,
    #[serde(flatten)]
    way: Way,
}

impl Payment {
    pub(super) fn with_updated_seq(self, seq: u64) -> Payment {
        Payment { updated_seq: Some(seq), ..self }
    }
}

fn is_false(flag: &bool) -> bool {
    !*flag
}

/// What only one direction has.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
enum Way {
    Send {
        #[schema(example = "direct")]
        route: &'static str,
        /// `internal`, `credit_pool` or `customer_node`.
        rail: &'static str,
        /// Every node that was tried, in order.
        attempts: Vec<AttemptView>,
    },
    Receive {
        /// `null`: the payer names the amount.
        requested_amount: Option<Amount>,
        #[schema(value_type = Vec<Object>)]
        frozen: [Value; 0],
        bip21_uri: Option<String>,
    },
}

#[derive(Debug, Default, Serialize, ToSchema)]
struct PaymentData {
    /// The BOLT11 invoice; of a receive, once the node has made it.
    payment_request: Option<String>,
    payment_hash: String,
    /// `null`: the payer names the amount.
    amount: Option<Amount>,
    /// As `amount`; 0 where the payer names it.
    #[schema(deprecated)]
    amount_msats: u64,
    memo: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// When the invoice expires.
    expiration: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_fee: Option<Amount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(deprecated)]
    max_fee_msats: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fees: Option<Fees>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(deprecated)]
    fee_msats: Option<u64>,
    /// What left, of a send.
    #[serde(skip_serializing_if = "Option::is_none")]
    outflows: Option<Vec<Movement>>,
    /// What arrived, of a receive.
    #[serde(skip_serializing_if = "Option::is_none")]
    receipts: Option<Vec<Movement>>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Fees {
    network: Amount,
    processing: Amount,
}

#[derive(Debug, Serialize, ToSchema)]
struct Breakdown {
    principal: Amount,
    network_fee: Amount,
    processing_fee: Amount,
}

/// Money that has moved.
#[derive(Debug, Serialize, ToSchema)]
struct Movement {
    /// `lightning`, or `shortcircuit` between two wallets of this platform.
    #[serde(rename = "type")]
    #[schema(example = "lightning")]
    kind: &'static str,
    amount_msats: u64,
    payment_hash: String,
    /// The proof of payment.
    #[serde(skip_serializing_if = "Option::is_none")]
    preimage: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset_payment_id: Option<Uuid>,
}

#[derive(Debug, Serialize, ToSchema)]
struct PaymentError {
    #[serde(rename = "type")]
    #[schema(example = "send_failed")]
    kind: &'static str,
    #[schema(example = "no_route")]
    code: &'static str,
    detail: String,
    #[schema(value_type = Object)]
    context: Value,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Attempt)]
struct AttemptView {
    /// From 1.
    number: usize,
    node_id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    node_name: Option<String>,
    /// `in_flight`, `completed` or `failed`.
    #[schema(example = "failed")]
    status: &'static str,
    started_at: String,
    ended_at: Option<String>,
    /// How often the node was asked.
    requests: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<AttemptError>,
}

#[derive(Debug, Serialize, ToSchema)]
struct AttemptError {
    #[schema(example = "no_route")]
    code: String,
    detail: String,
}

/// `None` for a row that is not a payment.
pub(super) fn payment(
    org: OrgId,
    row: &Row,
    node_names: &HashMap<NodeId, String>,
) -> Option<Payment> {
    match row {
        Row::Outgoing(payment) => Some(outgoing(org, payment, node_names)),
        Row::Incoming(payment) => Some(incoming(org, payment)),
        Row::Environment(..)
        | Row::Line(..)
        | Row::Node(..)
        | Row::Wallet(..)
        | Row::Account(..) => None,
    }
}

fn outgoing(org: OrgId, payment: &Outgoing, node_names: &HashMap<NodeId, String>) -> Payment {
    let attempts = payment.attempts.iter().zip(1..);
    let (fee_msat, failure) = match payment.state {
        OutgoingState::InFlight => (None, None),
        OutgoingState::Posted { fee_msat, .. } => (Some(fee_msat), None),
        OutgoingState::Refused(failure) | OutgoingState::Voided(failure) => (None, Some(failure)),
    };
    let breakdown = |fee_msat: Msat| Breakdown {
        principal: payment.amount_msat.into(),
        network_fee: fee_msat.into(),
        processing_fee: Msat::ZERO.into(),
    };
    Payment {
        id: *payment.id.uuid(),
        wallet_id: *payment.terms.wallet.uuid(),
        organization_id: *org.uuid(),
        environment_id: *payment.environment.uuid(),
        payment_category: "standard",
        direction: "send",
        kind: "bolt11",
        currency: "btc",
        status: super::status_word(payment.status()),
        metadata: payment.terms.metadata.clone(),
        created_at: text::instant(payment.created_at),
        updated_at: text::instant(payment.updated_at),
        error: failure.map(send_error),
        exchanges: [],
        data: send_data(payment, fee_msat),
        payment_breakdown: fee_msat.map(breakdown),
        updated_seq: None,
        cancel_requested: payment.cancelled,
        way: Way::Send {
            route: "direct",
            rail: rail(payment.rail),
            attempts: attempts
                .map(|(attempt, number)| attempt_view(attempt, number, node_names))
                .collect(),
        },
    }
}

fn send_data(payment: &Outgoing, fee_msat: Option<Msat>) -> PaymentData {
    let invoice = &payment.terms.invoice;
    let memo = Some(invoice.description.clone()).filter(|memo| !memo.is_empty());
    PaymentData {
        payment_request: Some(invoice.text.clone()),
        payment_hash: invoice.hash.to_string(),
        amount: Some(payment.amount_msat.into()),
        amount_msats: payment.amount_msat.get(),
        memo,
        description: payment.terms.description.clone(),
        expiration: text::instant(invoice.expires_at),
        max_fee: Some(payment.fee_limit_msat.into()),
        max_fee_msats: Some(payment.fee_limit_msat.get()),
        fees: fee_msat.map(|fee| Fees { network: fee.into(), processing: Msat::ZERO.into() }),
        fee_msats: fee_msat.map(Msat::get),
        outflows: Some(outflows(payment)),
        receipts: None,
    }
}

fn outflows(payment: &Outgoing) -> Vec<Movement> {
    let OutgoingState::Posted { preimage, .. } = payment.state else { return Vec::new() };
    let (kind, offset_payment_id) = match payment.rail {
        // Of another organisation its payment is nobody's business here.
        Rail::Internal { .. } => ("shortcircuit", None),
        Rail::CreditPool | Rail::CustomerNode(_) => ("lightning", None),
    };
    vec![Movement {
        kind,
        amount_msats: payment.amount_msat.get(),
        payment_hash: payment.hash().to_string(),
        preimage: preimage.map(|preimage| hex(&preimage.0)),
        offset_payment_id,
    }]
}

fn incoming(org: OrgId, payment: &Incoming) -> Payment {
    let requested = payment.terms.amount_msat.and_then(Msat::new);
    let credited = Some(payment.credited_msat).filter(|credited| !credited.is_zero());
    let breakdown = |credited: Msat| Breakdown {
        principal: credited.into(),
        network_fee: Msat::ZERO.into(),
        processing_fee: Msat::ZERO.into(),
    };
    Payment {
        id: *payment.id.uuid(),
        wallet_id: *payment.terms.wallet.uuid(),
        organization_id: *org.uuid(),
        environment_id: *payment.environment.uuid(),
        payment_category: "standard",
        direction: "receive",
        kind: "bolt11",
        currency: "btc",
        status: super::status_word(payment.status()),
        metadata: payment.terms.metadata.clone(),
        created_at: text::instant(payment.created_at),
        updated_at: text::instant(payment.updated_at),
        error: receive_error(payment),
        exchanges: [],
        data: receive_data(payment, requested, credited),
        payment_breakdown: credited.map(breakdown),
        updated_seq: None,
        cancel_requested: payment.state == IncomingState::Cancelling,
        way: Way::Receive {
            requested_amount: requested.map(Amount::from),
            frozen: [],
            bip21_uri: None,
        },
    }
}

fn receive_data(
    payment: &Incoming,
    requested: Option<Msat>,
    credited: Option<Msat>,
) -> PaymentData {
    let memo = Some(payment.terms.description.clone()).filter(|memo| !memo.is_empty());
    let receipt = |credited: Msat| Movement {
        kind: match payment.state {
            IncomingState::PaidInternally(_) => "shortcircuit",
            IncomingState::Generating
            | IncomingState::Open
            | IncomingState::Claimed(_)
            | IncomingState::Withdrawn(_)
            | IncomingState::Cancelling
            | IncomingState::Paid
            | IncomingState::Expired
            | IncomingState::Failed => "lightning",
        },
        amount_msats: credited.get(),
        payment_hash: payment.hash.to_string(),
        preimage: None,
        offset_payment_id: None,
    };
    PaymentData {
        payment_request: payment.invoice.as_ref().map(|invoice| invoice.text.clone()),
        payment_hash: payment.hash.to_string(),
        amount: requested.map(Amount::from),
        amount_msats: requested.unwrap_or(Msat::ZERO).get(),
        memo,
        expiration: text::instant(payment.expires_at),
        receipts: Some(credited.map(receipt).into_iter().collect()),
        ..PaymentData::default()
    }
}

/// The contract's type and code; the context has the finer reason.
fn send_error(failure: PaymentFailure) -> PaymentError {
    use domain::lightning::FailureReason as Reason;

    let (kind, code) = match failure {
        PaymentFailure::InsufficientFunds => ("hold_failed", "insufficient_funds"),
        PaymentFailure::InvoiceAlreadyPaid | PaymentFailure::PayeeRefused => {
            ("rejected", "invalid_bolt11_invoice")
        }
        PaymentFailure::LineDisabled => ("rejected", "rejected"),
        PaymentFailure::Cancelled => ("send_failed", "send_failed"),
        PaymentFailure::NoUsableNode => ("send_failed", "upstream_failure"),
        PaymentFailure::Node(reason) => match reason {
            Reason::NoRoute | Reason::Timeout => ("send_failed", "no_route"),
            Reason::IncorrectPaymentDetails => ("send_failed", "invalid_bolt11_invoice"),
            Reason::Error
            | Reason::InsufficientBalance
            | Reason::Canceled
            | Reason::Refused
            | Reason::Unreachable
            | Reason::FoundUnpaid => ("send_failed", "upstream_failure"),
        },
    };
    let told = words::payment_failure(failure);
    PaymentError { kind, code, detail: told.message, context: json!({ "reason": told.code }) }
}

fn receive_error(payment: &Incoming) -> Option<PaymentError> {
    let told = words::incoming_failure(payment)?;
    Some(PaymentError {
        kind: "receive_failed",
        code: "receive_failed",
        detail: told.message,
        context: json!({ "reason": told.code }),
    })
}

fn attempt_view(
    attempt: &Attempt,
    number: usize,
    node_names: &HashMap<NodeId, String>,
) -> AttemptView {
    let (status, ended_at, error): (_, Option<Timestamp>, _) = match attempt.end {
        None => ("in_flight", None, None),
        Some(AttemptEnd::Paid { at }) => ("completed", Some(at), None),
        Some(AttemptEnd::Failed { at, reason }) => {
            let told = words::node_failure(reason);
            let error = AttemptError { code: told.code, detail: told.message };
            ("failed", Some(at), Some(error))
        }
    };
    AttemptView {
        number,
        node_id: *attempt.node.uuid(),
        node_name: node_names.get(&attempt.node).cloned(),
        status,
        started_at: text::instant(attempt.started_at),
        ended_at: ended_at.map(text::instant),
        requests: attempt.requests.len(),
        error,
    }
}

fn rail(rail: Rail) -> &'static str {
    match rail {
        Rail::Internal { .. } => "internal",
        Rail::CreditPool => "credit_pool",
        Rail::CustomerNode(_) => "customer_node",
    }
}
