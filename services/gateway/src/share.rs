//! One limit for a key at all gateways: each tells the others what it has let in, and takes what they have
//! let in from what is left to the key here.
//!
//! What the others say is a hint. It never takes all that is left: whoever lies, or has lost its memory,
//! can slow a key down and can neither stop it nor lift its limit beyond that of one gateway.

use std::{collections::HashMap, sync::Arc};

use domain::KeyId;
use ports::SharedCounts;
use tokio::time::{Instant, sleep};

use crate::{edge::Edge, limits, rate::RateLimit};

/// Tells and listens until the listener stops.
pub(crate) async fn keep(edge: Arc<Edge>, counts: Arc<dyn SharedCounts>) {
    let mut known = Known::default();
    loop {
        tokio::select! {
            () = sleep(limits::COUNTS_SHARED_EVERY) => {}
            () = edge.stopped() => return,
        }
        let mine = edge.rates.untold();
        let mine = known.with_the_quiet(mine);
        let Some(sums) = counts.add(&mine).await else { continue };
        let most = known.most(edge.rates.limit(), Instant::now());
        for ((key, own), sum) in mine.into_iter().zip(sums) {
            let others = known.others(key, own, sum);
            edge.rates.charge(key, others.min(most));
        }
    }
}

#[derive(Default)]
struct Known {
    /// The sum of each key that has called here lately, and for how many rounds it has not.
    sums: HashMap<KeyId, (u64, u32)>,
    last: Option<Instant>,
}

impl Known {
    /// A key that has called lately is asked about also when it was quiet here in this round.
    fn with_the_quiet(&mut self, mine: Vec<(KeyId, u32)>) -> Vec<(KeyId, u32)> {
        let mut all: HashMap<KeyId, u32> = mine.into_iter().collect();
        self.sums.retain(|key, (_, quiet)| {
            *quiet = if all.contains_key(key) { 0 } else { *quiet + 1 };
            *quiet <= limits::QUIET_ROUNDS
        });
        self.sums.keys().for_each(|key| _ = all.entry(*key).or_default());
        all.into_iter().collect()
    }

    /// Calls of the key at other gateways since the last round. A sum that has shrunk has begun anew.
    fn others(&mut self, key: KeyId, own: u32, sum: u64) -> u32 {
        let before = self.sums.insert(key, (sum, 0)).map(|(sum, _)| sum);
        let grown = before.and_then(|before| sum.checked_sub(before)).unwrap_or(own.into());
        u32::try_from(grown.saturating_sub(own.into())).unwrap_or(u32::MAX)
    }

    /// The most that others may take of one key in this round.
    fn most(&mut self, limit: RateLimit, now: Instant) -> u32 {
        let last = self.last.replace(now);
        let round = last.map_or(limits::COUNTS_SHARED_EVERY, |last| now - last);
        let refilled = u128::from(limit.per_second.get()) * round.as_millis() / 1_000;
        let most = refilled * limits::OTHERS_SHARE.0 / limits::OTHERS_SHARE.1;
        u32::try_from(most).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroU32, time::Duration};

    use uuid::Uuid;

    use super::*;

    const KEY: KeyId = KeyId::new(Uuid::from_u128(1));

    #[test]
    fn only_what_others_have_counted_is_taken() {
        let mut known = Known::default();
        // The first sum may be an hour old.
        assert_eq!(known.others(KEY, 3, 1_000), 0);
        assert_eq!(known.others(KEY, 3, 1_003), 0);
        assert_eq!(known.others(KEY, 3, 1_010), 4);
        // Flushed: the sum begins anew, and nobody is charged for it.
        assert_eq!(known.others(KEY, 3, 3), 0);
        assert_eq!(known.others(KEY, 0, 5), 2);
    }

    #[test]
    fn a_lie_never_takes_everything() {
        let mut known = Known::default();
        let limit = RateLimit::per_second(NonZeroU32::new(160).unwrap());
        let now = Instant::now();
        let most = known.most(limit, now);
        assert_eq!(known.most(limit, now + Duration::from_secs(1)), 150);
        assert_eq!(most, 15);
    }

    #[test]
    fn a_key_that_calls_elsewhere_is_asked_about_for_a_while() {
        let mut known = Known::default();
        known.others(KEY, 1, 1);
        assert_eq!(known.with_the_quiet(vec![(KEY, 2)]), [(KEY, 2)]);
        for _ in 0..limits::QUIET_ROUNDS {
            assert_eq!(known.with_the_quiet(Vec::new()), [(KEY, 0)]);
        }
        assert_eq!(known.with_the_quiet(Vec::new()), []);
    }
}
