//! Rate against history: the same payments over tables that hold more and more of what has ended, beside an
//! installation that has just begun. A machine changes its pace within minutes, so the two are measured in
//! turn.

use std::time::{Duration, Instant};

use crate::curve::{Axis, Curve, Line};
use crate::database::Payments;
use crate::payments::{CALLERS, CHANNELS};
use crate::scene::Scene;
use crate::table::{Check, Workload};
use crate::{Bench, Outcome};

/// Ledger entries that the database has before; a payment has two.
const HISTORIES: [(i64, &str); 3] =
    [(100_000, "10^5 entries"), (1_000_000, "10^6 entries"), (10_000_000, "10^7 entries")];

/// How long more of it is made, in measured times: a slow machine has to do with less.
const MADE_WITHIN: u32 = 600;

pub(crate) async fn run(bench: &Bench) -> Outcome<Vec<Workload>> {
    let scene = Scene::on_postgres(bench).await?;
    let payments = scene.payments().await?;
    let mut first = scene.pay_everyone("history").await?;
    // What is made below is nobody's, as an auditor would say.
    first.checks.push(scene.audit().await);
    let (mut lines, mut points) = (vec![first], Vec::new());
    for (entries, id) in HISTORIES {
        fill(&payments, entries, bench.timing.measure * MADE_WITHIN).await?;
        let before = payments.entries().await?;
        // Who comes first after so much pays for reading and marking all pages that are in use.
        scene.pay_everyone("the pages in use").await?;
        let [new, mut line, newest] = scene.beside_a_new_one(id).await?;
        line.notes.push(format!("{before} entries before"));
        points.push((before as f64, line.between(&new, &newest)));
        lines.extend([new, line, newest]);
    }
    if let Some(last) = lines.last_mut() {
        last.curve = Some(Curve {
            name: "rate-against-history",
            x: Axis::logarithmic("ledger entries that the database has before"),
            y: Axis::linear("rate beside that of a new installation"),
            lines: vec![Line { of: "512 callers", points }],
        });
    }
    Ok(lines)
}

/// Gives the database so many entries, unless the time is over before.
async fn fill(payments: &Payments, entries: i64, within: Duration) -> Outcome<()> {
    let began = Instant::now();
    while payments.entries().await? < entries && began.elapsed() < within {
        payments.repeat_them_a_day_earlier().await?;
    }
    payments.settle().await
}

impl Scene<'_> {
    async fn pay_everyone(&self, id: &'static str) -> Outcome<Workload> {
        self.pay(id, self.bench.timing, CALLERS, CHANNELS, &self.customers.clone()).await
    }

    /// W2 between two runs of it on an installation that has nothing behind it.
    pub(crate) async fn beside_a_new_one(&self, id: &'static str) -> Outcome<[Workload; 3]> {
        let new = Scene::on_postgres(self.bench).await?;
        let before = new.pay_everyone("a new one").await?;
        let mut line = self.pay_everyone(id).await?;
        let after = new.pay_everyone("a new one").await?;
        let kept = line.between(&before, &after);
        line.checks.push(Check::at_least("rate / that of a new one", kept, 0.9, 1.0));
        Ok([before, line, after])
    }
}
