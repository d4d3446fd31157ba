use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use codec::READS;
use deadpool_postgres::Client;
use domain::{SessionId, Timestamp, org::Revision};
use ports::{
    Cluster, Placement, StoreError,
    placement::{Granted, JoinError, LeaseLength, PlacementMap, Pod, Reader, SHARDS, Shard},
};
use tokio_postgres::{Row, types::ToSql};
use uuid::Uuid;

use super::{
    Postgres,
    session::{no_connection, not_committed, unavailable},
};

/// The only process: whoever begins has taken over. Waits for loads of the old one.
const TAKE_OVER: &str = "delete from pod where session <> $1 returning session";

/// Journal lanes of a life that is over must not hold rows that others wait for (`money-safety` rule 30).
const END_LANES: &str = "
    select count(pg_terminate_backend(pid)) from pg_stat_activity
    where application_name = any($1) and datname = current_database() and usename = current_user
        and pid <> pg_backend_pid()";

const BEGIN: &str = "
    insert into pod (session, lease_until, name, address, reads)
    values ($1, clock_timestamp() + $2::bigint * interval '1 millisecond', $3, $4, $5)
    on conflict do nothing
    returning floor(extract(epoch from lease_until) * 1000)::bigint";

const OWN_ALL: &str = "update shard_owner set session = $1";

const RENEW: &str = "
    update pod set lease_until = clock_timestamp() + $2::bigint * interval '1 millisecond'
    where session = $1
    returning floor(extract(epoch from lease_until) * 1000)::bigint";

/// Two that join under one name at the same instant wait for each other here.
const LOCK_NAME: &str = "select pg_advisory_xact_lock(hashtextextended('pod ' || $1, 0))";

const NAMESAKE: &str = "
    select from pod where name = $1 and session <> $2 and lease_until > clock_timestamp()";

/// A lease that is over may be renewed until somebody does this.
const BURY: &str = "delete from pod where lease_until < clock_timestamp() returning session";

const PODS: &str = "
    select session, name, address from pod
    where lease_until > clock_timestamp() order by name, session";

const LEASES: &str = "
    select session, floor(extract(epoch from lease_until) * 1000)::bigint,
        floor(extract(epoch from lease_until - clock_timestamp()) * 1000)::bigint
    from pod";

const OWNERS: &str = "
    select session, array_agg(shard) from shard_owner where session is not null group by session";

/// In their order, so that two that claim at once do not wait for each other.
const LOCK_SHARDS: &str = "select from shard_owner where shard = any($1) order by shard for update";

/// Behind the locks, as a statement of its own: one that has waited for another's claim would judge by what
/// it saw before, and both would have the shards.
const CLAIM: &str = "
    update shard_owner set session = $1
    where shard = any($2)
        and not exists (select from pod where pod.session = shard_owner.session)
        and exists (select from pod where session = $1 and lease_until > clock_timestamp())
    returning shard_owner.shard";

/// Waits for loads that are under way.
const HAND_OVER: &str =
    "update shard_owner set session = $3 where session = $1 and shard = any($2)";

const LEAVE: &str = "delete from pod where session = $1";

/// All by the clock of the database.
#[async_trait]
impl Placement for Postgres {
    fn lease_length(&self) -> LeaseLength {
        self.lease
    }

    async fn begin(&self, session: SessionId) -> Result<Timestamp, StoreError> {
        let client = self.keeper().await?;
        let old = client.query(TAKE_OVER, &[session.uuid()]).await.map_err(not_committed)?;
        end_lanes(&client, &old).await?;
        self.name_lanes(session).await?;
        let (name, address) = ("", "");
        let values: [&(dyn ToSql + Sync); 5] =
            [session.uuid(), &self.lease.millis(), &name, &address, &READS.number()];
        let lease = client.query_opt(BEGIN, &values).await;
        let lease = lease.map_err(not_committed)?.ok_or(StoreError::AlreadyThere)?;
        client.execute(OWN_ALL, &[session.uuid()]).await.map_err(not_committed)?;
        until(&lease)
    }

    async fn renew(&self, session: SessionId) -> Result<Option<Timestamp>, StoreError> {
        let client = self.keeper().await?;
        let renew = client.prepare_cached(RENEW).await.map_err(unavailable)?;
        let lease = client.query_opt(&renew, &[session.uuid(), &self.lease.millis()]).await;
        lease.map_err(not_committed)?.as_ref().map(until).transpose()
    }

    async fn map(&self) -> Result<PlacementMap, StoreError> {
        let pods = self.read(PODS, &[]).await?;
        let owners = self.read(OWNERS, &[]).await?;
        let pods = pods.iter().map(pod).collect::<Result<Vec<Pod>, _>>().map_err(unavailable)?;
        let mut by_shard = vec![None; usize::from(SHARDS)];
        for row in &owners {
            let session = SessionId::new(row.try_get(0).map_err(unavailable)?);
            let owned: Vec<i16> = row.try_get(1).map_err(unavailable)?;
            for shard in shards(&owned)? {
                by_shard[usize::from(shard.number())] = Some(session);
            }
        }
        Ok(PlacementMap { pods, owners: Arc::new(by_shard) })
    }

    async fn leases(&self) -> Result<BTreeMap<SessionId, Granted>, StoreError> {
        let rows = self.read(LEASES, &[]).await?;
        let leases = rows.iter().map(|row| {
            let until = Timestamp::from_millis(row.try_get(1)?);
            Ok((SessionId::new(row.try_get(0)?), Granted { until, left_ms: row.try_get(2)? }))
        });
        leases.collect::<Result<_, tokio_postgres::Error>>().map_err(unavailable)
    }

    async fn allow(&self, revision: Revision) -> Result<Vec<String>, StoreError> {
        self.allow_revision(revision).await
    }
}

#[async_trait]
impl Cluster for Postgres {
    async fn join(&self, pod: &Pod) -> Result<Timestamp, JoinError> {
        let mut client = self.keeper().await?;
        let transaction = client.transaction().await.map_err(unavailable)?;
        transaction.query(LOCK_NAME, &[&pod.name]).await.map_err(unavailable)?;
        let namesake = transaction.query_opt(NAMESAKE, &[&pod.name, pod.session.uuid()]).await;
        if namesake.map_err(unavailable)?.is_some() {
            return Err(JoinError::NameTaken(pod.name.clone()));
        }
        let reads = READS.number();
        let values: [&(dyn ToSql + Sync); 5] =
            [pod.session.uuid(), &self.lease.millis(), &pod.name, &pod.address, &reads];
        let lease = transaction.query_opt(BEGIN, &values).await.map_err(unavailable)?;
        let lease = until(&lease.ok_or(StoreError::AlreadyThere)?)?;
        transaction.commit().await.map_err(not_committed)?;
        self.name_lanes(pod.session).await?;
        Ok(lease)
    }

    async fn bury(&self) -> Result<Vec<SessionId>, StoreError> {
        let client = self.keeper().await?;
        let bury = client.prepare_cached(BURY).await.map_err(unavailable)?;
        let dead = client.query(&bury, &[]).await.map_err(not_committed)?;
        match dead.is_empty() {
            true => Ok(Vec::new()),
            false => end_lanes(&client, &dead).await,
        }
    }

    async fn claim(&self, session: SessionId, shards: &[Shard]) -> Result<Vec<Shard>, StoreError> {
        let mut client = self.keeper().await?;
        let transaction = client.transaction().await.map_err(unavailable)?;
        let shards = numbers(shards);
        let lock = transaction.prepare_cached(LOCK_SHARDS).await.map_err(unavailable)?;
        transaction.query(&lock, &[&shards]).await.map_err(unavailable)?;
        let claim = transaction.prepare_cached(CLAIM).await.map_err(unavailable)?;
        let claimed = transaction.query(&claim, &[session.uuid(), &shards]).await;
        let claimed = claimed.map_err(unavailable)?;
        transaction.commit().await.map_err(not_committed)?;
        let claimed: Result<Vec<i16>, _> = claimed.iter().map(|row| row.try_get(0)).collect();
        self::shards(&claimed.map_err(unavailable)?)
    }

    async fn hand_over(
        &self,
        from: SessionId,
        shards: &[Shard],
        to: SessionId,
    ) -> Result<(), StoreError> {
        let client = self.keeper().await?;
        let values: [&(dyn ToSql + Sync); 3] = [from.uuid(), &numbers(shards), to.uuid()];
        client.execute(HAND_OVER, &values).await.map_err(not_committed)?;
        Ok(())
    }

    async fn leave(&self, session: SessionId) -> Result<(), StoreError> {
        let client = self.keeper().await?;
        client.execute(LEAVE, &[session.uuid()]).await.map_err(not_committed)?;
        Ok(())
    }

    async fn announce(&self, reader: &Reader) -> Result<(), StoreError> {
        self.announce_reader(reader).await
    }

    async fn withdraw(&self, session: SessionId) -> Result<(), StoreError> {
        self.withdraw_reader(session).await
    }
}

impl Postgres {
    /// Connections that no load and no read can keep waiting.
    async fn keeper(&self) -> Result<Client, StoreError> {
        self.lease_keepers.get().await.map_err(no_connection)
    }

    async fn name_lanes(&self, session: SessionId) -> Result<(), StoreError> {
        for lane in &self.lanes {
            lane.rename(&lane_name(session)).await.map_err(unavailable)?;
        }
        Ok(())
    }
}

async fn end_lanes(client: &Client, over: &[Row]) -> Result<Vec<SessionId>, StoreError> {
    let sessions = over.iter().map(|row| row.try_get(0).map(SessionId::new));
    let sessions: Vec<SessionId> =
        sessions.collect::<Result<_, tokio_postgres::Error>>().map_err(unavailable)?;
    let names: Vec<String> = sessions.iter().copied().map(lane_name).collect();
    client.query(END_LANES, &[&names]).await.map_err(unavailable)?;
    Ok(sessions)
}

/// By this name the server tells whose lanes a connection belongs to.
fn lane_name(session: SessionId) -> String {
    format!("switchyard {session}")
}

fn until(row: &Row) -> Result<Timestamp, StoreError> {
    row.try_get(0).map(Timestamp::from_millis).map_err(unavailable)
}

fn pod(row: &Row) -> Result<Pod, tokio_postgres::Error> {
    let session: Uuid = row.try_get(0)?;
    Ok(Pod { session: SessionId::new(session), name: row.try_get(1)?, address: row.try_get(2)? })
}

pub(super) fn number(shard: Shard) -> i16 {
    i16::try_from(shard.number()).expect("there are fewer shards than that")
}

fn numbers(shards: &[Shard]) -> Vec<i16> {
    shards.iter().copied().map(number).collect()
}

fn shards(numbers: &[i16]) -> Result<Vec<Shard>, StoreError> {
    let shard = |number: &i16| u16::try_from(*number).ok().and_then(Shard::new);
    let unknown = || StoreError::Corrupt("a shard that does not exist has an owner".to_owned());
    numbers.iter().map(|number| shard(number).ok_or_else(unknown)).collect()
}
