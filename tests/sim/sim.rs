//! What everything in one run shares: the clock, the dice, the trace, the auditor.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use domain::Timestamp;
use lightning_sim::port::Port;
use ports::Clock;
use store::Memory;
use tokio::time::{Instant, sleep};

use crate::{auditor::Auditor, hazards::Hazards, random::Random, trace::Trace};

/// When every run begins.
const START_MS: i64 = 1_800_000_000_000;

/// The paused clock of the runtime, as a time of day.
pub(crate) struct SimClock {
    started: Instant,
}

impl SimClock {
    pub(crate) fn start() -> Arc<SimClock> {
        Arc::new(SimClock { started: Instant::now() })
    }

    fn passed_ms(&self) -> i64 {
        i64::try_from(self.started.elapsed().as_millis()).expect("a run is short")
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(START_MS + self.passed_ms())
    }
}

pub(crate) struct Sim {
    pub(crate) clock: Arc<SimClock>,
    pub(crate) memory: Arc<Memory>,
    pub(crate) port: Arc<Port>,
    random: Mutex<Random>,
    hazards: Mutex<Hazards>,
    trace: Mutex<Trace>,
    auditor: Mutex<Auditor>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sim {
    pub(crate) fn new(
        clock: Arc<SimClock>,
        memory: Arc<Memory>,
        port: Arc<Port>,
        random: Random,
        auditor: Auditor,
    ) -> Arc<Sim> {
        Arc::new(Sim {
            clock,
            memory,
            port,
            random: Mutex::new(random),
            hazards: Mutex::default(),
            trace: Mutex::new(Trace::new()),
            auditor: Mutex::new(auditor),
        })
    }

    pub(crate) fn say(&self, text: &str) {
        lock(&self.trace).say(self.clock.passed_ms(), text);
    }

    pub(crate) fn trace(&self) -> Trace {
        std::mem::replace(&mut *lock(&self.trace), Trace::new())
    }

    pub(crate) fn draw<R>(&self, draw: impl FnOnce(&mut Random) -> R) -> R {
        draw(&mut lock(&self.random))
    }

    pub(crate) fn hazards(&self) -> Hazards {
        lock(&self.hazards).clone()
    }

    pub(crate) fn set_hazards(&self, hazards: Hazards) {
        self.say(&format!("{hazards:?}"));
        *lock(&self.hazards) = hazards;
    }

    /// Whether one of the hazards strikes now.
    pub(crate) fn strikes(&self, hazard: impl FnOnce(&Hazards) -> u64) -> bool {
        let permille = hazard(&lock(&self.hazards));
        permille > 0 && self.draw(|random| random.strikes(permille))
    }

    /// Passes some of a span.
    pub(crate) async fn lag(&self, span: impl FnOnce(&Hazards) -> u64) {
        let most = span(&lock(&self.hazards));
        if most > 0 {
            let ms = self.draw(|random| random.below(most + 1));
            if ms > 0 {
                sleep(Duration::from_millis(ms)).await;
            }
        }
    }

    /// Has the auditor look at everything that is new, then at something more.
    pub(crate) fn audit<R>(&self, look: impl FnOnce(&mut Auditor) -> R) -> R {
        let mut auditor = lock(&self.auditor);
        let news = auditor.read(&self.memory);
        self.port.act(|network, _| auditor.compare(network));
        let seen = look(&mut auditor);
        drop(auditor);
        news.iter().for_each(|line| self.say(line));
        seen
    }

    pub(crate) fn violate(&self, what: String) {
        self.say(&format!("VIOLATION {what}"));
        lock(&self.auditor).violations.push(what);
    }

    pub(crate) fn violation(&self) -> Option<String> {
        lock(&self.auditor).violations.first().cloned()
    }
}
