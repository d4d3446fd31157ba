use async_trait::async_trait;
use domain::Timestamp;
use ports::{
    Idempotency, StoreError,
    idempotency::{Begun, IdempotencyScope, Runner, StoredAnswer},
};
use tokio_postgres::{Row, types::ToSql};

use super::{Postgres, session::unavailable};

/// A row that another transaction is writing is waited for, and then judged as it stands.
const BEGIN: &str = "
    insert into idempotency as known (org_id, environment_id, key, fingerprint, began_at_ms, session)
    values ($1, $2, $3, $4, $5, $7)
    on conflict (org_id, environment_id, key) do update
        set began_at_ms = excluded.began_at_ms, session = excluded.session
        where known.fingerprint = excluded.fingerprint
            and known.status is null and (
                known.began_at_ms < $6
                or known.session is not null and not exists (
                    select from pod
                    where session = known.session and lease_until > clock_timestamp()
                ) and not exists (
                    select from reader
                    where session = known.session and until > clock_timestamp()
                )
            )";

const KNOWN: &str = "
    select fingerprint, status, body from idempotency
    where org_id = $1 and environment_id = $2 and key = $3";

const FINISH: &str = "
    update idempotency set status = $5, body = $6
    where org_id = $1 and environment_id = $2 and key = $3 and fingerprint = $4 and status is null";

const ABANDON: &str = "
    delete from idempotency
    where org_id = $1 and environment_id = $2 and key = $3 and fingerprint = $4 and status is null";

/// By their places, so that each is looked up once. By their keys, a planner that had heard of few compared each
/// that is there with each that is old.
const FORGET: &str = "
    delete from idempotency where ctid = any (array(
        select ctid from idempotency where began_at_ms < $1
        order by began_at_ms, org_id, environment_id, key limit $2
    ))";

/// How often a key that another has just given up is asked for again.
const TRIES: u32 = 3;

#[async_trait]
impl Idempotency for Postgres {
    async fn begin(
        &self,
        scope: &IdempotencyScope,
        fingerprint: [u8; 32],
        runner: Runner,
    ) -> Result<Begun, StoreError> {
        let IdempotencyScope { org, environment, key } = scope;
        let Runner { session, now, stale_before } = runner;
        let (now_ms, stale_ms) = (now.millis(), stale_before.millis());
        let print = &fingerprint[..];
        for _ in 0..TRIES {
            let columns: [&(dyn ToSql + Sync); 7] =
                [org.uuid(), environment.uuid(), key, &print, &now_ms, &stale_ms, session.uuid()];
            if self.write(BEGIN, &columns).await? == 1 {
                return Ok(Begun::New);
            }
            let known = self.read(KNOWN, &[org.uuid(), environment.uuid(), key]).await?;
            if let Some(known) = known.first() {
                return begun(known, fingerprint);
            }
        }
        Err(StoreError::Unavailable("the key is taken and given up again and again".to_owned()))
    }

    async fn finish(
        &self,
        scope: &IdempotencyScope,
        fingerprint: [u8; 32],
        answer: &StoredAnswer,
        _: Timestamp,
    ) -> Result<(), StoreError> {
        let IdempotencyScope { org, environment, key } = scope;
        let status = i16::from_ne_bytes(answer.status.to_ne_bytes());
        let print = &fingerprint[..];
        self.write(FINISH, &[org.uuid(), environment.uuid(), key, &print, &status, &answer.body])
            .await
            .map(|_| ())
    }

    async fn abandon(
        &self,
        scope: &IdempotencyScope,
        fingerprint: [u8; 32],
    ) -> Result<(), StoreError> {
        let IdempotencyScope { org, environment, key } = scope;
        let print = &fingerprint[..];
        self.write(ABANDON, &[org.uuid(), environment.uuid(), key, &print]).await.map(|_| ())
    }

    async fn forget_before(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.write(FORGET, &[&before.millis(), &i64::from(limit)]).await
    }
}

fn begun(known: &Row, fingerprint: [u8; 32]) -> Result<Begun, StoreError> {
    let other: &[u8] = known.try_get(0).map_err(unavailable)?;
    if other != fingerprint {
        return Ok(Begun::OtherRequest);
    }
    let status: Option<i16> = known.try_get(1).map_err(unavailable)?;
    let body: Option<Vec<u8>> = known.try_get(2).map_err(unavailable)?;
    Ok(match (status, body) {
        (Some(status), Some(body)) => {
            let status = u16::from_ne_bytes(status.to_ne_bytes());
            Begun::Done(StoredAnswer { status, body })
        }
        (_, _) => Begun::Running,
    })
}
