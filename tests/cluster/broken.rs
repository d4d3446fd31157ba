//! Engines that are killed, stopped and paused while customers pay.

use std::time::Duration;

use tests::process::STOPS_WITHIN;
use tests::world::new_id;
use tokio::time::sleep;

use crate::{bed::Bed, load::Load};

const CUSTOMERS: usize = 12;

/// A lease and a second and a half (`architecture` section 8), and what a machine that does much else
/// may take for it.
const SERVED_AGAIN_WITHIN: Duration = Duration::from_millis(6_500 + 1_500);

/// Three leases.
const PAUSED_FOR: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_is_one_whichever_gateway_is_asked() {
    let mut bed = Bed::start(3).await;
    let other = bed.another_gateway().await;
    let customers = bed.world.customers("acme", 6).await.expect("customers can be made");
    for customer in &customers {
        let invoice = bed.world.invoice("alice", 5_000, "").await;
        let request = customer.send(&new_id(), &invoice);
        let here = customer.payments(bed.world.connect()).send(request.clone()).await;
        let there = customer.payments(other.clone()).send(request).await;
        assert_eq!(here.unwrap().into_inner(), there.unwrap().into_inner());
    }
    bed.is_sound().await;
}

/// Rules 9, 11, 13: nothing is lost, and nothing is paid twice.
#[tokio::test(flavor = "multi_thread")]
async fn an_owner_that_is_killed_is_replaced() {
    let mut bed = Bed::start(3).await;
    let customers = bed.world.customers("acme", CUSTOMERS).await.expect("customers can be made");
    let all = Load::begin(&bed.world, &bed.world.connect(), &customers);
    let one = Load::begin(&bed.world, &bed.world.connect(), &customers[..1]);
    one.paid(3).await;
    let (owner, session) = bed.owner(&customers[0].org).await;
    bed.process(&owner).kill();
    one.paid(20).await;
    all.paid(20).await;
    let (other, _) = bed.owner(&customers[0].org).await;
    assert_ne!(owner, other, "another one owns it");
    let (one, _) = (one.end().await, all.end().await);
    assert!(one.longest_gap <= SERVED_AGAIN_WITHIN, "{:?}", one.longest_gap);
    bed.is_sound().await;

    bed.start_engine(&owner).await;
    bed.settled().await;
    let (_, again) = bed.owner(&customers[0].org).await;
    assert_ne!(session, again, "a life of its own");
}

/// A deploy is not noticed by anybody.
#[tokio::test(flavor = "multi_thread")]
async fn an_owner_that_is_told_to_stop_hands_over() {
    let mut bed = Bed::start(3).await;
    let customers = bed.world.customers("acme", CUSTOMERS).await.expect("customers can be made");
    let load = Load::begin(&bed.world, &bed.world.connect(), &customers);
    load.paid(20).await;
    let (owner, _) = bed.owner(&customers[0].org).await;
    bed.signal(&owner, "-TERM");
    let ended = bed.process(&owner).ends_within(STOPS_WITHIN).await;
    assert!(ended.is_some_and(|status| status.success()), "{}", bed.process(&owner).said());
    load.paid(50).await;
    bed.start_engine(&owner).await;
    bed.settled().await;
    load.paid(50).await;
    let seen = load.end().await;
    let said = bed.world.platform().said();
    assert_eq!(seen.refusals, [""; 0], "of {} payments; the gateway: {said}", seen.paid);
    bed.is_sound().await;
}

/// Rule 13 in real time: whatever a process wakes up with counts for nothing, and it goes on without being
/// started again.
#[tokio::test(flavor = "multi_thread")]
async fn an_owner_that_is_paused_for_three_leases_begins_a_new_life() {
    let mut bed = Bed::start(2).await;
    let customers = bed.world.customers("acme", CUSTOMERS).await.expect("customers can be made");
    let load = Load::begin(&bed.world, &bed.world.connect(), &customers);
    load.paid(20).await;
    let (owner, session) = bed.owner(&customers[0].org).await;
    bed.signal(&owner, "-STOP");
    sleep(PAUSED_FOR).await;
    load.paid(20).await;
    bed.signal(&owner, "-CONT");
    load.paid(20).await;
    bed.settled().await;
    load.paid(20).await;
    load.end().await;
    bed.is_sound().await;
    let (again, life) = bed.owner(&customers[0].org).await;
    assert_eq!(again, owner, "it has its own shards back");
    assert_ne!(life, session);
    assert!(bed.process(&owner).ended().is_none(), "{}", bed.process(&owner).said());
}
