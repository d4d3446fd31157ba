//! What processes tell each other to be quicker. Losing a word, hearing one twice or hearing a lie costs
//! time and never money: nothing that is decided rests on it.

use async_trait::async_trait;
use domain::{KeyId, OrgId};

/// Word that an organisation's journal has grown, for those who read along.
#[async_trait]
pub trait Wakes: Send + Sync {
    /// Does not wait, and costs next to nothing where nobody listens.
    fn tell(&self, org: OrgId);

    /// Returns when the organisation is told of, or never: whoever waits looks by itself as well.
    async fn woken(&self, org: OrgId);
}

/// Counts of calls that several gateways share, so that a key has one limit and not one at each.
#[async_trait]
pub trait SharedCounts: Send + Sync {
    /// Adds calls of keys to what all have counted, and answers the sums, in order. A sum may begin anew at
    /// any time. `None`: there is nobody to share with now.
    async fn add(&self, calls: &[(KeyId, u32)]) -> Option<Vec<u64>>;
}
