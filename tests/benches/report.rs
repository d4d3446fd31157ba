//! A run as JSON, for whoever compares runs or draws them. The names of fields say their units; what was
//! not measured is null.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;

use serde::Serialize;

use crate::bare::Pace;
use crate::cpu::Cpu;
use crate::curve::Curve;
use crate::database::Cost;
use crate::latency::Latency;
use crate::loadgen::Timing;
use crate::table::{Check, Table, Workload, others_share};
use crate::yardstick::Yardsticks;
use crate::{Outcome, plot};

/// Writes the file and the folder that it lies in.
pub(crate) fn write(table: &Table, timing: Timing, file: &Path) -> Outcome<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut out = BufWriter::new(File::create(file)?);
    serde_json::to_writer_pretty(&mut out, &Report::of(table, timing))?;
    out.flush()?;
    let curves = table.workloads.iter().filter_map(|workload| workload.curve.as_ref());
    for curve in curves {
        plot::draw(curve, file.parent().unwrap_or(Path::new("")))?;
    }
    Ok(())
}

#[derive(Serialize)]
struct Report<'a> {
    cores: usize,
    measured_seconds: f64,
    /// Whether every floor holds.
    passes: bool,
    yardsticks: Yardstick,
    workloads: Vec<Line<'a>>,
    curves: Vec<&'a Curve>,
}

impl Report<'_> {
    fn of(table: &Table, timing: Timing) -> Report<'_> {
        Report {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            measured_seconds: timing.measure.as_secs_f64(),
            passes: table.passes(),
            yardsticks: Yardstick::of(&table.yardsticks),
            workloads: table.workloads.iter().map(|workload| Line::of(table, workload)).collect(),
            curves: table.workloads.iter().filter_map(|workload| workload.curve.as_ref()).collect(),
        }
    }
}

#[derive(Serialize)]
struct Yardstick {
    fdatasync_per_second: f64,
    commit_of_one_row_ms: Quantiles,
    pgbench_per_second: f64,
    /// Before the workloads, and after them.
    bare_loop_postgres: Vec<BareLoop>,
    bare_loop_sqlite: BareLoop,
}

impl Yardstick {
    fn of(measured: &Yardsticks) -> Yardstick {
        Yardstick {
            fdatasync_per_second: measured.fdatasync_rate,
            commit_of_one_row_ms: Quantiles::of(&measured.commit),
            pgbench_per_second: measured.pgbench_tps,
            bare_loop_postgres: measured.bare.iter().map(BareLoop::of).collect(),
            bare_loop_sqlite: BareLoop::of(&measured.sqlite),
        }
    }
}

#[derive(Serialize)]
struct BareLoop {
    per_second: f64,
    payments: u64,
    cpu_us_per_payment: Split,
    transaction_ms: Quantiles,
    commit_ms: Quantiles,
    others_share: f64,
}

impl BareLoop {
    fn of(pace: &Pace) -> BareLoop {
        BareLoop {
            per_second: pace.rate,
            payments: pace.payments,
            cpu_us_per_payment: Split::of(&pace.cpu, pace.payments),
            transaction_ms: Quantiles::of(&pace.batch),
            commit_ms: Quantiles::of(&pace.commit),
            others_share: others_share(&pace.cpu, pace.elapsed),
        }
    }
}

#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    per_second: f64,
    done: u64,
    elapsed_ms: f64,
    latency_ms: Quantiles,
    refused: u64,
    refusal_ms: Quantiles,
    /// Of one payment, or of whatever else the workload counts.
    cpu_us_each: Split,
    /// The part of the machine that went elsewhere.
    others_share: f64,
    bare_loop_per_second: Option<f64>,
    checks: Vec<Check>,
    database_each: Option<&'a Cost>,
    notes: &'a [String],
}

impl Line<'_> {
    fn of<'a>(table: &Table, workload: &'a Workload) -> Line<'a> {
        Line {
            id: workload.id,
            per_second: workload.rate,
            done: workload.done,
            elapsed_ms: workload.elapsed.as_secs_f64() * 1_000.0,
            latency_ms: Quantiles::of(&workload.latency),
            refused: workload.refused,
            refusal_ms: Quantiles::of(&workload.refusal),
            cpu_us_each: Split::of(&workload.cpu, workload.done),
            others_share: others_share(&workload.cpu, workload.elapsed),
            bare_loop_per_second: workload.bare_rate,
            checks: table.judge(workload).into_iter().chain(workload.checks.clone()).collect(),
            database_each: workload.database.as_ref(),
            notes: &workload.notes,
        }
    }
}

/// CPU time by who spent it.
#[derive(Serialize)]
struct Split {
    total: f64,
    client: f64,
    switchyard: f64,
    /// Of switchyard, in a cluster.
    gateways: Option<f64>,
    engines: Option<f64>,
    sim: f64,
    postgres: f64,
}

impl Split {
    fn of(cpu: &Cpu, done: u64) -> Split {
        let each = |us| Cpu::each(us, done);
        let [gateways, engines] = cpu.of_pods(done).map_or([None; 2], |pods| pods.map(Some));
        Split {
            total: each(cpu.total_us()),
            client: each(cpu.client_us),
            switchyard: each(cpu.switchyard_us),
            gateways,
            engines,
            sim: each(cpu.sim_us),
            postgres: each(cpu.postgres_us),
        }
    }
}

#[derive(Serialize)]
struct Quantiles {
    p50: Option<f64>,
    p90: Option<f64>,
    p99: Option<f64>,
    p999: Option<f64>,
}

impl Quantiles {
    fn of(latency: &Latency) -> Quantiles {
        let at = |quantile| Some(latency.quantile(quantile)?.as_secs_f64() * 1_000.0);
        Quantiles { p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999) }
    }
}
