//! The load generator: callers who wait for their answer (closed loop), or calls that come at their
//! time whether or not the others have been answered (open loop).
//!
//! A call counts as done when its answer arrives in the measured time. Its latency counts when it
//! was due in the measured time, whenever its answer arrives, and is measured from when it was due:
//! a system that makes its callers late does not look fast by it.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::task::JoinSet;
use tonic::{Code, Status};

use crate::cpu::{Cpu, Meter};
use crate::latency::Latency;

/// For answers that are still under way when the measured time ends.
const DRAIN_WITHIN: Duration = Duration::from_secs(30);

const UNANSWERED: &str = "no answer within 30 s of the end";

/// How exact the open loop is.
const TICK_NS: u64 = 500_000;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    pub(crate) warmup: Duration,
    pub(crate) measure: Duration,
}

impl Timing {
    pub(crate) fn part(self, part: u32) -> Timing {
        Timing { warmup: self.warmup / part, measure: self.measure / part }
    }
}

/// One call to be made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    /// Counts from 0 over the whole run, each number once: the place of what was made beforehand.
    pub(crate) number: u64,
}

/// What became of a call.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Done,
    /// Told to come back later, which is no failure.
    Refused,
    Failed(String),
}

impl From<Status> for Answer {
    fn from(status: Status) -> Answer {
        if matches!(status.code(), Code::Unavailable | Code::ResourceExhausted) {
            Answer::Refused
        } else {
            Answer::Failed(status.to_string())
        }
    }
}

/// What happened in the measured time.
pub(crate) struct Load {
    pub(crate) done: u64,
    pub(crate) refused: u64,
    /// Over the whole run, also those that were never answered: there should be none.
    pub(crate) failed: u64,
    pub(crate) failure: Option<String>,
    /// Of the open loop: due, but without a place before the end, so that no latency tells of them.
    pub(crate) unsent: u64,
    pub(crate) elapsed: Duration,
    /// Of the calls that were done.
    pub(crate) latency: Latency,
    /// Of the calls that were refused.
    pub(crate) refusal: Latency,
    pub(crate) cpu: Cpu,
}

impl Load {
    pub(crate) fn rate(&self) -> f64 {
        self.done as f64 / self.elapsed.as_secs_f64()
    }
}

/// Runs `callers`, spread over the channels, each making its next call when the last one was
/// answered.
pub(crate) async fn closed<C, F, Fut>(
    timing: Timing,
    channels: &[C],
    callers: usize,
    meter: &Meter<'_>,
    call: F,
) -> Load
where
    C: Clone + Send + Sync + 'static,
    F: Fn(C, Call) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Answer> + Send,
{
    let recorder = Arc::new(Recorder::new(timing));
    let (call, numbers) = (Arc::new(call), Arc::new(AtomicU64::new(0)));
    let mut running = JoinSet::new();
    for channel in channels.iter().cycle().take(callers) {
        let channel = channel.clone();
        let (recorder, call, numbers) = (recorder.clone(), call.clone(), numbers.clone());
        running.spawn(async move {
            while Instant::now() < recorder.end {
                let (number, due) = (numbers.fetch_add(1, Ordering::Relaxed), Instant::now());
                let answer = call(channel.clone(), Call { number }).await;
                recorder.record(due, answer);
            }
        });
    }
    let (cpu, elapsed) = recorder.watch(meter).await;
    let ended = async {
        while let Some(ended) = running.join_next().await {
            recorder.lose(usize::from(ended.is_err()), "a call panicked");
        }
    };
    if tokio::time::timeout(DRAIN_WITHIN, ended).await.is_err() {
        recorder.lose(running.len(), UNANSWERED);
    }
    recorder.load(cpu, elapsed)
}

/// Makes `offered` calls a second, evenly to half a millisecond, with at most `in_flight_max` of
/// them unanswered: a call that finds no place waits, and the wait is part of its latency.
pub(crate) async fn open<C, F, Fut>(
    timing: Timing,
    channels: &[C],
    (offered, in_flight_max): (u64, u32),
    meter: &Meter<'_>,
    call: F,
) -> Load
where
    C: Clone + Send + Sync + 'static,
    F: Fn(C, Call) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Answer> + Send + 'static,
{
    let recorder = Arc::new(Recorder::new(timing));
    let places = Arc::new(Semaphore::new(in_flight_max as usize));
    let caller = {
        let (recorder, places, channels) = (recorder.clone(), places.clone(), channels.to_vec());
        tokio::spawn(async move {
            let mut ticks = ticks(recorder.begin, recorder.end);
            for (number, channel) in (0..).zip(channels.iter().cycle()) {
                let due = recorder.begin + even(number, offered);
                while Instant::now() < due && ticks.recv().await.is_some() {}
                let place = places.clone().acquire_owned().await;
                if Instant::now() >= recorder.end {
                    recorder.leave(number, offered);
                    return;
                }
                let (answer, recorder) = (call(channel.clone(), Call { number }), recorder.clone());
                tokio::spawn(async move {
                    recorder.record(due, answer.await);
                    drop(place);
                });
            }
        })
    };
    let (cpu, elapsed) = recorder.watch(meter).await;
    let ended = async { (caller.await, places.acquire_many(in_flight_max).await.is_ok()) };
    if tokio::time::timeout(DRAIN_WITHIN, ended).await.is_err() {
        recorder.lose(in_flight_max as usize - places.available_permits(), UNANSWERED);
    }
    recorder.load(cpu, elapsed)
}

/// When a call is due after the begin. Those of one tick come together, because waking for each of
/// them would cost more than the calls.
fn even(number: u64, offered: u64) -> Duration {
    let exact_ns = number * 1_000_000_000 / offered;
    Duration::from_nanos(exact_ns - exact_ns % TICK_NS)
}

/// A thread that is sent to sleep between ticks, because the timer of the runtime is only good to a
/// millisecond.
fn ticks(begin: Instant, end: Instant) -> mpsc::Receiver<()> {
    let (sender, receiver) = mpsc::channel(1);
    thread::spawn(move || {
        for tick in 0.. {
            let at = begin + Duration::from_nanos(tick * TICK_NS);
            thread::sleep(at.saturating_duration_since(Instant::now()));
            // Full means that the last tick has not been seen yet, and one look finds all that is
            // due.
            let closed = matches!(sender.try_send(()), Err(TrySendError::Closed(())));
            if closed || at >= end {
                return;
            }
        }
    });
    receiver
}

struct Recorder {
    begin: Instant,
    start: Instant,
    end: Instant,
    counts: Mutex<Counts>,
}

#[derive(Clone, Default)]
struct Counts {
    done: u64,
    refused: u64,
    failed: u64,
    unsent: u64,
    failure: Option<String>,
    latency: Latency,
    refusal: Latency,
}

impl Recorder {
    fn new(timing: Timing) -> Recorder {
        let begin = Instant::now();
        let start = begin + timing.warmup;
        Recorder { begin, start, end: start + timing.measure, counts: Mutex::default() }
    }

    fn record(&self, due: Instant, answer: Answer) {
        let now = Instant::now();
        let measured = self.start..self.end;
        let counted = u64::from(measured.contains(&now));
        let mut counts = self.counts();
        match answer {
            Answer::Done => {
                counts.done += counted;
                if measured.contains(&due) {
                    counts.latency.record(now - due);
                }
            }
            Answer::Refused => {
                counts.refused += counted;
                if measured.contains(&due) {
                    counts.refusal.record(now - due);
                }
            }
            Answer::Failed(reason) => {
                counts.failed += 1;
                counts.failure.get_or_insert(reason);
            }
        }
    }

    /// CPU time and real time between start and end.
    async fn watch(&self, meter: &Meter<'_>) -> (Cpu, Duration) {
        tokio::time::sleep_until(self.start.into()).await;
        let cpu = meter.read();
        tokio::time::sleep_until(self.end.into()).await;
        (meter.read().since(&cpu), self.end - self.start)
    }

    /// Calls that were sent and have no answer.
    fn lose(&self, calls: usize, reason: &str) {
        for _ in 0..calls {
            self.record(self.begin, Answer::Failed(reason.to_owned()));
        }
    }

    /// Calls from this one on were due before the end and are not sent.
    fn leave(&self, number: u64, offered: u64) {
        let late = (number..).take_while(|&number| self.begin + even(number, offered) < self.end);
        self.counts().unsent = late.count() as u64;
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn load(&self, cpu: Cpu, elapsed: Duration) -> Load {
        let counts = self.counts().clone();
        let Counts { done, refused, failed, unsent, failure, latency, refusal } = counts;
        Load { done, refused, failed, failure, unsent, elapsed, latency, refusal, cpu }
    }
}
