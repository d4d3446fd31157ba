//! The bare two-phase loop on embedded SQLite: WAL, synchronous FULL, one writer, prepared
//! statements.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, Statement, TransactionBehavior, params};
use uuid::Uuid;

use crate::Outcome;
use crate::bare::{self, Balances, EPOCH, FUNDED_MSAT, Held, Lane, Pace, Posted, Shape};
use crate::cpu::Meter;
use crate::latency::Latency;
use crate::loadgen::Timing;

/// The tables that grow by every payment have rowids: new rows then lie together, and only the
/// smaller index touches a page for each organisation. The loop is bound by the pages it writes.
const SCHEMA: &str = "
    pragma page_size = 4096;
    pragma journal_mode = wal;
    pragma synchronous = full;
    pragma locking_mode = exclusive;
    pragma cache_size = -262144;
    pragma wal_autocheckpoint = 65536;
    create table org_head (
        org_id blob primary key,
        seq integer not null,
        epoch integer not null
    ) without rowid;
    create table payment (
        org_id blob not null,
        payment_id blob not null,
        hash blob not null,
        amount_msat integer not null,
        hold_msat integer not null,
        cost_msat integer,
        state integer not null,
        primary key (org_id, payment_id)
    );
    create table payment_key (
        payment_id blob primary key,
        org_id blob not null
    ) without rowid;
    create table payment_hash (
        hash blob primary key,
        org_id blob not null,
        payment_id blob not null
    );
    create table journal (
        org_id blob not null,
        seq integer not null,
        at_ms integer not null,
        event blob not null,
        primary key (org_id, seq)
    );
    create table entry (
        org_id blob not null,
        seq integer not null,
        line integer not null,
        account_id blob not null,
        amount_msat integer not null,
        primary key (org_id, seq, line)
    );
    create table balance (
        account_id blob primary key,
        posted_msat integer not null,
        held_msat integer not null
    ) without rowid;
";

const FENCE: &str = "update org_head set seq = ?3 where org_id = ?1 and seq = ?2 and epoch = ?4";
const PAYMENT: &str = "
    insert into payment (org_id, payment_id, hash, amount_msat, hold_msat, state)
    values (?1, ?2, ?3, ?4, ?5, 1)";
const KEY: &str =
    "insert into payment_key (payment_id, org_id) values (?1, ?2) on conflict do nothing";
const HASH: &str = "
    insert into payment_hash (hash, org_id, payment_id) values (?1, ?2, ?3)
    on conflict do nothing";
const JOURNAL: &str = "insert into journal (org_id, seq, at_ms, event) values (?1, ?2, ?3, ?4)";
const ENTRY: &str = "
    insert into entry (org_id, seq, line, account_id, amount_msat) values (?1, ?2, ?3, ?4, ?5)";
const BALANCE: &str = "
    update balance set posted_msat = posted_msat + ?2, held_msat = held_msat + ?3
    where account_id = ?1";
const STATE: &str = "
    update payment set state = 2, cost_msat = ?3
    where org_id = ?1 and payment_id = ?2 and state = 1";

/// Runs the loop on a new file in `folder`, first for a while unmeasured. One lane, whatever the
/// shape says.
pub(crate) fn run(folder: &Path, shape: Shape, timing: Timing) -> Outcome<Pace> {
    let shape = Shape { lanes: 1, ..shape };
    let mut connection = Connection::open(folder.join("bare.sqlite"))?;
    prepare(&mut connection, shape)?;
    let mut lane = Lane::new(shape, 0);
    drive(&mut connection, &mut lane, shape.batch, timing.warmup)?;
    let meter = Meter::default();
    let (cpu, started) = (meter.read(), Instant::now());
    let (payments, batch, commit) = drive(&mut connection, &mut lane, shape.batch, timing.measure)?;
    let (cpu, elapsed) = (meter.read().since(&cpu), started.elapsed());
    let rate = payments as f64 / elapsed.as_secs_f64();
    Ok(Pace { rate, cpu, payments, elapsed, batch, commit })
}

fn drive(
    connection: &mut Connection,
    lane: &mut Lane,
    size: usize,
    time: Duration,
) -> Outcome<(u64, Latency, Latency)> {
    let (mut batch, mut commit) = (Latency::default(), Latency::default());
    let (mut payments, started) = (0, Instant::now());
    while started.elapsed() < time {
        let held = lane.hold(size);
        commit_one(connection, &mut batch, &mut commit, |open| hold(open, &held))?;
        let posted = lane.post(&held);
        commit_one(connection, &mut batch, &mut commit, |open| post(open, &posted))?;
        payments += held.payment_ids.len() as u64;
    }
    Ok((payments, batch, commit))
}

fn commit_one(
    connection: &mut Connection,
    batch: &mut Latency,
    commit: &mut Latency,
    write: impl FnOnce(&Connection) -> Outcome<()>,
) -> Outcome<()> {
    let started = Instant::now();
    let open = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    write(&open)?;
    let sent = Instant::now();
    open.commit()?;
    commit.record(sent.elapsed());
    batch.record(started.elapsed());
    Ok(())
}

fn hold(open: &Connection, held: &Held) -> Outcome<()> {
    fence(open, &held.heads)?;
    let mut payment = open.prepare_cached(PAYMENT)?;
    for at in 0..held.payment_ids.len() {
        let (org, id) = (blob(&held.org_ids[at]), blob(&held.payment_ids[at]));
        let (amount, hold) = (held.amounts[at], held.holds[at]);
        one(payment.execute(params![org, id, &held.hashes[at][..], amount, hold])?)?;
    }
    let mut key = open.prepare_cached(KEY)?;
    for (id, org) in &held.ids {
        one(key.execute(params![blob(id), blob(org)])?)?;
    }
    let mut claim = open.prepare_cached(HASH)?;
    for (hash, org, id) in &held.claims {
        one(claim.execute(params![&hash[..], blob(org), blob(id)])?)?;
    }
    journal(open, &held.journal)?;
    balance(open, &held.balances)
}

fn post(open: &Connection, posted: &Posted) -> Outcome<()> {
    fence(open, &posted.heads)?;
    journal(open, &posted.journal)?;
    let entries = &posted.entries;
    let mut entry = open.prepare_cached(ENTRY)?;
    for at in 0..entries.seqs.len() {
        let (org, account) = (blob(&entries.org_ids[at]), blob(&entries.accounts[at]));
        let (seq, line, amount) = (entries.seqs[at], entries.lines[at], entries.amounts[at]);
        one(entry.execute(params![org, seq, line, account, amount])?)?;
    }
    balance(open, &posted.balances)?;
    let mut state = open.prepare_cached(STATE)?;
    for at in 0..posted.payment_ids.len() {
        let (org, id) = (blob(&posted.org_ids[at]), blob(&posted.payment_ids[at]));
        one(state.execute(params![org, id, posted.costs[at]])?)?;
    }
    Ok(())
}

fn fence(open: &Connection, heads: &bare::Heads) -> Outcome<()> {
    let mut fence = open.prepare_cached(FENCE)?;
    for at in 0..heads.org_ids.len() {
        let org = blob(&heads.org_ids[at]);
        let (expected, next, epoch) = (heads.expected[at], heads.next[at], heads.epochs[at]);
        one(fence.execute(params![org, expected, next, epoch])?)?;
    }
    Ok(())
}

fn journal(open: &Connection, journal: &bare::Journal) -> Outcome<()> {
    let at_ms = 1_750_000_000_000_i64;
    let mut append = open.prepare_cached(JOURNAL)?;
    for at in 0..journal.seqs.len() {
        let org = blob(&journal.org_ids[at]);
        one(append.execute(params![org, journal.seqs[at], at_ms, journal.events[at]])?)?;
    }
    Ok(())
}

fn balance(open: &Connection, balances: &Balances) -> Outcome<()> {
    let mut change = open.prepare_cached(BALANCE)?;
    for at in 0..balances.accounts.len() {
        let account = blob(&balances.accounts[at]);
        one(change.execute(params![account, balances.posted[at], balances.held[at]])?)?;
    }
    Ok(())
}

fn one(rows: usize) -> Outcome<()> {
    if rows == 1 { Ok(()) } else { Err(format!("{rows} rows instead of one").into()) }
}

fn blob(id: &Uuid) -> &[u8] {
    id.as_bytes()
}

fn prepare(connection: &mut Connection, shape: Shape) -> Outcome<()> {
    connection.set_prepared_statement_cache_capacity(32);
    connection.execute_batch(SCHEMA)?;
    let open = connection.transaction()?;
    fill(open.prepare("insert into org_head values (?1, 0, ?2)")?, EPOCH, {
        (0..shape.organisations).map(bare::org_id)
    })?;
    let shared =
        (0..shape.shards).flat_map(|shard| [bare::node_account(shard), bare::fee_account(shard)]);
    let accounts = (0..shape.organisations).map(bare::wallet_account).chain(shared);
    fill(open.prepare("insert into balance values (?1, ?2, 0)")?, FUNDED_MSAT, accounts)?;
    Ok(open.commit()?)
}

fn fill(mut insert: Statement<'_>, value: i64, ids: impl Iterator<Item = Uuid>) -> Outcome<()> {
    for id in ids {
        insert.execute(params![blob(&id), value])?;
    }
    Ok(())
}
