use async_trait::async_trait;
use deadpool_postgres::Client;
use domain::{SessionId, Timestamp};
use ports::{Placement, StoreError, placement::LEASE_MS};
use tokio_postgres::Row;
use uuid::Uuid;

use super::{
    Postgres,
    session::{no_connection, not_committed, unavailable},
};

/// One process at a time: whoever begins has taken over. Waits for loads of the old one.
const TAKE_OVER: &str = "delete from pod where session <> $1 returning session";

/// Its journal lanes must not hold rows that the new one waits for (`money-safety` rule 30).
const END_OLD: &str = "
    select count(pg_terminate_backend(pid)) from pg_stat_activity
    where application_name = any($1) and datname = current_database() and usename = current_user
        and pid <> pg_backend_pid()";

const BEGIN: &str = "
    insert into pod (session, lease_until)
    values ($1, clock_timestamp() + $2::bigint * interval '1 millisecond')
    on conflict do nothing
    returning floor(extract(epoch from lease_until) * 1000)::bigint";

const RENEW: &str = "
    update pod set lease_until = clock_timestamp() + $2::bigint * interval '1 millisecond'
    where session = $1
    returning floor(extract(epoch from lease_until) * 1000)::bigint";

/// All by the clock of the database.
#[async_trait]
impl Placement for Postgres {
    async fn begin(&self, session: SessionId) -> Result<Timestamp, StoreError> {
        let client = self.keeper().await?;
        let old = client.query(TAKE_OVER, &[session.uuid()]).await.map_err(not_committed)?;
        let old: Result<Vec<Uuid>, _> = old.iter().map(|row| row.try_get(0)).collect();
        let old = old.map_err(unavailable)?.into_iter().map(SessionId::new).map(lane_name);
        let old: Vec<String> = old.collect();
        client.query(END_OLD, &[&old]).await.map_err(unavailable)?;
        for lane in &self.lanes {
            lane.rename(&lane_name(session)).await.map_err(unavailable)?;
        }
        let lease = client.query_opt(BEGIN, &[session.uuid(), &LEASE_MS]).await;
        until(&lease.map_err(not_committed)?.ok_or(StoreError::AlreadyThere)?)
    }

    async fn renew(&self, session: SessionId) -> Result<Option<Timestamp>, StoreError> {
        let client = self.keeper().await?;
        let renew = client.prepare_cached(RENEW).await.map_err(unavailable)?;
        let lease = client.query_opt(&renew, &[session.uuid(), &LEASE_MS]).await;
        lease.map_err(not_committed)?.as_ref().map(until).transpose()
    }
}

impl Postgres {
    async fn keeper(&self) -> Result<Client, StoreError> {
        self.lease_keepers.get().await.map_err(no_connection)
    }
}

/// By this name the server tells whose lanes a connection belongs to.
fn lane_name(session: SessionId) -> String {
    format!("switchyard {session}")
}

fn until(row: &Row) -> Result<Timestamp, StoreError> {
    row.try_get(0).map(Timestamp::from_millis).map_err(unavailable)
}
