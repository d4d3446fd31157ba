//! A page of payments of one environment, out of the payments of its organisation.

use domain::org::Row;
use ports::{Reads, StoreError, reads::PaymentCursor};
use proto::convert::payments::{Cursor, List};

use crate::{auth::Caller, edge::Place, limits};

pub(super) struct Page {
    pub(super) rows: Vec<Row>,
    /// `None`: this is the end.
    pub(super) next: Option<Cursor>,
}

pub(super) async fn page(
    reads: &dyn Reads,
    caller: Caller,
    wanted: &List,
) -> Result<Page, StoreError> {
    let mut page = Filling { caller, wanted, rows: Vec::new(), bytes: 0, seen: wanted.after };
    let mut ask = wanted.limit.saturating_add(1);
    for _ in 0..limits::LIST_CHUNKS_MAX {
        let before =
            page.seen.map(|seen| PaymentCursor { created_at: seen.created_at, id: seen.payment });
        let chunk = reads.payments(caller.org, before, ask).await?;
        let is_last = u32::try_from(chunk.len()).is_ok_and(|read| read < ask);
        for row in chunk {
            if !page.take(row) {
                return Ok(page.more());
            }
        }
        if is_last {
            return Ok(page.end());
        }
        ask = limits::LIST_CHUNK;
    }
    Ok(page.more())
}

struct Filling<'a> {
    caller: Caller,
    wanted: &'a List,
    rows: Vec<Row>,
    bytes: usize,
    /// The last payment that was looked at.
    seen: Option<Cursor>,
}

impl Filling<'_> {
    /// `false`: it belongs to the next page.
    fn take(&mut self, row: Row) -> bool {
        let Some(place) = Place::of(&row) else { return true };
        let matches = place.environment == self.caller.environment
            && self.wanted.wallet.is_none_or(|wallet| wallet == place.wallet);
        if matches {
            let is_full =
                u32::try_from(self.rows.len()).is_ok_and(|rows| rows >= self.wanted.limit);
            if is_full || self.bytes > limits::PAGE_BYTES_MAX {
                return false;
            }
            self.bytes += weight(&row);
            self.rows.push(row);
        }
        self.seen = Some(Cursor { created_at: place.created_at, payment: place.payment });
        true
    }

    fn more(self) -> Page {
        Page { rows: self.rows, next: self.seen }
    }

    fn end(self) -> Page {
        Page { rows: self.rows, next: None }
    }
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
