//! The bare two-phase loop on PostgreSQL: prepared set-based statements and nothing else.
//!
//! Each lane is one connection that sends all statements of a transaction at once, reads and
//! compares every result, and then sends COMMIT. Nothing is decided, looked up or told to anyone.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use tests::postgres::Postgres;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Statement};
use uuid::Uuid;

use crate::Outcome;
use crate::bare::{self, Balances, EPOCH, FUNDED_MSAT, Held, Lane, Pace, Posted, Shape};
use crate::cpu::Meter;
use crate::latency::Latency;
use crate::loadgen::Timing;

const SCHEMA: &str = "
    create table org_head (
        org_id uuid primary key,
        seq bigint not null,
        epoch bigint not null
    ) with (fillfactor = 60);
    create table payment (
        org_id uuid not null,
        payment_id uuid not null,
        hash bytea not null,
        amount_msat bigint not null,
        hold_msat bigint not null,
        cost_msat bigint,
        state smallint not null,
        primary key (org_id, payment_id)
    ) with (fillfactor = 60);
    create table payment_key (
        payment_id uuid primary key,
        org_id uuid not null
    );
    create table payment_hash (
        hash bytea primary key,
        org_id uuid not null,
        payment_id uuid not null
    );
    create table journal (
        org_id uuid not null,
        seq bigint not null,
        at_ms bigint not null,
        event bytea not null,
        primary key (org_id, seq)
    );
    create table entry (
        org_id uuid not null,
        seq bigint not null,
        line smallint not null,
        account_id uuid not null,
        amount_msat bigint not null,
        primary key (org_id, seq, line)
    );
    create table balance (
        account_id uuid primary key,
        posted_msat bigint not null,
        held_msat bigint not null
    ) with (fillfactor = 60);
";

const FENCE: &str = "
    update org_head set seq = batch.next
    from unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[])
        as batch (org_id, expected, next, epoch)
    where org_head.org_id = batch.org_id
        and org_head.seq = batch.expected and org_head.epoch = batch.epoch";

const PAYMENT: &str = "
    insert into payment (org_id, payment_id, hash, amount_msat, hold_msat, state)
    select org_id, payment_id, hash, amount_msat, hold_msat, 1
    from unnest($1::uuid[], $2::uuid[], $3::bytea[], $4::bigint[], $5::bigint[])
        as batch (org_id, payment_id, hash, amount_msat, hold_msat)";

const KEY: &str = "
    insert into payment_key (payment_id, org_id)
    select payment_id, org_id from unnest($1::uuid[], $2::uuid[]) as batch (payment_id, org_id)
    on conflict do nothing";

const HASH: &str = "
    insert into payment_hash (hash, org_id, payment_id)
    select hash, org_id, payment_id
    from unnest($1::bytea[], $2::uuid[], $3::uuid[]) as batch (hash, org_id, payment_id)
    on conflict do nothing";

const JOURNAL: &str = "
    insert into journal (org_id, seq, at_ms, event)
    select org_id, seq, $4, event
    from unnest($1::uuid[], $2::bigint[], $3::bytea[]) as batch (org_id, seq, event)";

const ENTRY: &str = "
    insert into entry (org_id, seq, line, account_id, amount_msat)
    select org_id, seq, line, account_id, amount_msat
    from unnest($1::uuid[], $2::bigint[], $3::smallint[], $4::uuid[], $5::bigint[])
        as batch (org_id, seq, line, account_id, amount_msat)";

const BALANCE: &str = "
    update balance
    set posted_msat = posted_msat + batch.posted, held_msat = held_msat + batch.held
    from unnest($1::uuid[], $2::bigint[], $3::bigint[]) as batch (account_id, posted, held)
    where balance.account_id = batch.account_id";

const STATE: &str = "
    update payment set state = 2, cost_msat = batch.cost
    from unnest($1::uuid[], $2::uuid[], $3::bigint[]) as batch (org_id, payment_id, cost)
    where payment.org_id = batch.org_id and payment.payment_id = batch.payment_id
        and payment.state = 1";

/// The statements are known by heart: planned once, and by key.
const SESSION: &str = "
    set plan_cache_mode = force_generic_plan;
    set random_page_cost = 0.1;
    set seq_page_cost = 0.1;
    set enable_seqscan = off;
    set enable_hashjoin = off;
    set enable_mergejoin = off;
    set jit = off";

/// Runs the loop in a new database, first for a while unmeasured.
pub(crate) fn run(postgres: &Postgres, shape: Shape, timing: Timing) -> Outcome<Pace> {
    let database = postgres.new_database();
    let url = postgres.url_to(&database);
    // One thread drives both lanes: between their commits there is too little to do to wake a
    // second one.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let pace = runtime.block_on(measure(postgres, &url, shape, timing));
    postgres.drop_database(&database);
    pace
}

async fn measure(postgres: &Postgres, url: &str, shape: Shape, timing: Timing) -> Outcome<Pace> {
    prepare(url, shape).await?;
    let progress: &'static Progress = Box::leak(Box::default());
    let mut aged = Vec::new();
    for number in 0..shape.lanes {
        aged.push(age(url, Lane::new(shape, number), progress).await?);
    }
    let client = connect(url).await?;
    client.batch_execute("vacuum analyze").await?;
    client.batch_execute("checkpoint").await?;
    let mut lanes = tokio::task::JoinSet::new();
    for lane in aged {
        let connection = Connection::open(url).await?;
        lanes.spawn(drive(connection, lane, shape.batch, progress));
    }
    let meter = Meter { postgres: Some(postgres), ..Meter::default() };
    tokio::time::sleep(timing.warmup).await;
    let (cpu, paid, started) = (meter.read(), progress.paid(), Instant::now());
    progress.measured.store(true, Ordering::Relaxed);
    tokio::time::sleep(timing.measure).await;
    let (cpu, paid) = (meter.read().since(&cpu), progress.paid() - paid);
    let elapsed = started.elapsed();
    progress.ended.store(true, Ordering::Relaxed);
    let (mut batch, mut commit) = (Latency::default(), Latency::default());
    while let Some(lane) = lanes.join_next().await {
        let times = lane??;
        batch.add(&times.batch);
        commit.add(&times.commit);
    }
    check(url, progress.paid()).await?;
    let rate = paid as f64 / elapsed.as_secs_f64();
    Ok(Pace { rate, cpu, payments: paid, elapsed, batch, commit })
}

#[derive(Default)]
struct Progress {
    payments: AtomicU64,
    measured: AtomicBool,
    ended: AtomicBool,
}

impl Progress {
    fn paid(&self) -> u64 {
        self.payments.load(Ordering::Relaxed)
    }
}

#[derive(Default)]
struct Times {
    batch: Latency,
    commit: Latency,
}

impl Times {
    fn clear(&mut self) {
        self.batch.clear();
        self.commit.clear();
    }
}

/// Makes a history. Statistics of empty tables would have each settled payment looked for among all
/// payments, and the loop would be slower the smaller its batches are.
async fn age(url: &str, mut lane: Lane, progress: &Progress) -> Outcome<Lane> {
    const ROUNDS: usize = 20;
    const PAYMENTS: usize = 500;
    for _ in 0..ROUNDS {
        // Anew each time, so that the statements are planned for what is there.
        let connection = Connection::open(url).await?;
        connection.pay(&mut lane, PAYMENTS, &mut Times::default(), progress).await?;
        connection.client.batch_execute("analyze").await?;
    }
    Ok(lane)
}

/// Holds a batch, settles the same batch, and again.
async fn drive(
    connection: Connection,
    mut lane: Lane,
    batch: usize,
    progress: &'static Progress,
) -> Outcome<Times> {
    let mut times = Times::default();
    while !progress.ended.load(Ordering::Relaxed) {
        if !progress.measured.load(Ordering::Relaxed) {
            times.clear();
        }
        connection.pay(&mut lane, batch, &mut times, progress).await?;
    }
    Ok(times)
}

/// One lane's connection with its prepared statements.
struct Connection {
    client: Client,
    fence: Statement,
    payment: Statement,
    key: Statement,
    hash: Statement,
    journal: Statement,
    entry: Statement,
    balance: Statement,
    state: Statement,
}

impl Connection {
    async fn open(url: &str) -> Outcome<Connection> {
        let client = connect(url).await?;
        client.batch_execute(SESSION).await?;
        Ok(Connection {
            fence: client.prepare(FENCE).await?,
            payment: client.prepare(PAYMENT).await?,
            key: client.prepare(KEY).await?,
            hash: client.prepare(HASH).await?,
            journal: client.prepare(JOURNAL).await?,
            entry: client.prepare(ENTRY).await?,
            balance: client.prepare(BALANCE).await?,
            state: client.prepare(STATE).await?,
            client,
        })
    }

    /// Both phases of one batch.
    async fn pay(
        &self,
        lane: &mut Lane,
        payments: usize,
        times: &mut Times,
        progress: &Progress,
    ) -> Outcome<()> {
        let held = lane.hold(payments);
        self.hold(&held, times).await?;
        self.post(&lane.post(&held), times).await?;
        progress.payments.fetch_add(payments as u64, Ordering::Relaxed);
        Ok(())
    }

    async fn hold(&self, held: &Held, times: &mut Times) -> Outcome<()> {
        let started = Instant::now();
        let hashes: Vec<&[u8]> = held.hashes.iter().map(|hash| &hash[..]).collect();
        let (ids, id_orgs): (Vec<Uuid>, Vec<Uuid>) = held.ids.iter().copied().unzip();
        let claims: Vec<&[u8]> = held.claims.iter().map(|(hash, ..)| &hash[..]).collect();
        let (claim_orgs, claim_ids): (Vec<Uuid>, Vec<Uuid>) =
            held.claims.iter().map(|&(_, org, payment)| (org, payment)).unzip();
        // Sent in this order in one packet: nothing waits for the answer to the statement before.
        let (begin, heads, payments, keys, claimed, journal, balances) = tokio::join!(
            biased;
            self.client.batch_execute("begin"),
            self.fence(&held.heads),
            self.send(
                &self.payment,
                [&held.org_ids, &held.payment_ids, &hashes, &held.amounts, &held.holds],
            ),
            self.send(&self.key, [&ids, &id_orgs]),
            self.send(&self.hash, [&claims, &claim_orgs, &claim_ids]),
            self.journal(&held.journal),
            self.balance(&held.balances),
        );
        begin?;
        let count = held.payment_ids.len();
        compare(&[
            ("heads", heads?, held.heads.org_ids.len()),
            ("payments", payments?, count),
            ("ids", keys?, count),
            ("hashes", claimed?, count),
            ("journal", journal?, count),
            ("balances", balances?, held.balances.accounts.len()),
        ])?;
        self.commit(started, times).await
    }

    async fn post(&self, posted: &Posted, times: &mut Times) -> Outcome<()> {
        let started = Instant::now();
        let entries = &posted.entries;
        let (begin, heads, journal, lines, balances, states) = tokio::join!(
            biased;
            self.client.batch_execute("begin"),
            self.fence(&posted.heads),
            self.journal(&posted.journal),
            self.send(
                &self.entry,
                [
                    &entries.org_ids,
                    &entries.seqs,
                    &entries.lines,
                    &entries.accounts,
                    &entries.amounts,
                ],
            ),
            self.balance(&posted.balances),
            self.send(&self.state, [&posted.org_ids, &posted.payment_ids, &posted.costs]),
        );
        begin?;
        let count = posted.payment_ids.len();
        compare(&[
            ("heads", heads?, posted.heads.org_ids.len()),
            ("journal", journal?, count),
            ("entries", lines?, entries.seqs.len()),
            ("balances", balances?, posted.balances.accounts.len()),
            ("states", states?, count),
        ])?;
        self.commit(started, times).await
    }

    async fn fence(&self, heads: &bare::Heads) -> Outcome<u64> {
        let bare::Heads { org_ids, expected, next, epochs } = heads;
        self.send(&self.fence, [org_ids, expected, next, epochs]).await
    }

    async fn journal(&self, journal: &bare::Journal) -> Outcome<u64> {
        let at_ms = 1_750_000_000_000_i64;
        let bare::Journal { org_ids, seqs, events } = journal;
        self.send(&self.journal, [org_ids, seqs, events, &at_ms]).await
    }

    async fn balance(&self, balances: &Balances) -> Outcome<u64> {
        let Balances { accounts, posted, held } = balances;
        self.send(&self.balance, [accounts, posted, held]).await
    }

    async fn send<const N: usize>(
        &self,
        statement: &Statement,
        columns: [&(dyn ToSql + Sync); N],
    ) -> Outcome<u64> {
        Ok(self.client.execute(statement, &columns).await?)
    }

    async fn commit(&self, started: Instant, times: &mut Times) -> Outcome<()> {
        let sent = Instant::now();
        self.client.batch_execute("commit").await?;
        times.commit.record(sent.elapsed());
        times.batch.record(started.elapsed());
        Ok(())
    }
}

/// Each statement must have touched exactly the rows it was given, or COMMIT is not sent.
fn compare(results: &[(&str, u64, usize)]) -> Outcome<()> {
    for &(what, rows, expected) in results {
        if rows != expected as u64 {
            return Err(format!("{what}: {rows} rows instead of {expected}").into());
        }
    }
    Ok(())
}

async fn connect(url: &str) -> Outcome<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn prepare(url: &str, shape: Shape) -> Outcome<()> {
    let client = connect(url).await?;
    client.batch_execute(SCHEMA).await?;
    let org_ids: Vec<Uuid> = (0..shape.organisations).map(bare::org_id).collect();
    let heads = "insert into org_head select unnest($1::uuid[]), 0, $2";
    client.execute(heads, &[&org_ids, &EPOCH]).await?;
    let wallets = (0..shape.organisations).map(bare::wallet_account);
    let shared =
        (0..shape.shards).flat_map(|shard| [bare::node_account(shard), bare::fee_account(shard)]);
    let accounts: Vec<Uuid> = wallets.chain(shared).collect();
    let balances = "insert into balance select unnest($1::uuid[]), $2, 0";
    client.execute(balances, &[&accounts, &FUNDED_MSAT]).await?;
    Ok(())
}

/// The loop must have done what it says: a yardstick that loses rows is too long.
async fn check(url: &str, paid: u64) -> Outcome<()> {
    const COUNTS: &str = "
        select (select count(*) from payment where state = 2 and cost_msat <= hold_msat),
            (select count(*) from payment_key), (select count(*) from payment_hash),
            (select count(*) from journal) / 2,
            (select sum(seq)::bigint from org_head) / 2";
    const WRONG: &str = "
        select count(*) from balance
        left join (
            select account_id, sum(amount_msat)::bigint as total from entry group by account_id
        ) as entries using (account_id)
        where posted_msat <> $1 + coalesce(total, 0) or held_msat <> 0";
    const SUM: &str = "select coalesce(sum(amount_msat), 0)::bigint from entry";
    let client = connect(url).await?;
    let counts = client.query_one(COUNTS, &[]).await?;
    for column in 0..counts.len() {
        let count: i64 = counts.get(column);
        if u64::try_from(count) != Ok(paid) {
            return Err(format!("bare loop: {count} in column {column}, paid {paid}").into());
        }
    }
    let wrong: i64 = client.query_one(WRONG, &[&FUNDED_MSAT]).await?.get(0);
    let sum: i64 = client.query_one(SUM, &[]).await?.get(0);
    if (wrong, sum) != (0, 0) {
        return Err(format!("bare loop: {wrong} balances are wrong, entries sum to {sum}").into());
    }
    Ok(())
}
