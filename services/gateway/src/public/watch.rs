//! A payment, as it stands and then at each change, until it has ended.

use std::{pin::Pin, sync::Arc};

use domain::{ErrorClass, PaymentId, org::Row};
use futures_util::{Stream, stream};
use proto::{Problem, convert::payments::has_ended, v1};
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, sleep_until},
};
use tonic::Status;

use crate::{
    auth::Caller,
    edge::Edge,
    limits,
    problem::{customer, report},
};

pub(crate) type WatchStream = Pin<Box<dyn Stream<Item = Result<v1::Payment, Status>> + Send>>;

/// Lives in the stream and nowhere else: when the caller hangs up, nothing is left.
pub(super) struct Watch {
    edge: Arc<Edge>,
    caller: Caller,
    payment: PaymentId,
    /// Read before the watch began; told first.
    first: Option<Row>,
    told: Option<v1::Payment>,
    until: Instant,
    is_over: bool,
    _permit: OwnedSemaphorePermit,
}

impl Watch {
    pub(super) fn begin(
        edge: Arc<Edge>,
        caller: Caller,
        payment: PaymentId,
        first: Row,
    ) -> Result<Watch, Problem> {
        let permit = edge.watches.clone().try_acquire_owned().map_err(|_| {
            Problem::new(ErrorClass::Unavailable, "too_many_watches", "too many watches; poll")
        })?;
        Ok(Watch {
            edge,
            caller,
            payment,
            first: Some(first),
            told: None,
            until: Instant::now() + limits::WATCH_FOR,
            is_over: false,
            _permit: permit,
        })
    }

    pub(super) fn stream(self) -> WatchStream {
        Box::pin(stream::unfold(self, async |mut watch| {
            if watch.is_over {
                return None;
            }
            let edge = watch.edge.clone();
            let news = tokio::select! {
                news = watch.news() => news,
                () = edge.stopped() => Err(broken_off("this server stops; watch again")),
            };
            match &news {
                Ok(payment) => watch.is_over = has_ended(payment.status()),
                Err(problem) => {
                    report("Payments.WatchPayment", problem);
                    watch.is_over = true;
                }
            }
            Some((news.map_err(Status::from), watch))
        }))
    }

    /// The payment once it is other than was told.
    async fn news(&mut self) -> Result<v1::Payment, Problem> {
        if let Some(row) = self.first.take() {
            return self.tell(&row).await;
        }
        loop {
            let began_at = Instant::now();
            if began_at >= self.until {
                return Err(broken_off("the watch has lasted long enough; watch again"));
            }
            // A revoked key stops seeing within five seconds.
            self.edge.keys.again(self.caller).await?;
            let orgs = &self.edge.gateway.orgs;
            let row = orgs
                .wait(self.caller.org, self.payment, limits::WATCH_EVERY)
                .await
                .map_err(customer::orgs)?;
            let payment = self.edge.told(self.caller, &row).await?;
            if self.told.as_ref() != Some(&payment) {
                self.told = Some(payment.clone());
                return Ok(payment);
            }
            // An invoice that waits for its payer is answered at once.
            sleep_until(began_at + limits::WATCH_EVERY).await;
        }
    }

    async fn tell(&mut self, row: &Row) -> Result<v1::Payment, Problem> {
        let payment = self.edge.told(self.caller, row).await?;
        self.told = Some(payment.clone());
        Ok(payment)
    }
}

fn broken_off(why: &str) -> Problem {
    Problem::new(ErrorClass::Unavailable, "watch_broken_off", why)
}
