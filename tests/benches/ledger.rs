//! W3: posts to the ledger at library level: decide, apply, encode, append, commit; no network, no node.
//!
//! A post is a receipt that raises what an invoice was paid: the one decision that is nothing but a
//! post.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::org::{Backing, Command, Metadata, ReceiveTerms};
use domain::{
    EnvironmentId, LineId, Msat, NodeId, OrgId, PaymentId, Preimage, Timestamp, WalletId,
};
use domain::{SessionId, SignedMsat, id::Id};
use ports::journal::{Append, lane_of};
use ports::{Directory, Journal, Placement, directory::OrgRecord, placement::LeaseLength};
use store::Postgres;
use tests::writer::Writer;
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::cpu::Meter;
use crate::latency::Latency;
use crate::table::{Check, Workload};
use crate::{Bench, Outcome, bare};

/// Posts that wait for their commit, over all lanes.
const WAITING: usize = 512;

const KEYS: &str = "bench:5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a";

/// Ids are unique in their organisation, not beyond.
const SESSION: SessionId = id(1);
const ENVIRONMENT: EnvironmentId = id(2);
const LINE: LineId = id(3);
const WALLET: WalletId = id(4);
const NODE: NodeId = id(5);
const INVOICE: PaymentId = id(6);

const NOW: Timestamp = Timestamp::from_millis(1_750_000_000_000);

/// Over all organisations, then all in one of them.
pub(crate) fn run(bench: &Bench) -> Outcome<Vec<Workload>> {
    let uniform = on_threads_of_its_own(bench, "W3", bare::ORGANISATIONS)?;
    let hot = on_threads_of_its_own(bench, "W3 hot", 1)?;
    Ok(vec![uniform, hot])
}

/// The store needs both cores, as it does in the product.
fn on_threads_of_its_own(
    bench: &Bench,
    id: &'static str,
    organisations: usize,
) -> Outcome<Workload> {
    std::thread::scope(|scope| {
        let posting = scope.spawn(|| {
            let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
            runtime.block_on(post(bench, id, organisations))
        });
        posting.join().map_err(|_| "it panicked")?
    })
}

async fn post(bench: &Bench, id: &'static str, organisations: usize) -> Outcome<Workload> {
    let url = bench.postgres.url_to(&bench.postgres.new_database());
    let store = Postgres::connect(&url, Some(KEYS), LeaseLength::USUAL).await?;
    store.begin(SESSION).await?;
    let mut lanes: Vec<Lane> = (0..store.lanes()).map(|_| Lane::default()).collect();
    for number in 0..organisations {
        let org = org_id(number);
        lanes[lane_of(org, store.lanes())].writers.push(writer(&store, org).await?);
    }
    lanes.retain(|lane| !lane.writers.is_empty());
    let each = WAITING / lanes.len();
    for lane in &mut lanes {
        lane.waiting = each;
    }
    let lanes = lanes_after(&store, lanes, bench.timing.warmup).await?;
    let before: u64 = lanes.iter().map(|lane| lane.posted).sum();
    let meter = Meter { postgres: Some(&bench.postgres), ..Meter::default() };
    let (cpu, started) = (meter.read(), Instant::now());
    let lanes = lanes_after(&store, lanes, bench.timing.measure).await?;
    let (cpu, elapsed) = (meter.read().since(&cpu), started.elapsed());
    let posted: u64 = lanes.iter().map(|lane| lane.posted).sum();
    let mut latency = Latency::default();
    lanes.iter().for_each(|lane| latency.add(&lane.latency));
    let found = stored(&store, &lanes).await?;
    let missing =
        Check::at_most("posts that are not in the store", posted as f64 - found, 0.0, 0.0);
    let done = posted - before;
    let rate = done as f64 / elapsed.as_secs_f64();
    let checks = vec![missing];
    Ok(Workload { id, rate, done, elapsed, latency, cpu, checks, ..Workload::default() })
}

/// Posts of the organisations of one lane, one transaction after the other.
#[derive(Default)]
struct Lane {
    writers: Vec<Writer>,
    waiting: usize,
    posted: u64,
    latency: Latency,
}

async fn lanes_after(
    store: &Arc<Postgres>,
    lanes: Vec<Lane>,
    time: Duration,
) -> Outcome<Vec<Lane>> {
    let mut running = JoinSet::new();
    for mut lane in lanes {
        let store = store.clone();
        running.spawn(async move {
            let started = Instant::now();
            lane.latency.clear();
            while started.elapsed() < time {
                let since = Instant::now();
                store.append(&lane.batch()).await?;
                lane.latency.record(since.elapsed());
            }
            Outcome::Ok(lane)
        });
    }
    let mut back = Vec::new();
    while let Some(lane) = running.join_next().await {
        back.push(lane??);
    }
    Ok(back)
}

impl Lane {
    /// One more millisatoshi for each organisation in turn.
    fn batch(&mut self) -> Vec<Append> {
        let turns = (0..self.waiting).map(|_| {
            let count = self.writers.len() as u64;
            let (at, round) = (self.posted % count, self.posted / count);
            self.posted += 1;
            let paid_msat = msat(round + 1);
            let command = Command::Receipt { payment: INVOICE, paid_msat };
            self.writers[at as usize].prepare(NOW, &command)
        });
        turns.collect()
    }
}

/// With a wallet on a line of credit, and one invoice.
async fn writer(store: &Postgres, org: OrgId) -> Outcome<Writer> {
    let name = format!("org {org}");
    store.add_org(&OrgRecord { id: org, name, created_at: NOW }).await?;
    // Between so many organisations a lease would end.
    store.renew(SESSION).await?;
    let mut writer = Writer::from(store.load(org, SESSION).await?);
    let limit_msat = msat(1_000_000_000);
    let (environment, line, wallet) = (ENVIRONMENT, LINE, WALLET);
    let commands = [
        Command::CreateEnvironment { environment, name: "live".to_owned() },
        Command::OpenLine { line, environment, limit_msat },
        Command::CreateWallet {
            wallet,
            environment,
            name: "main".to_owned(),
            backing: Backing::Line(line),
            limit_msat,
            metadata: Metadata::new(),
        },
    ];
    let mut appends = commands.map(|command| writer.prepare(NOW, &command)).to_vec();
    let mut secret = Preimage([0x5a; 32]);
    secret.0[..16].copy_from_slice(org.uuid().as_bytes());
    let terms = ReceiveTerms {
        wallet,
        amount_msat: None,
        description: "tea".to_owned(),
        expiry_seconds: 3_600,
        metadata: Metadata::new(),
    };
    let receive = Command::Receive { payment: INVOICE, terms, hash: secret.hash(), node: NODE };
    appends.push(writer.prepare_receive(NOW, &receive, secret));
    store.append(&appends).await?;
    Ok(writer)
}

/// Millisatoshi in all wallets, as loaded again: one for each post.
async fn stored(store: &Postgres, lanes: &[Lane]) -> Outcome<f64> {
    let mut found = SignedMsat::ZERO;
    for writer in lanes.iter().flat_map(|lane| &lane.writers) {
        store.renew(SESSION).await?;
        let loaded = store.load(writer.id(), SESSION).await?;
        let net_msat = loaded.org.wallets[&WALLET].funds.net_msat;
        found = found.checked_add(net_msat).ok_or("more than there can be")?;
    }
    Ok(found.get() as f64)
}

/// Evenly on the lanes.
fn org_id(number: usize) -> OrgId {
    Id::new(Uuid::from_u64_pair(0x0197_0000_0000_7000, 0x8000_0000_0000_0000 | number as u64))
}

const fn id<Of>(number: u128) -> Id<Of> {
    Id::new(Uuid::from_u128(number))
}

fn msat(amount: u64) -> Msat {
    Msat::new(amount).expect("below the supply")
}
