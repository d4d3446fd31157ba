//! What can only happen to a store behind a connection.

use std::{sync::Arc, time::Duration};

use domain::{
    Network, OrgId, PaymentId, PublicKey, SessionId,
    org::{Command, Line, Row, Wallet},
};
use ports::{
    Directory, Placement, Reads, StoreError,
    directory::NodeRecord,
    guard::Generation,
    journal::{AppendError, Seq, lane_of},
    lightning::Settlement,
    placement::LeaseLength,
    reads::{PaymentFilter, PaymentOrder},
    receipts::Unknown,
};
use store::{
    Postgres, SealError,
    postgres::{CommitError, OpenError, commit},
};
use tests::postgres::Postgres as Server;
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

use crate::{
    bed::{Bed, ENVIRONMENT, KEYS, ManualClock, NODES, WALLET, id, msat},
    proxy::Proxy,
    rows::story,
    writer::{Writer, hash, paid, send},
};

const PAYMENT: PaymentId = id(1);

/// A database, a store on it, and a connection to look behind the store.
pub(crate) struct Scene {
    server: Arc<Server>,
    url: String,
    pub(crate) bed: Bed,
    pub(crate) client: Client,
}

impl Scene {
    pub(crate) async fn new() -> Scene {
        let server = Arc::new(Server::start());
        let url = server.url_to(&server.new_database());
        let bed = bed(&url).await;
        let client = client(&url).await;
        Scene { server, url, bed, client }
    }

    pub(crate) async fn ask(&self, sql: &str) -> i64 {
        self.client.query_one(sql, &[]).await.unwrap().get(0)
    }

    /// Runs `sql` again and again until it says one.
    async fn until_one(&self, sql: &str) {
        while self.ask(sql).await != 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn bed(url: &str) -> Bed {
    let store = Postgres::connect(url, Some(KEYS), LeaseLength::USUAL).await.unwrap();
    Bed::new(store, ManualClock::new(), None).await
}

async fn client(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Runs at COMMIT, once for each row of the journal.
fn at_commit(body: &str) -> String {
    format!(
        "create function at_commit() returns trigger language plpgsql
            as $$ begin {body}; return null; end $$;
        create constraint trigger at_commit after insert on journal
            deferrable initially deferred for each row execute function at_commit()"
    )
}

const AS_BEFORE: &str = "drop function at_commit cascade";

pub(crate) const END_LANES: &str = "
    select count(pg_terminate_backend(pid)) from pg_stat_activity
    where application_name like 'switchyard %'";

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_commit_that_rolled_back_is_not_believed() {
    let scene = Scene::new().await;
    let client = &scene.client;
    client
        .batch_execute("create table once (n int unique deferrable initially deferred)")
        .await
        .unwrap();
    for spoiled in ["select 1 / 0", "insert into once values (1), (1)"] {
        client.batch_execute("begin").await.unwrap();
        client.batch_execute("insert into once values (7)").await.unwrap();
        let _unread = client.batch_execute(spoiled).await;
        let outcome = commit(client).await;
        assert!(matches!(outcome, Err(CommitError::RolledBack(_))), "{outcome:?}");
        client.batch_execute("rollback").await.unwrap();
    }
    // This is why: the client library calls it a success.
    client.batch_execute("begin").await.unwrap();
    let _unread = client.batch_execute("select 1 / 0").await;
    assert!(client.batch_execute("commit").await.is_ok());
    assert_eq!(scene.ask("select count(*) from once").await, 0);

    client.batch_execute("begin; insert into once values (1)").await.unwrap();
    assert_eq!(commit(client).await, Ok(()));
    assert_eq!(scene.ask("select count(*) from once").await, 1);
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_batch_whose_commit_rolls_back_is_aborted() {
    let Scene { bed, client, .. } = &Scene::new().await;
    let mut writer = bed.org(1).await;
    client.batch_execute(&at_commit("raise 'not today'")).await.unwrap();
    let refused = writer.try_run(bed, send(bed, PAYMENT, hash(1))).await;
    assert_eq!(refused, Err(AppendError::Aborted("not today (P0001)".to_owned())));
    client.batch_execute(AS_BEFORE).await.unwrap();
    writer.run(bed, send(bed, PAYMENT, hash(1))).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn rule_13_a_connection_killed_during_commit_leaves_it_unknown() {
    let scene = Scene::new().await;
    let mut writer = scene.bed.org(1).await;
    scene.client.batch_execute(&at_commit("perform pg_sleep(60)")).await.unwrap();
    let before = writer.clone();
    let append = writer.prepare(&scene.bed, send(&scene.bed, PAYMENT, hash(1)));
    let store = scene.bed.store.clone();
    let lost = tokio::spawn(async move { store.append(&[append]).await });
    let asleep = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'";
    scene.until_one(asleep).await;
    scene.ask(END_LANES).await;
    let lost = lost.await.unwrap();
    assert!(matches!(lost, Err(AppendError::Unknown(_))), "{lost:?}");
    scene.client.batch_execute(AS_BEFORE).await.unwrap();
    let mut loaded = Writer::load(&scene.bed, writer.id()).await;
    assert_eq!(loaded.seq, before.seq);
    loaded.run(&scene.bed, send(&scene.bed, PAYMENT, hash(1))).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn rule_13_a_commit_whose_answer_was_lost_is_found_by_loading() {
    let server = Server::start();
    let proxy = Proxy::start(server.port()).await;
    let direct = server.url_to(&server.new_database());
    let port = |port: u16| format!(":{port}/");
    let by_proxy = bed(&direct.replace(&port(server.port()), &port(proxy.port()))).await;
    let mut writer = by_proxy.org(1).await;
    proxy.lose_the_answer_to("select; commit");
    let lost = writer.try_run(&by_proxy, send(&by_proxy, PAYMENT, hash(1))).await;
    assert!(matches!(lost, Err(AppendError::Unknown(_))), "{lost:?}");
    let mut loaded = Writer::load(&by_proxy, writer.id()).await;
    assert!(loaded.org.outgoing.contains_key(&PAYMENT));
    loaded.run(&by_proxy, paid(&by_proxy, PAYMENT, 1)).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_connection_killed_before_commit_aborts() {
    let scene = Scene::new().await;
    let mut writer = scene.bed.org(1).await;
    scene.client.batch_execute("begin; select from org_head for update").await.unwrap();
    let before = writer.clone();
    let append = writer.prepare(&scene.bed, send(&scene.bed, PAYMENT, hash(1)));
    let store = scene.bed.store.clone();
    let killed = tokio::spawn(async move { store.append(&[append]).await });
    let waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'";
    scene.until_one(waiting).await;
    scene.ask(END_LANES).await;
    let killed = killed.await.unwrap();
    assert!(matches!(killed, Err(AppendError::Aborted(_))), "{killed:?}");
    scene.client.batch_execute("rollback").await.unwrap();
    writer = before;
    writer.run(&scene.bed, send(&scene.bed, PAYMENT, hash(1))).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn rule_30_a_row_that_others_hold_stops_one_lane_for_a_second() {
    let scene = Scene::new().await;
    let mut writers: [Writer; 2] = scene.bed.orgs().await;
    let [one, two] = &mut writers;
    assert_ne!(lane_of(one.id(), 2), lane_of(two.id(), 2));
    let hold = "begin; select from org_head where org_id = '00000000-0000-0000-0000-000000000001'
        for update";
    scene.client.batch_execute(hold).await.unwrap();
    let append = one.prepare(&scene.bed, send(&scene.bed, PAYMENT, hash(1)));
    let store = scene.bed.store.clone();
    let held = tokio::spawn(async move { store.append(&[append]).await });
    let waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'";
    scene.until_one(waiting).await;
    two.run(&scene.bed, send(&scene.bed, PAYMENT, hash(2))).await;
    assert!(!held.is_finished());
    let held = held.await.unwrap();
    assert!(matches!(held, Err(AppendError::Aborted(_))), "{held:?}");
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn rule_30_what_a_session_waits_for_has_an_end() {
    let scene = Scene::new().await;
    let mut writer = scene.bed.org(1).await;
    let write = "insert into seen select name, current_setting(name) from unnest(array[
        'idle_in_transaction_session_timeout', 'lock_timeout', 'statement_timeout',
        'tcp_user_timeout', 'synchronous_commit', 'default_transaction_read_only'
        ]) as name";
    scene.client.batch_execute("create table seen (name text, value text)").await.unwrap();
    scene.client.batch_execute(&at_commit(write)).await.unwrap();
    let command = Command::SetWalletLimit { wallet: WALLET, limit_msat: msat(5) };
    writer.run(&scene.bed, command).await;
    let rows = scene.client.query("select name, value from seen order by name", &[]).await.unwrap();
    let seen: Vec<(String, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let expected = [
        ("default_transaction_read_only", "on"),
        ("idle_in_transaction_session_timeout", "2s"),
        ("lock_timeout", "1s"),
        ("statement_timeout", "5s"),
        ("synchronous_commit", "on"),
        ("tcp_user_timeout", "4000"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(seen, expected);
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_server_that_was_killed_is_used_again() {
    let Scene { server, bed, .. } = &Scene::new().await;
    let mut writer = bed.org(1).await;
    writer.run(bed, send(bed, PAYMENT, hash(1))).await;
    server.kill9();
    let refused = writer.try_run(bed, send(bed, id(2), hash(2))).await;
    assert!(matches!(refused, Err(AppendError::Aborted(_))), "{refused:?}");
    let refused = bed.store.load(writer.id(), bed.session).await.map(|loaded| loaded.seq);
    assert!(refused.is_err());
    let renewed = bed.store.renew(bed.session).await;
    assert!(matches!(renewed, Err(StoreError::Unavailable(_) | StoreError::Unknown(_))));
    server.restart();
    assert!(bed.store.renew(bed.session).await.unwrap().is_some());
    let mut loaded = Writer::load(bed, writer.id()).await;
    assert_eq!(loaded.seq, writer.seq);
    loaded.run(bed, paid(bed, PAYMENT, 1)).await;
    assert!(loaded.stored(bed, PAYMENT).await.is_some());
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn rule_24_another_history_is_noticed() {
    let Scene { bed, client, .. } = &Scene::new().await;
    assert_eq!(bed.store.generation().await, Ok(Generation::Same));
    let restored = "update installation set generation = 'another/00000001'";
    client.batch_execute(restored).await.unwrap();
    let Generation::Changed { recorded, found } = bed.store.generation().await.unwrap() else {
        panic!("not noticed")
    };
    assert_eq!(recorded, "another/00000001");
    assert!(found.ends_with("/00000001"), "{found}");
    assert_eq!(bed.store.thaw(&[]).await, Ok(None));
    assert_ne!(bed.store.generation().await, Ok(Generation::Same), "nobody has looked");
    bed.store.freeze("restored").await.unwrap();
    bed.store.thaw(&[]).await.unwrap();
    assert_eq!(bed.store.generation().await, Ok(Generation::Same));
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn rule_31_the_keys_that_have_sealed_must_be_there() {
    let Scene { url, client, bed, .. } = &Scene::new().await;
    let node = NodeRecord {
        id: NODES[0],
        owner: None,
        name: "alice".to_owned(),
        address: "127.0.0.1:10009".to_owned(),
        certificate: None,
        macaroon: b"spending power".to_vec(),
        identity: PublicKey([2; 33]),
        network: Network::Regtest,
        stopped: None,
    };
    bed.store.add_node(&node).await.unwrap();
    let mut writer = bed.org(1).await;
    writer.receive(bed, PAYMENT, 7, NODES[0]).await;
    let in_clear = "select count(*) from node, incoming_hash
        where position('spending power'::bytea in macaroon_sealed) > 0
        or position(decode(repeat('07', 32), 'hex') in preimage_sealed) > 0";
    assert_eq!(client.query_one(in_clear, &[]).await.unwrap().get::<_, i64>(0), 0);

    const OTHER: &str = "other:0202020202020202020202020202020202020202020202020202020202020202";
    let refused = |keys: Option<String>| async move {
        let refused = Postgres::connect(url, keys.as_deref(), LeaseLength::USUAL).await.err();
        let Some(OpenError::Seal(why)) = refused else { panic!("{refused:?}") };
        why
    };
    assert!(matches!(refused(None).await, SealError::NoneGiven));
    assert!(matches!(refused(Some(OTHER.to_owned())).await, SealError::Unknown(_)));
    let imposter = OTHER.replace("other", "first");
    assert!(matches!(refused(Some(imposter)).await, SealError::DoesNotOpen(_)));
    let both =
        Postgres::connect(url, Some(&format!("{OTHER},{KEYS}")), LeaseLength::USUAL).await.unwrap();
    assert_eq!(both.nodes().await, Ok(vec![node]));
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_newer_schema_is_left_alone() {
    let Scene { url, client, .. } = &Scene::new().await;
    let connecting = (0..8).map(|_| {
        let url = url.clone();
        tokio::spawn(async move {
            Postgres::connect(&url, Some(KEYS), LeaseLength::USUAL).await.is_ok()
        })
    });
    for connected in connecting.collect::<Vec<_>>() {
        assert!(connected.await.unwrap());
    }
    client.batch_execute("insert into schema_version values (99)").await.unwrap();
    let refused = Postgres::connect(url, Some(KEYS), LeaseLength::USUAL).await.err();
    assert!(matches!(refused, Some(OpenError::NewerSchema { found: 99, .. })), "{refused:?}");
}

/// All that is told of the organisation's payments, wallets and lines.
async fn told(store: &dyn Reads, org: OrgId) -> String {
    let filter = PaymentFilter::all(ENVIRONMENT);
    let mut told = format!("{:?}", store.standing(org).await.unwrap());
    for order in [PaymentOrder::Created, PaymentOrder::Updated] {
        let listed = store.find_payments(org, &filter, order, true, None, 0, 99).await.unwrap();
        assert_eq!(listed.len(), 6);
        told += &format!("{listed:?}");
    }
    for number in 1..=6 {
        let history = store.history(org, id(number)).await.unwrap();
        assert!(!history.is_empty());
        told += &format!("{history:?}");
    }
    told + &format!("{:?}", store.feed(org, ENVIRONMENT, Seq(0), 99).await.unwrap())
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn what_was_stored_before_the_lists_is_listed() {
    let Scene { bed, client, url, .. } = &Scene::new().await;
    let org = story(bed).await.id();
    let other = bed.org(2).await;
    let before = told(bed.store.as_ref(), org).await;
    let forget = "update payment set environment_id = null, wallet_id = null, direction = null,
            status = null, updated_at_ms = null, updated_seq = null, seqs = null, metadata = null;
        update journal set payment_id = null;
        insert into backfill values ('lists')";
    client.batch_execute(forget).await.unwrap();
    for row in client.query("select org_id, kind, id, body from standing", &[]).await.unwrap() {
        let (of, kind, key): (Uuid, i16, Uuid) = (row.get(0), row.get(1), row.get(2));
        let old = match codec::row_from_bytes(row.get(3)).unwrap() {
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
        let write = "update standing set body = $4 where org_id = $1 and kind = $2 and id = $3";
        let body = codec::row_to_bytes(&old);
        client.execute(write, &[&of, &kind, &key, &body]).await.unwrap();
    }
    for _ in 0..2 {
        let store = Postgres::connect(url, Some(KEYS), LeaseLength::USUAL).await.unwrap();
        assert_eq!(told(store.as_ref(), org).await, before);
        let wallets = store.standing(other.id()).await.unwrap();
        assert_eq!(wallets, other.org.rows());
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn rule_22_receipts_and_the_cursor_are_one_transaction() {
    let Scene { bed, client, .. } = &Scene::new().await;
    let mut writer = bed.org(1).await;
    writer.receive(bed, PAYMENT, 1, NODES[0]).await;
    let spoil =
        "create function no() returns trigger language plpgsql as $$ begin raise 'no'; end $$;
        create trigger no before insert on node_cursor for each row execute function no()";
    client.batch_execute(spoil).await.unwrap();
    let settled =
        [Settlement { hash: hash(1), paid_msat: msat(5), settle_index: 3, spontaneous: false }];
    let refused = bed.store.take_in(NODES[0], &settled, Unknown::Counted).await;
    assert_eq!(refused, Err(StoreError::Unavailable("no (P0001)".to_owned())));
    assert_eq!(bed.store.open_receipts().await, Ok(Vec::new()));
    client.batch_execute("drop function no cascade").await.unwrap();
    let taken = bed.store.take_in(NODES[0], &settled, Unknown::Counted).await.unwrap();
    assert_eq!(taken.open.len(), 1);
}

/// As the version before says it, which knows no revisions: an engine by its row, a gateway by nothing but
/// its connections.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn an_older_version_is_seen_and_does_not_come_in_behind_a_new_kind() {
    let scene = Scene::new().await;
    let Scene { bed, client, url, .. } = &scene;
    let allow = || bed.store.allow(codec::READS);
    let joins = "insert into pod (session, lease_until, name, address) values
        (gen_random_uuid(), clock_timestamp() + interval '5 seconds', 'engine-9', '')";
    client.batch_execute(joins).await.unwrap();
    assert_eq!(allow().await, Ok(vec!["engine-9".to_owned()]));
    // Until it is buried it may come back.
    client.batch_execute("update pod set lease_until = now() where name <> ''").await.unwrap();
    assert_eq!(allow().await, Ok(vec!["engine-9".to_owned()]));
    client.batch_execute("delete from pod where name <> ''").await.unwrap();

    let gateway = self::client(&format!("{url}?application_name=switchyard")).await;
    let older = allow().await.unwrap();
    assert!(
        matches!(&older[..], [one] if one.ends_with("does not say what it reads")),
        "{older:?}"
    );
    drop(gateway);
    let connections = "select 1 - count(*) from pg_stat_activity
        where application_name = 'switchyard' and datname = current_database()";
    scene.until_one(connections).await;
    assert_eq!(allow().await, Ok(vec![]));

    let refused = client.batch_execute(joins).await.unwrap_err();
    let why = refused.as_db_error().unwrap().message();
    assert_eq!(why, "revision 2 is written, and this version reads 1 at most");
    // One of today's comes in as before.
    let new = Postgres::connect(url, Some(KEYS), LeaseLength::USUAL).await.unwrap();
    let session: SessionId = id(2);
    new.begin(session).await.unwrap();
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn rule_30_whoever_takes_over_ends_the_lanes_of_the_old() {
    let scene = Scene::new().await;
    let (url, old) = (&scene.url, scene.bed.session);
    let connections = |session: SessionId| {
        format!(
            "select count(*) from pg_stat_activity where application_name = 'switchyard {session}'"
        )
    };
    assert_eq!(scene.ask(&connections(old)).await, 2);
    let other = Postgres::connect(url, Some(KEYS), LeaseLength::USUAL).await.unwrap();
    let new: SessionId = id(2);
    other.begin(new).await.unwrap();
    let ended = format!("select 1 - ({})", connections(old));
    scene.until_one(&ended).await;
    assert_eq!(scene.ask(&connections(new)).await, 2);
    assert_eq!(scene.bed.store.renew(old).await, Ok(None));
}
