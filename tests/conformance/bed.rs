//! A store with nothing in it, and a life that has begun on it.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use domain::{
    EnvironmentId, LineId, Msat, NodeId, OrgId, SessionId, Timestamp, WalletId,
    id::Id,
    org::{Backing, Command, Metadata},
};
use ports::{
    Clock, Cluster, Directory, Guard, Idempotency, Journal, Placement, Reads, Receipts,
    directory::OrgRecord, placement::LeaseLength,
};
use store::{Faulty, Memory, Postgres, Sqlite};
use tempfile::TempDir;
use uuid::Uuid;

use crate::writer::Writer;

pub(crate) const KEYS: &str =
    "first:0101010101010101010101010101010101010101010101010101010101010101";

/// Everything that one store is.
pub(crate) trait Store:
    Journal + Placement + Receipts + Reads + Directory + Guard + Idempotency
{
}

impl<S: Journal + Placement + Receipts + Reads + Directory + Guard + Idempotency> Store for S {}

/// Which store a suite runs on.
pub(crate) enum Kind<'a> {
    Memory,
    Faulty,
    Sqlite,
    Postgres(&'a tests::postgres::Postgres),
}

impl fmt::Debug for Kind<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Memory => "memory",
            Kind::Faulty => "memory without faults",
            Kind::Sqlite => "SQLite",
            Kind::Postgres(_) => "PostgreSQL",
        })
    }
}

/// Moved by hand.
pub(crate) struct ManualClock(AtomicI64);

impl ManualClock {
    pub(crate) fn new() -> Arc<ManualClock> {
        Arc::new(ManualClock(AtomicI64::new(1_750_000_000_000)))
    }

    pub(crate) fn tick(&self) {
        self.advance(1);
    }

    pub(crate) fn advance(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::AcqRel);
    }

    /// Whether an instant that the store has named is of this clock, and not of one of its own.
    pub(crate) fn is_the_stores(&self, named: Timestamp) -> bool {
        named.millis_since(self.now()).abs() < 60_000
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Acquire))
    }
}

#[derive(Clone)]
pub(crate) struct Bed {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) session: SessionId,
    /// Of a store that several processes may share.
    cluster: Option<Arc<dyn Cluster>>,
    _folder: Option<Arc<TempDir>>,
}

impl Kind<'_> {
    /// Whether several processes may share it.
    pub(crate) fn is_shared(&self) -> bool {
        matches!(self, Kind::Memory | Kind::Postgres(_))
    }

    pub(crate) async fn bed(&self) -> Bed {
        let clock = ManualClock::new();
        let folder = matches!(self, Kind::Sqlite).then(|| Arc::new(TempDir::new().unwrap()));
        let mut cluster: Option<Arc<dyn Cluster>> = None;
        let store: Arc<dyn Store> = match (self, &folder) {
            (Kind::Sqlite, Some(folder)) => {
                Sqlite::open(folder.path(), Some(KEYS), clock.clone(), LeaseLength::USUAL).unwrap()
            }
            (Kind::Memory | Kind::Sqlite, _) => {
                let memory = Arc::new(Memory::new(clock.clone()));
                cluster = Some(memory.clone());
                memory
            }
            (Kind::Faulty, _) => {
                Arc::new(Faulty::new(Arc::new(Memory::new(clock.clone())), |_| None))
            }
            (Kind::Postgres(server), _) => {
                let url = server.url_to(&server.new_database());
                let postgres =
                    Postgres::connect(&url, Some(KEYS), LeaseLength::USUAL).await.unwrap();
                cluster = Some(postgres.clone());
                postgres
            }
        };
        Bed { cluster, ..Bed::new(store, clock, folder).await }
    }
}

impl Bed {
    pub(crate) async fn new(
        store: Arc<dyn Store>,
        clock: Arc<ManualClock>,
        folder: Option<Arc<TempDir>>,
    ) -> Bed {
        let session = id(0x5e55);
        Placement::begin(store.as_ref(), session).await.unwrap();
        Bed { store, clock, session, cluster: None, _folder: folder }
    }

    pub(crate) fn cluster(&self) -> Arc<dyn Cluster> {
        self.cluster.clone().expect("the suite asks only stores that have one")
    }

    /// The same store through other eyes.
    pub(crate) fn with(&self, store: Arc<dyn Store>) -> Bed {
        Bed { store, ..self.clone() }
    }

    /// Adds an organisation with one wallet on one line of credit, and loads it.
    pub(crate) async fn org(&self, number: u64) -> Writer {
        let org: OrgId = id(u128::from(number));
        let record =
            OrgRecord { id: org, name: format!("org {number}"), created_at: self.clock.now() };
        self.store.add_org(&record).await.unwrap();
        let mut writer = Writer::load(self, org).await;
        let appends = Bed::commands().map(|command| writer.prepare(self, command));
        self.store.append(&appends).await.unwrap();
        writer
    }

    pub(crate) fn commands() -> [Command; 3] {
        [
            Command::CreateEnvironment { environment: ENVIRONMENT, name: "live".to_owned() },
            Command::OpenLine { line: LINE, environment: ENVIRONMENT, limit_msat: msat(LIMIT) },
            Command::CreateWallet {
                wallet: WALLET,
                environment: ENVIRONMENT,
                name: "main".to_owned(),
                backing: Backing::Line(LINE),
                limit_msat: msat(LIMIT),
                metadata: Metadata::new(),
            },
        ]
    }

    pub(crate) async fn orgs<const N: usize>(&self) -> [Writer; N] {
        let mut writers = Vec::new();
        for number in (1..).take(N) {
            writers.push(self.org(number).await);
        }
        <[Writer; N]>::try_from(writers).unwrap()
    }
}

const LIMIT: u64 = 1_000_000_000;

/// Every organisation uses the same ids: they are unique in it, not beyond.
pub(crate) const ENVIRONMENT: EnvironmentId = id(0xe1);
pub(crate) const LINE: LineId = id(0xf1);
pub(crate) const WALLET: WalletId = id(0xa1);

pub(crate) const NODES: [NodeId; 3] = [id(0xd1), id(0xd2), id(0xd3)];

pub(crate) const fn id<Of>(number: u128) -> Id<Of> {
    Id::new(Uuid::from_u128(number))
}

pub(crate) fn msat(amount: u64) -> Msat {
    Msat::new(amount).unwrap()
}
