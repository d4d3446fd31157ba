use async_trait::async_trait;
use domain::{EnvironmentId, OrgId, PaymentId, Timestamp, WalletId, org};
use ports::{
    Reads, StoreError,
    journal::Seq,
    reads::{
        FeedEvent, LedgerFilter, Listed, PaymentCount, PaymentFilter, PaymentOrder, PaymentPlace,
        Recorded,
    },
};
use tokio_postgres::Row;

use super::{Postgres, lists::EVENTS, session::unavailable};
use crate::{
    records::Standing,
    shape::{from_signed, to_signed},
};

const PAYMENT: &str = "select body from payment where org_id = $1 and payment_id = $2";

/// Of the payment's events.
const HISTORY: &str = "
        join journal on journal.org_id = payment.org_id and journal.seq = event.seq
    where payment.org_id = $1 and payment.payment_id = $2
    order by journal.seq";

const STANDING: &str = "select body from standing where org_id = $1 order by kind, id";

const JOURNAL: &str = "
    select seq, at_ms, body from journal where org_id = $1 and seq > $2 order by seq limit $3";

/// A row of another environment comes without its body: only how far was looked counts of it.
const FEED: &str = "
    select event.seq, event.at_ms,
        case when event.payment_id is null or payment.environment_id = $4 then event.body end,
        event.payment_id
    from (
        select seq, at_ms, body, payment_id from journal
        where org_id = $1 and seq > $2 order by seq limit $3
    ) as event
    left join payment on payment.org_id = $1 and payment.payment_id = event.payment_id
    order by event.seq";

const OPEN_WORK: &str = "select distinct org_id from open_payment order by org_id";

const OPEN_PAYMENTS: &str =
    "select payment_id from open_payment where org_id = $1 order by payment_id";

#[async_trait]
impl Reads for Postgres {
    async fn payment(&self, org: OrgId, id: PaymentId) -> Result<Option<org::Row>, StoreError> {
        let rows = self.read(PAYMENT, &[org.uuid(), id.uuid()]).await?;
        Ok(bodies(&rows)?.pop())
    }

    async fn find_payments(
        &self,
        org: OrgId,
        filter: &PaymentFilter,
        order: PaymentOrder,
        ascending: bool,
        after: Option<PaymentPlace>,
        offset: u64,
        limit: u32,
    ) -> Result<Vec<Listed>, StoreError> {
        self.list(org, filter, (order, ascending), after, (offset, limit)).await
    }

    async fn count_payments(
        &self,
        org: OrgId,
        filter: &PaymentFilter,
    ) -> Result<Vec<PaymentCount>, StoreError> {
        self.count(org, filter).await
    }

    async fn history(&self, org: OrgId, payment: PaymentId) -> Result<Vec<Recorded>, StoreError> {
        let columns = "journal.seq, journal.at_ms, journal.body";
        let statement = format!("select {columns} from payment cross join {EVENTS} {HISTORY}");
        self.read(&statement, &[org.uuid(), payment.uuid()]).await?.iter().map(recorded).collect()
    }

    async fn standing(&self, org: OrgId) -> Result<Vec<org::Row>, StoreError> {
        bodies(&self.read(STANDING, &[org.uuid()]).await?)
    }

    async fn journal(
        &self,
        org: OrgId,
        after: Seq,
        limit: u32,
    ) -> Result<Vec<Recorded>, StoreError> {
        let (after, limit) = (to_signed(after.0), i64::from(limit));
        let rows = self.read(JOURNAL, &[org.uuid(), &after, &limit]).await?;
        rows.iter().map(recorded).collect()
    }

    async fn feed(
        &self,
        org: OrgId,
        environment: EnvironmentId,
        after: Seq,
        limit: u32,
    ) -> Result<(Vec<FeedEvent>, Seq), StoreError> {
        let (from, limit) = (to_signed(after.0), i64::from(limit));
        let rows = self.read(FEED, &[org.uuid(), &from, &limit, environment.uuid()]).await?;
        let seen = rows.last().map_or(Ok(from), |row| row.try_get(0)).map_err(unavailable)?;
        let mut events = Vec::new();
        for row in &rows {
            let body: Option<&[u8]> = row.try_get(2).map_err(unavailable)?;
            let payment: Option<uuid::Uuid> = row.try_get(3).map_err(unavailable)?;
            if body.is_some() {
                let payment = payment.map(PaymentId::new);
                events.push(FeedEvent { recorded: recorded(row)?, payment });
            }
        }
        // What is about no payment says itself, or its wallet or line does, whose it is.
        if events.iter().any(|event| event.payment.is_none()) {
            let standing = Standing::of(org, self.standing(org).await?);
            events.retain(|event| {
                let of = || standing.environment_of(&event.recorded.event);
                event.payment.is_some() || of() == Some(environment)
            });
        }
        Ok((events, Seq(from_signed(seen))))
    }

    async fn ledger(
        &self,
        org: OrgId,
        wallet: WalletId,
        filter: &LedgerFilter,
        ascending: bool,
        offset: u64,
        limit: u32,
    ) -> Result<Vec<Recorded>, StoreError> {
        let rows = self.entries(org, wallet, filter, ascending, (offset, limit)).await?;
        rows.iter().map(recorded).collect()
    }

    async fn count_ledger(
        &self,
        org: OrgId,
        wallet: WalletId,
        filter: &LedgerFilter,
    ) -> Result<u64, StoreError> {
        self.count_entries(org, wallet, filter).await
    }

    async fn orgs_with_open_work(&self) -> Result<Vec<OrgId>, StoreError> {
        let rows = self.read(OPEN_WORK, &[]).await?;
        let orgs = rows.iter().map(|row| row.try_get(0).map(OrgId::new).map_err(unavailable));
        orgs.collect()
    }

    async fn open_payments(&self, org: OrgId) -> Result<Vec<PaymentId>, StoreError> {
        let rows = self.read(OPEN_PAYMENTS, &[org.uuid()]).await?;
        let open = rows.iter().map(|row| row.try_get(0).map(PaymentId::new).map_err(unavailable));
        open.collect()
    }
}

fn bodies(rows: &[Row]) -> Result<Vec<org::Row>, StoreError> {
    let bodies = rows.iter().map(|row| row.try_get(0).map_err(unavailable));
    bodies.map(|body| codec::row_from_bytes(body?)).collect()
}

fn recorded(row: &Row) -> Result<Recorded, StoreError> {
    Ok(Recorded {
        seq: Seq(from_signed(row.try_get(0).map_err(unavailable)?)),
        at: Timestamp::from_millis(row.try_get(1).map_err(unavailable)?),
        event: codec::event_from_bytes(row.try_get(2).map_err(unavailable)?)?,
    })
}
