//! What a crash at each point of a transaction leaves behind. A binary of its own: fail points are
//! the whole process's.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use std::sync::Arc;

use domain::{
    EnvironmentId, Msat, NodeId, OrgId, PaymentHash, SessionId, Timestamp,
    id::Id,
    org::{Environment, Event, Row},
    payment::Epoch,
};
use ports::{
    Clock, Directory, Journal, Placement, Receipts, StoreError,
    directory::OrgRecord,
    journal::{Append, AppendError, LoadError, Loaded, Seq},
    lightning::Settlement,
    placement::LeaseLength,
    receipts::Unknown,
};
use store::Sqlite;
use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard};
use uuid::Uuid;

struct Zero;

impl Clock for Zero {
    fn now(&self) -> Timestamp {
        Timestamp::default()
    }
}

fn id<Kind>(number: u128) -> Id<Kind> {
    Id::new(Uuid::from_u128(number))
}

const ORG: u128 = 1;
const SESSION: u128 = 2;

/// One store, one organisation in it, and the fail points to itself.
struct Bed {
    store: Arc<Sqlite>,
    _folder: TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl Bed {
    async fn new() -> Bed {
        static ALONE: Mutex<()> = Mutex::const_new(());
        let alone = ALONE.lock().await;
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open(folder.path(), None, Arc::new(Zero), LeaseLength::USUAL).unwrap();
        store.begin(id(SESSION)).await.unwrap();
        let created_at = Timestamp::default();
        let record = OrgRecord { id: id(ORG), name: "one".to_owned(), created_at };
        store.add_org(&record).await.unwrap();
        Bed { store, _folder: folder, _alone: alone }
    }

    async fn load(&self) -> Result<Loaded, LoadError> {
        let (org, session): (OrgId, SessionId) = (id(ORG), id(SESSION));
        self.store.load(org, session).await
    }

    /// Commits an environment while the point answers an error.
    async fn append_at(&self, point: &str) -> AppendError {
        let Loaded { org, seq } = self.load().await.unwrap();
        let (environment, name): (EnvironmentId, _) = (id(3), "live".to_owned());
        let append = Append {
            org: org.id,
            epoch: org.epoch,
            expected: seq,
            at: Timestamp::default(),
            events: vec![Event::EnvironmentCreated { environment, name: name.clone() }],
            rows: vec![Row::Environment(environment, Environment { name, first_name: None })],
            preimages: Vec::new(),
            taken: Vec::new(),
        };
        fail::cfg(point, "return").unwrap();
        let error = self.store.append(&[append]).await.unwrap_err();
        fail::remove(point);
        error
    }
}

#[tokio::test]
async fn before_commit_nothing_is_left() {
    for point in ["store::before_append", "store::before_commit"] {
        let bed = Bed::new().await;
        assert!(matches!(bed.append_at(point).await, AppendError::Aborted(_)));
        let loaded = bed.load().await.unwrap();
        assert_eq!((loaded.seq, loaded.org.environments.len()), (Seq(0), 0));
    }
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_found_by_loading() {
    let bed = Bed::new().await;
    assert!(matches!(bed.append_at("store::after_commit").await, AppendError::Unknown(_)));
    let loaded = bed.load().await.unwrap();
    assert_eq!((loaded.seq, loaded.org.environments.len()), (Seq(1), 1));
}

#[tokio::test]
async fn a_load_that_did_not_commit_moves_nothing() {
    let bed = Bed::new().await;
    fail::cfg("store::load_before_commit", "return").unwrap();
    assert!(matches!(bed.load().await, Err(LoadError::Store(StoreError::Unavailable(_)))));
    fail::remove("store::load_before_commit");
    assert_eq!(bed.load().await.unwrap().org.epoch, Epoch(1));
}

#[tokio::test]
async fn rule_22_the_cursor_moves_with_the_receipts() {
    let node: NodeId = id(4);
    let paid_msat = Msat::ZERO;
    let batch =
        [Settlement { hash: PaymentHash([1; 32]), paid_msat, settle_index: 5, spontaneous: false }];
    for (point, cursor) in [("store::take_in_before_commit", 0), ("store::take_in_after_commit", 5)]
    {
        let bed = Bed::new().await;
        fail::cfg(point, "return").unwrap();
        assert!(bed.store.take_in(node, &batch, Unknown::Kept).await.is_err());
        fail::remove(point);
        assert_eq!(bed.store.settle_cursor(node).await, Ok(cursor));
    }
}

#[tokio::test]
async fn work_that_panics_does_not_stop_the_writer() {
    let bed = Bed::new().await;
    fail::cfg("store::load_before_commit", "panic").unwrap();
    assert!(bed.load().await.is_err());
    fail::remove("store::load_before_commit");
    assert_eq!(bed.load().await.unwrap().org.epoch, Epoch(1));
}
