//! What a payment costs the simulated side. Not a test of anything: run it by hand with
//! `cargo test --release -p lightning-sim --test load -- --ignored --nocapture`.
//!
//! The network runs in a child process, so that its CPU time can be read apart from the callers'.

#![allow(clippy::unwrap_used, reason = "tests")]

#[allow(dead_code, reason = "shared with the other tests")]
mod support;

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use lightning_sim::{Config, Sim, control_proto as control};
use support::{Client, channel, over};
use tonic_lnd::{lnrpc, routerrpc};

const CHILD: &str = "LIGHTNING_SIM_LOAD";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the network's side of the measurement"]
async fn child() {
    let Ok(data) = std::env::var(CHILD) else { return };
    let sim = Sim::start(Config::demo(&data).huge_liquidity()).await.unwrap();
    std::fs::write(Path::new(&data).join("ready"), "").unwrap();
    tokio::time::sleep(Duration::from_secs(600)).await;
    drop(sim);
}

/// User and system time so far, in milliseconds, and resident memory in kB.
fn usage(process: &Child) -> (u64, u64) {
    let read =
        |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", process.id())).unwrap();
    let stat = read("stat");
    let after_name = &stat[stat.rfind(')').unwrap() + 2..];
    let field =
        |number: usize| after_name.split(' ').nth(number - 3).unwrap().parse::<u64>().unwrap();
    let status = read("status");
    let memory = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    let memory = memory.split_whitespace().nth(1).unwrap().parse().unwrap();
    ((field(14) + field(15)) * 10, memory)
}

async fn invoices(alice: &Client, count: usize) -> Vec<String> {
    const MAKERS: usize = 32;
    let makers: Vec<_> = (0..MAKERS)
        .map(|_| {
            let mut alice = alice.clone();
            tokio::spawn(async move {
                let mut made = Vec::new();
                for _ in 0..count / MAKERS {
                    let add = lnrpc::Invoice { value_msat: 1_000, ..Default::default() };
                    let invoice = alice.lightning.add_invoice(add).await.unwrap().into_inner();
                    made.push(invoice.payment_request);
                }
                made
            })
        })
        .collect();
    let mut all = Vec::new();
    for maker in makers {
        all.extend(maker.await.unwrap());
    }
    all
}

/// The cheapest call there is, as a yardstick of this machine at this moment.
async fn ask_state(pool: &Client, count: usize, at_a_time: usize) {
    let askers: Vec<_> = (0..at_a_time)
        .map(|_| {
            let mut pool = pool.clone();
            tokio::spawn(async move {
                for _ in 0..count / at_a_time {
                    pool.state.get_state(lnrpc::GetStateRequest {}).await.unwrap();
                }
            })
        })
        .collect();
    for asker in askers {
        asker.await.unwrap();
    }
}

/// Pays them all, so many at a time, each followed to its end.
async fn pay_all(pool: &Client, requests: Vec<String>, at_a_time: usize) {
    let requests = Arc::new(std::sync::Mutex::new(requests));
    let payers: Vec<_> = (0..at_a_time)
        .map(|_| {
            let (mut pool, requests) = (pool.clone(), requests.clone());
            tokio::spawn(async move {
                loop {
                    let Some(payment_request) = requests.lock().unwrap().pop() else { return };
                    let request = routerrpc::SendPaymentRequest {
                        payment_request,
                        timeout_seconds: 60,
                        fee_limit_msat: 1_000,
                        ..Default::default()
                    };
                    let mut stream =
                        pool.router.send_payment_v2(request).await.unwrap().into_inner();
                    let mut last = None;
                    while let Some(update) = stream.message().await.unwrap() {
                        last = Some(update.status());
                    }
                    assert_eq!(last, Some(lnrpc::payment::PaymentStatus::Succeeded));
                }
            })
        })
        .collect();
    for payer in payers {
        payer.await.unwrap();
    }
}

/// How many at a time, the node's latency, how many in all; `LOAD=64,0,200000` asks for one of
/// one's own.
fn plan() -> Vec<(usize, u64, usize)> {
    const COUNT: usize = 64_000;
    let asked = std::env::var("LOAD").unwrap_or_default();
    match asked.split(',').collect::<Vec<_>>().as_slice() {
        [at_a_time, latency_ms, count] => {
            vec![(at_a_time.parse().unwrap(), latency_ms.parse().unwrap(), count.parse().unwrap())]
        }
        _ => vec![(1, 0, 4_000), (64, 0, COUNT), (512, 0, COUNT), (10_000, 1_000, COUNT)],
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, run by hand in release"]
async fn measure() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--ignored"])
        .env(CHILD, data)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    while !data.join("ready").exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Read the addresses from the control face, the macaroons from the folder.
    let port = std::fs::read_to_string(data.join("control.port")).unwrap();
    let token = std::fs::read_to_string(data.join("control.token")).unwrap();
    let mut face =
        lightning_sim::connect_control(format!("127.0.0.1:{port}").parse().unwrap(), &token)
            .unwrap();
    let nodes = face.list_nodes(control::ListNodesRequest {}).await.unwrap().into_inner().nodes;
    let caller = |name: &str| {
        let node = nodes.iter().find(|node| node.name == name).unwrap();
        let macaroon = std::fs::read(data.join(format!("nodes/{name}/admin.macaroon"))).unwrap();
        let macaroon = lightning_sim::model::to_hex(&macaroon);
        over(channel(&node.address, &node.tls_cert_pem), &macaroon)
    };
    let (pool, alice) = (caller("pool-1"), caller("alice"));

    for (at_a_time, latency_ms, count) in plan() {
        let (before, _) = usage(&process);
        let made = invoices(&alice, count).await;
        let (cpu_made, _) = usage(&process);
        ask_state(&pool, count, at_a_time).await;
        let (cpu_asked, _) = usage(&process);
        let request = control::SetLatencyRequest { node: "pool-1".to_owned(), latency_ms };
        face.set_latency(request).await.unwrap();
        println!("paying, process {}", process.id());
        let begun = Instant::now();
        let (cpu_before, memory_before) = usage(&process);
        pay_all(&pool, made, at_a_time).await;
        let (cpu, memory) = usage(&process);
        let millis = begun.elapsed().as_millis();
        let count = u64::try_from(count).unwrap();
        println!(
            "{at_a_time} at a time, {latency_ms} ms: {}/s, {} µs CPU a payment, {} µs an invoice, \
             {} µs a bare call, \
             {memory_before} kB before, {memory} kB after",
            u128::from(count) * 1_000 / millis,
            (cpu - cpu_before) * 1_000 / count,
            (cpu_made - before) * 1_000 / count,
            (cpu_asked - cpu_made) * 1_000 / count,
        );
    }
    process.kill().unwrap();
    process.wait().unwrap();
}
