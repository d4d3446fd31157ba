use async_trait::async_trait;
use domain::{OrgId, PaymentId, Timestamp, WalletId, org};
use ports::{
    Reads, StoreError,
    journal::Seq,
    reads::{PaymentCursor, Recorded},
};
use tokio_postgres::Row;
use uuid::Uuid;

use super::{Postgres, session::unavailable};
use crate::{
    codec,
    shape::{from_signed, to_signed},
};

const PAYMENT: &str = "select body from payment where org_id = $1 and payment_id = $2";

const PAYMENTS: &str = "
    select body from payment
    where org_id = $1 and (created_at_ms, payment_id) < ($2, $3)
    order by created_at_ms desc, payment_id desc limit $4";

const STANDING: &str = "select body from standing where org_id = $1 order by kind, id";

const JOURNAL: &str = "
    select seq, at_ms, body from journal where org_id = $1 and seq > $2 order by seq limit $3";

const LEDGER: &str = "
    select journal.seq, journal.at_ms, journal.body
    from ledger join journal on journal.org_id = ledger.org_id and journal.seq = ledger.seq
    where ledger.org_id = $1 and ledger.wallet_id = $2 and ledger.seq > $3
    order by ledger.seq limit $4";

const OPEN_WORK: &str = "select distinct org_id from payment where open order by org_id";

#[async_trait]
impl Reads for Postgres {
    async fn payment(&self, org: OrgId, id: PaymentId) -> Result<Option<org::Row>, StoreError> {
        let rows = self.read(PAYMENT, &[org.uuid(), id.uuid()]).await?;
        Ok(bodies(&rows)?.pop())
    }

    async fn payments(
        &self,
        org: OrgId,
        before: Option<PaymentCursor>,
        limit: u32,
    ) -> Result<Vec<org::Row>, StoreError> {
        let end = PaymentCursor {
            created_at: Timestamp::from_millis(i64::MAX),
            id: PaymentId::new(Uuid::max()),
        };
        let PaymentCursor { created_at, id } = before.unwrap_or(end);
        let (created_at_ms, limit) = (created_at.millis(), i64::from(limit));
        bodies(&self.read(PAYMENTS, &[org.uuid(), &created_at_ms, id.uuid(), &limit]).await?)
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

    async fn ledger(
        &self,
        org: OrgId,
        wallet: WalletId,
        after: Seq,
        limit: u32,
    ) -> Result<Vec<Recorded>, StoreError> {
        let (after, limit) = (to_signed(after.0), i64::from(limit));
        let rows = self.read(LEDGER, &[org.uuid(), wallet.uuid(), &after, &limit]).await?;
        rows.iter().map(recorded).collect()
    }

    async fn orgs_with_open_work(&self) -> Result<Vec<OrgId>, StoreError> {
        let rows = self.read(OPEN_WORK, &[]).await?;
        let orgs = rows.iter().map(|row| row.try_get(0).map(OrgId::new).map_err(unavailable));
        orgs.collect()
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
