//! Redis carries hints: it makes things quicker and rates common, and can do no harm by being away, empty,
//! or a liar.

use std::time::{Duration, Instant};

use proto::v1::{FollowEventsRequest, ListWalletsRequest, events_client::EventsClient};
use tests::{redis::Redis, world::LIMIT_MSAT};
use tonic::{Code, transport::Channel};

use crate::{bed::Bed, load::Load};

const PER_SECOND: u32 = 20;
const CALLED_FOR: Duration = Duration::from_secs(5);

/// So many calls of the key get through in a while.
async fn let_in(channel: Channel, customer: &tests::world::Customer) -> u32 {
    let (until, mut through) = (Instant::now() + CALLED_FOR, 0);
    let mut wallets = customer.wallets(channel);
    while Instant::now() < until {
        match wallets.list(ListWalletsRequest::default()).await {
            Ok(_) => through += 1,
            Err(refused) => assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}"),
        }
    }
    through
}

/// Two gateways, called at the same time. One alone lets in the burst and what is refilled meanwhile.
async fn at_two_gateways(flags: &[String]) -> u32 {
    let mut bed = Bed::start_each(1, &[], flags).await;
    let other = bed.another_gateway_with(flags).await;
    let customer = bed.world.customer("acme", LIMIT_MSAT).await.expect("customers can be made");
    let (here, there) =
        tokio::join!(let_in(bed.world.connect(), &customer), let_in(other, &customer));
    here + there
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_has_one_limit_at_all_gateways() {
    let redis = Redis::start();
    let rate = ["--calls-per-second".to_owned(), PER_SECOND.to_string()];
    let alone = at_two_gateways(&rate).await;
    let together = [&rate[..], &["--redis".to_owned(), redis.url()]].concat();
    let shared = at_two_gateways(&together).await;
    let seconds = u32::try_from(CALLED_FOR.as_secs()).expect("a few");
    let of_one = PER_SECOND * (2 + seconds);
    assert!(alone > of_one * 3 / 2, "without Redis each gateway has its own: {alone}");
    assert!(shared < of_one * 3 / 2, "with it they share one of {of_one}: {shared}");
    assert!(shared > of_one / 2, "{shared} of {of_one}");
}

/// Whatever Redis says, and whatever becomes of it, customers pay, and once only.
#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_lies_forgets_and_goes_away_costs_no_money() {
    let redis = Redis::start();
    let flags = ["--redis".to_owned(), redis.url()];
    let bed = Bed::start_with(2, &flags).await;
    let customers = bed.world.customers("acme", 6).await.expect("customers can be made");
    let load = Load::begin(&bed.world, &bed.world.connect(), &customers);
    load.paid(20).await;
    for lie in ["", "no id", &"\u{1}".repeat(5_000)] {
        redis.cli(&["publish", "switchyard:grown", lie]);
    }
    redis.cli(&[
        "eval",
        "for i = 1, 2000 do redis.call('publish', 'switchyard:grown', ARGV[1]) end",
        "0",
        "0123456789abcdef",
    ]);
    load.paid(20).await;
    redis.cli(&["flushall"]);
    load.paid(20).await;
    drop(redis);
    load.paid(50).await;
    let seen = load.end().await;
    assert_eq!(seen.refusals, [""; 0], "of {} payments", seen.paid);
    bed.is_sound().await;
}

/// Those who follow events are told when they happen, and a moment later where there is no Redis.
#[tokio::test(flavor = "multi_thread")]
async fn events_are_told_with_and_without_redis() {
    let redis = Redis::start();
    for flags in [vec!["--redis".to_owned(), redis.url()], Vec::new()] {
        let bed = Bed::start_with(1, &flags).await;
        let customer = bed.world.customer("acme", LIMIT_MSAT).await.expect("customers can be made");
        let follow = FollowEventsRequest::default();
        let followed = EventsClient::new(customer.wire(bed.world.connect())).follow(follow).await;
        let mut events = followed.expect("it may be followed").into_inner();
        let load = Load::begin(&bed.world, &bed.world.connect(), std::slice::from_ref(&customer));
        let (mut told, began) = (0, Instant::now());
        while told < 30 {
            events.message().await.expect("it goes on").expect("there is more");
            told += 1;
        }
        load.end().await;
        assert!(began.elapsed() < Duration::from_secs(60));
    }
}
