//! What is SQLite's own: the folder, its files, and what a restart finds. That it keeps the
//! contract is shown beside the memory store, in `agreement.rs`.

use std::{fs, sync::Arc};

use domain::{
    Network, OrgId, Permission, Preimage, PublicKey, Timestamp,
    org::{Line, Row, Wallet},
};
use ports::{
    Directory, Guard, Journal, Placement, Reads,
    directory::{NodeRecord, OrgRecord},
    guard::Generation,
    journal::{LoadError, Seq},
    reads::{LedgerFilter, PaymentFilter, PaymentOrder},
};
use tempfile::TempDir;

use super::*;
use crate::testing::{Still, Writer, hash_of, node, numbered};

const KEYS: &str = "a:0101010101010101010101010101010101010101010101010101010101010101";
const OTHER: &str = "b:0202020202020202020202020202020202020202020202020202020202020202";
/// The same name for another key.
const FALSE: &str = "a:0303030303030303030303030303030303030303030303030303030303030303";

fn open(folder: &TempDir, keys: Option<&str>) -> Result<Arc<Sqlite>, OpenError> {
    Sqlite::open(folder.path(), keys, Arc::new(Still::default()), LeaseLength::USUAL)
}

fn pool_node() -> NodeRecord {
    NodeRecord {
        id: node(1),
        owner: None,
        name: "alice".to_owned(),
        address: "localhost:10009".to_owned(),
        certificate: None,
        macaroon: b"spending power".to_vec(),
        identity: PublicKey([2; 33]),
        network: Network::Regtest,
        stopped: None,
    }
}

/// One organisation with a wallet, an open send and an open invoice.
async fn fill(store: &Sqlite) -> Writer {
    let record =
        OrgRecord { id: numbered(1), name: "one".to_owned(), created_at: Timestamp::default() };
    store.add_org(&record).await.unwrap();
    store.add_node(&pool_node()).await.unwrap();
    store.begin(numbered(1)).await.unwrap();
    let mut writer = Writer::of(store.load(record.id, numbered(1)).await.unwrap());
    let mut batch = writer.open_wallet();
    batch.extend(writer.send(10, 1, Timestamp::default()));
    batch.extend(writer.receive(20, 9, Timestamp::default()));
    store.append(&batch).await.unwrap();
    writer
}

#[tokio::test]
async fn a_restart_finds_what_was_committed() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder, None).unwrap();
    let before = fill(&store).await;
    drop(store);

    let store = open(&folder, None).unwrap();
    let session = numbered(2);
    assert_eq!(store.renew(numbered(1)).await.unwrap(), Some(Timestamp::from_millis(5_000)));
    store.begin(session).await.unwrap();
    assert_eq!(store.renew(numbered(1)).await.unwrap(), None);
    let old = store.load(before.org.id, numbered(1)).await;
    assert_eq!(old.unwrap_err(), LoadError::NotOwner);

    let mut after = store.load(before.org.id, session).await.unwrap();
    assert_eq!(after.seq, before.seq);
    after.org.epoch = before.org.epoch;
    assert_eq!(after.org, before.org);
    assert_eq!(store.preimage(hash_of(9)).await.unwrap(), Some(Preimage([9; 32])));
    assert_eq!(store.nodes().await.unwrap(), [pool_node()]);
    assert_eq!(store.generation().await.unwrap(), Generation::Same);
}

#[tokio::test]
async fn a_second_process_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(&folder, None).unwrap();
    assert!(matches!(open(&folder, None), Err(OpenError::InUse(_))));
    drop(first);
    open(&folder, None).unwrap();
}

#[test]
fn a_newer_schema_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(&folder, None).unwrap());
    let database = Connection::open(folder.path().join(DATABASE)).unwrap();
    database.pragma_update(None, "user_version", 99).unwrap();
    drop(database);
    assert!(matches!(open(&folder, None), Err(OpenError::NewerSchema { found: 99, .. })));
}

#[tokio::test]
async fn rule_31_a_missing_or_false_key_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    fill(&open(&folder, Some(KEYS)).unwrap()).await;
    let refused = |keys| match open(&folder, keys) {
        Err(OpenError::Seal(error)) => error.to_string(),
        Err(error) => panic!("{error}"),
        Ok(_) => "opened".to_owned(),
    };
    assert!(refused(None).contains("not empty"));
    assert!(refused(Some(OTHER)).contains("rows are sealed with the key a"));
    assert!(refused(Some(FALSE)).contains("is not the one that sealed"));
    let store = open(&folder, Some(&format!("{OTHER},{KEYS}"))).unwrap();
    assert_eq!(store.nodes().await.unwrap(), [pool_node()]);
}

#[tokio::test]
async fn rule_31_nothing_secret_lies_in_the_folder_unsealed() {
    let folder = tempfile::tempdir().unwrap();
    fill(&open(&folder, Some(KEYS)).unwrap()).await;
    let holds =
        |bytes: &[u8], secret: &[u8]| bytes.windows(secret.len()).any(|window| window == secret);
    for file in fs::read_dir(folder.path()).unwrap() {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        assert!(!holds(&bytes, b"spending power"));
        assert!(!holds(&bytes, &[9; 32]));
        assert!(!holds(&bytes, "09".repeat(32).as_bytes()));
    }
}

#[tokio::test]
async fn rule_24_a_database_put_back_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(DATABASE);
    fill(&open(&folder, Some(KEYS)).unwrap()).await;
    let backup = fs::read(&path).unwrap();
    drop(open(&folder, Some(KEYS)).unwrap());

    assert!(!folder.path().join("switchyard.sqlite-wal").exists());
    fs::write(&path, &backup).unwrap();
    let store = open(&folder, Some(KEYS)).unwrap();
    assert!(matches!(store.generation().await.unwrap(), Generation::Changed { .. }));
    drop(store);
    let store = open(&folder, Some(KEYS)).unwrap();
    assert!(matches!(store.generation().await.unwrap(), Generation::Changed { .. }));
    store.freeze("restored").await.unwrap();
    store.thaw(&[]).await.unwrap();
    assert_eq!(store.generation().await.unwrap(), Generation::Same);
    drop(store);
    let store = open(&folder, Some(KEYS)).unwrap();
    assert_eq!(store.generation().await.unwrap(), Generation::Same);
}

#[tokio::test]
async fn rule_24_one_of_the_two_alone_is_a_change() {
    let folder = tempfile::tempdir().unwrap();
    fill(&open(&folder, Some(KEYS)).unwrap()).await;
    let mark = folder.path().join("generation");
    let kept = fs::read(&mark).unwrap();
    fs::remove_file(&mark).unwrap();
    let store = open(&folder, Some(KEYS)).unwrap();
    assert!(matches!(store.generation().await.unwrap(), Generation::Changed { .. }));
    drop(store);

    // The database is lost: a new one must not pass for it.
    fs::write(&mark, kept).unwrap();
    for name in fs::read_dir(folder.path()).unwrap() {
        let path = name.unwrap().path();
        if path.file_name().unwrap().to_string_lossy().starts_with(DATABASE) {
            fs::remove_file(path).unwrap();
        }
    }
    let store = open(&folder, Some(KEYS)).unwrap();
    assert!(matches!(store.generation().await.unwrap(), Generation::Changed { .. }));
}

#[tokio::test]
async fn rule_24_a_start_that_ended_halfway_is_not_a_change() {
    let folder = tempfile::tempdir().unwrap();
    fill(&open(&folder, Some(KEYS)).unwrap()).await;
    let mark = folder.path().join("generation");
    let before = fs::read(&mark).unwrap();
    drop(open(&folder, Some(KEYS)).unwrap());
    fs::write(&mark, before).unwrap();
    for _ in 0..2 {
        let store = open(&folder, Some(KEYS)).unwrap();
        assert_eq!(store.generation().await.unwrap(), Generation::Same);
    }
}

#[tokio::test]
async fn reads_use_their_indexes() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(&folder, Some(KEYS)).unwrap());
    let database = Connection::open(folder.path().join(DATABASE)).unwrap();
    let plan = |sql: &str| -> String {
        let mut explain = database.prepare(&format!("explain query plan {sql}")).unwrap();
        let mut rows = explain.raw_query();
        let mut plan = String::new();
        while let Some(row) = rows.next().unwrap() {
            plan += &row.get::<_, String>(3).unwrap();
            plan += "\n";
        }
        plan
    };
    for sql in [
        "select body from payment where org_id = ?1 and open = 1",
        "select distinct org_id from payment where open = 1 order by org_id",
        "select body from payment where failed_hash = ?1",
        &lists::history_sql(),
        &lists::list_sql(PaymentOrder::Created, true),
        &lists::list_sql(PaymentOrder::Created, false),
        &lists::list_sql(PaymentOrder::Updated, true),
        &lists::list_sql(PaymentOrder::Updated, false),
        &lists::entries(numbered(1), numbered(1), &LedgerFilter::default(), true, (0, 1)).0,
        "select org_id, payment_id, inbox.node_id, hash, paid_msat
         from inbox join incoming_hash using (hash)
         where paid_msat > booked_msat order by inbox.node_id, hash",
    ] {
        let plan = plan(sql);
        assert!(plan.contains("USING") && !plan.contains("TEMP B-TREE"), "{sql}\n{plan}");
        assert!(!plan.contains("SCAN payment\n") && !plan.contains("SCAN inbox\n"), "{plan}");
    }
}

/// All that is told of an organisation's payments, wallets and lines.
async fn told(store: &Sqlite, org: OrgId) -> String {
    let filter = PaymentFilter::all(numbered(1));
    let mut told = format!("{:?}", store.standing(org).await.unwrap());
    for order in [PaymentOrder::Created, PaymentOrder::Updated] {
        let listed = store.find_payments(org, &filter, order, true, None, 0, 99).await.unwrap();
        assert!(listed.len() >= 2);
        told += &format!("{listed:?}");
    }
    for number in [10, 20] {
        let history = store.history(org, numbered(number)).await.unwrap();
        assert!(!history.is_empty());
        told += &format!("{history:?}");
    }
    told + &format!("{:?}", store.feed(org, numbered(1), Seq(0), 99).await.unwrap())
}

/// Takes the database back to what it was before payments were listed.
fn forget_lists(folder: &TempDir) {
    let database = Connection::open(folder.path().join(DATABASE)).unwrap();
    let forget = "update payment set environment_id = null, direction = null, status = null,
            updated_at = null, updated_seq = null, seqs = null, metadata = null;
        update journal set payment_id = null;
        insert into backfill values ('lists')";
    database.execute_batch(forget).unwrap();
    let mut find = database.prepare("select org_id, kind, id, body from standing").unwrap();
    let mut rows = find.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let body: Vec<u8> = row.get(3).unwrap();
        let old = match codec::row_from_bytes(&body).unwrap() {
            Row::Wallet(id, wallet) => {
                let (created_at, updated_at) = Default::default();
                let first_limit_msat = None;
                Row::Wallet(id, Wallet { first_limit_msat, created_at, updated_at, ..wallet })
            }
            Row::Line(id, line) => Row::Line(id, Line { created_at: Default::default(), ..line }),
            other @ (Row::Environment(..)
            | Row::Node(..)
            | Row::Account(..)
            | Row::Outgoing(_)
            | Row::Incoming(_)) => other,
        };
        let key: ([u8; 16], i64, [u8; 16]) =
            (row.get(0).unwrap(), row.get(1).unwrap(), row.get(2).unwrap());
        let write = "update standing set body = ?4 where org_id = ?1 and kind = ?2 and id = ?3";
        let body = codec::row_to_bytes(&old);
        database.execute(write, params![key.0, key.1, key.2, body]).unwrap();
    }
}

#[tokio::test]
async fn what_was_stored_before_the_lists_is_listed() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder, None).unwrap();
    let at = Timestamp::from_millis(7);
    store.begin(numbered(1)).await.unwrap();
    let mut before = Vec::new();
    for number in [2, 3] {
        let (id, name) = (numbered(number), format!("org {number}"));
        store.add_org(&OrgRecord { id, name, created_at: at }).await.unwrap();
        let mut writer = Writer::of(store.load(id, numbered(1)).await.unwrap());
        let secret = u8::try_from(10 * number).unwrap();
        let mut batch = writer.open_wallet_at(at);
        batch.extend(writer.limit(500_000, at.plus_millis(1)));
        batch.extend(writer.send(10, secret, at));
        batch.extend(writer.receive(20, secret + 1, at));
        batch.extend(writer.pay(10, at.plus_millis(2)));
        store.append(&batch).await.unwrap();
        before.push((id, told(&store, id).await));
    }
    drop(store);
    forget_lists(&folder);
    for _ in 0..2 {
        let store = open(&folder, None).unwrap();
        for (org, expected) in &before {
            assert_eq!(&told(&store, *org).await, expected);
        }
    }
}

#[tokio::test]
async fn keys_from_before_permissions_may_do_what_they_could() {
    let folder = tempfile::tempdir().unwrap();
    let database = Connection::open(folder.path().join(DATABASE)).unwrap();
    for migration in &schema::MIGRATIONS[..5] {
        database.execute_batch(migration).unwrap();
    }
    database.pragma_update(None, "user_version", 5).unwrap();
    let key = "insert into api_key
            (key_id, org_id, environment_id, name, digest, created_at, revoked_at)
        values (?1, ?2, ?3, 'till', ?4, 5, ?5)";
    let bytes = |number: u8| [number; 16];
    for (number, revoked_at) in [(1, None), (2, Some(9))] {
        let values = params![bytes(number), bytes(7), bytes(number), [number; 32], revoked_at];
        database.execute(key, values).unwrap();
    }
    drop(database);

    let store = open(&folder, Some(KEYS)).unwrap();
    let keys = store.keys(OrgId::new(uuid::Uuid::from_bytes(bytes(7)))).await.unwrap();
    let at = Timestamp::from_millis;
    assert_eq!(keys.iter().map(|key| key.updated_at).collect::<Vec<_>>(), [at(5), at(9)]);
    for key in keys {
        assert_eq!(key.permissions, Permission::USUAL.into());
        assert_eq!((key.expires_at, key.last_used_at), (None, None));
        assert!(key.valid_ips.is_empty());
    }
}
