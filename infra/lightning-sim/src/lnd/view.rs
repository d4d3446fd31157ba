//! The model's values in LND's messages.

use tonic::Status;
use tonic_lnd::lnrpc;

use super::status;
use crate::model::{
    Invoice, InvoiceState, Item, Msat, Network, Payment, PaymentState, PaymentView, Reason, Shard,
    Time,
};

/// What is needed of the network to show a route: it does not change while a process lives.
pub(crate) struct Directory {
    pubkeys: Vec<String>,
    height: u32,
}

impl Directory {
    pub(crate) fn of(network: &Network, now: Time) -> Directory {
        let nodes = &network.state().nodes;
        Directory {
            pubkeys: nodes.iter().map(|node| node.pubkey.to_string()).collect(),
            height: network.height(now),
        }
    }
}

pub(super) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(super) fn msat(value: Msat) -> i64 {
    signed(value.get())
}

/// LND rounds down.
pub(super) fn sat(value: Msat) -> i64 {
    signed(value.get() / 1_000)
}

fn nanos(time: Time) -> i64 {
    signed(time.nanos())
}

fn reason(reason: Option<Reason>) -> i32 {
    use lnrpc::PaymentFailureReason as Wire;
    let wire = match reason {
        None => Wire::FailureReasonNone,
        Some(Reason::Timeout) => Wire::FailureReasonTimeout,
        Some(Reason::NoRoute) => Wire::FailureReasonNoRoute,
        Some(Reason::Error) => Wire::FailureReasonError,
        Some(Reason::IncorrectPaymentDetails) => Wire::FailureReasonIncorrectPaymentDetails,
        Some(Reason::InsufficientBalance) => Wire::FailureReasonInsufficientBalance,
    };
    wire.into()
}

/// INITIATED hides behind IN_FLIGHT, as by default in LND.
fn payment_status(state: PaymentState) -> i32 {
    use lnrpc::payment::PaymentStatus as Wire;
    let wire = match state {
        PaymentState::Initiated | PaymentState::InFlight => Wire::InFlight,
        PaymentState::Succeeded => Wire::Succeeded,
        PaymentState::Failed => Wire::Failed,
    };
    wire.into()
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Hops {
    Shown,
    Omitted,
}

#[expect(deprecated, reason = "lnd still fills the old fields")]
pub(super) fn payment(directory: &Directory, view: &PaymentView, hops: Hops) -> lnrpc::Payment {
    let Payment { amount, fee, created, index, .. } = view.payment;
    lnrpc::Payment {
        payment_hash: view.payment.hash.to_string(),
        value: sat(amount),
        creation_date: signed(created.secs()),
        fee: sat(fee),
        payment_preimage: match view.payment.preimage {
            Some(preimage) => preimage.to_string(),
            None => "0".repeat(64),
        },
        value_sat: sat(amount),
        value_msat: msat(amount),
        payment_request: view.payment.request.as_deref().unwrap_or_default().to_owned(),
        status: payment_status(view.payment.state),
        fee_sat: sat(fee),
        fee_msat: msat(fee),
        creation_time_ns: nanos(created),
        htlcs: htlcs(directory, view, hops),
        payment_index: index,
        failure_reason: reason(view.payment.reason),
        first_hop_custom_records: Default::default(),
    }
}

fn htlcs(directory: &Directory, view: &PaymentView, hops: Hops) -> Vec<lnrpc::HtlcAttempt> {
    use lnrpc::htlc_attempt::HtlcStatus;
    let payment = &view.payment;
    let attempt = |(number, shard): (usize, &Shard)| {
        let status = match payment.state {
            PaymentState::Failed => HtlcStatus::Failed,
            _ if number < view.settled_shards => HtlcStatus::Succeeded,
            PaymentState::Initiated | PaymentState::InFlight | PaymentState::Succeeded => {
                HtlcStatus::InFlight
            }
        };
        let settled = status == HtlcStatus::Succeeded;
        let preimage = payment.preimage.filter(|_| settled);
        let failed = status == HtlcStatus::Failed;
        lnrpc::HtlcAttempt {
            attempt_id: payment.index * 1_000 + u64::try_from(number).unwrap_or(0),
            status: status.into(),
            route: (hops == Hops::Shown).then(|| route(directory, shard)),
            attempt_time_ns: nanos(payment.created),
            resolve_time_ns: payment.resolved.map_or(0, nanos),
            failure: failed.then(|| failure(payment.reason)),
            preimage: preimage.map(|preimage| preimage.bytes().to_vec()).unwrap_or_default(),
        }
    };
    payment.shards.iter().enumerate().map(attempt).collect()
}

fn failure(reason: Option<Reason>) -> lnrpc::Failure {
    use lnrpc::failure::FailureCode;
    let code = match reason {
        Some(Reason::IncorrectPaymentDetails) => FailureCode::IncorrectOrUnknownPaymentDetails,
        Some(Reason::Timeout) => FailureCode::MppTimeout,
        Some(Reason::NoRoute | Reason::Error | Reason::InsufficientBalance) | None => {
            FailureCode::TemporaryChannelFailure
        }
    };
    lnrpc::Failure { code: code.into(), ..Default::default() }
}

const FINAL_CLTV: u32 = 80;
const HOP_CLTV: u32 = 40;

#[expect(deprecated, reason = "lnd still fills the old fields")]
fn route(directory: &Directory, shard: &Shard) -> lnrpc::Route {
    let total = shard.route.first().map_or(shard.amount, |hop| hop.amount);
    let count = u32::try_from(shard.route.len()).unwrap_or(u32::MAX);
    let lock = |left: u32| directory.height + FINAL_CLTV + HOP_CLTV * left;
    let forwards = shard.route.iter().skip(1).map(|hop| hop.amount).chain([shard.amount]);
    let hops = shard.route.iter().zip(forwards).zip(1u32..).map(|((hop, forward), number)| {
        let fee = hop.amount.minus(forward);
        lnrpc::Hop {
            chan_id: hop.channel.short(),
            amt_to_forward: sat(forward),
            fee: sat(fee),
            expiry: lock((count - number).saturating_sub(1)),
            amt_to_forward_msat: msat(forward),
            fee_msat: msat(fee),
            pub_key: directory.pubkeys.get(hop.to.index()).cloned().unwrap_or_default(),
            tlv_payload: true,
            ..Default::default()
        }
    });
    lnrpc::Route {
        total_time_lock: lock(count.saturating_sub(1)),
        total_fees: sat(shard.fee()),
        total_amt: sat(total),
        hops: hops.collect(),
        total_fees_msat: msat(shard.fee()),
        total_amt_msat: msat(total),
        ..Default::default()
    }
}

#[expect(deprecated, reason = "lnd still fills the old fields")]
pub(super) fn invoice(invoice: &Invoice) -> lnrpc::Invoice {
    use lnrpc::invoice::InvoiceState as Wire;
    let state = match invoice.state {
        InvoiceState::Open => Wire::Open,
        InvoiceState::Settled => Wire::Settled,
        InvoiceState::Canceled => Wire::Canceled,
        InvoiceState::Accepted => Wire::Accepted,
    };
    let known = invoice.preimage.filter(|_| !invoice.hold || state == Wire::Settled);
    lnrpc::Invoice {
        memo: invoice.memo.to_string(),
        r_preimage: known.map(|preimage| preimage.bytes().to_vec()).unwrap_or_default(),
        r_hash: invoice.hash.bytes().to_vec(),
        value: sat(invoice.value),
        value_msat: msat(invoice.value),
        settled: state == Wire::Settled,
        creation_date: signed(invoice.created.secs()),
        settle_date: invoice.settled_at.map_or(0, |at| signed(at.secs())),
        payment_request: invoice.request.to_string(),
        description_hash: invoice.description_hash.map(Vec::from).unwrap_or_default(),
        expiry: signed(invoice.expiry_seconds),
        cltv_expiry: u64::from(invoice.cltv_expiry),
        private: invoice.private,
        add_index: invoice.add_index,
        settle_index: invoice.settle_index,
        amt_paid: msat(invoice.paid),
        amt_paid_sat: sat(invoice.paid),
        amt_paid_msat: msat(invoice.paid),
        state: state.into(),
        htlcs: invoice.held.iter().map(held_htlc).collect(),
        features: features(),
        is_keysend: invoice.keysend,
        payment_addr: invoice.secret.to_vec(),
        ..Default::default()
    }
}

fn held_htlc(held: &crate::model::Held) -> lnrpc::InvoiceHtlc {
    lnrpc::InvoiceHtlc {
        htlc_index: held.flight.0,
        amt_msat: held.amount.get(),
        accept_time: signed(held.since.secs()),
        mpp_total_amt_msat: held.amount.get(),
        ..Default::default()
    }
}

pub(super) fn features() -> std::collections::HashMap<u32, lnrpc::Feature> {
    let feature = |bit: u32, name: &str, is_required| {
        (bit, lnrpc::Feature { name: name.to_owned(), is_required, is_known: true })
    };
    [
        feature(9, "tlv-onion", false),
        feature(14, "payment-addr", true),
        feature(17, "multi-path-payments", false),
    ]
    .into()
}

/// An item of a stream of payments; `None` ends it.
pub(super) fn payment_item(
    directory: &Directory,
    item: Item,
) -> Option<Result<lnrpc::Payment, Status>> {
    match item {
        Item::Payment(view) => Some(Ok(payment(directory, &view, Hops::Shown))),
        Item::Broken(refusal) => Some(Err(status(*refusal))),
        Item::Invoice(_) | Item::End => None,
    }
}

/// An item of a stream of invoices; `None` ends it.
pub(super) fn invoice_item(_: &Directory, item: Item) -> Option<Result<lnrpc::Invoice, Status>> {
    match item {
        Item::Invoice(of) => Some(Ok(invoice(&of))),
        Item::Broken(refusal) => Some(Err(status(*refusal))),
        Item::Payment(_) | Item::End => None,
    }
}
