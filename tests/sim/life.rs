//! One life of the platform: whatever it asks of the world, and whatever it answers, crosses here.
//!
//! A life that is over never returns from a crossing: nothing leaves it any more, at whichever point it
//! was. One that is paused returns later and does not know.

use std::{
    future::{Future, pending},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use crate::sim::Sim;

pub(crate) struct Life {
    pub(crate) number: u64,
    sim: Arc<Sim>,
    state: Mutex<State>,
    changed: Notify,
}

struct State {
    over: bool,
    paused_until: Option<Instant>,
    /// Crossings until it ends by itself.
    left: Option<u64>,
}

impl Life {
    pub(crate) fn begin(number: u64, sim: Arc<Sim>, left: Option<u64>) -> Arc<Life> {
        let state = State { over: false, paused_until: None, left };
        Arc::new(Life { number, sim, state: Mutex::new(state), changed: Notify::new() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.lock().over
    }

    pub(crate) fn end(&self, why: &str) {
        if !std::mem::replace(&mut self.lock().over, true) {
            self.sim.say(&format!("life {} ends: {why}", self.number));
            self.changed.notify_waiters();
        }
    }

    pub(crate) fn pause(&self, ms: u64) {
        self.sim.say(&format!("life {} is paused for {ms} ms", self.number));
        self.lock().paused_until = Some(Instant::now() + Duration::from_millis(ms));
    }

    /// A paused life goes on, and none ends by itself any more.
    pub(crate) fn calm(&self) {
        let mut state = self.lock();
        state.left = None;
        state.paused_until = None;
        drop(state);
        self.changed.notify_waiters();
    }

    /// Returns if and when the life may go on.
    pub(crate) async fn cross(&self, what: &str) {
        let out_of_crossings = match &mut self.lock().left {
            Some(0) => true,
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        };
        if out_of_crossings {
            self.end(&format!("it crashes at {what}"));
        }
        loop {
            let changed = self.changed.notified();
            let (over, paused_until) = {
                let state = self.lock();
                (state.over, state.paused_until)
            };
            if over {
                pending::<()>().await;
            }
            let Some(until) = paused_until.filter(|until| *until > Instant::now()) else { return };
            tokio::select! {
                biased;
                () = changed => {}
                () = sleep_until(until) => {}
            }
        }
    }

    /// A call of a socket: it may take a while on both ways, and either may be the last.
    pub(crate) async fn around<T>(&self, what: &str, call: impl Future<Output = T>) -> T {
        self.cross(what).await;
        let answer = call.await;
        self.cross(what).await;
        answer
    }

    /// What a client gets: nothing once the life is over.
    pub(crate) async fn asked<T>(&self, call: impl Future<Output = T>) -> Option<T> {
        let answered = async {
            let answer = call.await;
            self.cross("an answer").await;
            answer
        };
        tokio::select! {
            biased;
            () = self.over() => None,
            answer = answered => Some(answer),
        }
    }

    pub(crate) async fn over(&self) {
        loop {
            let changed = self.changed.notified();
            if self.is_over() {
                return;
            }
            changed.await;
        }
    }
}
