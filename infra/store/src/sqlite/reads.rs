use async_trait::async_trait;
use domain::{EnvironmentId, OrgId, PaymentId, WalletId, org::Row};
use ports::{
    Reads, StoreError,
    journal::Seq,
    reads::{
        FeedEvent, LedgerFilter, Listed, PaymentCount, PaymentFilter, PaymentOrder, PaymentPlace,
        Recorded,
    },
};
use rusqlite::{Connection, Params, params, params_from_iter};

use super::{
    Sqlite, lists,
    sql::{SqlError, bytes, id, instant},
};
use crate::{
    records::Standing,
    shape::{from_signed, to_signed},
};

#[async_trait]
impl Reads for Sqlite {
    async fn payment(&self, org: OrgId, id: PaymentId) -> Result<Option<Row>, StoreError> {
        self.read(move |open| payment(open, org, id)).await
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
        let filter = filter.clone();
        let find = move |open: &Connection| {
            lists::find(open, org, &filter, (order, ascending), after, (offset, limit))
        };
        self.read(find).await
    }

    async fn count_payments(
        &self,
        org: OrgId,
        filter: &PaymentFilter,
    ) -> Result<Vec<PaymentCount>, StoreError> {
        let filter = filter.clone();
        self.read(move |open| lists::count(open, org, &filter)).await
    }

    async fn history(&self, org: OrgId, payment: PaymentId) -> Result<Vec<Recorded>, StoreError> {
        let sql = lists::history_sql();
        self.read(move |open| recorded(open, &sql, [bytes(&org), bytes(&payment)])).await
    }

    async fn standing(&self, org: OrgId) -> Result<Vec<Row>, StoreError> {
        self.read(move |open| standing(open, org)).await
    }

    async fn journal(
        &self,
        org: OrgId,
        after: Seq,
        limit: u32,
    ) -> Result<Vec<Recorded>, StoreError> {
        self.read(move |open| {
            let sql = "select seq, at, body from journal where org_id = ?1 and seq > ?2
                       order by seq limit ?3";
            recorded(open, sql, params![bytes(&org), to_signed(after.0), limit])
        })
        .await
    }

    async fn feed(
        &self,
        org: OrgId,
        environment: EnvironmentId,
        after: Seq,
        limit: u32,
    ) -> Result<(Vec<FeedEvent>, Seq), StoreError> {
        self.read(move |open| feed(open, org, environment, after, limit)).await
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
        let (sql, values) = lists::entries(org, wallet, filter, ascending, (offset, limit));
        self.read(move |open| recorded(open, &sql, params_from_iter(values))).await
    }

    async fn count_ledger(
        &self,
        org: OrgId,
        wallet: WalletId,
        filter: &LedgerFilter,
    ) -> Result<u64, StoreError> {
        let filter = *filter;
        self.read(move |open| lists::count_entries(open, org, wallet, &filter)).await
    }

    async fn orgs_with_open_work(&self) -> Result<Vec<OrgId>, StoreError> {
        self.read(|open| {
            let sql = "select distinct org_id from payment where open = 1 order by org_id";
            let mut find = open.prepare_cached(sql)?;
            let found = find.query_map([], |row| Ok(id(row.get(0)?)))?;
            Ok(found.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn open_payments(&self, org: OrgId) -> Result<Vec<PaymentId>, StoreError> {
        self.read(move |open| {
            let sql = "select payment_id from payment where org_id = ?1 and open = 1 order by 1";
            let mut find = open.prepare_cached(sql)?;
            let found = find.query_map([bytes(&org)], |row| Ok(id(row.get(0)?)))?;
            Ok(found.collect::<Result<_, _>>()?)
        })
        .await
    }
}

pub(super) fn payment(
    open: &Connection,
    org: OrgId,
    payment: PaymentId,
) -> Result<Option<Row>, SqlError> {
    let sql = "select body from payment where org_id = ?1 and payment_id = ?2";
    Ok(rows(open, sql, [bytes(&org), bytes(&payment)])?.pop())
}

pub(super) fn standing(open: &Connection, org: OrgId) -> Result<Vec<Row>, SqlError> {
    let sql = "select body from standing where org_id = ?1 order by kind, id";
    rows(open, sql, [bytes(&org)])
}

fn feed(
    open: &Connection,
    org: OrgId,
    environment: EnvironmentId,
    after: Seq,
    limit: u32,
) -> Result<(Vec<FeedEvent>, Seq), SqlError> {
    let standing = Standing::of(org, standing(open, org)?);
    let mut find = open.prepare_cached(
        "select event.seq, event.at, event.body, event.payment_id, payment.environment_id
         from (
             select seq, at, body, payment_id from journal
             where org_id = ?1 and seq > ?2 order by seq limit ?3
         ) as event
         left join payment on payment.org_id = ?1 and payment.payment_id = event.payment_id
         order by event.seq",
    )?;
    let mut found = find.query(params![bytes(&org), to_signed(after.0), limit])?;
    let (mut events, mut seen) = (Vec::new(), after);
    while let Some(row) = found.next()? {
        seen = Seq(from_signed(row.get(0)?));
        let payment: Option<PaymentId> = row.get::<_, Option<_>>(3)?.map(id);
        let of: Option<EnvironmentId> = row.get::<_, Option<_>>(4)?.map(id);
        if payment.is_some() && of != Some(environment) {
            continue;
        }
        let recorded = event_of(row)?;
        if payment.is_some() || standing.environment_of(&recorded.event) == Some(environment) {
            events.push(FeedEvent { recorded, payment });
        }
    }
    Ok((events, seen))
}

pub(super) fn rows(
    open: &Connection,
    sql: &str,
    values: impl Params,
) -> Result<Vec<Row>, SqlError> {
    let mut find = open.prepare_cached(sql)?;
    let mut found = find.query(values)?;
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        let body = row.get_ref(0)?.as_bytes().map_err(rusqlite::Error::from)?;
        rows.push(codec::row_from_bytes(body)?);
    }
    Ok(rows)
}

fn recorded(open: &Connection, sql: &str, values: impl Params) -> Result<Vec<Recorded>, SqlError> {
    let mut find = open.prepare_cached(sql)?;
    let mut found = find.query(values)?;
    let mut events = Vec::new();
    while let Some(row) = found.next()? {
        events.push(event_of(row)?);
    }
    Ok(events)
}

fn event_of(row: &rusqlite::Row<'_>) -> Result<Recorded, SqlError> {
    let body = row.get_ref(2)?.as_bytes().map_err(rusqlite::Error::from)?;
    Ok(Recorded {
        seq: Seq(from_signed(row.get(0)?)),
        at: instant(row.get(1)?),
        event: codec::event_from_bytes(body)?,
    })
}
