//! Payments inside the platform: an invoice of one organisation, paid by another over gRPC. The claim, the
//! cancel on the simulated node, the credit and the posting are all commits of their own.

use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, future::BoxFuture, stream};
use proto::v1::{Payment, Rail};
use tests::world::{Customer, new_id};
use tonic::transport::Channel;

use crate::loadgen::{self, Answer, Call, Timing};
use crate::payments::{CALLERS, CHANNELS, paid};
use crate::scene::{AMOUNT_MSAT, Scene};
use crate::table::Workload;
use crate::{Bench, Outcome};

/// Payments a second that there are invoices for: twice the goal.
const FASTEST: usize = 10_000;

/// Invoices that are made at once, before anything is measured.
const MADE_AT_ONCE: usize = 512;

/// W1, on PostgreSQL.
pub(crate) async fn on_postgres(bench: &Bench) -> Outcome<Vec<Workload>> {
    run("W1", &Scene::on_postgres(bench).await?).await
}

/// W7b: W1 on the embedded store.
pub(crate) async fn on_sqlite(bench: &Bench) -> Outcome<Vec<Workload>> {
    run("W7b", &Scene::on_sqlite(bench).await?).await
}

async fn run(id: &'static str, scene: &Scene<'_>) -> Outcome<Vec<Workload>> {
    let mut workload = scene.beside_bare(pay(id, scene.bench.timing, scene)).await?;
    workload.checks.push(scene.audit().await);
    Ok(vec![workload])
}

/// Callers who wait for their answers.
pub(crate) async fn pay(id: &'static str, timing: Timing, scene: &Scene<'_>) -> Outcome<Workload> {
    let call = caller(invoices(scene, timing, FASTEST).await?, scene.customers.clone());
    let (channels, meter) = (channels(scene), scene.meter());
    let load = async { Ok(loadgen::closed(timing, &channels, CALLERS, &meter, call).await) };
    scene.counted(Workload::measured(id, load)).await
}

/// So many calls a second, whoever has been answered.
pub(crate) async fn pay_evenly(
    id: &'static str,
    timing: Timing,
    offered: u64,
    scene: &Scene<'_>,
) -> Outcome<Workload> {
    let rate = usize::try_from(offered)?;
    let call = caller(invoices(scene, timing, rate).await?, scene.customers.clone());
    let (channels, meter) = (channels(scene), scene.meter());
    let load = async { Ok(loadgen::open(timing, &channels, (offered, 4_096), &meter, call).await) };
    Workload::measured(id, load).await
}

fn channels(scene: &Scene<'_>) -> Vec<Channel> {
    (0..CHANNELS).map(|_| scene.world.connect()).collect()
}

fn caller(
    invoices: Vec<String>,
    customers: Arc<Vec<Customer>>,
) -> impl Fn(Channel, Call) -> BoxFuture<'static, Answer> + Send + Sync + 'static {
    let invoices = Arc::new(invoices);
    move |channel: Channel, call: Call| {
        let number = usize::try_from(call.number).unwrap_or(usize::MAX);
        let (customers, invoices) = (customers.clone(), invoices.clone());
        Box::pin(async move {
            let Some(invoice) = invoices.get(number) else {
                return Answer::Failed("faster than there are invoices".to_owned());
            };
            let payer = &customers[number % customers.len()];
            match payer.payments(channel).send(payer.send(&new_id(), invoice)).await {
                Ok(answer) => paid_inside(answer.get_ref()),
                Err(status) => status.into(),
            }
        })
    }
}

fn paid_inside(payment: &Payment) -> Answer {
    match payment.rail() {
        Rail::Internal => paid(payment),
        rail @ (Rail::Unspecified | Rail::CreditPool | Rail::CustomerNode) => {
            Answer::Failed(format!("it left by {rail:?}"))
        }
    }
}

/// Each of the organisation after the one that will pay it.
async fn invoices(scene: &Scene<'_>, timing: Timing, rate: usize) -> Outcome<Vec<String>> {
    let millis = (timing.warmup + timing.measure).as_millis() + 1_000;
    let count = usize::try_from(millis)? * rate / 1_000;
    let channels = channels(scene);
    let made = (0..count).map(|number| {
        let payee: &Customer = &scene.customers[(number + 1) % scene.customers.len()];
        let mut payments = payee.payments(channels[number % CHANNELS].clone());
        async move {
            let request = payee.receive(&new_id(), Some(AMOUNT_MSAT));
            Ok::<_, tonic::Status>(payments.receive(request).await?.into_inner().invoice)
        }
    });
    let made = stream::iter(made).buffered(MADE_AT_ONCE);
    Ok(made.try_collect().await?)
}
