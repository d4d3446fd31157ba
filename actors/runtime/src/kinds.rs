//! New kinds of events, held back until the oldest process that lives can read them (`architecture` 8.10).

use std::sync::atomic::{AtomicI16, Ordering};

use domain::org::{Event, Revision};
use ports::{Placement, orgs::OrgsError};

use crate::house::unavailable;

/// What may be written. Never less than before: once the store allows a revision, nobody begins a life who
/// cannot read it, so one answer counts for as long as this process runs.
#[derive(Debug)]
pub(crate) struct Kinds {
    allowed: AtomicI16,
}

impl Default for Kinds {
    fn default() -> Kinds {
        Kinds { allowed: AtomicI16::new(Revision::FIRST.number()) }
    }
}

impl Kinds {
    /// What has to be allowed before these are written. `None`: nothing, as of all that there has been for
    /// long; then nobody is asked anything.
    pub(crate) fn held_back(&self, events: &[Event]) -> Option<Revision> {
        let newest = events.iter().map(Event::revision).max()?;
        (newest.number() > self.allowed.load(Ordering::Acquire)).then_some(newest)
    }

    pub(crate) async fn allow(
        &self,
        placement: &dyn Placement,
        revision: Revision,
    ) -> Result<(), OrgsError> {
        let older = placement.allow(revision).await.map_err(unavailable)?;
        if !older.is_empty() {
            return Err(OrgsError::OlderPods(older.join(", ")));
        }
        self.allowed.fetch_max(revision.number(), Ordering::AcqRel);
        Ok(())
    }
}
