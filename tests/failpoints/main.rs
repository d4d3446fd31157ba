//! kill -9 at every named gap of a payment's walk (`make failpoints`).
//!
//! For each failpoint the process is armed, given work of every kind until it dies there, and started
//! again without it. Callers repeat under the same ids. In the end every payment has one answer, the
//! network has paid each hash once, and the auditor finds nothing. A point that was never hit fails.

#![allow(clippy::print_stdout, reason = "the list of points is what this suite is for")]

mod work;

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use tests::{
    postgres::Postgres,
    world::{Setup, World},
};

use crate::work::Work;

/// Every failpoint, and how many times it is passed before the process dies there.
const POINTS: &[(&str, u32)] = &[
    ("attempt::before_call", 2),
    ("attempt::after_call", 2),
    ("attempt::before_report", 2),
    ("effect::before_answer_claim", 1),
    ("effect::before_claim", 1),
    ("effect::before_pay", 2),
    ("invoice::before_cancel", 1),
    ("invoice::before_make", 1),
    ("invoice::before_report", 1),
    ("lane::committed", 4),
    ("node::before_book", 1),
    ("store::after_commit", 4),
    ("store::before_append", 4),
    ("store::before_commit", 4),
    ("store::load_before_commit", 0),
    ("store::take_in_after_commit", 0),
    ("store::take_in_before_commit", 0),
];

const DIES_WITHIN: Duration = Duration::from_secs(60);

#[test]
fn every_point_of_the_sources_is_in_the_list() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace is above");
    let mut found = BTreeSet::new();
    for room in ["actors", "infra", "services"] {
        collect(&root.join(room), &mut found);
    }
    let listed: BTreeSet<String> = POINTS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(found, listed);
}

fn collect(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("the sources are here").flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("sources are text");
            let calls = text.split("fail_point!(\"").skip(1);
            found.extend(calls.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
        }
    }
}

#[tokio::test]
#[ignore = "needs a binary with failpoints: make failpoints"]
async fn on_sqlite() {
    for (point, passes) in POINTS {
        dies_and_recovers("sqlite", None, point, *passes).await;
    }
}

#[tokio::test]
#[ignore = "needs a binary with failpoints and PostgreSQL: make failpoints"]
async fn on_postgres() {
    let postgres = Postgres::start();
    for (point, passes) in POINTS {
        let url = postgres.url_to(&postgres.new_database());
        dies_and_recovers("postgres", Some(url), point, *passes).await;
    }
}

async fn dies_and_recovers(store: &str, postgres: Option<String>, point: &str, passes: u32) {
    let setup = Setup { postgres, ..Setup::default() };
    let mut world = World::start(setup).await.expect("the world starts");
    let work = Work::prepare(&world).await;
    world.kill_platform();
    world.arm(Some(format!("{point}={passes}*off->panic")));
    // It may die before it serves; that is a hit too.
    let armed = world.start_platform().await;
    world.arm(None);
    let death = match armed {
        Ok(()) => {
            let work = work.begin(&world, false);
            let status = world.platform().ends_within(DIES_WITHIN).await;
            let said = world.platform().said();
            assert!(status.is_some(), "{point} was never hit on {store}");
            assert!(said.contains(point), "died elsewhere than at {point}: {said}");
            world.start_platform().await.expect("it starts again on what it left");
            work.moved_to(&world);
            work.finish(&world).await;
            "under load"
        }
        Err(said) => {
            assert!(said.contains(point), "died elsewhere than at {point}: {said}");
            world.start_platform().await.expect("it starts again on what it left");
            work.begin(&world, true).finish(&world).await;
            "while starting"
        }
    };
    let report = world.audit().await;
    assert!(report.findings.is_empty(), "{point} on {store}: {:?}", report.findings);
    println!("{point:30} {store:8} died {death}, {} payments agree", report.payments);
}
