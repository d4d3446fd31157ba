//! kill -9 at any moment: nothing that was answered is lost.
//!
//! The child is this very test binary, told by its environment to be a network until it is killed.

#![allow(clippy::unwrap_used, reason = "tests")]

#[allow(dead_code, reason = "shared with the other tests")]
mod support;

use std::{
    collections::BTreeSet,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use lightning_sim::{Config, Sim};
use support::{Client, client};
use tonic_lnd::{lnrpc, routerrpc};

const CHILD: &str = "LIGHTNING_SIM_CHILD";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Ok(data) = std::env::var(CHILD) else { return };
    let sim = Sim::start(Config::demo(&data)).await.unwrap();
    std::fs::write(Path::new(&data).join("ready"), "").unwrap();
    tokio::time::sleep(Duration::from_secs(600)).await;
    drop(sim);
}

fn spawn(data: &Path) -> Child {
    std::fs::remove_file(data.join("ready")).ok();
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child"])
        .env(CHILD, data)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

async fn ready(data: &Path) {
    while !data.join("ready").exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Makes invoices on alice and pays them from pool-1 until the connection breaks.
async fn work(mut payer: Client, mut payee: Client) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut invoiced, mut paid) = (BTreeSet::new(), BTreeSet::new());
    loop {
        let add = lnrpc::Invoice { value_msat: 1_000, ..Default::default() };
        let Ok(invoice) = payee.lightning.add_invoice(add).await else { break };
        let invoice = invoice.into_inner();
        let hash = lightning_sim::model::to_hex(&invoice.r_hash);
        invoiced.insert(hash.clone());
        let request = routerrpc::SendPaymentRequest {
            payment_request: invoice.payment_request,
            timeout_seconds: 5,
            ..Default::default()
        };
        let Ok(stream) = payer.router.send_payment_v2(request).await else { break };
        let mut stream = stream.into_inner();
        while let Ok(Some(update)) = stream.message().await {
            if update.status() == lnrpc::payment::PaymentStatus::Succeeded {
                paid.insert(hash.clone());
            }
        }
    }
    (invoiced, paid)
}

/// What the nodes know: hashes invoiced by alice, hashes paid by pool-1.
async fn known(payer: &mut Client, payee: &mut Client) -> (BTreeSet<String>, BTreeSet<String>) {
    let all = lnrpc::ListPaymentsRequest { max_payments: 1_000_000, ..Default::default() };
    let payments = payer.lightning.list_payments(all).await.unwrap().into_inner().payments;
    let all = lnrpc::ListInvoiceRequest { num_max_invoices: 1_000_000, ..Default::default() };
    let invoices = payee.lightning.list_invoices(all).await.unwrap().into_inner().invoices;
    (
        invoices.iter().map(|row| lightning_sim::model::to_hex(&row.r_hash)).collect(),
        payments.into_iter().map(|row| row.payment_hash).collect(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_answered_is_lost() {
    if std::env::var(CHILD).is_ok() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    // Makes the identities, so that the parent knows how to call.
    let sim = Sim::start(Config::demo(data)).await.unwrap();
    let endpoint = |name: &str| sim.endpoint(name).unwrap().clone();
    let (pool, alice) = (endpoint("pool-1"), endpoint("alice"));
    sim.stop().await;

    let (mut invoiced, mut paid) = (BTreeSet::new(), BTreeSet::new());
    for round in 0..4u64 {
        let mut process = spawn(data);
        ready(data).await;
        let workers: Vec<_> = (0..4)
            .map(|_| {
                let payer = client(&pool, &pool.switchyard.hex);
                let payee = client(&alice, &alice.admin.hex);
                tokio::spawn(work(payer, payee))
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(200 + 37 * round)).await;
        process.kill().unwrap();
        process.wait().unwrap();
        for worker in workers {
            let (more_invoiced, more_paid) = worker.await.unwrap();
            invoiced.extend(more_invoiced);
            paid.extend(more_paid);
        }
        let sim = Sim::start(Config::demo(data)).await.unwrap();
        let mut payer = client(&pool, &pool.switchyard.hex);
        let mut payee = client(&alice, &alice.admin.hex);
        let (knows_invoiced, knows_paid) = known(&mut payer, &mut payee).await;
        println!("round {round}: {} invoiced, {} paid", invoiced.len(), paid.len());
        assert!(!paid.is_empty());
        assert!(invoiced.is_subset(&knows_invoiced));
        assert!(paid.is_subset(&knows_paid));
        sim.stop().await;
    }
}
