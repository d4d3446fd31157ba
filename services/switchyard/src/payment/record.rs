//! How payments look to programs and to people. The field names are a promise.

use proto::v1::{self, AttemptStatus, Direction, PaymentStatus, Rail};
use serde_json::{Value, json};

use crate::{
    names::some,
    show::{facts, sat, table, time},
};

fn direction(payment: &v1::Payment) -> &'static str {
    match payment.direction() {
        Direction::Send => "send",
        Direction::Receive => "receive",
        Direction::Unspecified => "unspecified",
    }
}

fn status(payment: &v1::Payment) -> &'static str {
    status_word(payment.status())
}

fn status_word(status: PaymentStatus) -> &'static str {
    match status {
        PaymentStatus::Sending => "sending",
        PaymentStatus::Completed => "completed",
        PaymentStatus::Failed => "failed",
        PaymentStatus::Generating => "generating",
        PaymentStatus::Receiving => "receiving",
        PaymentStatus::Expired => "expired",
        PaymentStatus::Unspecified => "unspecified",
    }
}

fn rail(payment: &v1::Payment) -> Option<&'static str> {
    match payment.rail() {
        Rail::Internal => Some("internal"),
        Rail::CreditPool => Some("credit_pool"),
        Rail::CustomerNode => Some("customer_node"),
        Rail::Unspecified => None,
    }
}

fn attempt_status(attempt: &v1::Attempt) -> &'static str {
    match attempt.status() {
        AttemptStatus::InFlight => "in_flight",
        AttemptStatus::Paid => "paid",
        AttemptStatus::Failed => "failed",
        AttemptStatus::Unspecified => "unspecified",
    }
}

fn failure(failure: Option<&v1::Failure>) -> Value {
    match failure {
        Some(why) => json!({ "code": why.code, "message": why.message }),
        None => Value::Null,
    }
}

fn why(failure: Option<&v1::Failure>) -> String {
    failure.map(|why| format!("{} ({})", why.message, why.code)).unwrap_or_default()
}

fn metadata(payment: &v1::Payment) -> String {
    let pairs = payment.metadata.iter().map(|(key, value)| format!("{key}={value}"));
    pairs.collect::<Vec<_>>().join(" ")
}

pub(super) fn document(payment: &v1::Payment) -> Value {
    json!({
        "id": payment.id,
        "wallet_id": payment.wallet_id,
        "environment_id": payment.environment_id,
        "direction": direction(payment),
        "status": status(payment),
        "amount_msat": payment.amount_msat,
        "invoice": some(&payment.invoice),
        "payment_hash": some(&payment.payment_hash),
        "description": payment.description,
        "memo": payment.memo,
        "metadata": payment.metadata,
        "created_at_ms": payment.created_at_ms,
        "updated_at_ms": payment.updated_at_ms,
        "expires_at_ms": payment.expires_at_ms,
        "failure": failure(payment.failure.as_ref()),
        "fee_limit_msat": payment.fee_limit_msat,
        "fee_msat": payment.fee_msat,
        "preimage": some(&payment.preimage),
        "rail": rail(payment),
        "attempts": payment.attempts.iter().map(attempt).collect::<Vec<_>>(),
        "contradicted": payment.contradicted,
        "resolved": payment.resolved.as_ref().map(resolved),
        "cancel_requested": payment.cancel_requested,
        "received_msat": payment.received_msat,
    })
}

fn resolved(resolved: &v1::Resolved) -> Value {
    json!({
        "status": status_word(resolved.status()),
        "evidence": resolved.evidence,
        "at_ms": resolved.at_ms,
    })
}

fn attempt(attempt: &v1::Attempt) -> Value {
    json!({
        "number": attempt.number,
        "node_id": attempt.node_id,
        "node_name": attempt.node_name,
        "status": attempt_status(attempt),
        "started_at_ms": attempt.started_at_ms,
        "ended_at_ms": attempt.ended_at_ms,
        "failure": failure(attempt.failure.as_ref()),
        "requests": attempt.requests,
    })
}

/// Everything there is to know about one payment.
pub(super) fn text(payment: &v1::Payment) -> String {
    let send = payment.direction() == Direction::Send;
    let amount = payment.amount_msat.map_or("any".to_owned(), sat);
    let invoice = if send { String::new() } else { payment.invoice.clone() };
    let mut text = facts(&[
        (direction(payment), status(payment).to_owned()),
        ("why", why(payment.failure.as_ref())),
        ("amount", amount),
        ("fee", payment.fee_msat.map(sat).unwrap_or_default()),
        ("fee limit", payment.fee_limit_msat.map(sat).unwrap_or_default()),
        ("received", payment.received_msat.map(sat).unwrap_or_default()),
        ("for", payment.memo.clone()),
        ("note", if send { payment.description.clone() } else { String::new() }),
        ("metadata", metadata(payment)),
        ("rail", rail(payment).unwrap_or_default().replace('_', " ")),
        ("id", payment.id.clone()),
        ("hash", payment.payment_hash.clone()),
        ("preimage", payment.preimage.clone()),
        ("begun", time(payment.created_at_ms)),
        ("changed", time(payment.updated_at_ms)),
        ("expires", if send { String::new() } else { time(payment.expires_at_ms) }),
        ("invoice", invoice),
    ]);
    match &payment.resolved {
        Some(resolved) => {
            let (word, at) = (status_word(resolved.status()), time(resolved.at_ms));
            text += &facts(&[(
                "A person has found it",
                format!("{word}, on {at}: {}", resolved.evidence),
            )]);
        }
        None if payment.contradicted => {
            text += "A node contradicted itself about this payment: a person has to look.\n";
        }
        None => {}
    }
    if payment.cancel_requested && payment.status() == PaymentStatus::Sending {
        text +=
            "It was cancelled while in flight: nothing more is tried, but it may yet be paid.\n";
    }
    if !payment.attempts.is_empty() {
        let rows: Vec<_> = payment.attempts.iter().map(attempt_row).collect();
        text += &table(&["TRY", "NODE", "", "FROM", "TO", "WHY"], &rows);
    }
    if payment.status() == PaymentStatus::Sending {
        let id = &payment.id;
        text +=
            &format!("The outcome is not known yet; look again: switchyard payment show {id}\n");
    }
    text
}

fn attempt_row(attempt: &v1::Attempt) -> Vec<String> {
    vec![
        attempt.number.to_string(),
        some(&attempt.node_name).unwrap_or(&attempt.node_id).to_owned(),
        attempt_status(attempt).replace('_', " "),
        time(attempt.started_at_ms),
        attempt.ended_at_ms.map(time).unwrap_or_default(),
        why(attempt.failure.as_ref()),
    ]
}

/// One change of a payment.
pub(super) fn line(payment: &v1::Payment) -> String {
    let tries = payment.attempts.len();
    let fee = payment.fee_msat.map(|fee| format!(" fee {}", sat(fee))).unwrap_or_default();
    let why = why(payment.failure.as_ref());
    let at = time(payment.updated_at_ms);
    format!("{at} {} ({tries} tries){fee} {why}", status(payment)).trim_end().to_owned()
}

pub(super) fn list_text(page: &v1::ListPaymentsResponse) -> String {
    let row = |payment: &v1::Payment| {
        vec![
            payment.id.clone(),
            time(payment.created_at_ms),
            direction(payment).to_owned(),
            status(payment).to_owned(),
            payment.amount_msat.map_or("any".to_owned(), sat),
            payment.fee_msat.map(sat).unwrap_or_default(),
            payment.failure.as_ref().map(|why| why.code.clone()).unwrap_or_default(),
        ]
    };
    let head = ["ID", "BEGUN", "", "STATUS", "AMOUNT", "FEE", "WHY"];
    let mut text = table(&head, &page.payments.iter().map(row).collect::<Vec<_>>());
    if !page.next_cursor.is_empty() {
        text += &format!("there is more: --cursor {}\n", page.next_cursor);
    }
    text
}

pub(super) fn invoice_document(invoice: &v1::Invoice) -> Value {
    json!({
        "invoice": invoice.invoice,
        "network": invoice.network,
        "payment_hash": invoice.payment_hash,
        "amount_msat": invoice.amount_msat,
        "payee": invoice.payee,
        "description": invoice.description,
        "expires_at_ms": invoice.expires_at_ms,
    })
}

pub(super) fn invoice_text(invoice: &v1::Invoice) -> String {
    facts(&[
        ("network", invoice.network.clone()),
        ("amount", invoice.amount_msat.map_or("any".to_owned(), sat)),
        ("for", invoice.description.clone()),
        ("hash", invoice.payment_hash.clone()),
        ("payee", invoice.payee.clone()),
        ("expires", time(invoice.expires_at_ms)),
    ])
}
