//! How the control face's records look to programs and to people.

use lightning_sim::control_proto as proto;
use serde_json::{Value, json};

use crate::show::{facts, hex, sat};

pub(super) fn some_hex(bytes: &[u8]) -> Option<String> {
    (!bytes.is_empty()).then(|| hex(bytes))
}

pub(super) fn node(node: &proto::NodeRecord) -> Value {
    json!({
        "name": node.name,
        "role": node.role,
        "address": node.address,
        "identity": node.identity_pubkey,
        "down": node.down,
        "clock_ms": node.clock_ms,
        "latency_ms": node.latency_ms,
        "faults": node.faults,
        "local_msat": node.local_msat,
        "remote_msat": node.remote_msat,
    })
}

pub(super) fn payment(record: &proto::PaymentRecord) -> Value {
    json!({
        "payment_hash": hex(&record.payment_hash),
        "status": record.status.to_lowercase(),
        "failure_reason": Some(record.failure_reason.to_lowercase()).filter(|why| !why.is_empty()),
        "amount_msat": record.amount_msat,
        "fee_msat": record.fee_msat,
        "payment_index": record.payment_index,
        "settled_times": record.settled_times,
        "settled_times_anywhere": record.settled_times_anywhere,
        "preimage": some_hex(&record.preimage),
    })
}

pub(super) fn payment_text(record: &proto::PaymentRecord) -> String {
    let why = record.failure_reason.to_lowercase();
    facts(&[
        ("payment", record.status.to_lowercase()),
        ("why", why),
        ("amount", sat(record.amount_msat)),
        ("fee", sat(record.fee_msat)),
        ("hash", hex(&record.payment_hash)),
        ("preimage", hex(&record.preimage)),
        ("settled", format!("{} times", record.settled_times)),
    ])
}

pub(super) fn invoice_record(record: &proto::InvoiceRecord) -> Value {
    json!({
        "payment_hash": hex(&record.payment_hash),
        "state": record.state.to_lowercase(),
        "amount_msat": Some(record.value_msat).filter(|&msat| msat > 0),
        "paid_msat": record.paid_msat,
        "invoice": record.payment_request,
        "keysend": record.keysend,
    })
}

pub(super) fn invoice_text(record: &proto::InvoiceRecord) -> String {
    facts(&[
        ("invoice", record.state.to_lowercase()),
        ("asks", if record.value_msat == 0 { "any".to_owned() } else { sat(record.value_msat) }),
        ("paid", sat(record.paid_msat)),
        ("bolt11", record.payment_request.clone()),
    ])
}

pub(super) fn settlement_record(of: &proto::Settlement) -> Value {
    json!({
        "payment_hash": hex(&of.payment_hash),
        "payer": of.payer,
        "times": of.times,
        "amount_msat": of.amount_msat,
        "fee_msat": of.fee_msat,
    })
}
