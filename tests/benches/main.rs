//! Load: the real binary, driven from outside, beside what the machine can do without us.
//!
//! `cargo bench -p tests --bench load -- [--only W2,W4] [--seconds 10] [--quick] [--curves]
//! [--json FILE] [--batches]`
//!
//! Prints the table of `table.rs`, writes it as JSON too where a file is named, and exits with 1 if a
//! floor is missed. `--curves` measures those workloads too that take long, which else only run where
//! `--only` names them; `--batches` prints the bare loop by the size of its transactions, and nothing else.

#![allow(
    clippy::float_arithmetic,
    clippy::cast_possible_truncation,
    reason = "rates and ratios of measured times, nothing here is money"
)]
#![allow(clippy::print_stdout, reason = "the table is what this program is for")]

mod bare;
mod bare_postgres;
mod bare_sqlite;
mod collector;
mod cpu;
mod curve;
mod database;
mod echo;
mod front;
mod history;
mod hop;
mod inside;
mod latency;
mod ledger;
mod load_curve;
mod loadgen;
mod organisations;
mod payments;
mod pipe;
mod plot;
mod pods;
mod process;
mod recovery;
mod report;
mod rest;
mod routing;
mod scene;
mod stub;
mod table;
mod training;
mod yardstick;

use std::error::Error;
use std::future::ready;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tests::postgres::Postgres;
use tokio::runtime::{Builder, Runtime};

use crate::loadgen::Timing;
use crate::table::{Table, Workload};
use crate::yardstick::Yardsticks;

/// As the platform's: a quarter of what a caller costs was the system's own, and our gateway is measured here
/// with the one that it has.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

pub(crate) type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Makes this program the other end of the bare tonic call.
pub(crate) const SERVE_ECHO: &str = "--serve-echo";

/// Makes this program our gateway with nothing behind it.
pub(crate) const SERVE_GATEWAY: &str = "--serve-gateway";

/// Makes this program what our gateway is compared with.
pub(crate) const SERVE_BARE_TONIC: &str = "--serve-bare-tonic";
pub(crate) const SERVE_BARE_AXUM: &str = "--serve-bare-axum";

/// Makes this program an engine with nothing behind it.
pub(crate) const SERVE_ENGINE: &str = "--serve-engine";

/// Makes this program a collector of traces.
pub(crate) const SERVE_COLLECTOR: &str = "--serve-collector";

/// The workloads in the order in which they run. Each may answer with several lines of the table.
///
/// They run on a runtime with one thread, which is enough to call other processes. One that runs
/// parts of the product in this process brings a runtime of its own on a thread of its own.
const WORKLOADS: &[(&str, Measure)] = &[
    ("echo", |bench| Box::pin(echo::run(bench))),
    ("W6", |bench| Box::pin(front::run(bench))),
    ("hop", |bench| Box::pin(hop::run(bench))),
    ("W1", |bench| Box::pin(inside::on_postgres(bench))),
    ("W2", |bench| Box::pin(payments::on_postgres(bench))),
    ("W2b", |bench| Box::pin(payments::slow_nodes(bench))),
    ("W1 pods", |bench| Box::pin(pods::inside(bench))),
    ("W2 pods", |bench| Box::pin(pods::outside(bench))),
    ("watched", |bench| Box::pin(payments::watched(bench))),
    ("W3", |bench| Box::pin(ready(ledger::run(bench)))),
    ("W5", |bench| Box::pin(ready(routing::run(bench)))),
    ("W7a", |bench| Box::pin(payments::on_sqlite(bench))),
    ("W7b", |bench| Box::pin(inside::on_sqlite(bench))),
];

/// Those that take long.
const CURVES: &[(&str, Measure)] = &[
    ("load", |bench| Box::pin(load_curve::run(bench))),
    ("organisations", |bench| Box::pin(organisations::run(bench))),
    ("history", |bench| Box::pin(history::run(bench))),
    ("recovery", |bench| Box::pin(recovery::run(bench))),
];

type Measure = for<'a> fn(&'a Bench) -> Pin<Box<dyn Future<Output = Measured> + 'a>>;

type Measured = Outcome<Vec<Workload>>;

/// What every workload is given.
pub(crate) struct Bench {
    /// Shared by all: each workload takes a new database.
    pub(crate) postgres: Postgres,
    /// A server like it for the yardsticks: neither waits for what the other has yet to write.
    pub(crate) bare: Arc<Postgres>,
    pub(crate) timing: Timing,
}

impl Bench {
    /// For logs and files, on the disk of the database.
    pub(crate) fn folder(&self) -> &Path {
        self.postgres.folder()
    }
}

struct Arguments {
    only: Option<Vec<String>>,
    timing: Timing,
    curves: bool,
    batches: bool,
    train: bool,
    /// Where the table goes as JSON.
    json: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("the bench itself failed: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every floor holds.
fn run() -> Outcome<bool> {
    if let Some(other) = other_end() {
        Runtime::new()?.block_on(other)?;
        return Ok(true);
    }
    let Arguments { only, timing, curves, batches, train, json } = arguments()?;
    // One thread: between processes that compete for two cores a second one makes each call dearer
    // by a third.
    let generator = Builder::new_current_thread().enable_all().build()?;
    let [postgres, bare] = [(), ()].map(|()| Postgres::start_with(yardstick::SETTINGS));
    let bench = Bench { postgres, bare: Arc::new(bare), timing };
    if batches {
        print!("{}", yardstick::batches(&bench.bare, timing)?);
        return Ok(true);
    }
    if train {
        generator.block_on(training::run(&bench))?;
        return Ok(true);
    }
    database::can_count_statements(&bench.postgres)?;
    yardstick::write_ahead(&bench.postgres)?;
    let yardsticks = Yardsticks::measure(&bench.bare, bench.folder(), timing)?;
    println!("{yardsticks}");
    let mut table = Table { yardsticks, workloads: Vec::new() };
    let named = |id: &str| only.as_ref().map(|only| only.iter().any(|it| it == id));
    let usual = WORKLOADS.iter().filter(|(id, _)| named(id).unwrap_or(true));
    let long = CURVES.iter().filter(|(id, _)| named(id).unwrap_or(curves));
    let mut broken = None;
    for (id, measure) in usual.chain(long) {
        println!("running {id}");
        match generator.block_on(measure(&bench)) {
            Ok(lines) => table.workloads.extend(lines),
            // A quarter of an hour of figures is not thrown away for the one that is missing.
            Err(error) => {
                broken = Some(format!("{id}: {error}"));
                break;
            }
        }
    }
    table.yardsticks.measure_again(&bench.bare, timing)?;
    println!("\n{table}");
    if let Some(file) = json {
        report::write(&table, timing, &file)?;
        println!("written as {}", file.display());
    }
    broken.map_or_else(|| Ok(table.passes()), |why| Err(why.into()))
}

/// What this program is when a workload has started it as the other end.
fn other_end() -> Option<Pin<Box<dyn Future<Output = Outcome<()>>>>> {
    std::env::args().find_map(|argument| match argument.as_str() {
        SERVE_ECHO => Some(Box::pin(echo::serve()) as _),
        SERVE_GATEWAY => Some(Box::pin(front::serve_gateway()) as _),
        SERVE_BARE_TONIC => Some(Box::pin(front::serve_bare_tonic()) as _),
        SERVE_BARE_AXUM => Some(Box::pin(front::serve_bare_axum()) as _),
        SERVE_ENGINE => Some(Box::pin(hop::serve()) as _),
        SERVE_COLLECTOR => Some(Box::pin(collector::serve()) as _),
        _ => None,
    })
}

fn arguments() -> Outcome<Arguments> {
    let (mut only, mut json) = (None, None);
    let (mut curves, mut batches, mut train) = (false, false, false);
    let mut seconds = 10;
    let mut given = std::env::args().skip(1);
    while let Some(argument) = given.next() {
        let mut value = || given.next().ok_or_else(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--bench" => {} // Cargo says so.
            "--only" => {
                let ids: Vec<String> = value()?.split(',').map(str::to_owned).collect();
                let all = || WORKLOADS.iter().chain(CURVES);
                let known = |id: &String| all().any(|(known, _)| known == id);
                if let Some(unknown) = ids.iter().find(|id| !known(id)) {
                    return Err(format!("no workload {unknown}").into());
                }
                only = Some(ids);
            }
            "--seconds" => seconds = value()?.parse()?,
            "--quick" => seconds = 3,
            "--curves" => curves = true,
            "--batches" => batches = true,
            "--train" => train = true,
            "--json" => json = Some(PathBuf::from(value()?)),
            unknown => return Err(format!("unknown argument {unknown}").into()),
        }
    }
    let measure = Duration::from_secs(seconds.max(1));
    let timing = Timing { warmup: measure / 5, measure };
    Ok(Arguments { only, timing, curves, batches, train, json })
}
