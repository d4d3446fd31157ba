use domain::{PaymentHash, lightning::FailureReason};
use ports::{
    LightningNode,
    lightning::{PayError, PayRequest, PayUpdate},
};

use crate::world::{World, all, failed, last, msat, now, paid, request, tracked};

#[tokio::test]
async fn a_payment_with_its_fee() {
    let world = World::start().await;
    let pool = world.lnd("pool-1");
    let invoice = world.invoice("bob", 1_000_000, "tea").await;
    let (updates, error) = all(pool.pay(&request(&invoice)).await.unwrap()).await;
    assert_eq!((updates.first(), error), (Some(&PayUpdate::InFlight), None));
    let (preimage, amount_msat, fee_msat) = paid(updates.last().unwrap().clone());
    assert_eq!(preimage.hash(), invoice.hash);
    assert_eq!((amount_msat.get(), fee_msat.get()), (1_000_000, 1_100));
    assert_eq!(tracked(&pool, invoice.hash).await.as_ref(), updates.last());
    world.sim.stop().await;
}

#[tokio::test]
async fn rule_8_a_fee_limit_of_0_means_routes_without_a_fee() {
    let world = World::start().await;
    let pool = world.lnd("pool-1");
    let free = |invoice: &_| PayRequest { fee_limit_msat: msat(0), ..request(invoice) };
    let far = world.invoice("bob", 1_000_000, "").await;
    let (reason, failure) = failed(last(pool.pay(&free(&far)).await.unwrap()).await);
    assert_eq!(reason, FailureReason::NoRoute);
    assert!(failure.payment_index > 0 && failure.creation_time_ns > 0, "{failure:?}");
    let near = world.invoice("alice", 1_000_000, "").await;
    let paid = last(pool.pay(&free(&near)).await.unwrap()).await;
    assert!(matches!(paid, PayUpdate::Succeeded { fee_msat, .. } if fee_msat.is_zero()));
    world.sim.stop().await;
}

#[tokio::test]
async fn an_invoice_for_any_amount() {
    let world = World::start().await;
    let pool = world.lnd("pool-1");
    let invoice = world.invoice("alice", 0, "").await;
    assert_eq!(invoice.amount_msat, None);
    let named = PayRequest { amount_msat: Some(msat(7_123)), ..request(&invoice) };
    let (_, amount_msat, _) = paid(last(pool.pay(&named).await.unwrap()).await);
    assert_eq!(amount_msat, msat(7_123));
    world.sim.stop().await;
}

/// Another run after a failure has another identity, so the two can be told apart.
#[tokio::test]
async fn rule_13_failures_have_identities() {
    let world = World::start().await;
    let pool = world.lnd("pool-1");
    let invoice = world.invoice("bob", 1_000_000, "").await;
    let free = PayRequest { fee_limit_msat: msat(0), ..request(&invoice) };
    let mut seen = Vec::new();
    for _ in 0..2 {
        seen.push(failed(last(pool.pay(&free).await.unwrap()).await).1);
    }
    assert_ne!(seen[0], seen[1]);
    assert_eq!(failed(tracked(&pool, invoice.hash).await.unwrap()).1, seen[1]);
    world.sim.stop().await;
}

/// Never a refusal: nothing of the payment may be given up because of it.
#[tokio::test]
async fn rule_9_a_hash_that_is_there_has_to_be_looked_up() {
    let world = World::start().await;
    let pool = world.lnd("pool-1");
    let invoice = world.invoice("alice", 1_000, "").await;
    let first = last(pool.pay(&request(&invoice)).await.unwrap()).await;
    let again = pool.pay(&request(&invoice)).await.err().unwrap();
    assert!(matches!(&again, PayError::Lost(why) if why.contains("already paid")), "{again:?}");
    assert_eq!(tracked(&pool, invoice.hash).await, Some(first));

    let stuck = world.invoice("alice", 1_000, "sim:stuck").await;
    let _open = pool.pay(&request(&stuck)).await.unwrap();
    let again = pool.pay(&request(&stuck)).await.err().unwrap();
    assert!(matches!(&again, PayError::Lost(why) if why.contains("in transition")), "{again:?}");
    world.sim.stop().await;
}

#[tokio::test]
async fn an_unknown_hash_is_not_there() {
    let world = World::start().await;
    let pool = world.lnd("pool-1");
    assert_eq!(tracked(&pool, PaymentHash([9; 32])).await, None);
    world.sim.stop().await;
}

#[tokio::test]
async fn a_request_too_late_does_not_run() {
    let world = World::start().await;
    let pool = world.lnd("pool-1");
    let invoice = world.invoice("alice", 1_000, "").await;
    let late = PayRequest { until: now().plus_millis(-10), ..request(&invoice) };
    assert_eq!(pool.pay(&late).await.err(), Some(PayError::PermissionLapsed));
    assert_eq!(tracked(&pool, invoice.hash).await, None);

    assert!(pool.has_lapsed(late.until).await.unwrap());
    assert!(!pool.has_lapsed(now().plus_seconds(5)).await.unwrap());
    // By the node's clock, not by ours.
    world.fault("pool-1", "clock:-60000").await;
    assert!(!pool.has_lapsed(late.until).await.unwrap());
    let paid = last(pool.pay(&late).await.unwrap()).await;
    assert!(matches!(paid, PayUpdate::Succeeded { .. }));
    world.sim.stop().await;
}

#[tokio::test]
async fn what_the_node_refuses() {
    let world = World::start().await;
    let pool = world.lnd("pool-1");
    let invoice = world.invoice("alice", 1_000, "").await;
    let nonsense = PayRequest { invoice: "lnbcrt1nonsense".to_owned(), ..request(&invoice) };
    let amount_twice = PayRequest { amount_msat: Some(msat(5)), ..request(&invoice) };
    for refused in [nonsense, amount_twice] {
        let why = pool.pay(&refused).await.err().unwrap();
        assert!(matches!(why, PayError::Refused(_)), "{why:?}");
    }
    assert_eq!(tracked(&pool, invoice.hash).await, None);
    world.sim.stop().await;
}

/// More than two pages, failed and open ones among them.
#[tokio::test]
async fn the_list_of_payments_is_whole() {
    const COUNT: usize = 1_060;
    let world = World::start().await;
    let pool = world.lnd("pool-1");
    let mut sent = Vec::new();
    for number in 0..COUNT {
        let memo = match number % 100 {
            3 => "sim:stuck",
            5 => "sim:no_route",
            _ => "",
        };
        let invoice = world.invoice("alice", 1_000, memo).await;
        let mut stream = pool.pay(&request(&invoice)).await.unwrap();
        if memo == "sim:stuck" {
            stream.next().await.unwrap().unwrap();
        } else {
            last(stream).await;
        }
        sent.push(invoice.hash);
    }
    let (mut found, mut after) = (Vec::new(), 0);
    loop {
        let page = pool.payments(after).await.unwrap();
        assert!(page.is_sorted_by_key(|payment| payment.payment_index));
        let Some(end) = page.last() else { break };
        after = end.payment_index;
        found.extend(page);
    }
    assert!(found.iter().all(|payment| !payment.probe));
    for (number, payment) in found.iter().enumerate() {
        let as_sent = match number % 100 {
            3 => payment.last == PayUpdate::InFlight,
            5 => matches!(payment.last, PayUpdate::Failed { .. }),
            _ => matches!(payment.last, PayUpdate::Succeeded { .. }),
        };
        assert!(as_sent, "{number} {payment:?}");
    }
    let found: Vec<_> = found.iter().map(|payment| payment.hash).collect();
    assert_eq!(found, sent);
    world.sim.stop().await;
}

#[tokio::test]
async fn how_the_node_stands() {
    let world = World::start().await;
    let pool = world.lnd("pool-1");
    let status = pool.status().await.unwrap();
    assert_eq!(status.identity.to_string(), world.endpoint("pool-1").identity_pubkey);
    assert_eq!(status.network, Some(domain::Network::Regtest));
    assert!(status.serving && status.version.starts_with("0.20.1-beta"));
    assert_eq!((status.slots, status.pending_htlcs), (u32::MAX, 0), "as many as the world has");
    assert!(status.outbound_msat > status.largest_channel_msat);
    assert!(status.inbound_msat > status.largest_channel_msat);
    world.sim.stop().await;
}
