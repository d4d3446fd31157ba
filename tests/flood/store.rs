//! The memory store's journal with the time that a real one takes.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use domain::{OrgId, PaymentHash, Preimage, SessionId};
use ports::{
    Journal, StoreError,
    journal::{Append, AppendError, Known, LoadError, Loaded, Question},
};
use store::Memory;
use tokio::{sync::watch, time::sleep};

/// What one transaction takes, and each decision in it.
#[derive(Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) once: Duration,
    pub(crate) each: Duration,
}

impl Cost {
    async fn of(self, count: usize) {
        sleep(self.once + self.each * u32::try_from(count).unwrap()).await;
    }
}

pub(crate) struct Slow {
    memory: Arc<Memory>,
    lanes: usize,
    commit: Cost,
    look_up: Cost,
    stalled: watch::Sender<bool>,
    /// Whose next commit is refused.
    loses: Mutex<Option<OrgId>>,
}

impl Slow {
    pub(crate) fn new(memory: Arc<Memory>, lanes: usize, commit: Cost, look_up: Cost) -> Arc<Slow> {
        let stalled = watch::Sender::new(false);
        Arc::new(Slow { memory, lanes, commit, look_up, stalled, loses: Mutex::default() })
    }

    /// From now on it answers nothing, or goes on.
    pub(crate) fn stall(&self, stalled: bool) {
        self.stalled.send_replace(stalled);
    }

    /// The organisation's next commit finds that another payment has what it claims.
    pub(crate) fn loses_a_claim(&self, org: OrgId) {
        *self.loses.lock().unwrap() = Some(org);
    }

    async fn goes_on(&self) {
        let mut stalled = self.stalled.subscribe();
        // The sender lives as long as this.
        let _ = stalled.wait_for(|stalled| !*stalled).await;
    }
}

#[async_trait]
impl Journal for Slow {
    fn lanes(&self) -> usize {
        self.lanes
    }

    async fn load(&self, org: OrgId, session: SessionId) -> Result<Loaded, LoadError> {
        self.goes_on().await;
        self.memory.load(org, session).await
    }

    async fn append(&self, batch: &[Append]) -> Result<(), AppendError> {
        self.goes_on().await;
        self.commit.of(batch.len()).await;
        let is_in_it = |org: &mut OrgId| batch.iter().any(|append| append.org == *org);
        let loser = self.loses.lock().unwrap().take_if(is_in_it);
        if let Some(org) = loser {
            return Err(AppendError::LostClaim(vec![org]));
        }
        self.memory.append(batch).await
    }

    async fn look_up(&self, questions: &[Question]) -> Result<Vec<Known>, StoreError> {
        self.goes_on().await;
        self.look_up.of(questions.len()).await;
        self.memory.look_up(questions).await
    }

    async fn preimage(&self, hash: PaymentHash) -> Result<Option<Preimage>, StoreError> {
        self.memory.preimage(hash).await
    }
}
