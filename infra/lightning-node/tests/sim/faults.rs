use std::time::{Duration, Instant};

use domain::lightning::FailureReason;
use lightning_sim::control_proto as control;
use ports::{
    LightningNode,
    lightning::{NodeError, PayError, PayUpdate},
};

use crate::world::{QUICK, World, all, last, paid, request, tracked};

/// No word in time is no failure: the payment went through.
#[tokio::test]
async fn rule_9_silence_is_not_failure() {
    let world = World::start().await;
    let pool = world.lnd("pool-1");
    let invoice = world.invoice("alice", 1_000, "sim:silent").await;
    let begun = Instant::now();
    let lost = pool.pay(&request(&invoice)).await.err().unwrap();
    assert!(matches!(lost, PayError::Lost(_)), "{lost:?}");
    assert!(begun.elapsed() >= QUICK.answer_within);
    let paid = tracked(&pool, invoice.hash).await;
    assert!(matches!(paid, Some(PayUpdate::Succeeded { .. })), "{paid:?}");
    world.sim.stop().await;
}

/// A stream that has begun is kept for as long as it takes.
#[tokio::test]
async fn a_slow_payment_is_waited_for() {
    let world = World::start().await;
    let pool = world.lnd("pool-1");
    let invoice = world.invoice("alice", 1_000, "sim:slow:3000").await;
    let paid = last(pool.pay(&request(&invoice)).await.unwrap()).await;
    assert!(matches!(paid, PayUpdate::Succeeded { .. }), "{paid:?}");
    world.sim.stop().await;
}

#[tokio::test]
async fn updates_may_come_twice() {
    let world = World::start().await;
    let pool = world.lnd("pool-1");
    let invoice = world.invoice("alice", 1_000, "sim:twice").await;
    let (updates, error) = all(pool.pay(&request(&invoice)).await.unwrap()).await;
    assert_eq!(error, None);
    let ends = updates.iter().filter(|update| matches!(update, PayUpdate::Succeeded { .. }));
    assert_eq!(ends.count(), 1, "the stream ends with the first terminal update");
    world.sim.stop().await;
}

#[tokio::test]
async fn a_stream_cut_short_proves_nothing() {
    let world = World::start().await;
    let pool = world.lnd("pool-1");
    let invoice = world.invoice("alice", 1_000, "sim:stream_cut").await;
    let (updates, _) = all(pool.pay(&request(&invoice)).await.unwrap()).await;
    assert!(updates.iter().all(|update| *update == PayUpdate::InFlight), "{updates:?}");
    let paid = tracked(&pool, invoice.hash).await;
    assert!(matches!(paid, Some(PayUpdate::Succeeded { .. })), "{paid:?}");
    world.sim.stop().await;
}

/// The connection breaks, and the request runs later: the worst that a network can do.
#[tokio::test]
async fn a_late_request_is_lost_not_refused() {
    let world = World::start().await;
    let pool = world.lnd("pool-1");
    let invoice = world.invoice("alice", 1_000, "sim:late_request:300").await;
    let lost = pool.pay(&request(&invoice)).await.err().unwrap();
    assert!(matches!(lost, PayError::Lost(_)), "{lost:?}");
    assert_eq!(tracked(&pool, invoice.hash).await, None, "not yet");
    let paid = loop {
        tokio::time::sleep(Duration::from_millis(20)).await;
        if let Some(update) = tracked(&pool, invoice.hash).await {
            break update;
        }
    };
    assert!(matches!(paid, PayUpdate::Succeeded { .. }), "{paid:?}");
    world.sim.stop().await;
}

#[tokio::test]
async fn a_reason_alone_is_not_an_end() {
    let world = World::start().await;
    let pool = world.lnd("pool-1");
    let invoice = world.invoice("alice", 1_000, "sim:late_success:100").await;
    let paid = last(pool.pay(&request(&invoice)).await.unwrap()).await;
    assert!(matches!(paid, PayUpdate::Succeeded { .. }), "{paid:?}");
    let wrong = world.invoice("alice", 1_000, "sim:incorrect_payment_details").await;
    let failed = last(pool.pay(&request(&wrong)).await.unwrap()).await;
    let reason = FailureReason::IncorrectPaymentDetails;
    assert!(matches!(failed, PayUpdate::Failed { reason: found, .. } if found == reason));
    world.sim.stop().await;
}

/// What the node reports is passed on; the ledger is where it contradicts.
#[tokio::test]
async fn rule_6_a_fee_above_the_limit_is_told() {
    let world = World::start().await;
    let pool = world.lnd("pool-1");
    let invoice = world.invoice("bob", 1_000_000, "sim:fee_above_limit").await;
    let asked = request(&invoice);
    let (_, _, fee_msat) = paid(last(pool.pay(&asked).await.unwrap()).await);
    assert!(fee_msat > asked.fee_limit_msat);
    world.sim.stop().await;
}

#[tokio::test]
async fn a_node_that_is_down_and_comes_back() {
    let world = World::start().await;
    let pool = world.lnd("pool-1");
    pool.status().await.unwrap();
    let invoice = world.invoice("alice", 1_000, "").await;
    world.fault("pool-1", "node_down").await;
    assert!(matches!(pool.status().await, Err(NodeError::Unreachable(_))));
    let lost = pool.pay(&request(&invoice)).await.err().unwrap();
    assert!(matches!(lost, PayError::Lost(_)), "{lost:?}");
    let unknown = pool.track(invoice.hash).await.err().unwrap();
    assert!(matches!(unknown, NodeError::Unreachable(_)), "{unknown:?}");
    world.clear("pool-1").await;
    // The same adapter connects again by itself.
    let status = loop {
        match pool.status().await {
            Ok(status) => break status,
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    assert!(status.serving);
    let paid = last(pool.pay(&request(&invoice)).await.unwrap()).await;
    assert!(matches!(paid, PayUpdate::Succeeded { .. }), "{paid:?}");
    world.sim.stop().await;
}

#[tokio::test]
async fn a_kill_in_the_middle_of_a_payment() {
    for kill in [false, true] {
        let world = World::start().await;
        let pool = world.lnd("pool-1");
        let invoice = world.invoice("alice", 1_000, "sim:stuck").await;
        let mut stream = pool.pay(&request(&invoice)).await.unwrap();
        assert_eq!(stream.next().await, Some(Ok(PayUpdate::InFlight)));
        assert_eq!(pool.connections(), 1);
        let restart = control::RestartNodeRequest { node: "pool-1".to_owned(), kill, down_ms: 20 };
        world.control().restart_node(restart).await.unwrap();
        let (updates, _) = all(stream).await;
        assert!(updates.iter().all(|update| *update == PayUpdate::InFlight), "{updates:?}");

        let mut again = loop {
            match pool.track(invoice.hash).await {
                Ok(found) => break found.expect("it is still there"),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        assert_eq!(again.next().await, Some(Ok(PayUpdate::InFlight)));
        assert!(pool.connections() > 1, "whoever asks sees that it was away");
        let release = control::ReleasePaymentRequest {
            node: "pool-1".to_owned(),
            payment_hash: invoice.hash.0.to_vec(),
            fail: false,
        };
        world.control().release_payment(release).await.unwrap();
        assert!(matches!(last(again).await, PayUpdate::Succeeded { .. }));
        world.sim.stop().await;
    }
}
