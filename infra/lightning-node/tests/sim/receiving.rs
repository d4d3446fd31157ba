use std::time::Duration;

use domain::{InvoiceTerms, PaymentHash, Preimage, org::InvoiceEnd};
use lightning_node::Lnd;
use ports::{
    LightningNode,
    lightning::{NodeError, Settlement, Stream},
};
use tokio::time::timeout;

use crate::world::{World, msat, now};

async fn make(lnd: &Lnd, number: u8, amount: Option<u64>) -> Result<InvoiceTerms, NodeError> {
    let expires_at = now().plus_seconds(3_600);
    lnd.make_invoice(Preimage([number; 32]), amount.map(msat), "tea & cake", expires_at).await
}

#[tokio::test]
async fn an_invoice_is_made_once_for_a_preimage() {
    let world = World::start().await;
    let pool = world.lnd("pool-1");
    let made = make(&pool, 1, Some(5_000)).await.unwrap();
    assert_eq!(made.hash, Preimage([1; 32]).hash());
    assert_eq!((made.amount_msat, made.description.as_str()), (Some(msat(5_000)), "tea & cake"));
    let lasts_ms = made.expires_at.millis_since(now());
    assert!((3_590_000..=3_602_000).contains(&lasts_ms), "{lasts_ms}");
    assert_eq!(made.payee.to_string(), world.endpoint("pool-1").identity_pubkey);

    assert_eq!(make(&pool, 1, Some(5_000)).await, Ok(made.clone()), "the same again");
    assert!(matches!(make(&pool, 1, Some(6_000)).await, Err(NodeError::Refused(_))));
    assert!(matches!(make(&pool, 1, None).await, Err(NodeError::Refused(_))));
    let other = pool.make_invoice(Preimage([1; 32]), Some(msat(5_000)), "other", made.expires_at);
    assert!(matches!(other.await, Err(NodeError::Refused(_))));
    // Too late to make, not too late to find.
    let (again, over) = (Preimage([1; 32]), now().plus_millis(-1));
    let found = pool.make_invoice(again, Some(msat(5_000)), "tea & cake", over).await;
    assert_eq!(found, Ok(made));
    let never = pool.make_invoice(Preimage([2; 32]), Some(msat(5_000)), "tea & cake", over).await;
    assert!(matches!(never, Err(NodeError::Refused(_))), "{never:?}");
    assert_eq!(make(&pool, 3, None).await.unwrap().amount_msat, None);
    world.sim.stop().await;
}

#[tokio::test]
async fn cancelling_says_how_an_invoice_ended() {
    let world = World::start().await;
    let pool = world.lnd("pool-1");
    let open = make(&pool, 1, Some(5_000)).await.unwrap();
    for _ in 0..2 {
        assert_eq!(pool.cancel_invoice(open.hash).await, Ok(InvoiceEnd::Cancelled));
    }
    let paid = make(&pool, 2, Some(5_000)).await.unwrap();
    assert_eq!(pool.settled(paid.hash).await, Ok(None));
    world.pay_from("alice", &paid, 6_000).await;
    assert_eq!(pool.cancel_invoice(paid.hash).await, Ok(InvoiceEnd::Settled));
    let settled =
        Settlement { hash: paid.hash, paid_msat: msat(6_000), settle_index: 1, spontaneous: false };
    assert_eq!(pool.settled(paid.hash).await, Ok(Some(settled)), "what was truly paid");

    let unknown = PaymentHash([9; 32]);
    let never = pool.cancel_invoice(unknown).await;
    assert!(matches!(never, Err(NodeError::Refused(_))), "no proof of anything: {never:?}");
    assert_eq!(pool.settled(unknown).await, Ok(None));
    world.sim.stop().await;
}

async fn next(stream: &mut Box<dyn Stream<Settlement>>) -> Settlement {
    let next = timeout(Duration::from_secs(5), stream.next()).await;
    next.expect("a settlement in time").unwrap().unwrap()
}

async fn quiet(stream: &mut Box<dyn Stream<Settlement>>) {
    let next = timeout(Duration::from_millis(200), stream.next()).await;
    assert!(next.is_err(), "{next:?}");
}

#[tokio::test]
async fn settlements_after_any_cursor() {
    let world = World::start().await;
    let pool = world.lnd("pool-1");
    let mut invoices = Vec::new();
    for number in 1..=6 {
        invoices.push(make(&pool, number, Some(1_000)).await.unwrap());
    }
    // Settled in another order than made, with some left open and one cancelled.
    for number in [4, 0, 2] {
        world.pay_from("alice", &invoices[number], 1_000).await;
    }
    pool.cancel_invoice(invoices[1].hash).await.unwrap();
    let is = |settlement: Settlement, number: usize, index| {
        assert_eq!((settlement.hash, settlement.settle_index), (invoices[number].hash, index));
        assert_eq!(settlement.paid_msat, msat(1_000));
    };
    let mut from_0 = pool.settlements(0).await.unwrap();
    let mut from_1 = pool.settlements(1).await.unwrap();
    let mut from_3 = pool.settlements(3).await.unwrap();
    for (number, index) in [(4, 1), (0, 2), (2, 3)] {
        is(next(&mut from_0).await, number, index);
    }
    for (number, index) in [(0, 2), (2, 3)] {
        is(next(&mut from_1).await, number, index);
    }
    for stream in [&mut from_0, &mut from_1, &mut from_3] {
        quiet(stream).await;
    }
    make(&pool, 7, Some(1_000)).await.unwrap();
    world.pay_from("alice", &invoices[3], 1_000).await;
    for stream in [&mut from_0, &mut from_1, &mut from_3] {
        is(next(stream).await, 3, 4);
        quiet(stream).await;
    }
    world.sim.stop().await;
}

/// The node's first settlement, which lnd's own stream never repeats.
#[tokio::test]
async fn the_very_first_settlement() {
    let world = World::start().await;
    let pool = world.lnd("pool-1");
    let mut stream = pool.settlements(0).await.unwrap();
    quiet(&mut stream).await;
    let mut invoices = Vec::new();
    for number in 1..=3 {
        invoices.push(make(&pool, number, Some(1_000)).await.unwrap());
    }
    quiet(&mut stream).await;
    for (invoice, index) in invoices.iter().zip(1..) {
        world.pay_from("alice", invoice, 1_000).await;
        let settlement = next(&mut stream).await;
        assert_eq!((settlement.hash, settlement.settle_index), (invoice.hash, index));
    }
    quiet(&mut stream).await;
    world.sim.stop().await;
}

/// Settled before lnd knew of the follower: not in its stream, so it has to be read.
#[tokio::test]
async fn a_first_settlement_that_slips_by_is_found() {
    let world = World::start().await;
    let pool = world.lnd("pool-1");
    let invoice = make(&pool, 1, Some(1_000)).await.unwrap();
    let mut stream = pool.settlements(0).await.unwrap();
    world.pay_from("alice", &invoice, 1_000).await;
    assert_eq!(next(&mut stream).await.hash, invoice.hash);
    quiet(&mut stream).await;
    world.sim.stop().await;
}

#[tokio::test]
async fn many_pages_of_invoices() {
    const COUNT: u16 = 2_300;
    let world = World::start().await;
    let pool = world.lnd("pool-1");
    let mut paid = Vec::new();
    for number in 0..COUNT {
        let mut preimage = [0; 32];
        preimage[..2].copy_from_slice(&number.to_be_bytes());
        let expires_at = now().plus_seconds(3_600);
        let made = pool.make_invoice(Preimage(preimage), Some(msat(1_000)), "", expires_at).await;
        // The newest pages hold none that is settled.
        if number % 50 == 0 && number < 1_000 {
            let made = made.unwrap();
            world.pay_from("alice", &made, 1_000).await;
            paid.push(made.hash);
        }
    }
    let mut stream = pool.settlements(0).await.unwrap();
    for hash in paid {
        assert_eq!(next(&mut stream).await.hash, hash);
    }
    quiet(&mut stream).await;
    world.sim.stop().await;
}

#[tokio::test]
async fn a_follower_ends_when_the_node_goes_and_takes_up_where_it_was() {
    let world = World::start().await;
    let pool = world.lnd("pool-1");
    let invoices =
        [make(&pool, 1, Some(1_000)).await.unwrap(), make(&pool, 2, Some(1_000)).await.unwrap()];
    world.pay_from("alice", &invoices[0], 1_000).await;
    let mut stream = pool.settlements(0).await.unwrap();
    let cursor = next(&mut stream).await.settle_index;
    quiet(&mut stream).await;
    restart(&world).await;
    let end = timeout(Duration::from_secs(5), stream.next()).await.expect("an end");
    assert!(!matches!(end, Some(Ok(_))), "{end:?}");
    let end = timeout(Duration::from_secs(5), stream.next()).await.expect("an end");
    assert!(end.is_none(), "{end:?}");

    world.pay_from("alice", &invoices[1], 1_000).await;
    let mut stream = pool.settlements(cursor).await.unwrap();
    assert_eq!(next(&mut stream).await.hash, invoices[1].hash);
    world.sim.stop().await;
}

async fn restart(world: &World) {
    let request = lightning_sim::control_proto::RestartNodeRequest {
        node: "pool-1".to_owned(),
        kill: true,
        down_ms: 20,
    };
    world.control().restart_node(request).await.unwrap();
}
