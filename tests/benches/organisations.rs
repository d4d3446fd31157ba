//! Rate against organisations: a payment of each in turn, so that the more there are the fewer decisions of
//! one share a batch, and the more of them are in memory.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::curve::{Axis, Curve, Line};
use crate::payments::{CALLERS, CHANNELS};
use crate::scene::Scene;
use crate::table::{Check, Workload};
use crate::{Bench, Outcome, bare};

const FEW: usize = 10;
const MANY: usize = 100_000;

/// Set up at a time.
const AT_A_TIME: usize = 1_000;

/// How long more of them are set up, in measured times: a slow machine has to do with fewer.
const SET_UP_WITHIN: u32 = 15;

pub(crate) async fn run(bench: &Bench) -> Outcome<Vec<Workload>> {
    let mut scene = Scene::on_postgres(bench).await?;
    let mut lines = Vec::new();
    let mut points = Vec::new();
    for (id, count) in [("orgs few", FEW), ("orgs", bare::ORGANISATIONS), ("orgs many", MANY)] {
        grow(&mut scene, count, bench.timing.measure * SET_UP_WITHIN).await?;
        let payers = &scene.customers[..count.min(scene.customers.len())];
        let payers = Arc::new(payers.to_vec());
        let mut line = scene.pay(id, bench.timing, CALLERS, CHANNELS, &payers).await?;
        line.notes.push(format!("{} organisations pay", payers.len()));
        points.push((payers.len() as f64, line.rate));
        lines.push(line);
    }
    let best = lines.iter().map(|line| line.rate).fold(0.0, f64::max);
    for line in &mut lines {
        line.checks.push(Check::at_least("rate / best", line.rate / best, 0.8, 0.9));
    }
    if let Some(last) = lines.last_mut() {
        last.checks.push(scene.audit().await);
        last.curve = Some(Curve {
            name: "rate-against-organisations",
            x: Axis::logarithmic("organisations that pay"),
            y: Axis::linear("payments a second"),
            lines: vec![Line { of: "512 callers", points }],
        });
    }
    Ok(lines)
}

/// Sets up more customers until there are so many, or the time is over.
async fn grow(scene: &mut Scene<'_>, count: usize, within: Duration) -> Outcome<()> {
    let began = Instant::now();
    let mut customers = scene.customers.to_vec();
    while customers.len() < count && began.elapsed() < within {
        let name = format!("one of {}", customers.len());
        let more = AT_A_TIME.min(count - customers.len());
        customers.extend(scene.world.customers(&name, more).await?);
    }
    scene.customers = customers.into();
    Ok(())
}
