//! What the control face shows.

use super::{invoice_state, proto};
use crate::{
    model::{Hash, Invoice, Network, NodeId, PaymentState, Reason},
    sim::NodeServer,
};

pub(super) fn node(network: &Network, server: &NodeServer) -> proto::NodeRecord {
    let node = network.state().node(server.id);
    let (local, remote) = network.balances(server.id);
    let faults = node.faults.iter().filter(|setting| !setting.is_used_up());
    proto::NodeRecord {
        name: node.name.clone(),
        role: node.options.role.name().to_owned(),
        address: server.endpoint.address.to_string(),
        identity_pubkey: node.pubkey.to_string(),
        down: node.down,
        clock_ms: node.clock_ms,
        latency_ms: node.options.latency_ms,
        faults: faults.map(|setting| setting.fault.to_string()).collect(),
        local_msat: local.get(),
        remote_msat: remote.get(),
        tls_cert_pem: server.endpoint.tls_cert_pem.clone(),
    }
}

pub(super) fn invoice(invoice: &Invoice) -> proto::InvoiceRecord {
    proto::InvoiceRecord {
        payment_hash: invoice.hash.bytes().to_vec(),
        state: invoice_state(invoice.state).to_owned(),
        value_msat: invoice.value.get(),
        paid_msat: invoice.paid.get(),
        add_index: invoice.add_index,
        settle_index: invoice.settle_index,
        payment_request: invoice.request.to_string(),
        keysend: invoice.keysend,
    }
}

pub(super) fn payment(network: &Network, node: NodeId, hash: Hash) -> Option<proto::PaymentRecord> {
    let payment = network.payment(node, hash)?;
    let (settled_times, settled_times_anywhere) = network.settled_times(node, hash);
    Some(proto::PaymentRecord {
        payment_hash: hash.bytes().to_vec(),
        amount_msat: payment.amount.get(),
        fee_msat: payment.fee.get(),
        status: status(payment.state).to_owned(),
        failure_reason: payment.reason.map(reason).unwrap_or_default().to_owned(),
        payment_index: payment.index,
        settled_times,
        settled_times_anywhere,
        preimage: payment.preimage.map(|known| known.bytes().to_vec()).unwrap_or_default(),
    })
}

fn status(state: PaymentState) -> &'static str {
    match state {
        PaymentState::Initiated => "INITIATED",
        PaymentState::InFlight => "IN_FLIGHT",
        PaymentState::Succeeded => "SUCCEEDED",
        PaymentState::Failed => "FAILED",
    }
}

fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::Timeout => "TIMEOUT",
        Reason::NoRoute => "NO_ROUTE",
        Reason::Error => "ERROR",
        Reason::IncorrectPaymentDetails => "INCORRECT_PAYMENT_DETAILS",
        Reason::InsufficientBalance => "INSUFFICIENT_BALANCE",
    }
}

pub(super) fn settlements(network: &Network, at_least: u32) -> Vec<proto::Settlement> {
    let enough = network.settlements().into_iter().filter(|(.., of)| of.times >= at_least);
    enough
        .map(|(hash, payer, of)| proto::Settlement {
            payment_hash: hash.bytes().to_vec(),
            payer: network.state().node(payer).name.clone(),
            times: of.times,
            amount_msat: of.amount.get(),
            fee_msat: of.fee.get(),
        })
        .collect()
}
