//! Plays seeds, each on a runtime and a thread of its own.

use std::{
    cell::RefCell,
    ops::Range,
    panic,
    sync::{
        Mutex, Once, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use domain::broken::{self, Rule};
use tokio::runtime::Builder;
use tracing_subscriber::EnvFilter;

use crate::{trace::LIVE, world::World};

/// How one run ended.
pub(crate) struct Outcome {
    pub(crate) seed: u64,
    pub(crate) violation: Option<String>,
    pub(crate) hash: u64,
    lines: Vec<String>,
}

impl Outcome {
    pub(crate) fn show(&self) {
        for line in &self.lines {
            eprintln!("{line}");
        }
        eprintln!("seed {}: trace {:016x}, {:?}", self.seed, self.hash, self.violation);
    }
}

/// Shows what happens as it happens, and the platform's own words as `RUST_LOG` wants them.
pub(crate) fn tell() {
    LIVE.store(true, Ordering::Relaxed);
    let filter = EnvFilter::from_default_env();
    let told = tracing_subscriber::fmt().with_env_filter(filter).without_time();
    told.with_writer(std::io::stderr).init();
}

thread_local! {
    /// Actors survive panics; the run does not.
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

fn note_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let shown = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            PANICS.with_borrow_mut(|panics| panics.push(info.to_string()));
            shown(info);
        }));
    });
}

pub(crate) fn play(seed: u64, engines: u64) -> Outcome {
    play_broken(seed, engines, None)
}

/// Plays a seed with one rule broken.
pub(crate) fn play_broken(seed: u64, engines: u64, rule: Option<Rule>) -> Outcome {
    note_panics();
    broken::set(rule);
    PANICS.take();
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
    let outcome = runtime.expect("a runtime needs nothing").block_on(async {
        let world = World::build(seed, engines).await;
        world.play().await;
        let trace = world.sim.trace();
        let violation = world.sim.violation();
        Outcome { seed, violation, hash: trace.hash, lines: trace.lines }
    });
    broken::set(None);
    let panicked = PANICS.take().into_iter().next();
    Outcome { violation: panicked.or(outcome.violation), ..outcome }
}

/// Plays all seeds on both cores; those that failed, in order.
pub(crate) fn play_all(seeds: Range<u64>, engines: u64) -> Vec<Outcome> {
    let next = AtomicU64::new(seeds.start);
    let failed = Mutex::new(Vec::new());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            let outcome = play(seed, engines);
            if outcome.violation.is_some() {
                failed.lock().unwrap_or_else(PoisonError::into_inner).push(outcome);
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    let mut failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    failed.sort_by_key(|outcome| outcome.seed);
    failed
}
