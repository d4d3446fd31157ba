//! Loading: the epoch moves, and what is read counts once that is committed.

use domain::{
    OrgId, SessionId,
    org::{Org, Row},
    payment::Epoch,
};
use ports::{
    journal::{LoadError, Loaded, Seq},
    placement::Shard,
};
use tokio_postgres::types::ToSql;

use super::{
    Postgres,
    placement::number,
    session::{no_connection, not_committed, unavailable},
};
use crate::shape::from_signed;

/// A renewal changes no key and is not kept waiting; a takeover, which deletes the row, is, and so is
/// another owner of the shard.
const OWNER: &str = "
    select from shard_owner join pod using (session)
    where shard = $2 and session = $1 and lease_until > clock_timestamp()
    for share of shard_owner for key share of pod";

/// Waits for a transaction of an older load that is under way, and sees what it has committed.
const HEAD: &str = "
    update org_head set epoch = epoch + 1 where org_id = $1 returning epoch, seq";

const ROWS: &str = "
    select body from standing where org_id = $1
    union all
    select known.body from open_payment as open, lateral (
        select body from payment
        where payment.org_id = open.org_id and payment.payment_id = open.payment_id
        offset 0
    ) as known
    where open.org_id = $1";

impl Postgres {
    pub(super) async fn load_org(
        &self,
        org: OrgId,
        session: SessionId,
    ) -> Result<Loaded, LoadError> {
        let mut client = self.readers.get().await.map_err(no_connection)?;
        let transaction = client.transaction().await.map_err(unavailable)?;
        let owner = transaction.prepare_cached(OWNER).await.map_err(unavailable)?;
        let head = transaction.prepare_cached(HEAD).await.map_err(unavailable)?;
        let rows = transaction.prepare_cached(ROWS).await.map_err(unavailable)?;
        let shard = number(Shard::of(org));
        let place: [&(dyn ToSql + Sync); 2] = [session.uuid(), &shard];
        let key: [&(dyn ToSql + Sync); 1] = [org.uuid()];
        // In this order; each has its own snapshot, so the rows are those after the wait for the head.
        let (owner, head, rows) = tokio::join!(
            biased;
            transaction.query_opt(&owner, &place),
            transaction.query_opt(&head, &key),
            transaction.query(&rows, &key),
        );
        owner.map_err(unavailable)?.ok_or(LoadError::NotOwner)?;
        let head = head.map_err(unavailable)?.ok_or(LoadError::NotFound(org))?;
        let rows = rows.map_err(unavailable)?;
        let epoch = Epoch(from_signed(head.try_get(0).map_err(unavailable)?));
        let seq = Seq(from_signed(head.try_get(1).map_err(unavailable)?));
        let mut state: Vec<Row> = Vec::with_capacity(rows.len());
        for row in rows {
            state.push(codec::row_from_bytes(row.try_get(0).map_err(unavailable)?)?);
        }
        fail::fail_point!("store::load_before_commit", |_| Err(LoadError::Store(
            ports::StoreError::Unavailable("fail point".to_owned())
        )));
        transaction.commit().await.map_err(not_committed)?;
        Ok(Loaded { org: Org::from_rows(org, epoch, state), seq })
    }
}
