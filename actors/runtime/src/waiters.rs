//! Callers that wait for news of a payment.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use domain::{OrgId, PaymentId, org::Row};
use tokio::sync::watch;

type Key = (OrgId, PaymentId);
type News = watch::Sender<Option<Row>>;

/// Carries committed payments to those who wait for them. Holds nothing for payments nobody awaits.
#[derive(Default)]
pub(crate) struct Waiters {
    waiting: Mutex<HashMap<Key, News>>,
}

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
}

impl Listener<'_> {
    /// The next news.
    pub(crate) async fn hear(&mut self) -> Option<Row> {
        self.news.changed().await.ok()?;
        self.news.borrow_and_update().clone()
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
