//! Callers that wait for news of a payment.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use domain::{
    OrgId, PaymentId,
    org::{IncomingState, Row},
};
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

type Key = (OrgId, PaymentId);
type News = watch::Sender<Option<Row>>;

/// Carries committed payments to those who wait for them. Holds nothing for payments nobody awaits.
#[derive(Default)]
pub(crate) struct Waiters {
    waiting: Mutex<HashMap<Key, News>>,
}

/// The news will be told by another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SentAway;

/// One caller that waits; it leaves when it is dropped.
pub(crate) struct Listener<'a> {
    waiters: &'a Waiters,
    key: Key,
    news: watch::Receiver<Option<Row>>,
}

impl Waiters {
    /// News of a payment from now on; the newest counts.
    pub(crate) fn listen(&self, org: OrgId, payment: PaymentId) -> Listener<'_> {
        let key = (org, payment);
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let news = waiting.entry(key).or_insert_with(|| News::new(None)).subscribe();
        Listener { waiters: self, key, news }
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
        if let Some(news) = waiting.get(&(org, id)) {
            news.send_replace(Some(row.clone()));
        }
    }

    /// Whoever waits for news of these organisations has to ask elsewhere.
    pub(crate) fn send_away(&self, orgs: impl Fn(OrgId) -> bool) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|(org, _), _| !orgs(*org));
    }
}

impl Listener<'_> {
    /// What is `known` now, or what is told of it until what callers wait for has come or the time is up.
    pub(crate) async fn hear_out(self, known: Row, deadline: Instant) -> Result<Row, SentAway> {
        self.hear_while(is_awaited, known, deadline).await
    }

    /// The same until it has ended.
    pub(crate) async fn hear_the_end(self, known: Row, deadline: Instant) -> Result<Row, SentAway> {
        self.hear_while(is_open, known, deadline).await
    }

    /// Returns once its caller wants the payment no more.
    pub(crate) async fn called_off(mut self) {
        if self.news.wait_for(|told| told.as_ref().is_some_and(is_cancelled)).await.is_err() {
            // Sent away: nobody will tell.
            std::future::pending::<()>().await;
        }
    }

    async fn hear_while(
        mut self,
        is_awaited: fn(&Row) -> bool,
        known: Row,
        deadline: Instant,
    ) -> Result<Row, SentAway> {
        let mut latest = known;
        while is_awaited(&latest)
            && let Ok(changed) = timeout_at(deadline, self.news.changed()).await
        {
            changed.map_err(|_| SentAway)?;
            if let Some(told) = self.news.borrow_and_update().clone() {
                latest = told;
            }
        }
        Ok(latest)
    }
}

impl Drop for Listener<'_> {
    fn drop(&mut self) {
        let mut waiting = self.waiters.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.get(&self.key).is_some_and(|news| news.receiver_count() <= 1) {
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
