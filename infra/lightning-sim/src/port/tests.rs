use std::sync::atomic::{AtomicI64, Ordering};

use domain::{Msat, Preimage, org::InvoiceEnd};
use ports::lightning::{NodeError, PayError, PayRequest, PayUpdate, Stream};

use super::*;
use crate::model::{NewInvoice, testing};

struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }
}

struct Bench {
    port: Arc<Port>,
    clock: Arc<Hand>,
}

impl Bench {
    fn new() -> Bench {
        let bench = testing::network();
        let clock = Arc::new(Hand(AtomicI64::new(timestamp(bench.now).millis())));
        Bench { port: Port::start(bench.net, clock.clone()), clock }
    }

    fn id(&self, name: &str) -> NodeId {
        self.port.act(|network, _| network.node(name).unwrap().0)
    }

    fn node(&self, name: &str) -> Arc<dyn LightningNode> {
        self.port.node(self.id(name))
    }

    async fn pass(&self, ms: i64) {
        self.clock.0.fetch_add(ms, Ordering::Relaxed);
        tokio::time::advance(Duration::from_millis(u64::try_from(ms).unwrap())).await;
        self.port.act(|_, _| ());
    }

    fn request(&self, payee: &str, msat: u64, memo: &str) -> PayRequest {
        let payee = self.id(payee);
        let new = NewInvoice {
            memo: memo.to_owned(),
            value: crate::model::Msat::new(msat),
            ..NewInvoice::default()
        };
        let terms = self.port.act(|network, now| {
            let invoice = network.add_invoice(now, payee, new).unwrap();
            terms(network, payee, &invoice)
        });
        PayRequest {
            hash: terms.hash,
            invoice: terms.text,
            amount_msat: None,
            fee_limit_msat: Msat::new(100_000).unwrap(),
            until: self.clock.now().plus_millis(5_000),
        }
    }
}

async fn all(mut stream: Box<dyn Stream<PayUpdate>>) -> Vec<&'static str> {
    let mut said = Vec::new();
    while let Some(update) = stream.next().await {
        said.push(match update {
            Ok(PayUpdate::InFlight) => "in flight",
            Ok(PayUpdate::Succeeded { .. }) => "succeeded",
            Ok(PayUpdate::Failed { .. }) => "failed",
            Err(_) => "broken",
        });
    }
    said
}

#[tokio::test(start_paused = true)]
async fn a_payment_and_its_records() {
    let bench = Bench::new();
    let pool = bench.node("pool");
    let request = bench.request("alice", 5_000, "tea");
    assert_eq!(pool.track(request.hash).await.err(), None);
    assert!(pool.track(request.hash).await.unwrap().is_none());
    assert_eq!(all(pool.pay(&request).await.unwrap()).await, ["in flight", "succeeded"]);
    assert!(matches!(pool.pay(&request).await.err(), Some(PayError::Lost(_))));
    assert_eq!(all(pool.track(request.hash).await.unwrap().unwrap()).await, ["succeeded"]);
    assert_eq!(pool.payments(0).await.unwrap().len(), 1);
    let alice = bench.node("alice");
    let settled = alice.settled(request.hash).await.unwrap().unwrap();
    assert_eq!(settled.paid_msat, Msat::new(5_000).unwrap());
    let mut settlements = alice.settlements(0).await.unwrap();
    assert_eq!(settlements.next().await, Some(Ok(settled)));
}

#[tokio::test(start_paused = true)]
async fn permissions_end_by_the_nodes_own_clock() {
    let bench = Bench::new();
    let pool = bench.node("pool");
    let request = bench.request("alice", 5_000, "");
    let id = bench.id("pool");
    assert_eq!(pool.has_lapsed(request.until).await, Ok(false));
    bench.port.act(|network, now| {
        let fault = crate::model::Fault::Clock { ms: 5_000 };
        let setting = crate::model::Setting { fault, times_left: None, ppm: 0, seed: 0, draws: 0 };
        network.set_fault(now, id, setting).unwrap();
    });
    assert_eq!(pool.has_lapsed(request.until).await, Ok(true));
    assert_eq!(pool.pay(&request).await.err(), Some(PayError::PermissionLapsed));
}

#[tokio::test(start_paused = true)]
async fn a_late_request_is_lost_and_runs_if_still_permitted() {
    let bench = Bench::new();
    let pool = bench.node("pool");
    let in_time = bench.request("alice", 5_000, "sim:late_request:3000");
    let too_late = bench.request("alice", 5_000, "sim:late_request:6000");
    for request in [&in_time, &too_late] {
        assert!(matches!(pool.pay(request).await.err(), Some(PayError::Lost(_))));
    }
    bench.pass(7_000).await;
    assert_eq!(all(pool.track(in_time.hash).await.unwrap().unwrap()).await, ["succeeded"]);
    assert!(pool.track(too_late.hash).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn an_invoice_is_made_once_and_cancelled() {
    let bench = Bench::new();
    let alice = bench.node("alice");
    let preimage = Preimage([7; 32]);
    let expires_at = bench.clock.now().plus_seconds(60);
    let make = |amount| alice.make_invoice(preimage, Msat::new(amount), "tea", expires_at);
    let made = make(9).await.unwrap();
    assert_eq!(make(9).await, Ok(made.clone()));
    assert_eq!(made.expires_at, expires_at);
    assert!(matches!(make(10).await, Err(NodeError::Refused(_))));
    assert_eq!(alice.cancel_invoice(made.hash).await, Ok(InvoiceEnd::Cancelled));
    assert_eq!(alice.cancel_invoice(made.hash).await, Ok(InvoiceEnd::Cancelled));
    assert_eq!(alice.settled(made.hash).await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_down_cannot_be_reached() {
    let bench = Bench::new();
    let (id, pool) = (bench.id("pool"), bench.node("pool"));
    let request = bench.request("alice", 5_000, "");
    bench.port.act(|network, now| network.set_down(now, id, true));
    assert!(matches!(pool.pay(&request).await.err(), Some(PayError::Lost(_))));
    assert!(matches!(pool.status().await, Err(NodeError::Unreachable(_))));
    bench.port.act(|network, now| network.set_down(now, id, false));
    assert_eq!(all(pool.pay(&request).await.unwrap()).await, ["in flight", "succeeded"]);
}
