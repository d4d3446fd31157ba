//! The parts around the engines fail while customers pay: the database is started again, its connections
//! break in the middle of a COMMIT, an engine is cut off from it, everything is replaced one by one.

use std::time::{Duration, Instant};

use tests::way::Way;
use tokio::time::sleep;

use crate::{bed::Bed, load::Load};

const CUSTOMERS: usize = 12;

/// Every open payment has ended so long after the database is back.
const RECOVERS_WITHIN: Duration = Duration::from_secs(5 + 3);

/// Longer than a lease.
const CUT_OFF_FOR: Duration = Duration::from_secs(8);

/// Two engines, the second of which reaches the database only over the way.
async fn one_over_a_way() -> (Bed, Way) {
    let mut bed = Bed::start(1).await;
    let way = Way::to(bed.database_port()).await;
    bed.start_engine_over("engine-2", &way).await;
    bed.settled().await;
    (bed, way)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_is_started_again() {
    let bed = Bed::start(2).await;
    let customers = bed.world.customers("acme", CUSTOMERS).await.expect("customers can be made");
    let load = Load::begin(&bed.world, &bed.world.connect(), &customers);
    load.paid(20).await;
    for _ in 0..2 {
        bed.restart_database();
        let back = Instant::now();
        load.paid(1).await;
        assert!(back.elapsed() <= RECOVERS_WITHIN, "{:?}", back.elapsed());
        load.paid(20).await;
    }
    load.end().await;
    bed.is_sound().await;
}

/// A connection that breaks while a transaction is under way leaves everybody in doubt whether it was
/// committed; loading settles it (`architecture` §3.8).
#[tokio::test(flavor = "multi_thread")]
async fn connections_to_the_database_break_again_and_again() {
    let (bed, way) = one_over_a_way().await;
    let customers = bed.world.customers("acme", CUSTOMERS).await.expect("customers can be made");
    let load = Load::begin(&bed.world, &bed.world.connect(), &customers);
    for _ in 0..20 {
        load.paid(7).await;
        way.cut_once();
    }
    load.paid(50).await;
    load.end().await;
    bed.is_sound().await;
}

/// It can neither renew its lease nor write; the other takes over, and what it still had in hand counts for
/// nothing when it is back.
#[tokio::test(flavor = "multi_thread")]
async fn an_engine_is_cut_off_from_the_database() {
    let (mut bed, way) = one_over_a_way().await;
    let customers = bed.world.customers("acme", CUSTOMERS).await.expect("customers can be made");
    let load = Load::begin(&bed.world, &bed.world.connect(), &customers);
    load.paid(20).await;
    way.fall_silent();
    sleep(CUT_OFF_FOR).await;
    load.paid(50).await;
    for customer in &customers {
        assert_eq!(bed.owner(&customer.org).await.0, "engine-1", "who is cut off owns nothing");
    }
    way.open();
    bed.settled().await;
    load.paid(50).await;
    load.end().await;
    assert!(bed.process("engine-2").ended().is_none(), "{}", bed.process("engine-2").said());
    bed.is_sound().await;
}

/// A deploy: every pod is replaced, one after the other, twice.
#[tokio::test(flavor = "multi_thread")]
async fn every_engine_is_replaced_under_load() {
    let mut bed = Bed::start(3).await;
    let customers = bed.world.customers("acme", CUSTOMERS).await.expect("customers can be made");
    let load = Load::begin(&bed.world, &bed.world.connect(), &customers);
    for number in [1, 2, 3, 1, 2, 3] {
        let name = format!("engine-{number}");
        load.paid(20).await;
        bed.signal(&name, "-TERM");
        let ended = bed.process(&name).ends_within(Duration::from_secs(20)).await;
        assert!(ended.is_some_and(|status| status.success()), "{}", bed.process(&name).said());
        bed.start_engine(&name).await;
        bed.settled().await;
    }
    load.paid(50).await;
    let seen = load.end().await;
    let said = bed.world.platform().said();
    assert_eq!(seen.refusals, [""; 0], "of {} payments; the gateway: {said}", seen.paid);
    bed.is_sound().await;
}
