use async_trait::async_trait;
use domain::{OrgId, PaymentId, WalletId, org::Row};
use ports::{
    Reads, StoreError,
    journal::Seq,
    reads::{PaymentCursor, Recorded},
};
use rusqlite::{Connection, Params, params};

use super::{
    Sqlite,
    sql::{SqlError, bytes, id, instant},
};
use crate::{
    codec,
    shape::{from_signed, to_signed},
};

#[async_trait]
impl Reads for Sqlite {
    async fn payment(&self, org: OrgId, id: PaymentId) -> Result<Option<Row>, StoreError> {
        self.read(move |open| payment(open, org, id)).await
    }

    async fn payments(
        &self,
        org: OrgId,
        before: Option<PaymentCursor>,
        limit: u32,
    ) -> Result<Vec<Row>, StoreError> {
        self.read(move |open| payments(open, org, before, limit)).await
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

    async fn ledger(
        &self,
        org: OrgId,
        wallet: WalletId,
        after: Seq,
        limit: u32,
    ) -> Result<Vec<Recorded>, StoreError> {
        self.read(move |open| {
            let sql = "select journal.seq, at, body from ledger join journal using (org_id, seq)
                       where ledger.org_id = ?1 and wallet_id = ?2 and ledger.seq > ?3
                       order by ledger.seq limit ?4";
            let (org, wallet) = (bytes(&org), bytes(&wallet));
            recorded(open, sql, params![org, wallet, to_signed(after.0), limit])
        })
        .await
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

fn payments(
    open: &Connection,
    org: OrgId,
    before: Option<PaymentCursor>,
    limit: u32,
) -> Result<Vec<Row>, SqlError> {
    let Some(PaymentCursor { created_at, id }) = before else {
        let sql = "select body from payment where org_id = ?1
                   order by created_at desc, payment_id desc limit ?2";
        return rows(open, sql, params![bytes(&org), limit]);
    };
    let sql = "select body from payment
               where org_id = ?1 and (created_at, payment_id) < (?2, ?3)
               order by created_at desc, payment_id desc limit ?4";
    rows(open, sql, params![bytes(&org), created_at.millis(), bytes(&id), limit])
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
        let body = row.get_ref(2)?.as_bytes().map_err(rusqlite::Error::from)?;
        events.push(Recorded {
            seq: Seq(from_signed(row.get(0)?)),
            at: instant(row.get(1)?),
            event: codec::event_from_bytes(body)?,
        });
    }
    Ok(events)
}
