//! How far a node's clock is from ours, told by the permissions that it takes for over.

use std::time::{SystemTime, UNIX_EPOCH};

use domain::Timestamp;
use ports::{Clock, LightningNode, lightning::NodeError};

/// Beyond this nobody cares by how much: 34 years.
const FURTHEST_MS: i64 = 1 << 40;
const FIRST_STEP_MS: i64 = 1_000;
/// Enough to go out to the furthest and back to a millisecond.
const PROBES_MAX: u32 = 100;

/// How many milliseconds a node's clock is ahead of ours; below zero: behind.
///
/// lnd compares at the nanosecond, so what limits the answer is how long a probe takes: half of that
/// on either side.
pub async fn clock_offset(
    node: &dyn LightningNode,
    now: impl Fn() -> Timestamp + Send + Sync,
) -> Result<i64, NodeError> {
    let mut search = Search::default();
    let mut latency_ms = 0;
    for _ in 0..PROBES_MAX {
        let Some(offset_ms) = search.next() else { break };
        let sent = now();
        // The node looks at it about half a round trip later.
        let until = sent.plus_millis(offset_ms.saturating_add(latency_ms / 2));
        let lapsed = node.has_lapsed(until).await?;
        let answered = now().max(sent);
        latency_ms = answered.millis_since(sent);
        search.learn(until, lapsed, sent, answered);
    }
    Ok(search.answer())
}

/// This machine's, where nobody gives a better one.
#[derive(Debug)]
pub(crate) struct OwnClock;

impl Clock for OwnClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// Bounds on the offset, as certain as the answers: each was given between two readings of our clock.
#[derive(Clone, Copy, Debug, Default)]
struct Search {
    at_least: Option<i64>,
    at_most: Option<i64>,
    /// How long the last probe took: no nearer than that can be told.
    blur_ms: i64,
}

impl Search {
    /// The offset to ask about next; `None` once another probe would tell nothing new.
    fn next(&self) -> Option<i64> {
        match (self.at_least, self.at_most) {
            (None, None) => Some(0),
            (Some(least), None) if least < FURTHEST_MS => Some(self.further(least)),
            (None, Some(most)) if most > -FURTHEST_MS => Some(-self.further(-most)),
            (Some(least), Some(most)) if most - least > self.blur_ms + self.blur_ms / 8 + 2 => {
                Some(least + (most - least) / 2)
            }
            (Some(_), None) | (None, Some(_)) | (Some(_), Some(_)) => None,
        }
    }

    /// Beyond a bound by more than a probe blurs, so that each step tells something.
    fn further(&self, bound_ms: i64) -> i64 {
        let step_ms = FIRST_STEP_MS.saturating_add(self.blur_ms);
        bound_ms.max(0).saturating_mul(2).saturating_add(step_ms).min(2 * FURTHEST_MS)
    }

    fn learn(&mut self, until: Timestamp, lapsed: bool, sent: Timestamp, answered: Timestamp) {
        self.blur_ms = answered.millis_since(sent);
        if lapsed {
            // The node's clock was at `until` or past it, when ours was at `answered` at the latest.
            let least = until.millis_since(answered);
            self.at_least = Some(self.at_least.map_or(least, |known| known.max(least)));
        } else {
            let most = until.millis_since(sent);
            self.at_most = Some(self.at_most.map_or(most, |known| known.min(most)));
        }
    }

    fn answer(&self) -> i64 {
        match (self.at_least, self.at_most) {
            (Some(least), Some(most)) => least + (most - least) / 2,
            (Some(bound), None) | (None, Some(bound)) => bound,
            (None, None) => 0,
        }
    }
}

#[cfg(test)]
mod tests;
