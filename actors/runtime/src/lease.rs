//! This life's lease: renewed while the process is well, and what every permission is bounded by.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use domain::{SessionId, Timestamp};
use ports::{
    Clock, Placement,
    placement::{JoinError, LeaseLength},
};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

/// The lease as granted at its last renewal.
pub(crate) struct Lease {
    pub(crate) session: SessionId,
    pub(crate) length: LeaseLength,
    until_millis: AtomicI64,
    /// When it ends by our own monotonic clock, counted from before the renewal was asked for.
    ends_after: AtomicI64,
    started: Instant,
    over: watch::Sender<bool>,
}

impl Lease {
    /// With the lease as it is granted.
    pub(crate) async fn begin(
        session: SessionId,
        length: LeaseLength,
        clock: &dyn Clock,
        granted: impl Future<Output = Result<Timestamp, JoinError>>,
    ) -> Result<Lease, JoinError> {
        let (started, asked) = (Instant::now(), clock.now());
        let until = granted.await?;
        clock.told(asked, granted_at(until, length), clock.now());
        Ok(Lease {
            session,
            length,
            until_millis: AtomicI64::new(until.millis()),
            ends_after: AtomicI64::new(length.millis()),
            started,
            over: watch::Sender::new(false),
        })
    }

    /// What a permission issued now carries: never computed here, always as granted.
    pub(crate) fn permitted_until(&self) -> Timestamp {
        Timestamp::from_millis(self.until_millis.load(Ordering::Acquire))
    }

    /// Whether an answer from memory may still be given, by the monotonic clock.
    pub(crate) fn is_good(&self) -> bool {
        !self.is_over() && self.elapsed_millis() < self.ends_after.load(Ordering::Acquire)
    }

    /// Whether another has taken over. A lease that has only run out may yet be renewed.
    pub(crate) fn is_over(&self) -> bool {
        *self.over.borrow()
    }

    /// Returns when another has taken over.
    pub(crate) async fn taken_over(&self) {
        // The sender lives in this lease, so the wait does not fail.
        let _ = self.over.subscribe().wait_for(|over| *over).await;
    }

    /// Renews until the row is gone; then this life is over. A process whose lanes stand still does not
    /// renew: another one may do better.
    pub(crate) async fn keep(
        self: Arc<Self>,
        placement: Arc<dyn Placement>,
        clock: Arc<dyn Clock>,
        makes_progress: impl Fn() -> bool,
    ) {
        loop {
            sleep(self.length.renewal()).await;
            if !makes_progress() {
                tracing::error!("a journal lane stands still; the lease is not renewed");
                continue;
            }
            let (asked, asked_at) = (self.elapsed_millis(), clock.now());
            match placement.renew(self.session).await {
                Ok(Some(until)) => {
                    clock.told(asked_at, granted_at(until, self.length), clock.now());
                    self.until_millis.store(until.millis(), Ordering::Release);
                    self.ends_after.store(asked + self.length.millis(), Ordering::Release);
                }
                Ok(None) => {
                    tracing::error!("another process has taken over; this one answers no more");
                    self.over.send_replace(true);
                    return;
                }
                Err(error) => tracing::warn!(%error, "the lease could not be renewed"),
            }
        }
    }

    /// For the operator: how long answers from memory may still be given.
    pub(crate) fn millis_left(&self) -> i64 {
        match self.is_over() {
            true => 0,
            false => self.ends_after.load(Ordering::Acquire) - self.elapsed_millis(),
        }
    }

    fn elapsed_millis(&self) -> i64 {
        let elapsed: Duration = self.started.elapsed();
        i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
    }
}

/// By the clock of the store.
fn granted_at(until: Timestamp, length: LeaseLength) -> Timestamp {
    until.plus_millis(-length.millis())
}
