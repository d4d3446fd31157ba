//! The same payments through a gateway and two engines as processes of their own, each beside what a
//! standalone platform does just before: what is between them is what pods cost.

use std::sync::Arc;

use tempfile::TempDir;
use tests::bed::{engine_on, settled};
use tests::process::{Process, STOPS_WITHIN};
use tests::world::World;

use crate::cpu::Cpu;
use crate::payments::{CALLERS, CHANNELS, percent_of, quantile};
use crate::scene::Scene;
use crate::table::{Check, Workload};
use crate::{Bench, Outcome, inside};

/// Each has half of the organisations.
const ENGINES: usize = 2;

/// Engines over one database. Whoever calls a gateway of the same cluster calls them.
pub(crate) struct Pods {
    engines: Vec<Process>,
    _folder: TempDir,
}

impl Pods {
    pub(crate) async fn start(url: &str) -> Outcome<Pods> {
        let folder = TempDir::new()?;
        let mut engines = Vec::new();
        for number in 1..=ENGINES {
            engines.push(engine_on(url, folder.path(), &format!("engine-{number}")).await?);
        }
        Ok(Pods { engines, _folder: folder })
    }

    /// Waits until all of them have their part of the work.
    pub(crate) async fn settled(&self, world: &World) {
        settled(world, self.engines.len()).await;
    }

    pub(crate) async fn stop(&mut self) -> Outcome<()> {
        for engine in &mut self.engines {
            engine.stop(STOPS_WITHIN).await?;
        }
        Ok(())
    }

    pub(crate) fn pids(&self) -> Vec<u32> {
        self.engines.iter().map(Process::pid).collect()
    }
}

/// W2 through pods, also by stream and by REST, and W4 and W2b.
pub(crate) async fn outside(bench: &Bench) -> Outcome<Vec<Workload>> {
    let alone = {
        let scene = Scene::on_postgres(bench).await?;
        scene.pay("W2 alone", bench.timing, CALLERS, CHANNELS, &scene.customers).await?
    };
    let scene = Scene::of_pods(bench).await?;
    let everyone = scene.customers.clone();
    let pods = scene.pay("W2 pods", bench.timing, CALLERS, CHANNELS, &everyone);
    let mut pods = scene.counted(pods).await?;
    beside(&alone, &mut pods);
    let at = percent_of(&pods, 70);
    let mut busy = scene.pay_evenly("W2 pods 70 %", bench.timing.part(2), at, &everyone).await?;
    busy.checks.extend(quantile(&busy, 0.99, "p99 ms", 50.0));
    let piped = scene.pay_piped("W2 pods stream", bench.timing, &everyone).await?;
    let rest = scene.pay_by_rest("W2 pods REST", bench.timing, &everyone).await?;
    let one = Arc::new(everyone[..1].to_vec());
    let hot = scene.pay("W4 pods", bench.timing, CALLERS, CHANNELS, &one).await?;
    let mut slow = scene.pay_slow_nodes("W2b pods", bench.timing, &everyone).await?;
    slow.checks.push(scene.audit().await);
    Ok(vec![alone, pods, busy, piped, rest, hot, slow])
}

/// W1 through pods.
pub(crate) async fn inside(bench: &Bench) -> Outcome<Vec<Workload>> {
    let alone = {
        let scene = Scene::on_postgres(bench).await?;
        inside::pay("W1 alone", bench.timing, &scene).await?
    };
    let scene = Scene::of_pods(bench).await?;
    let mut pods = inside::pay("W1 pods", bench.timing, &scene).await?;
    beside(&alone, &mut pods);
    let at = percent_of(&pods, 70);
    let mut busy = inside::pay_evenly("W1 pods 70 %", bench.timing.part(2), at, &scene).await?;
    busy.checks.extend(quantile(&busy, 0.99, "p99 ms", 50.0));
    busy.checks.push(scene.audit().await);
    Ok(vec![alone, pods, busy])
}

/// The budget of a payment is about 130 µs of two cores, and a hop is 15 of them (`hop`): nine tenths are left.
/// Half of the batches are in the other engine, so that a floor is lower, and what payments cost more is not
/// the hop's alone.
fn beside(alone: &Workload, pods: &mut Workload) {
    let each = |it: &Workload| Cpu::each(it.cpu.switchyard_us, it.done);
    let more = each(pods) - each(alone);
    pods.notes.push(format!("CPU µs of gateway and engines beyond standalone: {more:.1}"));
    let kept = pods.rate / alone.rate;
    pods.checks.push(Check::at_least("rate / the same standalone", kept, 0.8, 0.9));
}
