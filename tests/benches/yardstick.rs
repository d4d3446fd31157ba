//! What this machine and this PostgreSQL can do without us, in the same run.

use std::fmt::{self, Display, Formatter};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tests::postgres::Postgres;
use tokio::task::spawn_blocking;
use tokio_postgres::NoTls;

use crate::bare::{Pace, Shape};
use crate::cpu::Cpu;
use crate::latency::Latency;
use crate::loadgen::Timing;
use crate::scene::Scene;
use crate::table::{Cell, Workload, others};
use crate::{Bench, Outcome, bare_postgres, bare_sqlite};

/// The server of a run. Large enough that nothing but the journal is written while it is measured.
pub(crate) const SETTINGS: &[&str] =
    &["shared_buffers=1GB", "min_wal_size=6GB", "max_wal_size=12GB", "checkpoint_timeout=15min"];

pub(crate) struct Yardsticks {
    pub(crate) fdatasync_rate: f64,
    /// One row, one connection, one at a time.
    pub(crate) commit: Latency,
    pub(crate) pgbench_tps: f64,
    /// Before the workloads, and after them: a machine can change its pace during a run.
    pub(crate) bare: Vec<Pace>,
    pub(crate) sqlite: Pace,
}

impl Yardsticks {
    pub(crate) fn measure(postgres: &Postgres, folder: &Path, timing: Timing) -> Outcome<Self> {
        write_ahead(postgres)?;
        Ok(Yardsticks {
            fdatasync_rate: fdatasync_rate(folder, timing.measure / 5)?,
            commit: commit(postgres, timing.measure / 5)?,
            pgbench_tps: pgbench(postgres, timing.measure)?,
            bare: vec![bare_postgres::run(postgres, Shape::STANDARD, timing)?],
            sqlite: bare_sqlite::run(folder, Shape::STANDARD, timing)?,
        })
    }

    /// Measures the bare loop once more, after the workloads.
    pub(crate) fn measure_again(&mut self, postgres: &Postgres, timing: Timing) -> Outcome<()> {
        self.bare.push(bare_postgres::run(postgres, Shape::STANDARD, timing)?);
        Ok(())
    }

    /// The mean of the runs.
    pub(crate) fn bare_rate(&self) -> f64 {
        self.bare.iter().map(|pace| pace.rate).sum::<f64>() / self.bare.len() as f64
    }
}

impl Scene<'_> {
    /// The workload between two runs of the bare loop on a store of its kind: machines change their pace
    /// within minutes.
    pub(crate) async fn beside_bare(
        &self,
        workload: impl Future<Output = Outcome<Workload>>,
    ) -> Outcome<Workload> {
        let before = self.bare_rate().await?;
        let mut workload = workload.await?;
        let after = self.bare_rate().await?;
        let bare = f64::midpoint(before, after);
        let share = workload.rate / bare;
        let note = format!("bare loop before and after it: {before:.0}/s, {after:.0}/s");
        println!("{note}, so {share:.3} of it");
        workload.notes.push(note);
        workload.bare_rate = Some(bare);
        Ok(workload)
    }

    async fn bare_rate(&self) -> Outcome<f64> {
        let Bench { bare, timing, .. } = self.bench;
        let (postgres, timing) = (bare.clone(), *timing);
        let on_sqlite = self.is_on_sqlite().then(|| TempDir::new_in(self.bench.folder()));
        let on_sqlite = on_sqlite.transpose()?;
        // It has a runtime of its own, and this one has connections that must not fall silent.
        let run = move || match on_sqlite {
            None => bare_postgres::run(&postgres, Shape::STANDARD, timing),
            Some(folder) => bare_sqlite::run(folder.path(), Shape::STANDARD, timing),
        };
        Ok(spawn_blocking(run).await??.rate)
    }
}

impl Display for Yardsticks {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        writeln!(out, "fdatasync of 8 kB       {:8.0}/s", self.fdatasync_rate)?;
        let [p50, p99] = [0.5, 0.99].map(|at| Cell(self.commit.quantile(at)));
        writeln!(out, "commit of one row       p50 {p50} p99 {p99} ms")?;
        writeln!(out, "pgbench TPC-B           {:8.0}/s (16 clients, scale 10)", self.pgbench_tps)?;
        for pace in &self.bare {
            writeln!(out, "bare loop, PostgreSQL   {}", Line(pace))?;
        }
        writeln!(out, "bare loop, SQLite       {}", Line(&self.sqlite))
    }
}

pub(crate) struct Line<'a>(pub(crate) &'a Pace);

impl Display for Line<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let Pace { rate, cpu, payments, elapsed, batch, commit } = self.0;
        let each = |us| Cpu::each(us, *payments);
        write!(
            out,
            "{rate:8.0}/s, CPU {:6.1} µs = client {:5.1} + server {:6.1}, \
             transaction p50 {} p99 {}, COMMIT p50 {} p99 {} ms, others {}",
            each(cpu.total_us()),
            each(cpu.client_us),
            each(cpu.postgres_us),
            Cell(batch.quantile(0.5)),
            Cell(batch.quantile(0.99)),
            Cell(commit.quantile(0.5)),
            Cell(commit.quantile(0.99)),
            others(cpu, *elapsed),
        )
    }
}

/// CPU of the bare loop by payments in a transaction: what the product's curve is compared with.
pub(crate) fn batches(postgres: &Postgres, timing: Timing) -> Outcome<String> {
    write_ahead(postgres)?;
    let mut text = String::new();
    for (lanes, batch) in [(1, 1), (1, 8), (1, 32), (1, 128), (2, 128), (2, 512)] {
        let shape = Shape { lanes, batch, ..Shape::STANDARD };
        let pace = bare_postgres::run(postgres, shape, timing)?;
        text += &format!("bare loop, {lanes} x {batch:3}      {}\n", Line(&pace));
    }
    Ok(text)
}

/// A new server makes each segment of its journal when it needs it, at a cost that an older one
/// does not have, because it uses those again that it made before. So as many as a run fills are made first.
pub(crate) fn write_ahead(postgres: &Postgres) -> Outcome<()> {
    const FILL: &str = "
        select count(pg_logical_emit_message(false, 'fill', repeat('x', 16000000)))
        from generate_series(1, 340)";
    let mut psql = postgres.client("psql");
    psql.args(["-X", "-q", "-d", "postgres", "-c", FILL, "-c", "checkpoint"]);
    let output = psql.output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(())
}

/// The disk under the server's data, as its journal uses it: a page is written again and made
/// durable.
fn fdatasync_rate(folder: &Path, time: Duration) -> Outcome<f64> {
    const PAGE: [u8; 8_192] = [1; 8_192];
    const PAGES: u64 = 2_048;
    let file = File::create(folder.join("fdatasync"))?;
    for page in 0..PAGES {
        file.write_all_at(&PAGE, page * PAGE.len() as u64)?;
    }
    file.sync_all()?;
    let (mut written, started) = (0, Instant::now());
    while started.elapsed() < time {
        file.write_all_at(&PAGE, written % PAGES * PAGE.len() as u64)?;
        file.sync_data()?;
        written += 1;
    }
    Ok(written as f64 / started.elapsed().as_secs_f64())
}

fn commit(postgres: &Postgres, time: Duration) -> Outcome<Latency> {
    let url = postgres.url_to(&postgres.new_database());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
        tokio::spawn(connection);
        client.batch_execute("create table one (number bigint not null)").await?;
        let insert = client.prepare("insert into one values ($1)").await?;
        let (mut latency, started) = (Latency::default(), Instant::now());
        for number in 0_i64.. {
            let sent = Instant::now();
            client.execute(&insert, &[&number]).await?;
            latency.record(sent.elapsed());
            if started.elapsed() > time {
                break;
            }
        }
        Ok(latency)
    })
}

/// pgbench as it comes, but for its scale and clients.
fn pgbench(postgres: &Postgres, time: Duration) -> Outcome<f64> {
    let database = postgres.new_database();
    let run = |arguments: &[&str]| -> Outcome<String> {
        let output = postgres.client("pgbench").args(arguments).arg(&database).output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        if output.status.success() { Ok(said) } else { Err(format!("pgbench: {errors}").into()) }
    };
    run(&["-i", "-q", "-s", "10"])?;
    let seconds = time.as_secs().max(1).to_string();
    let said = run(&["-c", "16", "-j", "2", "-T", &seconds])?;
    postgres.drop_database(&database);
    let line = said.lines().find_map(|line| line.strip_prefix("tps = "));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.ok_or_else(|| format!("pgbench says no rate: {said}").into())
}
