//! A page of payments of the caller's environment.

use domain::org::Row;
use ports::{
    Reads, StoreError,
    reads::{Listed, PaymentFilter, PaymentOrder, PaymentPlace},
};
use proto::convert::payments::{Cursor, List};

use crate::{auth::Caller, limits};

pub(super) struct Page {
    pub(super) rows: Vec<Row>,
    /// `None`: this is the end.
    pub(super) next: Option<Cursor>,
}

/// Newest first; shorter than asked for when the payments are heavy.
pub(super) async fn page(
    reads: &dyn Reads,
    caller: Caller,
    wanted: &List,
) -> Result<Page, StoreError> {
    let filter = PaymentFilter {
        wallets: wanted.wallet.map(|wallet| vec![wallet]),
        ..PaymentFilter::all(caller.environment)
    };
    let after = wanted.after.map(|Cursor { created_at, payment }| PaymentPlace {
        key: created_at.millis(),
        id: payment,
    });
    let ask = wanted.limit.saturating_add(1);
    let order = PaymentOrder::Created;
    let found = reads.find_payments(caller.org, &filter, order, false, after, 0, ask).await?;
    let (mut rows, mut bytes, mut next) = (Vec::new(), 0, None);
    for Listed { row, id, created_at, .. } in found {
        let is_full = u32::try_from(rows.len()).is_ok_and(|rows| rows >= wanted.limit);
        if is_full || bytes > limits::PAGE_BYTES_MAX {
            return Ok(Page { rows, next });
        }
        bytes += weight(&row);
        next = Some(Cursor { created_at, payment: id });
        rows.push(row);
    }
    Ok(Page { rows, next: None })
}

/// About how long the row is on the wire.
fn weight(row: &Row) -> usize {
    let text = match row {
        Row::Outgoing(payment) => {
            let invoice = &payment.terms.invoice;
            invoice.text.len() + invoice.description.len() + payment.attempts.len() * 512
        }
        Row::Incoming(payment) => {
            let invoice = payment.invoice.as_ref().map_or(0, |invoice| invoice.text.len());
            invoice + payment.terms.description.len()
        }
        Row::Environment(..)
        | Row::Line(..)
        | Row::Node(..)
        | Row::Wallet(..)
        | Row::Account(..) => 0,
    };
    text + 512
}
