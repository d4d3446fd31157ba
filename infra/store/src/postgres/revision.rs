//! Who reads what, so that nothing is written that a process which lives cannot read.

use domain::{SessionId, org::Revision};
use ports::{StoreError, placement::Reader};
use tokio_postgres::types::ToSql;

use super::{
    Postgres,
    session::{SAYS_NOTHING, no_connection, not_committed, unavailable},
};

/// Whoever begins meanwhile waits for this, and is refused if it is too old.
const LOCK: &str = "select revision from allowed_revision for update";

const FORGET: &str = "delete from reader where until < clock_timestamp()";

/// A pod whose lease is over may renew it until it is buried. The version before readers were announced shows
/// by its connections; one that is cut off, and has none, reads again when it is back, and finds what it
/// cannot read: nothing is written by it, and nothing lost.
const OLDER: &str = "
    select coalesce(nullif(name, ''), 'standalone') from pod where reads < $1
    union all select name from reader where reads < $1
    union all select 'one at ' || coalesce(host(client_addr), 'this machine') ||
            ' that does not say what it reads'
        from pg_stat_activity
        where application_name = $2 and datname = current_database()
        group by client_addr";

const ALLOW: &str = "update allowed_revision set revision = $1";

const RENEW: &str = "
    update reader set until = clock_timestamp() + $2::bigint * interval '1 millisecond'
    where session = $1";

const ANNOUNCE: &str = "
    insert into reader (session, name, reads, until)
    values ($1, $2, $3, clock_timestamp() + $4::bigint * interval '1 millisecond')";

const WITHDRAW: &str = "delete from reader where session = $1";

impl Postgres {
    pub(super) async fn allow_revision(
        &self,
        revision: Revision,
    ) -> Result<Vec<String>, StoreError> {
        let mut client = self.readers.get().await.map_err(no_connection)?;
        let transaction = client.transaction().await.map_err(unavailable)?;
        let allowed = transaction.query_one(LOCK, &[]).await.map_err(unavailable)?;
        let allowed: i16 = allowed.try_get(0).map_err(unavailable)?;
        if revision.number() <= allowed {
            return Ok(Vec::new());
        }
        // Behind the lock, as statements of their own: they see whoever has begun before it.
        transaction.execute(FORGET, &[]).await.map_err(unavailable)?;
        let older = transaction.query(OLDER, &[&revision.number(), &SAYS_NOTHING]).await;
        let older = older.map_err(unavailable)?;
        if older.is_empty() {
            transaction.execute(ALLOW, &[&revision.number()]).await.map_err(unavailable)?;
        }
        transaction.commit().await.map_err(not_committed)?;
        older.iter().map(|row| row.try_get(0).map_err(unavailable)).collect()
    }

    /// One that was forgotten begins anew, and may be refused.
    pub(super) async fn announce_reader(&self, reader: &Reader) -> Result<(), StoreError> {
        let Reader { session, name, reads } = reader;
        let lasts_ms = self.lease.millis();
        if self.write(RENEW, &[session.uuid(), &lasts_ms]).await? == 0 {
            let values: [&(dyn ToSql + Sync); 4] =
                [session.uuid(), name, &reads.number(), &lasts_ms];
            self.write(ANNOUNCE, &values).await?;
        }
        Ok(())
    }

    pub(super) async fn withdraw_reader(&self, session: SessionId) -> Result<(), StoreError> {
        self.write(WITHDRAW, &[session.uuid()]).await.map(|_| ())
    }
}
