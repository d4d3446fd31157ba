//! Owners that are stopped in the middle of something and go on three leases later. They do not know that
//! others have taken over: what they still have in hand must count for nothing.

use std::{
    fs,
    time::{Duration, Instant},
};

use tests::process::Process;
use tokio::time::sleep;

use crate::{
    bed::{Bed, How},
    load::Load,
};

const CUSTOMERS: usize = 12;
const PAUSED_FOR: Duration = Duration::from_secs(15);
const STOPS_WITHIN: Duration = Duration::from_secs(30);
const WAKES_WITHIN: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Each point, and what the process says that wakes up there.
const STOPPED: [(&str, &str, &str); 3] = [
    // Allowed to send, and about to.
    ("engine-2", "attempt::before_call", "a request came too late, and the node refused it"),
    // Between the last statement of a transaction and its COMMIT.
    ("engine-3", "store::before_commit", "it begins a new life"),
    // Committed, and nobody told, not even its own actors.
    ("engine-4", "lane::committed", "it begins a new life"),
];

/// Passes before the process stops, so that it is in the middle of its work.
const PASSES: u32 = 20;

fn is_stopped(process: &Process) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.pid())).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('T'))
}

/// `performance` §4, rules 9 and 13: zero writes, zero second sends.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a binary with failpoints: make failpoints"]
async fn owners_stopped_in_the_middle_of_something() {
    let mut bed = Bed::start(1).await;
    for (engine, point, _) in STOPPED {
        let environment = vec![("STOPS_AT", format!("{point}:{PASSES}"))];
        bed.start_engine_as(engine, How { environment, ..How::default() }).await;
    }
    bed.settled().await;
    let customers = bed.world.customers("acme", CUSTOMERS).await.expect("customers can be made");
    let load = Load::begin(&bed.world, &bed.world.connect(), &customers);
    let began = Instant::now();
    for (engine, point, _) in STOPPED {
        while !is_stopped(bed.process(engine)) {
            assert!(began.elapsed() < STOPS_WITHIN, "{engine} never came to {point}");
            sleep(LOOK_AGAIN).await;
        }
    }
    sleep(PAUSED_FOR).await;
    load.paid(50).await;
    bed.is_sound().await;
    for (engine, ..) in STOPPED {
        bed.signal(engine, "-CONT");
    }
    let woken = Instant::now();
    for (engine, point, says) in STOPPED {
        while !bed.process(engine).log().contains(says) {
            let said = bed.process(engine).said();
            assert!(woken.elapsed() < WAKES_WITHIN, "{engine} at {point}: {said}");
            sleep(LOOK_AGAIN).await;
        }
    }
    bed.settled().await;
    load.paid(50).await;
    load.end().await.are_kept(&bed.world).await;
    for (engine, ..) in STOPPED {
        assert!(bed.process(engine).ended().is_none(), "{}", bed.process(engine).said());
    }
    bed.is_sound().await;
}
