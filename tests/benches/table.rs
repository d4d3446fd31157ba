//! What was measured, beside what is asked for. The numbers of the floors and goals are those of
//! `performance.md` section 4.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use serde::Serialize;

use crate::Outcome;
use crate::cpu::Cpu;
use crate::curve::Curve;
use crate::database::Cost;
use crate::latency::Latency;
use crate::loadgen::Load;
use crate::yardstick::Yardsticks;

/// One measured workload.
#[derive(Default)]
pub(crate) struct Workload {
    /// As in `FLOORS`; an id that is not there is shown and not judged.
    pub(crate) id: &'static str,
    /// What is counted, in a second: payments, posts, decisions of one core.
    pub(crate) rate: f64,
    pub(crate) done: u64,
    pub(crate) elapsed: Duration,
    pub(crate) latency: Latency,
    /// Of all that was done.
    pub(crate) cpu: Cpu,
    /// Requirements that are not a rate: latency, memory, what the auditor found.
    pub(crate) checks: Vec<Check>,
    pub(crate) refused: u64,
    /// How long it took to say so.
    pub(crate) refusal: Latency,
    /// What the bare loop did in the same minutes, where it was measured then.
    pub(crate) bare_rate: Option<f64>,
    /// What one payment did there.
    pub(crate) database: Option<Cost>,
    /// Ends here: this workload and those before it are its points.
    pub(crate) curve: Option<Curve>,
    /// Shown below the line.
    pub(crate) notes: Vec<String>,
}

impl Workload {
    /// Failed calls are a missed floor of any workload.
    pub(crate) fn of(id: &'static str, load: Load) -> Workload {
        let mut notes = Vec::new();
        if load.refused > 0 {
            let times = [0.5, 0.99].map(|at| Cell(load.refusal.quantile(at)));
            notes.push(format!("{} refused, p50 {} p99 {} ms", load.refused, times[0], times[1]));
        }
        if load.unsent > 0 {
            notes.push(format!("{} were due and not sent before the end", load.unsent));
        }
        notes.extend(load.failure.as_ref().map(|reason| format!("first failure: {reason}")));
        let failed = Check::at_most("failed calls", load.failed as f64, 0.0, 0.0);
        let checks = if load.failed > 0 { vec![failed] } else { Vec::new() };
        Workload {
            id,
            rate: load.rate(),
            done: load.done,
            elapsed: load.elapsed,
            latency: load.latency,
            cpu: load.cpu,
            checks,
            refused: load.refused,
            refusal: load.refusal,
            notes,
            ..Workload::default()
        }
    }
}

impl Workload {
    /// Says what begins, and at its end what came of it: whoever stops a run has what was measured before.
    pub(crate) async fn measured(
        id: &'static str,
        load: impl Future<Output = Outcome<Load>>,
    ) -> Outcome<Workload> {
        println!("running {id}");
        let workload = Workload::of(id, load.await?);
        print!("{}", Line(&workload));
        Ok(workload)
    }

    /// What is left of another's rate. Where both have been measured beside the bare loop, it tells how much
    /// of what has changed is the machine's.
    pub(crate) fn compared_with(&self, other: &Workload) -> f64 {
        let machine =
            self.bare_rate.zip(other.bare_rate).map_or(1.0, |(ours, theirs)| ours / theirs);
        self.rate / other.rate / machine
    }

    /// The share of what another does, measured before this one and after it.
    pub(crate) fn between(&self, before: &Workload, after: &Workload) -> f64 {
        self.rate / f64::midpoint(before.rate, after.rate)
    }
}

/// One number against its floor and its goal.
#[derive(Clone, Serialize)]
pub(crate) struct Check {
    what: String,
    value: f64,
    floor: f64,
    goal: f64,
    verdict: Verdict,
}

impl Check {
    pub(crate) fn at_least(what: &str, value: f64, floor: f64, goal: f64) -> Check {
        let verdict = Verdict::of(value >= floor, value >= goal);
        Check { what: what.to_owned(), value, floor, goal, verdict }
    }

    pub(crate) fn at_most(what: &str, value: f64, floor: f64, goal: f64) -> Check {
        let verdict = Verdict::of(value <= floor, value <= goal);
        Check { what: what.to_owned(), value, floor, goal, verdict }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    Goal,
    Floor,
    /// Below an absolute floor, as any figure can be on a slow machine, but not below half of it.
    Slow,
    Missed,
    /// What it is compared with was not measured in this run, so nobody can say.
    Unjudged,
}

impl Verdict {
    fn of(floor: bool, goal: bool) -> Verdict {
        match (floor, goal) {
            (true, true) => Verdict::Goal,
            (true, false) => Verdict::Floor,
            (false, true | false) => Verdict::Missed,
        }
    }

    fn passes(self) -> bool {
        match self {
            Verdict::Goal | Verdict::Floor | Verdict::Slow => true,
            Verdict::Missed | Verdict::Unjudged => false,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Verdict::Goal => "goal",
            Verdict::Floor => "floor",
            Verdict::Slow => "slow",
            Verdict::Missed => "MISSED",
            Verdict::Unjudged => "NOT JUDGED",
        }
    }
}

/// What a rate is divided by.
#[derive(Clone, Copy)]
enum Against {
    /// The bare two-phase loop on PostgreSQL.
    Bare,
    /// The bare two-phase loop on SQLite.
    Sqlite,
    Pgbench,
    /// Another workload of the same run.
    Workload(&'static str),
    /// Nothing: a figure that holds on an idle machine, so that only half of the floor is binding.
    Nothing,
}

struct Floor {
    id: &'static str,
    against: Against,
    floor: f64,
    goal: f64,
}

const fn floor(id: &'static str, against: Against, floor: f64, goal: f64) -> Floor {
    Floor { id, against, floor, goal }
}

const FLOORS: &[Floor] = &[
    floor("W1", Against::Bare, 0.10, 0.20),
    floor("W2", Against::Bare, 0.16, 0.31),
    floor("W2", Against::Pgbench, 0.6, 1.1),
    floor("W2 stream", Against::Workload("W2"), 0.9, 1.1),
    floor("W2b", Against::Bare, 0.16, 0.31),
    floor("W3", Against::Bare, 1.2, 2.4),
    floor("W3 hot", Against::Bare, 1.2, 2.4),
    floor("W4", Against::Workload("W2"), 0.6, 0.9),
    floor("W5", Against::Nothing, 300_000.0, 1_000_000.0),
    floor("W7a", Against::Sqlite, 0.16, 0.31),
    floor("W7b", Against::Sqlite, 0.10, 0.20),
    floor("W8", Against::Nothing, 5_000.0, 20_000.0),
];

/// Everything a run has to say.
pub(crate) struct Table {
    pub(crate) yardsticks: Yardsticks,
    pub(crate) workloads: Vec<Workload>,
}

impl Table {
    /// Whether every floor holds.
    pub(crate) fn passes(&self) -> bool {
        self.workloads.iter().all(|workload| {
            self.judge(workload).iter().chain(&workload.checks).all(|check| check.verdict.passes())
        })
    }

    /// One line for each floor of a workload's rate.
    pub(crate) fn judge(&self, workload: &Workload) -> Vec<Check> {
        let floors = FLOORS.iter().filter(|floor| floor.id == workload.id);
        let check = |floor: &Floor| {
            let Some((what, ratio)) = self.ratio(floor.against, workload) else {
                let what = "what it is compared with was not measured".to_owned();
                let Floor { floor, goal, .. } = *floor;
                return Check { what, value: 0.0, floor, goal, verdict: Verdict::Unjudged };
            };
            let mut check = Check::at_least(&what, ratio, floor.floor, floor.goal);
            let slow = matches!(floor.against, Against::Nothing) && ratio >= floor.floor / 2.0;
            if check.verdict == Verdict::Missed && slow {
                check.verdict = Verdict::Slow;
            }
            check
        };
        floors.map(check).collect()
    }

    fn ratio(&self, against: Against, workload: &Workload) -> Option<(String, f64)> {
        let (rate, yardsticks) = (workload.rate, &self.yardsticks);
        Some(match against {
            Against::Bare => {
                let bare = workload.bare_rate.unwrap_or_else(|| yardsticks.bare_rate());
                ("rate / bare loop".to_owned(), rate / bare)
            }
            Against::Sqlite => {
                let bare = workload.bare_rate.unwrap_or(yardsticks.sqlite.rate);
                ("rate / bare loop, SQLite".to_owned(), rate / bare)
            }
            Against::Pgbench => ("rate / pgbench".to_owned(), rate / yardsticks.pgbench_tps),
            Against::Workload(id) => {
                let other = self.workloads.iter().find(|workload| workload.id == id)?;
                (format!("rate / {id}"), workload.compared_with(other))
            }
            Against::Nothing => ("rate".to_owned(), rate),
        })
    }
}

impl Display for Table {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}", self.yardsticks)?;
        writeln!(
            out,
            "{:15} {:>9} {:>8} {:>8} {:>8}   \
             {:>7} = {:>6} + {:>10} + {:>5} + {:>8} {:>7}",
            "workload",
            "rate/s",
            "p50 ms",
            "p99",
            "p99.9",
            "CPU µs",
            "client",
            "switchyard",
            "sim",
            "postgres",
            "others",
        )?;
        for workload in &self.workloads {
            write!(out, "{}", Line(workload))?;
            for check in self.judge(workload).iter().chain(&workload.checks) {
                let Check { what, value, floor, goal, verdict } = check;
                let verdict = verdict.word();
                let what = format!("{what}: {value:.3}, floor {floor}, goal {goal}");
                writeln!(out, "           {what:66} {verdict}")?;
            }
            if let Some([gateways, engines]) = workload.cpu.of_pods(workload.done) {
                writeln!(
                    out,
                    "           switchyard's CPU µs: gateways {gateways:.1} + engines {engines:.1}",
                )?;
            }
            let cost = workload.database.as_ref().map(Cost::to_string).unwrap_or_default();
            for line in workload.notes.iter().map(String::as_str).chain(cost.lines()) {
                writeln!(out, "           {line}")?;
            }
        }
        Ok(())
    }
}

/// One workload, in the table's columns.
struct Line<'a>(&'a Workload);

impl Display for Line<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let Workload { id, rate, done, elapsed, latency, cpu, .. } = self.0;
        let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|at| Cell(latency.quantile(at)));
        let each = |us| Cpu::each(us, *done);
        writeln!(
            out,
            "{id:15} {rate:9.0} {p50:>8} {p99:>8} {p999:>8}   \
             {:7.1} = {:6.1} + {:10.1} + {:5.1} + {:8.1} {:>7}",
            each(cpu.total_us()),
            each(cpu.client_us),
            each(cpu.switchyard_us),
            each(cpu.sim_us),
            each(cpu.postgres_us),
            others(cpu, *elapsed),
        )
    }
}

pub(crate) fn others(cpu: &Cpu, elapsed: Duration) -> String {
    format!("{:.0} %", others_share(cpu, elapsed) * 100.0)
}

/// The share of the machine that went elsewhere. A run with more than a few percent is worth
/// little.
pub(crate) fn others_share(cpu: &Cpu, elapsed: Duration) -> f64 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let machine = elapsed.as_micros() as f64 * cores as f64;
    cpu.others_us as f64 / machine.max(1.0)
}

/// Milliseconds, or a dash for what did not happen.
pub(crate) struct Cell(pub(crate) Option<Duration>);

impl Display for Cell {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(time) => out.pad(&format!("{:.2}", time.as_secs_f64() * 1_000.0)),
            None => out.pad("-"),
        }
    }
}
