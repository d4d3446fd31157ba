//! Callers that wait for news of a payment.

use std::{
    collections::HashMap,
    future::pending,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use domain::{
    OrgId, PaymentId,
    org::{IncomingState, Row},
};
use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

type Key = (OrgId, PaymentId);

/// Carries committed payments to those who wait for them. Holds nothing for payments nobody awaits.
#[derive(Default)]
pub(crate) struct Waiters {
    waiting: Mutex<HashMap<Key, Arc<Board>>>,
}

/// Where the news of one payment stand. A watch channel does the same with five times the memory, and
/// thousands of callers may wait at a time.
#[derive(Default)]
struct Board {
    told: Mutex<Told>,
    changed: Notify,
}

#[derive(Default)]
struct Told {
    times: u32,
    latest: Option<Box<Row>>,
    sent_away: bool,
}

impl Board {
    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Told)) {
        change(&mut self.told());
        self.changed.notify_waiters();
    }
}

/// The news will be told by another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SentAway;

/// One caller that waits; it leaves when it is dropped.
pub(crate) struct Listener<'a> {
    waiters: &'a Waiters,
    key: Key,
    board: Arc<Board>,
    /// What was told before is no news.
    heard: u32,
}

impl Waiters {
    /// News of a payment from now on; the newest counts.
    pub(crate) fn listen(&self, org: OrgId, payment: PaymentId) -> Listener<'_> {
        let key = (org, payment);
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let board = waiting.entry(key).or_default().clone();
        let heard = board.told().times;
        Listener { waiters: self, key, board, heard }
    }

    pub(crate) fn tell(&self, org: OrgId, row: &Row) {
        let id = match row {
            Row::Outgoing(payment) => payment.id,
            Row::Incoming(payment) => payment.id,
            Row::Environment(..)
            | Row::Line(..)
            | Row::Node(..)
            | Row::Wallet(..)
            | Row::Account(..) => return,
        };
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(board) = waiting.get(&(org, id)) {
            board.change(|told| {
                told.times = told.times.wrapping_add(1);
                told.latest = Some(Box::new(row.clone()));
            });
        }
    }

    /// Whoever waits for news of these organisations has to ask elsewhere.
    pub(crate) fn send_away(&self, orgs: impl Fn(OrgId) -> bool) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, board) in waiting.extract_if(|(org, _), _| orgs(*org)) {
            board.change(|told| told.sent_away = true);
        }
    }
}

impl Listener<'_> {
    /// What is `known` now, or what is told of it until what callers wait for has come or the time is up.
    pub(crate) fn hear_out(
        self,
        known: Row,
        deadline: Instant,
    ) -> impl Future<Output = Result<Box<Row>, SentAway>> {
        self.hear_while(is_awaited, Box::new(known), deadline)
    }

    /// The same until it has ended.
    pub(crate) fn hear_the_end(
        self,
        known: Row,
        deadline: Instant,
    ) -> impl Future<Output = Result<Box<Row>, SentAway>> {
        self.hear_while(is_open, Box::new(known), deadline)
    }

    /// Returns once its caller wants the payment no more.
    pub(crate) async fn called_off(mut self) {
        // It may have been told before.
        self.heard = 0;
        loop {
            match self.news().await {
                Ok(told) if is_cancelled(&told) => return,
                Ok(_) => {}
                // Nobody will tell.
                Err(SentAway) => pending().await,
            }
        }
    }

    async fn hear_while(
        mut self,
        is_awaited: fn(&Row) -> bool,
        mut latest: Box<Row>,
        deadline: Instant,
    ) -> Result<Box<Row>, SentAway> {
        while is_awaited(&latest)
            && let Ok(told) = timeout_at(deadline, self.news()).await
        {
            latest = told?;
        }
        Ok(latest)
    }

    async fn news(&mut self) -> Result<Box<Row>, SentAway> {
        loop {
            // Before looking: what is told from here on wakes it.
            let changed = self.board.changed.notified();
            {
                let told = self.board.told();
                if let Some(latest) = told.latest.as_ref().filter(|_| told.times != self.heard) {
                    self.heard = told.times;
                    return Ok(latest.clone());
                }
                if told.sent_away {
                    return Err(SentAway);
                }
            }
            changed.await;
        }
    }
}

impl Drop for Listener<'_> {
    fn drop(&mut self) {
        let mut waiting = self.waiters.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        // One is the map's, one is this one's: others come by the map only.
        let is_last = Arc::strong_count(&self.board) <= 2;
        let is_here = waiting.get(&self.key).is_some_and(|board| Arc::ptr_eq(board, &self.board));
        if is_last && is_here {
            waiting.remove(&self.key);
        }
    }
}

fn is_open(row: &Row) -> bool {
    match row {
        Row::Outgoing(payment) => payment.is_in_flight(),
        Row::Incoming(payment) => payment.is_open(),
        Row::Environment(..)
        | Row::Line(..)
        | Row::Node(..)
        | Row::Wallet(..)
        | Row::Account(..) => false,
    }
}

fn is_cancelled(row: &Row) -> bool {
    match row {
        Row::Outgoing(payment) => payment.cancelled,
        Row::Incoming(_)
        | Row::Environment(..)
        | Row::Line(..)
        | Row::Node(..)
        | Row::Wallet(..)
        | Row::Account(..) => false,
    }
}

/// A send that has not ended, or a receive without its invoice that may still get one.
fn is_awaited(row: &Row) -> bool {
    match row {
        Row::Outgoing(payment) => payment.is_in_flight(),
        Row::Incoming(payment) => payment.state == IncomingState::Generating,
        Row::Environment(..)
        | Row::Line(..)
        | Row::Node(..)
        | Row::Wallet(..)
        | Row::Account(..) => false,
    }
}
