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
            edge.rates.charge(key, known.in_this_round(key, others, most));
        }
    }
}

#[derive(Default)]
struct Known {
    /// Of each key that has called here lately.
    keys: HashMap<KeyId, Sum>,
    last: Option<Instant>,
    /// Thousandths of a call that were left over in the last round.
    carried: u128,
}

#[derive(Clone, Copy)]
struct Sum {
    sum: u64,
    /// For how many rounds it has not called.
    quiet: u32,
    /// What others have let in beyond what may be taken in one round.
    behind: u32,
}

impl Known {
    /// A key that has called lately is asked about also when it was quiet here in this round.
    fn with_the_quiet(&mut self, mine: Vec<(KeyId, u32)>) -> Vec<(KeyId, u32)> {
        let mut all: HashMap<KeyId, u32> = mine.into_iter().collect();
        self.keys.retain(|key, known| {
            known.quiet = if all.contains_key(key) { 0 } else { known.quiet + 1 };
            known.quiet <= limits::QUIET_ROUNDS
        });
        self.keys.keys().for_each(|key| _ = all.entry(*key).or_default());
        all.into_iter().collect()
    }

    /// Calls of the key at other gateways since the last round. A sum that has shrunk has begun anew.
    fn others(&mut self, key: KeyId, own: u32, sum: u64) -> u32 {
        let known = self.keys.entry(key).or_insert(Sum { sum: 0, quiet: 0, behind: 0 });
        let before = std::mem::replace(&mut known.sum, sum);
        // The first sum may be an hour old.
        let grown = if before == 0 { None } else { sum.checked_sub(before) };
        let others = grown.unwrap_or(own.into()).saturating_sub(own.into());
        u32::try_from(others).unwrap_or(u32::MAX)
    }

    /// What is taken now; the rest in the next rounds.
    fn in_this_round(&mut self, key: KeyId, others: u32, most: u32) -> u32 {
        let Some(known) = self.keys.get_mut(&key) else { return 0 };
        let all = known.behind.saturating_add(others);
        let now = all.min(most);
        // A lie is not held against the key for longer than a second.
        known.behind = (all - now).min(most.saturating_mul(limits::ROUNDS_BEHIND));
        now
    }

    /// The most that others may take of one key in this round.
    fn most(&mut self, limit: RateLimit, now: Instant) -> u32 {
        let last = self.last.replace(now);
        let round = last.map_or(limits::COUNTS_SHARED_EVERY, |last| now - last);
        let refilled = u128::from(limit.per_second.get()) * round.as_millis();
        let most = self.carried + refilled * limits::OTHERS_SHARE.0 / limits::OTHERS_SHARE.1;
        self.carried = most % 1_000;
        u32::try_from(most / 1_000).unwrap_or(u32::MAX)
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
    fn what_does_not_fit_in_one_round_comes_in_the_next() {
        let mut known = Known::default();
        known.others(KEY, 1, 1);
        assert_eq!(known.in_this_round(KEY, 5, 2), 2);
        assert_eq!(known.in_this_round(KEY, 0, 2), 2);
        assert_eq!(known.in_this_round(KEY, 0, 2), 1);
        assert_eq!(known.in_this_round(KEY, u32::MAX, 2), 2);
        assert_eq!(known.keys[&KEY].behind, 2 * limits::ROUNDS_BEHIND);
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
