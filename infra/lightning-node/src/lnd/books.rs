//! The node's own list of outgoing payments.

use domain::PaymentHash;
use ports::lightning::{NodeError, NodePayment, PayUpdate};
use tonic_lnd::lnrpc::{ListPaymentsRequest, Payment};

use super::{Wire, pay, status::node_error, unhex};

/// Some kilobytes each.
const PAGE: u64 = 500;

pub(super) async fn payments(wire: &Wire, after_index: u64) -> Result<Vec<NodePayment>, NodeError> {
    let message = ListPaymentsRequest {
        include_incomplete: true,
        index_offset: after_index,
        max_payments: PAGE,
        ..Default::default()
    };
    let mut lightning = wire.lightning();
    let page = wire.answer(lightning.list_payments(wire.request(message))).await;
    let page = page.map_err(|status| node_error(&status))?;
    page.payments.iter().map(read).collect()
}

fn read(payment: &Payment) -> Result<NodePayment, NodeError> {
    let whole = || Some((PaymentHash(unhex(&payment.payment_hash)?), pay::update(payment)?));
    let (hash, last) = whole().ok_or_else(|| {
        let index = payment.payment_index;
        NodeError::Refused(format!("its payment {index} cannot be read"))
    })?;
    // Fee estimates leave such rows; a keysend that failed looks the same and moved nothing either.
    let probe = payment.payment_request.is_empty() && matches!(last, PayUpdate::Failed { .. });
    Ok(NodePayment { hash, payment_index: payment.payment_index, last, probe })
}
