//! Turns at the store. A transaction or look-up costs nearly the same whether it carries one payment or
//! ten, so while few wait, one runs at a time and more gathers for the next. Whoever has a crowd waiting
//! needs no turn: then both lanes run at once.

use std::sync::Arc;

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::limits;

/// Passed on, first come first served, when it is dropped.
pub(crate) type Turn = OwnedSemaphorePermit;

#[derive(Clone)]
pub(crate) struct Turns(Arc<Semaphore>);

impl Default for Turns {
    fn default() -> Turns {
        Turns(Arc::new(Semaphore::new(1)))
    }
}

impl Turns {
    /// Whether to begin now with as many as wait: with a turn, or without one because they are a crowd.
    pub(crate) fn begin(&self, waiting: usize, crowd: usize) -> Option<Option<Turn>> {
        match self.0.clone().try_acquire_owned() {
            Ok(turn) => Some(Some(turn)),
            Err(_) => (waiting >= crowd).then_some(None),
        }
    }

    /// Waits for a turn, but not for one who is stuck: then both lanes run as well.
    pub(crate) async fn next(&self) -> Option<Turn> {
        timeout(limits::TURN_WITHIN, self.0.clone().acquire_owned()).await.ok()?.ok()
    }
}
