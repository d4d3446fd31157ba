use async_trait::async_trait;
use domain::Timestamp;
use ports::{
    Idempotency, StoreError,
    idempotency::{Begun, IdempotencyScope, Runner, StoredAnswer},
};
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    Sqlite,
    sql::{SqlError, bytes},
};

#[async_trait]
impl Idempotency for Sqlite {
    async fn begin(
        &self,
        scope: &IdempotencyScope,
        fingerprint: [u8; 32],
        runner: Runner,
    ) -> Result<Begun, StoreError> {
        let (scope, lives_at) = (scope.clone(), self.clock.now());
        self.change(move |open| begin(open, &scope, fingerprint, runner, lives_at)).await
    }

    async fn finish(
        &self,
        scope: &IdempotencyScope,
        fingerprint: [u8; 32],
        answer: &StoredAnswer,
        _: Timestamp,
    ) -> Result<(), StoreError> {
        let (scope, answer) = (scope.clone(), answer.clone());
        self.change(move |open| {
            let IdempotencyScope { org, environment, key } = &scope;
            let sql = "update idempotency set status = ?5, body = ?6
                       where org_id = ?1 and environment_id = ?2 and key = ?3
                           and fingerprint = ?4 and status is null";
            let StoredAnswer { status, body } = answer;
            let of = (bytes(org), bytes(environment));
            open.prepare_cached(sql)?.execute(params![
                of.0,
                of.1,
                key,
                fingerprint,
                status,
                body
            ])?;
            Ok(())
        })
        .await
    }

    async fn abandon(
        &self,
        scope: &IdempotencyScope,
        fingerprint: [u8; 32],
    ) -> Result<(), StoreError> {
        let scope = scope.clone();
        self.change(move |open| {
            let IdempotencyScope { org, environment, key } = &scope;
            let sql = "delete from idempotency
                       where org_id = ?1 and environment_id = ?2 and key = ?3
                           and fingerprint = ?4 and status is null";
            let of = (bytes(org), bytes(environment));
            open.prepare_cached(sql)?.execute(params![of.0, of.1, key, fingerprint])?;
            Ok(())
        })
        .await
    }

    async fn forget_before(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.change(move |open| {
            let sql = "delete from idempotency where rowid in (
                           select rowid from idempotency where began_at < ?1
                           order by began_at, org_id, environment_id, key limit ?2)";
            let forgotten = open.prepare_cached(sql)?.execute(params![before.millis(), limit])?;
            Ok(u64::try_from(forgotten).unwrap_or(u64::MAX))
        })
        .await
    }
}

/// One writer at a time, so what is read here stands until the commit.
fn begin(
    open: &Connection,
    scope: &IdempotencyScope,
    fingerprint: [u8; 32],
    runner: Runner,
    lives_at: Timestamp,
) -> Result<Begun, SqlError> {
    let IdempotencyScope { org, environment, key } = scope;
    let Runner { session, now, stale_before } = runner;
    let mut find = open.prepare_cached(
        "select fingerprint, status, body, began_at >= ?4 and exists (
             select 1 from pod where session_id = idempotency.session_id and lease_until > ?5
         )
         from idempotency where org_id = ?1 and environment_id = ?2 and key = ?3",
    )?;
    let of = (bytes(org), bytes(environment));
    let asked = params![of.0, of.1, key, stale_before.millis(), lives_at.millis()];
    let known = find.query_row(asked, |row| {
        let answer: (Option<u16>, Option<Vec<u8>>) = (row.get(1)?, row.get(2)?);
        Ok((row.get::<_, [u8; 32]>(0)?, answer, row.get::<_, bool>(3)?))
    });
    match known.optional()? {
        Some((other, ..)) if other != fingerprint => return Ok(Begun::OtherRequest),
        Some((_, (Some(status), Some(body)), _)) => {
            return Ok(Begun::Done(StoredAnswer { status, body }));
        }
        Some((.., true)) => return Ok(Begun::Running),
        Some(_) | None => {}
    }
    let mut take = open.prepare_cached(
        "insert into idempotency (org_id, environment_id, key, fingerprint, began_at, session_id)
         values (?1, ?2, ?3, ?4, ?5, ?6)
         on conflict do update set began_at = excluded.began_at, session_id = excluded.session_id",
    )?;
    take.execute(params![of.0, of.1, key, fingerprint, now.millis(), bytes(&session)])?;
    Ok(Begun::New)
}
