//! This life's lease: renewed while the process is well, and what every permission is bounded by.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
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
    given_up: AtomicBool,
    over: watch::Sender<bool>,
}

/// How a life ends.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// In order, by its own process.
    GivenUp,
    /// While it believed to go on.
    TakenOver,
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
            given_up: AtomicBool::new(false),
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

    /// This life ends in order: whatever becomes of its row now, nobody has taken it away.
    pub(crate) fn give_up(&self) {
        self.given_up.store(true, Ordering::Release);
    }

    /// Renews until the row is gone; then this life is over. A process whose lanes stand still does not
    /// renew: another one may do better.
    pub(crate) async fn keep(
        self: Arc<Self>,
        placement: Arc<dyn Placement>,
        clock: Arc<dyn Clock>,
        makes_progress: impl Fn() -> bool,
    ) -> End {
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
                    self.over.send_replace(true);
                    return match self.given_up.load(Ordering::Acquire) {
                        true => End::GivenUp,
                        false => End::TakenOver,
                    };
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use async_trait::async_trait;
    use domain::org::Revision;
    use ports::{
        StoreError,
        placement::{Granted, PlacementMap},
    };
    use uuid::Uuid;

    use super::*;

    /// Whose row is gone.
    struct Gone;

    #[async_trait]
    impl Placement for Gone {
        fn lease_length(&self) -> LeaseLength {
            LeaseLength::SHORTEST
        }

        async fn begin(&self, _: SessionId) -> Result<Timestamp, StoreError> {
            unreachable!("it has begun")
        }

        async fn renew(&self, _: SessionId) -> Result<Option<Timestamp>, StoreError> {
            Ok(None)
        }

        async fn map(&self) -> Result<PlacementMap, StoreError> {
            unreachable!("nobody is looked for")
        }

        async fn leases(&self) -> Result<BTreeMap<SessionId, Granted>, StoreError> {
            unreachable!("nobody is shown")
        }

        async fn allow(&self, _: Revision) -> Result<Vec<String>, StoreError> {
            unreachable!("nothing is written")
        }
    }

    struct Still;

    impl Clock for Still {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(0)
        }
    }

    #[tokio::test]
    async fn who_gives_up_is_not_taken_over() {
        for (gives_up, wanted) in [(false, End::TakenOver), (true, End::GivenUp)] {
            let (session, length) = (SessionId::new(Uuid::from_u128(1)), Gone.lease_length());
            let granted = async { Ok(Timestamp::from_millis(length.millis())) };
            let lease = Lease::begin(session, length, &Still, granted).await.unwrap();
            let lease = Arc::new(lease);
            if gives_up {
                lease.give_up();
            }
            assert!(lease.is_good());
            let end = lease.clone().keep(Arc::new(Gone), Arc::new(Still), || true).await;
            assert_eq!((end, lease.is_over()), (wanted, true));
        }
    }
}
