//! What payments need before any is measured: the platform, a simulated network that speaks LND's gRPC, and
//! customers.

use std::iter;
use std::sync::Arc;

use tests::bed::SECRET;
use tests::world::{Customer, Setup, World};

use crate::cpu::{self, Meter};
use crate::database::{Counts, Payments};
use crate::loadgen::Timing;
use crate::pods::Pods;
use crate::table::{Check, Workload};
use crate::{Bench, Outcome, bare, database};

pub(crate) const AMOUNT_MSAT: u64 = 1_000_000;

pub(crate) const FIRST: usize = 100;

const PAYEE: &str = "alice";
pub(crate) const POOL: [&str; 2] = ["pool-1", "pool-2"];

pub(crate) struct Scene<'a> {
    pub(crate) bench: &'a Bench,
    pub(crate) world: World,
    pub(crate) customers: Arc<Vec<Customer>>,
    /// Memory of the platform before most of them.
    empty_bytes: u64,
    /// Payments a second that there are invoices for.
    fastest: usize,
    /// The address of the PostgreSQL database; none on the embedded store.
    database: Option<String>,
    /// The engines, if what customers call is a gateway.
    pods: Option<Pods>,
}

impl<'a> Scene<'a> {
    pub(crate) async fn on_sqlite(bench: &'a Bench) -> Outcome<Scene<'a>> {
        Scene::set(bench, Setup::default(), None).await
    }

    pub(crate) async fn on_postgres(bench: &'a Bench) -> Outcome<Scene<'a>> {
        let postgres = Some(database::counted(&bench.postgres)?);
        Scene::set(bench, Setup { postgres, ..Setup::default() }, None).await
    }

    /// A gateway and the engines behind it.
    pub(crate) async fn of_pods(bench: &'a Bench) -> Outcome<Scene<'a>> {
        let url = database::counted(&bench.postgres)?;
        let pods = Pods::start(&url).await?;
        let gateway_of = Some(SECRET.to_owned());
        let setup = Setup { postgres: Some(url), gateway_of, ..Setup::default() };
        Scene::set(bench, setup, Some(pods)).await
    }

    async fn set(bench: &'a Bench, setup: Setup, pods: Option<Pods>) -> Outcome<Scene<'a>> {
        let database = setup.postgres.clone();
        let world = World::start(Setup { huge_liquidity: true, ..setup }).await?;
        if let Some(pods) = &pods {
            pods.settled(&world).await;
        }
        let customers = Arc::default();
        let mut scene =
            Scene { bench, world, customers, empty_bytes: 0, fastest: 9_000, database, pods };
        // What the first customers make the process reach for is not of each of them.
        let mut customers = scene.world.customers("first", FIRST).await?;
        scene.empty_bytes = cpu::memory_bytes(scene.platform_pid());
        customers.extend(scene.world.customers("customer", bare::ORGANISATIONS - FIRST).await?);
        scene.customers = Arc::new(customers);
        Ok(scene)
    }

    /// Stops the platform and starts it with these flags, on what it has left.
    pub(crate) async fn begin_again(&mut self, flags: &[&str]) -> Outcome<()> {
        self.world.stop_platform().await?;
        self.world.give_flags(flags);
        self.world.start_platform().await?;
        self.world.usable(POOL.len()).await;
        Ok(())
    }

    /// Asks every process to end, and waits until they have.
    pub(crate) async fn end(mut self) -> Outcome<()> {
        self.world.stop_platform().await?;
        if let Some(pods) = &mut self.pods {
            pods.stop().await?;
        }
        Ok(self.world.stop_network().await?)
    }

    pub(crate) fn is_on_sqlite(&self) -> bool {
        self.database.is_none()
    }

    pub(crate) fn meter(&self) -> Meter<'_> {
        let (platform, engines) = (self.platform_pid(), self.pods.as_ref().map(Pods::pids));
        Meter {
            postgres: (!self.is_on_sqlite()).then_some(&self.bench.postgres),
            switchyard: iter::once(platform).chain(engines.iter().flatten().copied()).collect(),
            gateways: engines.map(|_| platform).into_iter().collect(),
            sim: vec![self.world.network_pid()],
        }
    }

    pub(crate) fn platform_pid(&self) -> u32 {
        let pid = self.world.ready["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
        pid.expect("the ready file has the pid")
    }

    /// Runs a load that makes payments, and counts what they cost in the database.
    pub(crate) async fn counted(
        &self,
        load: impl Future<Output = Outcome<Workload>>,
    ) -> Outcome<Workload> {
        let Some(url) = &self.database else { return load.await };
        let counts = Counts::begin(&self.bench.postgres, url).await?;
        let mut workload = load.await?;
        workload.database = Some(counts.end().await?);
        Ok(workload)
    }

    /// All organisations were made in this life, so all are in memory.
    pub(crate) fn memory_of_organisations(&self) -> Check {
        let bytes = cpu::memory_bytes(self.platform_pid()).saturating_sub(self.empty_bytes);
        let each = bytes as f64 / 1_000.0 / (self.customers.len() - FIRST) as f64;
        Check::at_most("kB of memory for a live organisation", each, 12.0, 6.0)
    }

    /// Enough of the payee outside for everything that can be paid in this time.
    pub(crate) async fn invoices(&self, timing: Timing) -> Arc<Vec<String>> {
        self.invoices_at(self.fastest, timing).await
    }

    /// Enough for so many a second.
    pub(crate) async fn invoices_at(&self, rate: usize, timing: Timing) -> Arc<Vec<String>> {
        let millis = (timing.warmup + timing.measure).as_millis() + 1_000;
        let count = usize::try_from(millis).unwrap_or(usize::MAX) * rate / 1_000;
        Arc::new(self.invoices_of(count).await)
    }

    pub(crate) async fn invoices_of(&self, count: usize) -> Vec<String> {
        self.world.invoices(PAYEE, AMOUNT_MSAT, count).await
    }

    /// How many payments PostgreSQL has by now, however they ended.
    pub(crate) async fn payments(&self) -> Outcome<Payments> {
        let url = self.database.as_deref().ok_or("the embedded store cannot be asked")?;
        Payments::of(url).await
    }

    pub(crate) async fn set_latency(&self, latency_ms: u64) -> Outcome<()> {
        for node in POOL {
            self.world.set_latency(node, latency_ms).await?;
        }
        Ok(())
    }

    pub(crate) async fn audit(&self) -> Check {
        let report = self.world.audit().await;
        for finding in report.findings.iter().take(5) {
            println!("audit: {} {}", finding.code, finding.message);
        }
        Check::at_most("audit findings", report.findings_total as f64, 0.0, 0.0)
    }
}
