//! Pages and counts of payments of the caller's environment.

use domain::{ErrorClass, WalletId, org::Row};
use ports::reads::{Direction, Listed, PaymentCount, PaymentFilter, PaymentOrder};
use proto::{
    Problem,
    convert::{
        lists::{Filter, List, Way},
        payments,
    },
    v1,
};

use crate::{auth::Caller, cursor::Cursor, edge::Edge, feed, limits, lines, problem::customer};

/// Shorter than asked for when the payments are heavy.
pub(super) async fn page(
    edge: &Edge,
    caller: Caller,
    wanted: List,
) -> Result<v1::ListPaymentsResponse, Problem> {
    let List { limit, filter, by_change, ascending, cursor, question } = wanted;
    let bound_to = Cursor::bind(caller.environment, [question.as_slice()]);
    let not_of_this = || {
        let why = "the cursor is not of this list, its filters and order";
        Problem::new(ErrorClass::Invalid, "cursor_invalid", why)
    };
    let after = cursor.map(|text| bound_to.read(&text).ok_or_else(not_of_this)).transpose()?;
    let filter = filter_of(edge, caller, filter).await?;
    let order = if by_change { PaymentOrder::Updated } else { PaymentOrder::Created };
    let ask = limit.saturating_add(1);
    let reads = &edge.gateway.reads;
    let found = reads.find_payments(caller.org, &filter, order, ascending, after, 0, ask).await;
    let names = edge.node_names().await;
    let (mut told, mut bytes, mut next) = (Vec::new(), 0, None);
    for listed in found.map_err(customer::store)? {
        let is_full = u32::try_from(told.len()).is_ok_and(|told| told >= limit);
        if is_full || bytes > limits::PAGE_BYTES_MAX {
            let next_cursor = next.map(|next| bound_to.write(next)).unwrap_or_default();
            return Ok(v1::ListPaymentsResponse { payments: told, next_cursor });
        }
        let place = listed.place(order);
        let Listed { row, updated_seq, .. } = listed;
        bytes += weight(&row);
        next = Some(place);
        let updated_seq = Some(updated_seq.0);
        let payment = payments::payment(&row, &names);
        told.extend(payment.map(|payment| v1::Payment { updated_seq, ..payment }));
    }
    Ok(v1::ListPaymentsResponse { payments: told, next_cursor: String::new() })
}

pub(super) async fn summary(
    edge: &Edge,
    caller: Caller,
    wanted: Filter,
) -> Result<v1::SummaryResponse, Problem> {
    let filter = filter_of(edge, caller, wanted).await?;
    let counts = edge.gateway.reads.count_payments(caller.org, &filter).await;
    let counts = counts.map_err(customer::store)?;
    Ok(v1::SummaryResponse {
        total: counts.iter().map(|count| count.count).sum(),
        counts: counts.iter().map(count).collect(),
    })
}

fn count(count: &PaymentCount) -> v1::PaymentCount {
    let direction = match count.direction {
        Direction::Send => v1::Direction::Send,
        Direction::Receive => v1::Direction::Receive,
    };
    v1::PaymentCount {
        direction: direction.into(),
        status: payments::status(count.status).into(),
        count: count.count,
        oldest_at_ms: count.oldest.millis(),
        newest_at_ms: count.newest.millis(),
    }
}

async fn filter_of(edge: &Edge, caller: Caller, asked: Filter) -> Result<PaymentFilter, Problem> {
    let wallets = wallets(edge, caller, &asked).await?;
    let updated_after = feed::position(edge, caller, asked.updated_after_seq).await?;
    Ok(PaymentFilter {
        environment: caller.environment,
        wallets,
        direction: asked.direction.map(|way| match way {
            Way::Send => Direction::Send,
            Way::Receive => Direction::Receive,
        }),
        statuses: asked.statuses,
        metadata: asked.metadata,
        created_from: asked.created_from,
        created_to: asked.created_to,
        updated_after,
    })
}

/// `None`: any wallet.
async fn wallets(
    edge: &Edge,
    caller: Caller,
    asked: &Filter,
) -> Result<Option<Vec<WalletId>>, Problem> {
    if let Some(wallet) = asked.wallet {
        edge.check_wallet(caller, wallet).await?;
    }
    let Some(line) = asked.line else { return Ok(asked.wallet.map(|wallet| vec![wallet])) };
    let org = edge.standing(caller.org).await?;
    let of_line = lines::wallets_of(&org, line);
    Ok(Some(of_line.filter(|wallet| asked.wallet.is_none_or(|one| one == *wallet)).collect()))
}

/// About how long the row is on the wire.
fn weight(row: &Row) -> usize {
    let words = |metadata: &domain::org::Metadata| {
        metadata.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>()
    };
    let text = match row {
        Row::Outgoing(payment) => {
            let invoice = &payment.terms.invoice;
            let own = payment.terms.description.as_ref().map_or(0, String::len);
            let own = own + words(&payment.terms.metadata);
            invoice.text.len() + invoice.description.len() + own + payment.attempts.len() * 512
        }
        Row::Incoming(payment) => {
            let invoice = payment.invoice.as_ref().map_or(0, |invoice| invoice.text.len());
            // The description is told as the memo too.
            invoice + 2 * payment.terms.description.len() + words(&payment.terms.metadata)
        }
        Row::Environment(..)
        | Row::Line(..)
        | Row::Node(..)
        | Row::Wallet(..)
        | Row::Account(..) => 0,
    };
    text + 512
}
