//! How fast a store commits payments, to be compared with the bare loop of `benches`:
//! `cargo test --release -p tests --test conformance -- --ignored --nocapture throughput`.

use std::{sync::Arc, time::Instant};

use domain::{OrgId, id::Id, org::Command};
use ports::{
    Journal,
    directory::OrgRecord,
    journal::{Append, lane_of},
};
use store::Postgres;
use uuid::Uuid;

use crate::{
    bed::{Bed, KEYS, ManualClock, id},
    writer::{Writer, paid_in_full, send},
};

const ORGANISATIONS: usize = 1_000;
const BATCH: usize = 128;
/// Transactions of holds for each lane; as many post.
const ROUNDS: usize = 120;
/// Rounds before it counts: tables that were empty have plans and caches to find.
const WARM_UP: usize = 20;
const LANES: usize = 2;

/// As the bare loop has them.
const SETTINGS: [&str; 4] =
    ["shared_buffers=1GB", "min_wal_size=2GB", "max_wal_size=4GB", "checkpoint_timeout=15min"];

#[test]
#[ignore = "needs PostgreSQL, and a machine with nothing else to do"]
fn throughput() {
    let server = tests::postgres::Postgres::start_with(&SETTINGS);
    write_ahead(&server);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let database = server.new_database();
        let url = server.url_to(&database);
        let store = Postgres::connect(&url, Some(KEYS)).await.unwrap();
        let bed = Bed::new(store.clone(), ManualClock::new(), None).await;
        let mut lanes = Vec::new();
        for lane in 0..LANES {
            lanes.push(rounds(&bed, lane).await);
        }
        let (warm, measured): (Vec<_>, Vec<_>) = lanes
            .into_iter()
            .map(|mut rounds| {
                let measured = rounds.split_off(2 * WARM_UP);
                (rounds, measured)
            })
            .unzip();
        commit(&store, warm).await;
        run(&server, &database, "vacuum analyze");
        run(&server, &database, "checkpoint");
        let (cpu, started) = (server.cpu_us(), Instant::now());
        commit(&store, measured).await;
        let elapsed = started.elapsed();
        let payments = LANES * (ROUNDS - WARM_UP) * BATCH;
        let cpu = (server.cpu_us() - cpu) / u64::try_from(payments).unwrap();
        let rate = f64::from(u32::try_from(payments).unwrap()) / elapsed.as_secs_f64();
        println!("{rate:.0} payments/s, {cpu} µs of the server each, in {elapsed:?}");
    });
}

/// A new server makes each segment of its log when it needs it; an old one uses those it has.
fn write_ahead(server: &tests::postgres::Postgres) {
    let fill = "select count(pg_logical_emit_message(false, 'fill', repeat('x', 16000000)))
        from generate_series(1, 70)";
    run(server, "postgres", fill);
    run(server, "postgres", "checkpoint");
}

fn run(server: &tests::postgres::Postgres, database: &str, sql: &str) {
    let status = server.client("psql").args(["-X", "-q", "-d", database, "-c", sql]).output();
    assert!(status.unwrap().status.success(), "{sql}");
}

async fn commit(store: &Arc<Postgres>, lanes: Vec<Vec<Vec<Append>>>) {
    let mut running = tokio::task::JoinSet::new();
    for rounds in lanes {
        let store = store.clone();
        running.spawn(async move {
            for batch in rounds {
                store.append(&batch).await.unwrap();
            }
        });
    }
    while let Some(ended) = running.join_next().await {
        ended.unwrap();
    }
}

/// Holds a batch, posts the same batch, and again; decided before anything is measured.
async fn rounds(bed: &Bed, lane: usize) -> Vec<Vec<Append>> {
    let mut writers = Vec::new();
    for number in 0..ORGANISATIONS {
        let org = org_id(number);
        if lane_of(org, LANES) == lane {
            writers.push(writer(bed, org, number).await);
        }
    }
    let mut random = Random(u64::try_from(lane).unwrap() + 1);
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let mut picked: Vec<(usize, u128, [u8; 32])> = (0..BATCH)
            .map(|_| {
                let at = usize::try_from(random.next() % writers.len() as u64).unwrap();
                (at, random.payment(), random.secret())
            })
            .collect();
        picked.sort_unstable();
        let held = picked.iter().map(|&(at, payment, secret)| {
            let hash = domain::Preimage(secret).hash();
            let mut command = send(bed, id(payment), hash);
            if let Command::Send { terms, .. } = &mut command {
                // As long as an invoice with one route hint.
                terms.invoice.text = format!("lnbcrt1{}", "q".repeat(290));
            }
            writers[at].prepare(bed, command)
        });
        rounds.push(held.collect());
        let posted = picked.iter().map(|&(at, payment, secret)| {
            let append = writers[at].prepare(bed, paid_in_full(bed, id(payment), secret));
            writers[at].org.outgoing.remove(&id(payment));
            append
        });
        rounds.push(posted.collect());
    }
    rounds
}

async fn writer(bed: &Bed, org: OrgId, number: usize) -> Writer {
    let created_at = domain::Timestamp::from_millis(0);
    let record = OrgRecord { id: org, name: format!("org {number}"), created_at };
    bed.store.renew(bed.session).await.unwrap();
    bed.store.add_org(&record).await.unwrap();
    let mut writer = Writer::load(bed, org).await;
    let appends = Bed::commands().map(|command| writer.prepare(bed, command));
    bed.store.append(&appends).await.unwrap();
    writer
}

/// Half of them on each lane.
fn org_id(number: usize) -> OrgId {
    Id::new(Uuid::from_u64_pair(0x0197_0000_0000_7000, 0x8000_0000_0000_0000 | number as u64))
}

/// SplitMix64: the same payments in each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn payment(&mut self) -> u128 {
        u128::from(self.next()) << 64 | u128::from(self.next())
    }

    fn secret(&mut self) -> [u8; 32] {
        let mut secret = [0; 32];
        for part in secret.chunks_exact_mut(8) {
            part.copy_from_slice(&self.next().to_be_bytes());
        }
        secret
    }
}
