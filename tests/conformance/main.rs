//! The contract of the store's ports, for every store that keeps it.
//!
//! One list of cases runs on memory, on SQLite, on PostgreSQL, and on memory with a plan of faults
//! around it that has none. What only one store has is tested in its own file. PostgreSQL is asked
//! for by name: `cargo test -p tests --test conformance -- --include-ignored`.

#![allow(clippy::unwrap_used, reason = "tests")]

mod bed;
mod claims;
mod cluster;
mod directory;
mod fences;
mod guard;
mod idempotency;
mod leases;
mod lists;
mod loading;
mod open_payments;
mod planner;
mod postgres;
mod proxy;
mod receipts;
mod rows;
mod sqlite;
mod writer;

use std::{
    any::type_name,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
};

use bed::{Bed, Kind};

type Run = Box<dyn Fn(Bed) -> Pin<Box<dyn Future<Output = ()>>>>;

/// One function of the suite, known by its own name.
struct Case {
    name: &'static str,
    run: Run,
}

fn case<F, Running>(run: F) -> Case
where
    F: Fn(Bed) -> Running + 'static,
    Running: Future<Output = ()> + 'static,
{
    let name = type_name::<F>().trim_start_matches("conformance::");
    Case { name, run: Box::new(move |bed| Box::pin(run(bed))) }
}

/// Each case has a store of its own.
fn conforms(kind: &Kind<'_>) {
    let cases = [
        fences::cases(),
        claims::cases(),
        rows::cases(),
        lists::cases(),
        receipts::cases(),
        directory::cases(),
        guard::cases(),
        idempotency::cases(),
        leases::cases(),
    ];
    let shared = kind.is_shared().then(cluster::cases);
    let cases: Vec<Case> = cases.into_iter().chain(shared).flatten().collect();
    let mut failed = Vec::new();
    for case in &cases {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let one = || runtime.block_on(async { (case.run)(kind.bed().await).await });
        if catch_unwind(AssertUnwindSafe(one)).is_err() {
            eprintln!("failed on {kind:?}: {}", case.name);
            failed.push(case.name);
        }
    }
    assert!(failed.is_empty(), "{} of {} cases failed: {failed:#?}", failed.len(), cases.len());
}

#[test]
fn memory_keeps_the_contract() {
    conforms(&Kind::Memory);
}

#[test]
fn a_plan_without_faults_changes_nothing() {
    conforms(&Kind::Faulty);
}

#[test]
fn sqlite_keeps_the_contract() {
    conforms(&Kind::Sqlite);
}

#[test]
#[ignore = "needs PostgreSQL"]
fn postgres_keeps_the_contract() {
    conforms(&Kind::Postgres(&tests::postgres::Postgres::start()));
}
