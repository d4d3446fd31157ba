//! Latency against offered load: from a machine that is nearly idle to one that is asked for more than it
//! can do.

use crate::curve::{Axis, Curve, Line};
use crate::loadgen::Timing;
use crate::payments::{CALLERS, CHANNELS, SPREADS_WITHIN, percent_of};
use crate::scene::Scene;
use crate::table::{Check, Workload};
use crate::{Bench, Outcome};

/// Percent of what callers who wait for their answers reach.
const LOADS: [(u64, &str); 7] = [
    (10, "load 10 %"),
    (30, "load 30 %"),
    (50, "load 50 %"),
    (70, "load 70 %"),
    (90, "load 90 %"),
    (100, "load 100 %"),
    (110, "load 110 %"),
];

const NEARLY_ALL: u64 = 90;
const TOO_MUCH: u64 = 100;

pub(crate) async fn run(bench: &Bench) -> Outcome<Vec<Workload>> {
    let scene = Scene::on_postgres(bench).await?;
    let everyone = scene.customers.clone();
    let most = scene.pay("load maximum", bench.timing, CALLERS, CHANNELS, &everyone).await?;
    let (mut p50, mut p99) = (Vec::new(), Vec::new());
    let mut lines = Vec::new();
    for (percent, id) in LOADS {
        let offered = percent_of(&most, percent);
        let timing = timing(bench, percent);
        let mut line = scene.pay_evenly(id, timing, offered, &everyone).await?;
        for (points, quantile) in [(&mut p50, 0.5), (&mut p99, 0.99)] {
            let time = line.latency.quantile(quantile);
            points.extend(time.map(|time| (percent as f64, time.as_secs_f64() * 1_000.0)));
        }
        if percent > TOO_MUCH {
            line.checks.extend(too_much(&line, &most));
        }
        lines.push(line);
    }
    if let Some(last) = lines.last_mut() {
        last.checks.push(scene.audit().await);
        last.curve = Some(Curve {
            name: "latency-against-load",
            x: Axis::linear("offered load, percent of the maximum"),
            y: Axis::logarithmic("latency, ms"),
            lines: vec![Line { of: "p50", points: p50 }, Line { of: "p99", points: p99 }],
        });
    }
    lines.insert(0, most);
    Ok(lines)
}

/// Where nearly all is asked for that can be done, a line forms and grows until its callers find no place. What
/// begins meanwhile has not ended yet, so the rate is the lasting one only then.
fn timing(bench: &Bench, percent: u64) -> Timing {
    let short = bench.timing.part(2);
    match percent < NEARLY_ALL {
        true => short,
        false => Timing { warmup: short.warmup.max(SPREADS_WITHIN), ..short },
    }
}

/// More than can be done takes nothing away from what can, and whoever is refused hears it at once.
fn too_much(line: &Workload, most: &Workload) -> Vec<Check> {
    let mut checks = vec![Check::at_least("rate / maximum", line.rate / most.rate, 0.95, 1.0)];
    let refusal = line.refusal.quantile(0.99);
    checks.extend(refusal.map(|time| {
        Check::at_most("p99 ms until a refusal", time.as_secs_f64() * 1_000.0, 5.0, 5.0)
    }));
    checks
}
