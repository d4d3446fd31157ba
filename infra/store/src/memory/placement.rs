use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use domain::{SessionId, Timestamp, org::Revision};
use ports::{
    Cluster, Placement, StoreError,
    placement::{Granted, JoinError, LeaseLength, PlacementMap, Pod, Reader, SHARDS, Shard},
};

use super::{Memory, Tables};

#[derive(Clone, Debug)]
pub(super) struct Life {
    pod: Pod,
    lease_until: Timestamp,
}

/// A reader, and until when it counts.
#[derive(Clone, Debug)]
pub(super) struct Announced {
    reader: Reader,
    until: Timestamp,
}

impl Tables {
    /// Forgets the readers that have not been heard of.
    fn forget_readers(&mut self, now: Timestamp) {
        self.reader.retain(|_, it| now < it.until);
    }

    fn allowed(&self) -> Revision {
        self.allowed_revision.unwrap_or(Revision::FIRST)
    }

    pub(super) fn is_alive(&self, session: SessionId, now: Timestamp) -> bool {
        self.pod.get(&session).is_some_and(|life| now < life.lease_until)
    }

    /// As a pod or as a reader.
    pub(super) fn lives(&self, session: SessionId, now: Timestamp) -> bool {
        self.is_alive(session, now) || self.reader.get(&session).is_some_and(|it| now < it.until)
    }

    pub(super) fn owns(&self, session: SessionId, shard: Shard) -> bool {
        self.owner(shard) == Some(session)
    }

    fn owner(&self, shard: Shard) -> Option<SessionId> {
        self.shard_owner.get(usize::from(shard.number())).copied().flatten()
    }

    fn give(&mut self, shards: &[Shard], to: SessionId) {
        let owners = Arc::make_mut(&mut self.shard_owner);
        owners.resize(usize::from(SHARDS), None);
        for shard in shards {
            owners[usize::from(shard.number())] = Some(to);
        }
    }
}

#[async_trait]
impl Placement for Memory {
    fn lease_length(&self) -> LeaseLength {
        LeaseLength::USUAL
    }

    async fn begin(&self, session: SessionId) -> Result<Timestamp, StoreError> {
        let lease_until = self.clock.now().plus_millis(self.lease_length().millis());
        let pod = Pod { session, name: String::new(), address: String::new() };
        let tables = &mut *self.tables();
        tables.pod.clear();
        tables.pod.insert(session, Life { pod, lease_until });
        tables.give(&Shard::all().collect::<Vec<_>>(), session);
        Ok(lease_until)
    }

    async fn renew(&self, session: SessionId) -> Result<Option<Timestamp>, StoreError> {
        let until = self.clock.now().plus_millis(self.lease_length().millis());
        let pod = &mut self.tables().pod;
        Ok(pod.get_mut(&session).map(|life| {
            life.lease_until = until;
            until
        }))
    }

    async fn map(&self) -> Result<PlacementMap, StoreError> {
        let (now, tables) = (self.clock.now(), self.tables());
        let living = tables.pod.values().filter(|life| now < life.lease_until);
        let mut pods: Vec<Pod> = living.map(|life| life.pod.clone()).collect();
        pods.sort_by(|a, b| (&a.name, a.session).cmp(&(&b.name, b.session)));
        Ok(PlacementMap { pods, owners: tables.shard_owner.clone() })
    }

    async fn leases(&self) -> Result<BTreeMap<SessionId, Granted>, StoreError> {
        let (now, tables) = (self.clock.now(), self.tables());
        let granted = |life: &Life| Granted {
            until: life.lease_until,
            left_ms: life.lease_until.millis_since(now),
        };
        Ok(tables.pod.iter().map(|(session, life)| (*session, granted(life))).collect())
    }

    /// Every pod is of this process.
    async fn allow(&self, revision: Revision) -> Result<Vec<String>, StoreError> {
        let (now, mut tables) = (self.clock.now(), self.tables());
        tables.forget_readers(now);
        let older = tables.reader.values().filter(|it| it.reader.reads < revision);
        let older: Vec<String> = older.map(|it| it.reader.name.clone()).collect();
        if older.is_empty() {
            tables.allowed_revision = Some(revision.max(tables.allowed()));
        }
        Ok(older)
    }
}

#[async_trait]
impl Cluster for Memory {
    async fn join(&self, pod: &Pod) -> Result<Timestamp, JoinError> {
        let (now, mut tables) = (self.clock.now(), self.tables());
        let namesake = |life: &Life| life.pod.name == pod.name && life.pod.session != pod.session;
        if tables.pod.values().any(|life| namesake(life) && now < life.lease_until) {
            return Err(JoinError::NameTaken(pod.name.clone()));
        }
        if tables.pod.contains_key(&pod.session) {
            return Err(StoreError::AlreadyThere.into());
        }
        let lease_until = now.plus_millis(self.lease_length().millis());
        tables.pod.insert(pod.session, Life { pod: pod.clone(), lease_until });
        Ok(lease_until)
    }

    async fn bury(&self) -> Result<Vec<SessionId>, StoreError> {
        let (now, mut tables) = (self.clock.now(), self.tables());
        let over = tables.pod.extract_if(.., |_, life| life.lease_until < now);
        Ok(over.map(|(session, _)| session).collect())
    }

    async fn claim(&self, session: SessionId, shards: &[Shard]) -> Result<Vec<Shard>, StoreError> {
        let (now, mut tables) = (self.clock.now(), self.tables());
        if !tables.is_alive(session, now) {
            return Ok(Vec::new());
        }
        let lives = |owner: SessionId| tables.pod.contains_key(&owner);
        let free = shards.iter().copied().filter(|shard| !tables.owner(*shard).is_some_and(lives));
        let free: Vec<Shard> = free.collect();
        tables.give(&free, session);
        Ok(free)
    }

    async fn hand_over(
        &self,
        from: SessionId,
        shards: &[Shard],
        to: SessionId,
    ) -> Result<(), StoreError> {
        let mut tables = self.tables();
        let own = shards.iter().copied().filter(|shard| tables.owns(from, *shard));
        let own: Vec<Shard> = own.collect();
        tables.give(&own, to);
        Ok(())
    }

    async fn leave(&self, session: SessionId) -> Result<(), StoreError> {
        self.tables().pod.remove(&session);
        Ok(())
    }

    async fn announce(&self, reader: &Reader) -> Result<(), StoreError> {
        let (now, mut tables) = (self.clock.now(), self.tables());
        tables.forget_readers(now);
        let allowed = tables.allowed();
        if reader.reads < allowed && !tables.reader.contains_key(&reader.session) {
            return Err(StoreError::Unavailable(format!(
                "revision {} is written",
                allowed.number()
            )));
        }
        let until = now.plus_millis(self.lease_length().millis());
        tables.reader.insert(reader.session, Announced { reader: reader.clone(), until });
        Ok(())
    }

    async fn withdraw(&self, session: SessionId) -> Result<(), StoreError> {
        self.tables().reader.remove(&session);
        Ok(())
    }
}
