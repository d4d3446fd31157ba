use async_trait::async_trait;
use domain::{SessionId, Timestamp};
use ports::{
    Idempotency, StoreError,
    idempotency::{Begun, IdempotencyScope, Runner, StoredAnswer},
};

use super::Memory;

pub(super) struct Kept {
    fingerprint: [u8; 32],
    session: SessionId,
    began_at: Timestamp,
    answer: Option<StoredAnswer>,
}

#[async_trait]
impl Idempotency for Memory {
    async fn begin(
        &self,
        scope: &IdempotencyScope,
        fingerprint: [u8; 32],
        runner: Runner,
    ) -> Result<Begun, StoreError> {
        let mut tables = self.tables();
        let Runner { session, now, stale_before } = runner;
        let runs = |kept: &Kept| {
            kept.began_at >= stale_before && tables.lives(kept.session, self.clock.now())
        };
        match tables.idempotency.get(scope) {
            Some(kept) if kept.fingerprint != fingerprint => return Ok(Begun::OtherRequest),
            Some(Kept { answer: Some(answer), .. }) => return Ok(Begun::Done(answer.clone())),
            Some(kept) if runs(kept) => return Ok(Begun::Running),
            Some(_) | None => {}
        }
        let kept = Kept { fingerprint, session, began_at: now, answer: None };
        tables.idempotency.insert(scope.clone(), kept);
        Ok(Begun::New)
    }

    async fn finish(
        &self,
        scope: &IdempotencyScope,
        fingerprint: [u8; 32],
        answer: &StoredAnswer,
        _: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tables = self.tables();
        let kept = tables.idempotency.get_mut(scope);
        if let Some(kept) = kept.filter(|kept| kept.fingerprint == fingerprint) {
            kept.answer.get_or_insert_with(|| answer.clone());
        }
        Ok(())
    }

    async fn abandon(
        &self,
        scope: &IdempotencyScope,
        fingerprint: [u8; 32],
    ) -> Result<(), StoreError> {
        let mut tables = self.tables();
        let kept = tables.idempotency.get(scope);
        if kept.is_some_and(|kept| kept.fingerprint == fingerprint && kept.answer.is_none()) {
            tables.idempotency.remove(scope);
        }
        Ok(())
    }

    async fn forget_before(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let mut tables = self.tables();
        let old = tables.idempotency.iter().filter(|(_, kept)| kept.began_at < before);
        let mut old: Vec<_> = old.map(|(scope, kept)| (kept.began_at, scope.clone())).collect();
        old.sort_unstable();
        old.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        for (_, scope) in &old {
            tables.idempotency.remove(scope);
        }
        Ok(u64::try_from(old.len()).unwrap_or(u64::MAX))
    }
}
