//! The one place that reads the system clock for the platform; everything else is handed a
//! [`ports::Clock`].

use std::time::{SystemTime, UNIX_EPOCH};

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

#[cfg(test)]
mod tests {
    use super::*;
    use ports::Clock as _;

    #[test]
    fn it_is_later_than_this_code() {
        const START_OF_2026_MS: i64 = 1_767_225_600_000;
        assert!(SystemClock.now() > Timestamp::from_millis(START_OF_2026_MS));
    }
}
