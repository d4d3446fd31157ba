//! The one place that reads the system clock for the platform; everything else is handed a
//! [`ports::Clock`].

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use domain::Timestamp;

#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl ports::Clock for SystemClock {
    /// A clock set before 1970 reads as 1970: a lease or an invoice is then long expired, which
    /// stops sends instead of letting them go on for ever.
    #[allow(clippy::disallowed_methods, reason = "this is where the system clock comes in")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// How far the system's clock may be from the store's before it is corrected: time servers keep both much
/// closer, and how long the store took to answer must not show as time.
const TOLERANCE_MS: i64 = 200;

/// A clock that agrees with the store's: a pod whose system's clock is wrong would take every node's for
/// wrong, and every invoice's end for another.
#[derive(Debug, Default)]
pub struct AgreedClock<System = SystemClock> {
    system: System,
    ahead_ms: AtomicI64,
}

impl<System: ports::Clock> ports::Clock for AgreedClock<System> {
    fn now(&self) -> Timestamp {
        self.system.now().plus_millis(-self.ahead_ms.load(Ordering::Acquire))
    }

    fn told(&self, asked: Timestamp, store: Timestamp, answered: Timestamp) {
        let (ahead, behind) = (asked.millis_since(store), store.millis_since(answered));
        let correction = match (ahead > TOLERANCE_MS, behind > TOLERANCE_MS) {
            (true, _) => ahead,
            (false, true) => -behind,
            (false, false) => return,
        };
        let ahead_ms = self.ahead_ms.fetch_add(correction, Ordering::AcqRel) + correction;
        tracing::warn!(ahead_ms, "this machine's clock is not the store's, which counts");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ports::Clock as _;

    #[derive(Default)]
    struct Still(AtomicI64);

    impl ports::Clock for Still {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(self.0.load(Ordering::Relaxed))
        }
    }

    #[test]
    fn a_clock_that_is_off_agrees_with_the_store() {
        let clock = AgreedClock::<Still>::default();
        let at = |millis| Timestamp::from_millis(millis);
        clock.system.0.store(1_000_000, Ordering::Relaxed);
        // Within what the answer took, and within the tolerance.
        clock.told(at(999_000), at(999_500), at(1_000_000));
        clock.told(at(999_900), at(1_000_190), at(1_000_000));
        assert_eq!(clock.now(), at(1_000_000));
        clock.told(at(1_000_000), at(400_000), at(1_000_010));
        assert_eq!(clock.now(), at(400_000));
        // Somebody has put it right.
        clock.system.0.store(400_500, Ordering::Relaxed);
        clock.told(clock.now(), at(400_500), clock.now());
        assert_eq!(clock.now(), at(400_500));
    }

    #[test]
    fn it_is_later_than_this_code() {
        const START_OF_2026_MS: i64 = 1_767_225_600_000;
        assert!(SystemClock.now() > Timestamp::from_millis(START_OF_2026_MS));
    }
}
