//! Lists and counts of payments and ledger entries: a few fixed statements, where what is not asked
//! for is null, empty, or as far away as there is.

use domain::{OrgId, PaymentId, Timestamp, WalletId};
use ports::{
    StoreError,
    journal::Seq,
    reads::{LedgerFilter, Listed, PaymentCount, PaymentFilter, PaymentOrder, PaymentPlace},
};
use tokio_postgres::{Row, types::ToSql};
use uuid::Uuid;

use super::{Postgres, session::unavailable};
use crate::shape::{
    direction_number, direction_of, from_signed, metadata_json, status_number, status_of, to_signed,
};

const PASSES: &str = "
    payment.org_id = $1 and payment.environment_id = $2
    and ($3::uuid[] is null or payment.wallet_id = any ($3))
    and ($4::smallint is null or payment.direction = $4)
    and (cardinality($5::smallint[]) = 0 or payment.status = any ($5))
    and ($6::text is null or payment.metadata @> ($6::text)::jsonb)
    and payment.created_at_ms between $7 and $8
    and payment.updated_seq > $9";

const LISTED: &str =
    "select payment.body, payment.payment_id, payment.created_at_ms, payment.updated_seq";

const BY_CREATION: &str = "from payment where";

/// The journal is sorted by it, so the payments need no index of their own.
const BY_CHANGE: &str = "
    from journal join payment on payment.org_id = journal.org_id
        and payment.payment_id = journal.payment_id and payment.updated_seq = journal.seq
    where journal.org_id = $1 and journal.seq > $9 and";

const COUNTED: &str = "
    select payment.direction, payment.status, count(*),
        min(payment.created_at_ms), max(payment.created_at_ms)";

/// All that is in the ledger of the wallet.
const OF_WALLET: &str = "
    from ledger join journal on journal.org_id = ledger.org_id and journal.seq = ledger.seq
    where ledger.org_id = $1 and ledger.wallet_id = $2 and $6::uuid is null";

/// Where the events of a payment are. One with more than are listed with it has them looked for in the
/// journal: only an invoice that is paid hundreds of times has so many, and a list without end would be
/// written again at each.
pub(super) const EVENTS: &str = "
    unnest(case when cardinality(payment.seqs) > 64 then array(
        select event.seq from journal as event
        where event.org_id = payment.org_id and event.payment_id = payment.payment_id
            and event.seq between payment.seqs[1] and payment.updated_seq
    ) else payment.seqs end) as event (seq)";

/// Found from the payment's events, however much else the wallet has.
const OF_PAYMENT: &str = "
        join ledger on ledger.org_id = payment.org_id and ledger.seq = event.seq
        join journal on journal.org_id = payment.org_id and journal.seq = event.seq
    where payment.org_id = $1 and ledger.wallet_id = $2 and payment.payment_id = $6";

const WITHIN: &str = "and ledger.seq > $3 and journal.at_ms between $4 and $5";

impl Postgres {
    pub(super) async fn list(
        &self,
        org: OrgId,
        filter: &PaymentFilter,
        (order, ascending): (PaymentOrder, bool),
        after: Option<PaymentPlace>,
        (offset, limit): (u64, u32),
    ) -> Result<Vec<Listed>, StoreError> {
        let rest = match (order, ascending) {
            (PaymentOrder::Created, true) => {
                "and (created_at_ms, payment_id) > ($10, $11) order by created_at_ms, payment_id"
            }
            (PaymentOrder::Created, false) => {
                "and (created_at_ms, payment_id) < ($10, $11)
                 order by created_at_ms desc, payment_id desc"
            }
            (PaymentOrder::Updated, true) => {
                "and journal.seq >= $10 and (journal.seq, payment.payment_id) > ($10, $11)
                 order by journal.seq"
            }
            (PaymentOrder::Updated, false) => {
                "and journal.seq <= $10 and (journal.seq, payment.payment_id) < ($10, $11)
                 order by journal.seq desc"
            }
        };
        let from = match order {
            PaymentOrder::Created => BY_CREATION,
            PaymentOrder::Updated => BY_CHANGE,
        };
        let statement = format!("{LISTED} {from} {PASSES} {rest} offset $12 limit $13");
        let passing = Passing::of(org, filter);
        let end = match ascending {
            true => (i64::MIN, Uuid::nil()),
            false => (i64::MAX, Uuid::max()),
        };
        let (key, id) = after.map_or(end, |place| (place.key, *place.id.uuid()));
        let (offset, limit) = (i64::try_from(offset).unwrap_or(i64::MAX), i64::from(limit));
        let mut columns = passing.columns().to_vec();
        let place: [&(dyn ToSql + Sync); 4] = [&key, &id, &offset, &limit];
        columns.extend(place);
        self.read(&statement, &columns).await?.iter().map(listed).collect()
    }

    pub(super) async fn count(
        &self,
        org: OrgId,
        filter: &PaymentFilter,
    ) -> Result<Vec<PaymentCount>, StoreError> {
        let statement = format!(
            "{COUNTED} {BY_CREATION} {PASSES}
             group by payment.direction, payment.status
             order by payment.direction, payment.status"
        );
        let passing = Passing::of(org, filter);
        self.read(&statement, &passing.columns()).await?.iter().map(counted).collect()
    }

    pub(super) async fn entries(
        &self,
        org: OrgId,
        wallet: WalletId,
        filter: &LedgerFilter,
        ascending: bool,
        (offset, limit): (u64, u32),
    ) -> Result<Vec<Row>, StoreError> {
        let from = source(filter);
        let order = if ascending { "asc" } else { "desc" };
        let statement = format!(
            "select journal.seq, journal.at_ms, journal.body {from} {WITHIN}
             order by ledger.seq {order} offset $7 limit $8"
        );
        let (after, first, last, payment) = bounds(filter);
        let (offset, limit) = (i64::try_from(offset).unwrap_or(i64::MAX), i64::from(limit));
        let columns: [&(dyn ToSql + Sync); 8] =
            [org.uuid(), wallet.uuid(), &after, &first, &last, &payment, &offset, &limit];
        self.read(&statement, &columns).await
    }

    pub(super) async fn count_entries(
        &self,
        org: OrgId,
        wallet: WalletId,
        filter: &LedgerFilter,
    ) -> Result<u64, StoreError> {
        let statement = format!("select count(*) {} {WITHIN}", source(filter));
        let (after, first, last, payment) = bounds(filter);
        let columns: [&(dyn ToSql + Sync); 6] =
            [org.uuid(), wallet.uuid(), &after, &first, &last, &payment];
        let rows = self.read(&statement, &columns).await?;
        let count = rows.first().map_or(Ok(0), |row| row.try_get(0)).map_err(unavailable)?;
        Ok(from_signed(count))
    }
}

fn source(filter: &LedgerFilter) -> String {
    match filter.payment {
        Some(_) => format!("from payment cross join {EVENTS} {OF_PAYMENT}"),
        None => OF_WALLET.to_owned(),
    }
}

fn bounds(filter: &LedgerFilter) -> (i64, i64, i64, Option<Uuid>) {
    (
        filter.after.map_or(-1, |after| to_signed(after.0)),
        filter.from.map_or(i64::MIN, Timestamp::millis),
        filter.to.map_or(i64::MAX, Timestamp::millis),
        filter.payment.map(|payment| *payment.uuid()),
    )
}

/// The values of [`PASSES`].
struct Passing {
    org: Uuid,
    environment: Uuid,
    wallets: Option<Vec<Uuid>>,
    direction: Option<i16>,
    statuses: Vec<i16>,
    metadata: Option<String>,
    created_from: i64,
    created_to: i64,
    updated_after: i64,
}

impl Passing {
    fn of(org: OrgId, filter: &PaymentFilter) -> Passing {
        let wallets = filter.wallets.as_ref();
        Passing {
            org: *org.uuid(),
            environment: *filter.environment.uuid(),
            wallets: wallets.map(|wallets| wallets.iter().map(|id| *id.uuid()).collect()),
            direction: filter.direction.map(direction_number),
            statuses: filter.statuses.iter().copied().map(status_number).collect(),
            metadata: metadata_json(&filter.metadata),
            created_from: filter.created_from.map_or(i64::MIN, Timestamp::millis),
            created_to: filter.created_to.map_or(i64::MAX, Timestamp::millis),
            updated_after: filter.updated_after.map_or(-1, |after| to_signed(after.0)),
        }
    }

    fn columns(&self) -> [&(dyn ToSql + Sync); 9] {
        [
            &self.org,
            &self.environment,
            &self.wallets,
            &self.direction,
            &self.statuses,
            &self.metadata,
            &self.created_from,
            &self.created_to,
            &self.updated_after,
        ]
    }
}

fn listed(row: &Row) -> Result<Listed, StoreError> {
    Ok(Listed {
        row: codec::row_from_bytes(row.try_get(0).map_err(unavailable)?)?,
        id: PaymentId::new(row.try_get(1).map_err(unavailable)?),
        created_at: Timestamp::from_millis(row.try_get(2).map_err(unavailable)?),
        updated_seq: Seq(from_signed(row.try_get(3).map_err(unavailable)?)),
    })
}

fn counted(row: &Row) -> Result<PaymentCount, StoreError> {
    Ok(PaymentCount {
        direction: direction_of(row.try_get(0).map_err(unavailable)?)?,
        status: status_of(row.try_get(1).map_err(unavailable)?)?,
        count: from_signed(row.try_get(2).map_err(unavailable)?),
        oldest: Timestamp::from_millis(row.try_get(3).map_err(unavailable)?),
        newest: Timestamp::from_millis(row.try_get(4).map_err(unavailable)?),
    })
}
