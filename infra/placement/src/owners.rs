//! Who owns what, as the store said a moment ago. It may be wrong at any time: it only says whom to ask.

use std::{collections::BTreeMap, sync::Arc};

use domain::{OrgId, SessionId};
use ports::{
    Placement, StoreError,
    placement::{Granted, PlacementMap, Pod},
};
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
    time::{Duration, Instant, sleep, timeout},
};

use crate::limits;

/// The map of the cluster, read again each second and whenever it seems to be wrong.
pub struct Owners {
    seen: watch::Receiver<Seen>,
    wrong: Arc<Notify>,
    keeper: JoinHandle<()>,
    placement: Arc<dyn Placement>,
}

#[derive(Default)]
struct Seen {
    map: Arc<PlacementMap>,
    /// When it was last asked for and given.
    read_at: Option<Instant>,
}

impl Owners {
    /// Begins to read the map. Needs a runtime, in which it is kept up to date.
    pub fn begin(placement: Arc<dyn Placement>) -> Arc<Owners> {
        let (seen, wrong) = (watch::Sender::new(Seen::default()), Arc::<Notify>::default());
        let receiver = seen.subscribe();
        let keeper = tokio::spawn(keep(placement.clone(), seen, wrong.clone()));
        Arc::new(Owners { seen: receiver, wrong, keeper, placement })
    }

    /// Returns when the map has been read for the first time, or cannot be for now.
    pub async fn are_known(&self) {
        let mut seen = self.seen.clone();
        let read = seen.wait_for(|seen| seen.read_at.is_some());
        // Whoever asks later is told that it has not answered yet.
        let _ = timeout(limits::MAP_WITHIN, read).await;
    }

    pub fn map(&self) -> Arc<PlacementMap> {
        self.seen.borrow().map.clone()
    }

    /// Whether the map is fresh enough to go by; why not.
    pub fn failure(&self) -> Option<&'static str> {
        match self.seen.borrow().read_at {
            Some(read_at) if read_at.elapsed() < limits::MAP_TRUSTED_FOR => None,
            Some(_) => Some("it does not answer"),
            None => Some("it has not answered yet"),
        }
    }

    /// How long a crash takes until somebody else has taken over.
    pub(crate) fn patience(&self) -> Duration {
        self.placement.lease_length().duration() + limits::SERVED_AGAIN_WITHIN
    }

    /// As the store says now: they are renewed all the time.
    pub(crate) async fn leases(&self) -> Result<BTreeMap<SessionId, Granted>, StoreError> {
        let late = || StoreError::Unavailable("it does not answer".to_owned());
        let leases = timeout(limits::MAP_WITHIN, self.placement.leases()).await;
        leases.unwrap_or_else(|_| Err(late()))
    }

    /// The map has led somebody astray.
    pub(crate) fn are_wrong(&self) {
        self.wrong.notify_one();
    }

    pub(crate) fn owner(&self, org: OrgId) -> Option<Pod> {
        self.seen.borrow().map.owner_of(org).cloned()
    }

    pub(crate) fn pod(&self, session: SessionId) -> Option<Pod> {
        self.seen.borrow().map.pod(session).cloned()
    }

    /// Returns when the organisation has gone elsewhere, or nowhere, while `session` was asked. Only a
    /// change counts, as whoever asks may know better than the map.
    pub(crate) async fn moved(&self, org: OrgId, session: SessionId) {
        let owner = |seen: &Seen| seen.map.owner_of(org).map(|pod| pod.session);
        let mut seen = self.seen.clone();
        let before = owner(&seen.borrow_and_update());
        let has_moved = |seen: &Seen| {
            let now = owner(seen);
            now != before && now != Some(session)
        };
        if seen.wait_for(has_moved).await.is_err() {
            // Nobody reads the map any more, so nothing is ever known to have moved.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Owners {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

async fn keep(placement: Arc<dyn Placement>, seen: watch::Sender<Seen>, wrong: Arc<Notify>) {
    loop {
        match timeout(limits::MAP_WITHIN, placement.map()).await {
            Ok(Ok(map)) => {
                seen.send_if_modified(|seen| {
                    let first = seen.read_at.replace(Instant::now()).is_none();
                    let changed = *seen.map != map;
                    if changed {
                        seen.map = Arc::new(map);
                    }
                    changed || first
                });
            }
            Ok(Err(error)) => tracing::warn!(%error, "the map of the cluster could not be read"),
            Err(_) => tracing::warn!("the store did not give the map of the cluster in time"),
        }
        sleep(limits::MAP_GAP).await;
        tokio::select! {
            () = sleep(limits::MAP_EVERY) => {}
            () = wrong.notified() => {}
        }
    }
}
