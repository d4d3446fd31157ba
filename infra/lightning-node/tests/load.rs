//! What a payment costs on the adapter's side. Not a test of anything: run it by hand with
//! `cargo test --release -p lightning-node --test load -- --ignored --nocapture`.
//!
//! The network runs in a child process, so that its CPU time is not counted.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use domain::{InvoiceTerms, Msat, Preimage, Timestamp};
use lightning_node::{Lnd, Settings, Timing};
use lightning_sim::{Config, Sim, control_proto as control};
use ports::{
    LightningNode,
    lightning::{PayRequest, PayUpdate},
};

const CHILD: &str = "LIGHTNING_NODE_LOAD";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the network's side of the measurement"]
async fn child() {
    let Ok(data) = std::env::var(CHILD) else { return };
    let sim = Sim::start(Config::demo(&data).huge_liquidity()).await.unwrap();
    std::fs::write(Path::new(&data).join("ready"), "").unwrap();
    tokio::time::sleep(Duration::from_secs(600)).await;
    drop(sim);
}

/// Ends with the measurement, however that ends.
struct Network(Child);

impl Drop for Network {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// User and system time of this process so far.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after_name = &stat[stat.rfind(')').unwrap() + 2..];
    let ticks = |number: usize| after_name.split(' ').nth(number - 3).unwrap().parse::<u64>();
    Duration::from_millis((ticks(14).unwrap() + ticks(15).unwrap()) * 10)
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
}

/// So many tasks share the work.
async fn spread<Work: Future<Output = ()> + Send + 'static>(
    at_a_time: u64,
    work: impl Fn(u64) -> Work,
) {
    let tasks: Vec<_> = (0..at_a_time).map(|task| tokio::spawn(work(task))).collect();
    for task in tasks {
        task.await.unwrap();
    }
}

async fn invoices(alice: &Lnd, first: u64, count: u64) -> Vec<InvoiceTerms> {
    let made = Arc::new(Mutex::new(Vec::new()));
    spread(32, |task| {
        let (alice, made) = (alice.clone(), made.clone());
        async move {
            for number in (first + task..first + count).step_by(32) {
                let mut preimage = [1; 32];
                preimage[..8].copy_from_slice(&number.to_be_bytes());
                let expires_at = now().plus_seconds(3_600);
                let invoice =
                    alice.make_invoice(Preimage(preimage), Msat::new(1_000), "", expires_at);
                let invoice = invoice.await.unwrap();
                made.lock().unwrap().push(invoice);
            }
        }
    })
    .await;
    Arc::into_inner(made).unwrap().into_inner().unwrap()
}

/// Pays them all, so many at a time, each followed to its end. `until` moves as a lease does.
async fn pay_all(pool: &Lnd, invoices: Vec<InvoiceTerms>, at_a_time: u64) {
    let invoices = Arc::new(Mutex::new(invoices));
    spread(at_a_time, |_| {
        let (pool, invoices) = (pool.clone(), invoices.clone());
        async move {
            loop {
                let Some(invoice) = invoices.lock().unwrap().pop() else { return };
                let renewed = now().millis() / 1_000 * 1_000;
                let request = PayRequest {
                    hash: invoice.hash,
                    invoice: invoice.text,
                    amount_msat: None,
                    fee_limit_msat: Msat::ZERO,
                    until: Timestamp::from_millis(renewed + 15_000),
                };
                let mut stream = pool.pay(&request).await.unwrap();
                let mut paid = false;
                while let Some(update) = stream.next().await {
                    paid = matches!(update.unwrap(), PayUpdate::Succeeded { .. });
                }
                assert!(paid);
            }
        }
    })
    .await;
}

/// How many at a time and in all; `LOAD=512,200000` asks for one of one's own.
fn plan() -> Vec<(u64, u64)> {
    let asked = std::env::var("LOAD").unwrap_or_default();
    match asked.split_once(',') {
        Some((at_a_time, count)) => vec![(at_a_time.parse().unwrap(), count.parse().unwrap())],
        None => vec![(1, 4_000), (64, 40_000), (512, 40_000), (4_096, 40_000)],
    }
}

/// The cheapest call there is, as a yardstick of this machine at this moment.
async fn ask_all(pool: &Lnd, count: u64, at_a_time: u64) {
    spread(at_a_time, |_| {
        let pool = pool.clone();
        async move {
            for _ in 0..count / at_a_time {
                let until = now().plus_seconds(60);
                assert!(!pool.has_lapsed(until).await.unwrap());
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, run by hand in release"]
async fn measure() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let process = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--ignored"])
        .env(CHILD, data)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let _network = Network(process);
    while !data.join("ready").exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let port = std::fs::read_to_string(data.join("control.port")).unwrap();
    let token = std::fs::read_to_string(data.join("control.token")).unwrap();
    let face = format!("127.0.0.1:{port}").parse().unwrap();
    let mut face = lightning_sim::connect_control(face, &token).unwrap();
    let nodes = face.list_nodes(control::ListNodesRequest {}).await.unwrap().into_inner().nodes;
    let lnd = |name: &str| {
        let node = nodes.iter().find(|node| node.name == name).unwrap();
        let macaroon = data.join(format!("nodes/{name}/switchyard.macaroon"));
        let settings = Settings {
            address: node.address.clone(),
            certificate: Some(node.tls_cert_pem.clone()),
            macaroon: std::fs::read(macaroon).unwrap(),
            timing: Timing::default(),
        };
        Lnd::connect(&settings).unwrap()
    };
    let (pool, alice) = (lnd("pool-1"), lnd("alice"));
    let mut first = 0;
    for (at_a_time, count) in plan() {
        let made = invoices(&alice, first, count).await;
        first += count;
        let texts: Vec<_> = made.iter().map(|invoice| invoice.text.clone()).collect();
        println!("paying, process {}", std::process::id());
        let (cpu_before, begun) = (cpu(), Instant::now());
        pay_all(&pool, made, at_a_time).await;
        let (cost, took) = (cpu() - cpu_before, begun.elapsed());
        let before = cpu();
        ask_all(&pool, count, at_a_time).await;
        let bare = cpu() - before;
        let before = cpu();
        texts.iter().for_each(|text| assert!(lightning_node::bolt11::parse(text).is_ok()));
        let parse = cpu() - before;
        println!(
            "{at_a_time} at a time: {}/s, {} µs CPU a payment, {} µs a bare call; reading an \
             invoice {} µs",
            u128::from(count) * 1_000 / took.as_millis(),
            cost.as_micros() / u128::from(count),
            bare.as_micros() / u128::from(count),
            parse.as_micros() / u128::from(count),
        );
    }
}
