//! What a build is laid out by: payments of every kind, standalone on both stores and through pods. A process
//! writes down what it has run when it ends, so each is asked to.

use crate::payments::{CALLERS, CHANNELS};
use crate::scene::Scene;
use crate::{Bench, Outcome, inside};

pub(crate) async fn run(bench: &Bench) -> Outcome<()> {
    train(Scene::on_postgres(bench).await?).await?;
    train(Scene::on_sqlite(bench).await?).await?;
    train(Scene::of_pods(bench).await?).await
}

async fn train(scene: Scene<'_>) -> Outcome<()> {
    let (timing, everyone) = (scene.bench.timing, scene.customers.clone());
    let lines = [
        scene.pay("calls", timing, CALLERS, CHANNELS, &everyone).await?,
        scene.pay_piped("streams", timing, &everyone).await?,
        scene.pay_by_rest("REST", timing, &everyone).await?,
        scene.pay("one caller", timing, 1, 1, &everyone).await?,
        inside::pay("inside", timing, &scene).await?,
    ];
    if let Some(line) = lines.iter().find(|line| line.done == 0) {
        return Err(format!("nothing was learned from {}", line.id).into());
    }
    scene.end().await
}
