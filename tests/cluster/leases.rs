//! Engines whose leases are not equally long, as while a setting is being changed: each is waited for by its own.

use std::time::Duration;

use tests::{cli, load::Load};

use crate::bed::{Bed, How, SECRET};

const CUSTOMERS: usize = 18;

/// What is left of a lease of five seconds that was renewed a second ago: nobody is taken over sooner.
const USUAL_LEFT: Duration = Duration::from_secs(4);

/// The same of one of eight seconds, in which a gateway's patience for the usual one is over.
const LONG_LEFT: Duration = Duration::from_millis(6_400);

#[tokio::test(flavor = "multi_thread")]
async fn each_engine_is_taken_over_when_its_own_lease_is_over() {
    let mut bed = Bed::start(1).await;
    let flags = ["--lease-ms", "2000"].map(str::to_owned).to_vec();
    bed.start_engine_as("engine-2", How { flags, ..How::default() }).await;
    let environment = vec![("SWITCHYARD_LEASE_MS", "8000".to_owned())];
    bed.start_engine_as("engine-3", How { environment, ..How::default() }).await;
    bed.settled().await;
    are_shown(&bed).await;
    let customers = bed.world.customers("acme", CUSTOMERS).await.expect("customers can be made");
    let gateway = bed.world.connect();
    let mut gaps = Vec::new();
    for engine in ["engine-2", "engine-3"] {
        let payers = bed.owned_by(engine, &customers).await;
        let load = Load::begin(&bed.world, &gateway, &payers);
        load.paid(20).await;
        bed.process(engine).kill();
        load.paid(30).await;
        let seen = load.end().await;
        gaps.push(seen.longest_gap);
        seen.are_kept(&bed.world).await;
    }
    assert!(gaps[0] < USUAL_LEFT && gaps[1] > LONG_LEFT, "{gaps:?}");
    bed.is_sound().await;
}

/// As they are granted, by the clock of the database.
async fn are_shown(bed: &Bed) {
    let said = bed.world.cli("", &["pods"]).await;
    let pods = said.document["pods"].as_array().expect("they are listed");
    let left = pods.iter().map(|pod| pod["lease_left_ms"].as_i64().expect("it has a lease"));
    let longest = [5_000, 2_000, 8_000];
    let left: Vec<i64> = left.collect();
    assert_eq!(left.len(), longest.len(), "{said:?}");
    for (left, longest) in left.into_iter().zip(longest) {
        assert!(left <= longest && left > longest / 2, "{said:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_is_too_short_or_too_long_is_refused() {
    let folder = tempfile::tempdir().expect("there is room");
    let data = folder.path().display().to_string();
    let says = "must be a whole number of milliseconds from 2000 to 10000";
    for role in ["engine", "gateway", "standalone"] {
        for wrong in ["1999", "10001", "-1", "5s"] {
            let words = [role, "--data", &data, "--lease-ms", wrong];
            let flag = cli::run(&words, &[]).await;
            assert_eq!(flag.code, 2, "{flag:?}");
            assert!(flag.stderr.contains(says), "{flag:?}");
            let environment =
                [("SWITCHYARD_LEASE_MS", wrong), ("SWITCHYARD_CLUSTER_SECRET", SECRET)];
            let variable = cli::run(&words[..3], &environment).await;
            assert_eq!(variable.code, 2, "{variable:?}");
            let told = format!("the environment variable SWITCHYARD_LEASE_MS: {says}");
            assert!(variable.stderr.contains(&told), "{variable:?}");
            assert_eq!(variable.stderr.lines().count(), 1, "{variable:?}");
        }
    }
}
