//! The store on PostgreSQL: one primary, which every session reads and writes.
//!
//! Journal lanes have connections of their own and send whole transactions ahead; everything else
//! goes over two pools, one of them for leases alone, which nothing may keep waiting.

mod append;
mod backfill;
mod directory;
mod guard;
mod idempotency;
mod lane;
mod lists;
mod load;
mod lookup;
mod migrate;
mod placement;
mod reads;
mod receipts;
mod revision;
mod seal;
mod session;
mod statements;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use deadpool_postgres::{Manager, ManagerConfig, Pool, QueueMode, RecyclingMethod, Runtime};
use domain::{OrgId, PaymentHash, Preimage, SessionId};
use ports::{
    Journal, StoreError,
    journal::{Append, AppendError, Known, LoadError, Loaded, Question, lane_of},
    placement::LeaseLength,
};
use tokio_postgres::{Config, NoTls, Row, types::ToSql};

use crate::seal::{SealError, SealKeys};
use lane::Lane;

pub use lane::{CommitError, commit};

/// Transactions of the journal that may be under way at once: the second fills the time in which the
/// first one waits for the disk, and a third finds nothing to fill (`performance` §1).
const LANES: usize = 2;

/// Loads, look-ups and reads at once; the server has few cores and these are short.
const READERS: usize = 16;
/// The lease, and a second one while the first is being replaced.
const LEASE_KEEPERS: usize = 2;

/// How long a read waits for a connection before its caller is sent away.
const POOL_WAIT: Duration = Duration::from_secs(2);

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the address of the database cannot be read: {0}")]
    BadUrl(String),
    #[error("the database has schema {found}, and this version knows {known} at most")]
    NewerSchema { found: i32, known: i32 },
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

pub struct Postgres {
    lanes: Vec<Lane>,
    readers: Pool,
    lease_keepers: Pool,
    keys: SealKeys,
    lease: LeaseLength,
}

impl Postgres {
    /// Connects, brings the schema up to date, and checks that every key in use was given.
    pub async fn connect(
        url: &str,
        keys: Option<&str>,
        lease: LeaseLength,
    ) -> Result<Arc<Postgres>, OpenError> {
        let keys = SealKeys::parse(keys.ok_or(SealError::NoneGiven)?)?;
        let config = session::config(url)?;
        migrate::migrate(&config).await?;
        migrate::check_keys(&config, &keys).await?;
        let lane = session::lane_config(&config);
        Ok(Arc::new(Postgres {
            lanes: (0..LANES).map(|_| Lane::new(lane.clone())).collect(),
            readers: pool(&config, READERS),
            lease_keepers: pool(&config, LEASE_KEEPERS),
            keys,
            lease,
        }))
    }

    /// One statement, or a part of it, that only reads.
    async fn read(
        &self,
        statement: &str,
        columns: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        let client = self.readers.get().await.map_err(session::no_connection)?;
        let statement = client.prepare_cached(statement).await.map_err(session::unavailable)?;
        client.query(&statement, columns).await.map_err(session::unavailable)
    }

    /// One statement that commits by itself. Answers how many rows it touched.
    async fn write(
        &self,
        statement: &str,
        columns: &[&(dyn ToSql + Sync)],
    ) -> Result<u64, StoreError> {
        let client = self.readers.get().await.map_err(session::no_connection)?;
        let statement = client.prepare_cached(statement).await.map_err(session::unavailable)?;
        client.execute(&statement, columns).await.map_err(session::not_committed)
    }
}

fn pool(config: &Config, size: usize) -> Pool {
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = Manager::from_config(config.clone(), NoTls, recycling);
    let pool = Pool::builder(manager).max_size(size).runtime(Runtime::Tokio1);
    let pool = pool.wait_timeout(Some(POOL_WAIT)).create_timeout(Some(POOL_WAIT));
    // The one used last has its plans and the tables' pages at hand: with sixteen in turn, each look-up began cold.
    let pool = pool.queue_mode(QueueMode::Lifo);
    pool.build().expect("a runtime is named for the time-outs")
}

#[async_trait]
impl Journal for Postgres {
    fn lanes(&self) -> usize {
        self.lanes.len()
    }

    async fn load(&self, org: OrgId, session: SessionId) -> Result<Loaded, LoadError> {
        self.load_org(org, session).await
    }

    async fn append(&self, batch: &[Append]) -> Result<(), AppendError> {
        let Some(first) = batch.first() else { return Ok(()) };
        let lane = self.lanes.get(lane_of(first.org, self.lanes.len()));
        append::append(lane.expect("lanes are counted"), &self.keys, batch).await
    }

    async fn look_up(&self, questions: &[Question]) -> Result<Vec<Known>, StoreError> {
        self.look_up_all(questions).await
    }

    async fn preimage(&self, hash: PaymentHash) -> Result<Option<Preimage>, StoreError> {
        self.open_preimage(hash).await
    }
}
