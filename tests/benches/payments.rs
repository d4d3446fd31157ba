//! External payments in two durable phases: the real binary, a simulated network, and callers over gRPC who
//! wait for the end.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tests::world::{Customer, new_id};
use tonic::transport::Channel;

use crate::cpu;
use crate::loadgen::{self, Answer, Call, Timing};
use crate::pipe::Pipe;
use crate::rest::Rest;
use crate::scene::{FIRST, Scene};
use crate::table::{Check, Workload};
use crate::{Bench, Outcome, collector};

pub(crate) const CALLERS: usize = 512;
pub(crate) const CHANNELS: usize = 4;

/// Of W2b: each waits a second for its node.
const CALLERS_OF_SLOW_NODES: usize = 10_000;
const CHANNELS_OF_SLOW_NODES: usize = 16;
const SLOW_MS: u64 = 1_000;

/// A line of callers that has just begun is then as long as it gets.
pub(crate) const SPREADS_WITHIN: Duration = Duration::from_secs(6);

/// W2 and W4 on PostgreSQL, and W2 again after everything.
pub(crate) async fn on_postgres(bench: &Bench) -> Outcome<Vec<Workload>> {
    let scene = Scene::on_postgres(bench).await?;
    let memory = scene.memory_of_organisations();
    let timing = bench.timing;
    let everyone = scene.customers.clone();
    let first = scene.pay("W2", timing, CALLERS, CHANNELS, &everyone);
    let mut first = scene.beside_bare(scene.counted(first)).await?;
    first.checks.push(memory);
    let quick = timing.part(2);
    let at = percent_of(&first, 70);
    let mut busy = scene.pay_evenly("W2 70 %", quick, at, &everyone).await?;
    busy.checks.extend(quantile(&busy, 0.99, "p99 ms", 50.0));
    let piped = scene.beside_bare(scene.pay_piped("W2 stream", timing, &everyone)).await?;
    let at = percent_of(&piped, 70);
    let mut piped_busy = scene.pay_piped_evenly("W2 stream 70 %", quick, at, &everyone).await?;
    piped_busy.checks.extend(quantile(&piped_busy, 0.99, "p99 ms", 50.0));
    let rest = scene.pay_by_rest("W2 REST", timing, &everyone).await?;
    let at = percent_of(&rest, 70);
    let mut rest_busy = scene.pay_by_rest_evenly("W2 REST 70 %", quick, at, &everyone).await?;
    rest_busy.checks.extend(quantile(&rest_busy, 0.99, "p99 ms", 50.0));
    let mut idle = scene.pay("W2 idle", quick, 1, 1, &everyone).await?;
    idle.checks.extend(quantile(&idle, 0.99, "p99 ms", 10.0));
    let one = Arc::new(everyone[..1].to_vec());
    let hot = scene.beside_bare(scene.pay("W4", timing, CALLERS, CHANNELS, &one)).await?;
    let [new, mut later, newest] = scene.beside_a_new_one("W2 later").await?;
    later.checks.push(scene.audit().await);
    let mut lines = vec![first, busy, piped, piped_busy, rest, rest_busy, idle, hot];
    lines.extend([new, later, newest]);
    Ok(lines)
}

/// W2b: W2 over nodes that take a second for each payment.
pub(crate) async fn slow_nodes(bench: &Bench) -> Outcome<Vec<Workload>> {
    let scene = Scene::on_postgres(bench).await?;
    let everyone = scene.customers.clone();
    let load = scene.pay_slow_nodes("W2b", bench.timing, &everyone);
    let mut load = scene.beside_bare(load).await?;
    load.checks.push(scene.audit().await);
    Ok(vec![load])
}

/// W2 with metrics, and traces as many as are kept unless somebody asks for more, between two runs without: machines drift.
pub(crate) async fn watched(bench: &Bench) -> Outcome<Vec<Workload>> {
    let (_collector, endpoint) = collector::start(bench)?;
    let mut scene = Scene::on_postgres(bench).await?;
    let everyone = scene.customers.clone();
    let before = scene.pay("unwatched", bench.timing, CALLERS, CHANNELS, &everyone).await?;
    let flags = ["--metrics-listen", "127.0.0.1:0", "--otlp-endpoint", &endpoint];
    scene.begin_again(&flags).await?;
    let mut watched = scene.pay("watched", bench.timing, CALLERS, CHANNELS, &everyone).await?;
    scene.begin_again(&[]).await?;
    let mut after = scene.pay("unwatched", bench.timing, CALLERS, CHANNELS, &everyone).await?;
    let what = "rate / the same without telemetry";
    watched.checks.push(Check::at_least(what, watched.between(&before, &after), 0.92, 0.96));
    after.checks.push(scene.audit().await);
    Ok(vec![before, watched, after])
}

/// W7a: W2 on the embedded store.
pub(crate) async fn on_sqlite(bench: &Bench) -> Outcome<Vec<Workload>> {
    let scene = Scene::on_sqlite(bench).await?;
    let everyone = scene.customers.clone();
    let load = scene.pay("W7a", bench.timing, CALLERS, CHANNELS, &everyone);
    let mut load = scene.beside_bare(load).await?;
    load.checks.push(scene.audit().await);
    Ok(vec![load])
}

impl Scene<'_> {
    pub(crate) async fn pay(
        &self,
        id: &'static str,
        timing: Timing,
        callers: usize,
        channels: usize,
        customers: &Arc<Vec<Customer>>,
    ) -> Outcome<Workload> {
        let load = async {
            let timing_of_invoices = if callers == 1 { timing.part(8) } else { timing };
            let invoices = self.invoices(timing_of_invoices).await;
            let channels: Vec<Channel> = (0..channels).map(|_| self.world.connect()).collect();
            let call = caller(invoices, customers.clone());
            Ok(loadgen::closed(timing, &channels, callers, &self.meter(), call).await)
        };
        Workload::measured(id, load).await
    }

    /// As many callers, each sending on the stream of one of the first customers.
    pub(crate) async fn pay_piped(
        &self,
        id: &'static str,
        timing: Timing,
        customers: &[Customer],
    ) -> Outcome<Workload> {
        let load = async {
            let call = through_pipe(self.invoices(timing).await);
            let pipes = self.pipes(customers).await?;
            Ok(loadgen::closed(timing, &pipes, CALLERS, &self.meter(), call).await)
        };
        Workload::measured(id, load).await
    }

    async fn pay_piped_evenly(
        &self,
        id: &'static str,
        timing: Timing,
        offered: u64,
        customers: &[Customer],
    ) -> Outcome<Workload> {
        let load = async {
            let call = through_pipe(self.invoices(timing).await);
            let pipes = self.pipes(customers).await?;
            Ok(loadgen::open(timing, &pipes, (offered, 4_096), &self.meter(), call).await)
        };
        Workload::measured(id, load).await
    }

    async fn pipes(&self, customers: &[Customer]) -> Outcome<Vec<Arc<Pipe>>> {
        let channels: Vec<Channel> = (0..CHANNELS).map(|_| self.world.connect()).collect();
        let mut pipes = Vec::new();
        for (customer, channel) in customers.iter().take(FIRST).zip(channels.iter().cycle()) {
            pipes.push(Pipe::open(customer, channel.clone()).await?);
        }
        Ok(pipes)
    }

    /// As many callers over HTTP/1.1, each on a connection of its own.
    pub(crate) async fn pay_by_rest(
        &self,
        id: &'static str,
        timing: Timing,
        customers: &Arc<Vec<Customer>>,
    ) -> Outcome<Workload> {
        let load = async {
            let call = by_rest(self.invoices(timing).await, customers.clone());
            Ok(loadgen::closed(timing, &[self.rest()], CALLERS, &self.meter(), call).await)
        };
        Workload::measured(id, load).await
    }

    async fn pay_by_rest_evenly(
        &self,
        id: &'static str,
        timing: Timing,
        offered: u64,
        customers: &Arc<Vec<Customer>>,
    ) -> Outcome<Workload> {
        let load = async {
            let call = by_rest(self.invoices(timing).await, customers.clone());
            Ok(loadgen::open(timing, &[self.rest()], (offered, 4_096), &self.meter(), call).await)
        };
        Workload::measured(id, load).await
    }

    fn rest(&self) -> Rest {
        Rest::at(self.world.ready["address"].as_str().expect("the ready file has the address"))
    }

    pub(crate) async fn pay_evenly(
        &self,
        id: &'static str,
        timing: Timing,
        offered: u64,
        customers: &Arc<Vec<Customer>>,
    ) -> Outcome<Workload> {
        let load = async {
            let rate = usize::try_from(offered).unwrap_or(usize::MAX);
            let invoices = self.invoices_at(rate, timing).await;
            let channels: Vec<Channel> = (0..CHANNELS).map(|_| self.world.connect()).collect();
            let call = caller(invoices, customers.clone());
            Ok(loadgen::open(timing, &channels, (offered, 4_096), &self.meter(), call).await)
        };
        Workload::measured(id, load).await
    }

    pub(crate) async fn pay_slow_nodes(
        &self,
        id: &'static str,
        timing: Timing,
        customers: &Arc<Vec<Customer>>,
    ) -> Outcome<Workload> {
        // All callers begin at once; only when they have spread is the rate the lasting one.
        let timing = Timing { warmup: timing.warmup.max(SPREADS_WITHIN), ..timing };
        self.set_latency(SLOW_MS).await?;
        let before = cpu::memory_bytes(self.platform_pid());
        let (callers, channels) = (CALLERS_OF_SLOW_NODES, CHANNELS_OF_SLOW_NODES);
        let mut workload = self.pay(id, timing, callers, channels, customers).await?;
        let grown = cpu::memory_bytes(self.platform_pid()).saturating_sub(before);
        self.set_latency(0).await?;
        let each = grown as f64 / 1_000.0 / callers as f64;
        workload.checks.push(Check::at_most("kB of memory for a caller", each, 20.0, 5.0));
        Ok(workload)
    }
}

/// So much of its rate, in whole calls a second.
pub(crate) fn percent_of(of: &Workload, percent: u64) -> u64 {
    let each_second =
        of.done * 1_000 / u64::try_from(of.elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
    (each_second * percent / 100).max(1)
}

/// The same through one merchant's stream.
fn through_pipe(
    invoices: Arc<Vec<String>>,
) -> impl Fn(Arc<Pipe>, Call) -> BoxFuture<'static, Answer> + Send + Sync + 'static {
    move |pipe, call| {
        let (number, invoices) = (usize::try_from(call.number), invoices.clone());
        Box::pin(async move {
            match invoices.get(number.unwrap_or(usize::MAX)) {
                Some(invoice) => pipe.pay(&new_id(), invoice).await,
                None => Answer::Failed("faster than there are invoices".to_owned()),
            }
        })
    }
}

/// The same by REST.
fn by_rest(
    invoices: Arc<Vec<String>>,
    customers: Arc<Vec<Customer>>,
) -> impl Fn(Rest, Call) -> BoxFuture<'static, Answer> + Send + Sync + 'static {
    move |rest, call| {
        let number = usize::try_from(call.number).unwrap_or(usize::MAX);
        let (invoices, customers) = (invoices.clone(), customers.clone());
        Box::pin(async move {
            let Some(invoice) = invoices.get(number) else {
                return Answer::Failed("faster than there are invoices".to_owned());
            };
            rest.pay(&customers[number % customers.len()], &new_id(), invoice).await
        })
    }
}

/// Pays the invoice of each number once, for one customer after the other.
fn caller(
    invoices: Arc<Vec<String>>,
    customers: Arc<Vec<Customer>>,
) -> impl Fn(Channel, Call) -> BoxFuture<'static, Answer> + Send + Sync + 'static {
    move |channel, call| {
        let number = usize::try_from(call.number).unwrap_or(usize::MAX);
        let (invoices, customers) = (invoices.clone(), customers.clone());
        Box::pin(async move {
            let Some(invoice) = invoices.get(number) else {
                return Answer::Failed("faster than there are invoices".to_owned());
            };
            let customer = &customers[number % customers.len()];
            let request = customer.send(&new_id(), invoice);
            match customer.payments(channel).send(request).await {
                Ok(answer) => paid(&answer.into_inner()),
                Err(status) => status.into(),
            }
        })
    }
}

pub(crate) fn paid(payment: &proto::v1::Payment) -> Answer {
    match (payment.status(), &payment.failure) {
        (proto::v1::PaymentStatus::Completed, _) => Answer::Done,
        (status, failure) => Answer::Failed(format!("{status:?} {failure:?}")),
    }
}

pub(crate) fn quantile(workload: &Workload, at: f64, what: &str, floor: f64) -> Option<Check> {
    let time = workload.latency.quantile(at)?;
    Some(Check::at_most(what, time.as_secs_f64() * 1_000.0, floor, floor / 2.0))
}
