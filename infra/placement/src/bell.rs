//! Word between those who write and those who read along in one process.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use domain::OrgId;
use ports::Wakes;
use tokio::sync::Notify;

#[derive(Default)]
pub struct Bell {
    waiting: Mutex<HashMap<OrgId, Arc<Notify>>>,
    /// How many organisations somebody waits for.
    count: AtomicUsize,
}

/// Leaves when it is dropped.
struct Waiting<'a> {
    bell: &'a Bell,
    org: OrgId,
    told: Option<Arc<Notify>>,
}

impl Bell {
    fn waits(&self, org: OrgId) -> (Waiting<'_>, Arc<Notify>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let told = waiting.entry(org).or_default().clone();
        self.count.store(waiting.len(), Ordering::Release);
        (Waiting { bell: self, org, told: Some(told.clone()) }, told)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut waiting = self.bell.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.told.take());
        // What is left is the map's own, and that of whoever is just about to drop it.
        if waiting.get(&self.org).is_some_and(|told| Arc::strong_count(told) <= 2) {
            waiting.remove(&self.org);
        }
        self.bell.count.store(waiting.len(), Ordering::Release);
    }
}

#[async_trait]
impl Wakes for Bell {
    fn tell(&self, org: OrgId) {
        if self.count.load(Ordering::Acquire) == 0 {
            return;
        }
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(told) = waiting.get(&org) {
            told.notify_waiters();
        }
    }

    async fn woken(&self, org: OrgId) {
        let (_waiting, told) = self.waits(org);
        told.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;
    use uuid::Uuid;

    use super::*;

    fn org(number: u128) -> OrgId {
        OrgId::new(Uuid::from_u128(number))
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_is_woken_and_nobody_else() {
        let bell = Bell::default();
        let within = Duration::from_secs(1);
        let tell = async {
            tokio::task::yield_now().await;
            bell.tell(org(1));
        };
        let (first, second, other, ()) = tokio::join!(
            timeout(within, bell.woken(org(1))),
            timeout(within, bell.woken(org(1))),
            timeout(within, bell.woken(org(2))),
            tell
        );
        assert!(first.is_ok() && second.is_ok() && other.is_err());
        assert_eq!(bell.count.load(Ordering::Acquire), 0);
        assert!(bell.waiting.lock().unwrap().is_empty());
    }
}
