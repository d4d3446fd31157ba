//! The embedded store: one file, one writer on its own thread, a few readers beside it.
//!
//! Readers begin after a commit was acknowledged, so they see it: SQLite's snapshot is the state at
//! the first read. The file lock on the data folder stands for ownership: one process at a time.

mod append;
mod backfill;
mod directory;
mod generation;
mod guard;
mod idempotency;
mod journal;
mod keys;
mod lists;
mod reads;
mod receipts;
mod schema;
mod sql;
#[cfg(test)]
mod tests;
mod worker;

use std::{
    collections::BTreeMap,
    fs::{DirBuilder, File, TryLockError},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use domain::{SessionId, Timestamp, org::Revision};
use ports::{
    Clock, Placement, StoreError,
    guard::Generation,
    placement::{Granted, LeaseLength, PlacementMap, Pod, SHARDS},
};
use rusqlite::{Connection, OptionalExtension, params};

use self::{
    sql::{SqlError, bytes, write},
    worker::{Lost, Workers},
};
use crate::seal::{SealError, SealKeys};

const DATABASE: &str = "switchyard.sqlite";
const LOCK: &str = "lock";

/// Enough to keep the cores of a small machine busy beside the writer.
const READERS: usize = 3;

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("another process is using the data folder {}", .0.display())]
    InUse(PathBuf),
    #[error("the data folder cannot be used")]
    Folder(#[source] io::Error),
    #[error(
        "the database has schema {found}, this version knows {known}: it is older than the data"
    )]
    NewerSchema { found: i64, known: usize },
    #[error("the database keeps its journal in mode {0}, not as a write-ahead log")]
    NoWriteAheadLog(String),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the database cannot be opened")]
    Sql(#[source] rusqlite::Error),
}

/// A database that is damaged does not mend itself: a person has to put a copy back.
impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> OpenError {
        match sql::corrupt(&error) {
            Some(corrupt) => OpenError::Store(corrupt),
            None => OpenError::Sql(error),
        }
    }
}

pub struct Sqlite {
    // Dropped in this order: the writer closes last and so carries its log into the database, and
    // the threads have ended before another process may lock the folder.
    readers: Workers,
    writer: Workers,
    keys: Arc<SealKeys>,
    clock: Arc<dyn Clock>,
    lease: LeaseLength,
    folder: PathBuf,
    generation: Mutex<Generation>,
    _lock: File,
}

impl Sqlite {
    /// Opens the store in `folder`, which is made if it is not there. `seal_keys` is the text of
    /// [`SealKeys::parse`]; without it the keys are in the folder.
    pub fn open(
        folder: &Path,
        seal_keys: Option<&str>,
        clock: Arc<dyn Clock>,
        lease: LeaseLength,
    ) -> Result<Arc<Sqlite>, OpenError> {
        let lock = lock(folder)?;
        let path = folder.join(DATABASE);
        let mut connection = schema::open_writer(&path)?;
        backfill::lists(&mut connection).map_err(StoreError::from)?;
        let empty = is_empty(&connection)?;
        // Before anything of the start is written: with the wrong keys it must not begin.
        let keys = SealKeys::find(seal_keys, folder, empty)?;
        keys::check(&mut connection, &keys)?;
        let generation = generation::start(&connection, folder, empty)?;
        let readers: Result<Vec<_>, _> = (0..READERS).map(|_| schema::open_reader(&path)).collect();
        Ok(Arc::new(Sqlite {
            writer: Workers::start("store-writer", vec![connection]).map_err(OpenError::Folder)?,
            readers: Workers::start("store-reader", readers?).map_err(OpenError::Folder)?,
            keys: Arc::new(keys),
            clock,
            lease,
            folder: folder.to_owned(),
            generation: Mutex::new(generation),
            _lock: lock,
        }))
    }

    /// Commits what `work` writes. An answer that was lost may stand for a commit.
    async fn change<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, SqlError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let done = self.writer.run(|connection| write(connection, |open| work(open)));
        let done = done.await.map_err(|_: Lost| StoreError::Unknown(Lost::WHY.to_owned()))?;
        done.map_err(StoreError::from)
    }

    /// Reads as of one instant.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, SqlError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let done = self.readers.run(|connection| sql::read(connection, |open| work(open)));
        done.await?.map_err(StoreError::from)
    }
}

/// Held for as long as the file is open; the operating system lets it go when the process ends.
fn lock(folder: &Path) -> Result<File, OpenError> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(OpenError::Folder)?;
    let mut options = File::options();
    let file = options.read(true).write(true).create(true).truncate(false).open(folder.join(LOCK));
    let file = file.map_err(OpenError::Folder)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(folder.to_owned())),
        Err(TryLockError::Error(error)) => Err(OpenError::Folder(error)),
    }
}

fn is_empty(connection: &Connection) -> Result<bool, OpenError> {
    let sql = "select not exists (select 1 from org) and not exists (select 1 from node)";
    Ok(connection.query_row(sql, [], |row| row.get(0))?)
}

#[async_trait]
impl Placement for Sqlite {
    fn lease_length(&self) -> LeaseLength {
        self.lease
    }

    async fn begin(&self, session: SessionId) -> Result<Timestamp, StoreError> {
        let until = self.clock.now().plus_millis(self.lease.millis());
        self.change(move |open| {
            // We hold the folder's lock, so every other life is over.
            open.execute("delete from pod", [])?;
            let sql = "insert into pod (session_id, lease_until) values (?1, ?2)";
            open.execute(sql, params![bytes(&session), until.millis()])?;
            Ok(until)
        })
        .await
    }

    async fn renew(&self, session: SessionId) -> Result<Option<Timestamp>, StoreError> {
        let until = self.clock.now().plus_millis(self.lease.millis());
        self.change(move |open| {
            let sql = "update pod set lease_until = ?2 where session_id = ?1 returning 1";
            let mut renew = open.prepare_cached(sql)?;
            let row = renew.query_row(params![bytes(&session), until.millis()], |_| Ok(until));
            Ok(row.optional()?)
        })
        .await
    }

    async fn map(&self) -> Result<PlacementMap, StoreError> {
        let now = self.clock.now();
        let session = self.read(move |open| {
            let living = "select session_id from pod where lease_until > ?1";
            Ok(open.query_row(living, [now.millis()], |row| Ok(sql::id(row.get(0)?))).optional()?)
        });
        let session: Option<SessionId> = session.await?;
        let pod = |session| Pod { session, name: String::new(), address: String::new() };
        let pods = session.map(pod).into_iter().collect();
        Ok(PlacementMap { pods, owners: Arc::new(vec![session; usize::from(SHARDS)]) })
    }

    async fn leases(&self) -> Result<BTreeMap<SessionId, Granted>, StoreError> {
        let now = self.clock.now();
        self.read(move |open| {
            let mut lives = open.prepare_cached("select session_id, lease_until from pod")?;
            let lives = lives.query_map([], |row| {
                let until = Timestamp::from_millis(row.get(1)?);
                let left_ms = until.millis_since(now);
                Ok((sql::id(row.get(0)?), Granted { until, left_ms }))
            })?;
            Ok(lives.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// We hold the folder's lock, and an older version that takes it later is refused by the number of
    /// the schema.
    async fn allow(&self, _: Revision) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }
}
