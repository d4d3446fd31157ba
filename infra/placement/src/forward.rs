//! Calls whoever owns the organisation.

mod operations;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use domain::{
    OrgId, PaymentId, Rejection, SessionId,
    org::{ClaimAnswer, ClaimRequest, Command, Incoming, Outgoing, ReceiveTerms, Row, SendTerms},
};
use ports::{
    Orgs, Peers, Reads,
    orgs::{Answered, OrgsError, Within},
    placement::Pod,
    receipts::OpenReceipt,
};
use proto::{
    convert::{engine, organisations::Order},
    engine::v1::{self, orgs_client::OrgsClient},
};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tonic::{Response, Status};

use crate::{
    ClusterSecret, Owners,
    channels::{Channels, Line},
    failure::{self, Failed},
    limits,
    road::{Next, Road},
    rows,
};

type Client = OrgsClient<Line>;

/// Every organisation of the cluster, and its engines, from wherever this is.
///
/// An engine answers what is committed. Where it leaves a payment out of its answer, that is read from the
/// store, whose reads show every acknowledged write.
pub struct Forward {
    owners: Arc<Owners>,
    channels: Channels,
    reads: Arc<dyn Reads>,
}

impl Forward {
    pub fn new(owners: Arc<Owners>, secret: ClusterSecret, reads: Arc<dyn Reads>) -> Forward {
        Forward { owners, channels: Channels::new(secret), reads }
    }

    /// Asks the owner, whoever that is by then, until it has answered or the time is up.
    async fn ask<T, Call>(
        &self,
        org: OrgId,
        within: Duration,
        call: impl Fn(Client, Duration) -> Call,
    ) -> Result<T, OrgsError>
    where
        Call: Future<Output = Result<Response<T>, Status>>,
    {
        let mut road = Road::new(Instant::now(), within, self.owners.patience());
        let mut hinted = None;
        loop {
            let owner = hinted.take().or_else(|| self.owners.owner(org));
            let failed = match self.attempt(org, owner.as_ref(), &road, &call).await {
                Ok(answer) => return Ok(answer.into_inner()),
                Err(failed) => self.only_known(failed, owner),
            };
            match road.after(failed, Instant::now(), dice()) {
                Next::GiveUp(error) => return Err(error),
                Next::Hop(session) => {
                    self.owners.are_wrong();
                    hinted = self.owners.pod(session);
                }
                Next::Pause(pause) => {
                    self.owners.are_wrong();
                    sleep(pause).await;
                }
            }
        }
    }

    async fn attempt<T, Call>(
        &self,
        org: OrgId,
        owner: Option<&Pod>,
        road: &Road,
        call: impl Fn(Client, Duration) -> Call,
    ) -> Result<Response<T>, Failed<OrgsError>>
    where
        Call: Future<Output = Result<Response<T>, Status>>,
    {
        let Some(pod) = owner else {
            return Err(Failed::Answered(OrgsError::NotOwner { owner: None }));
        };
        let client = self.channels.orgs(pod, &self.owners.map()).map_err(Failed::NotTaken)?;
        let call = timeout_at(road.end(), call(client, road.left(Instant::now())));
        let answer = tokio::select! {
            answer = call => answer,
            () = self.owners.moved(org, pod.session) => {
                return Err(Failed::Lost("the organisation has moved meanwhile".to_owned()));
            }
        };
        match answer {
            Ok(answer) => answer.map_err(|status| {
                self.channels.failed(pod, &status, &self.owners);
                match failure::orgs(&status) {
                    Failed::NotKnown(_) => Failed::NotKnown(pod.name.clone()),
                    failed @ (Failed::Answered(_) | Failed::NotTaken(_) | Failed::Lost(_)) => {
                        failed
                    }
                }
            }),
            Err(_) => Err(Failed::Lost("no answer in time".to_owned())),
        }
    }

    /// An owner whose address nobody knows yet, or who has just been asked, is none to go to.
    fn only_known(&self, failed: Failed<OrgsError>, asked: Option<Pod>) -> Failed<OrgsError> {
        match failed {
            Failed::Answered(OrgsError::NotOwner { owner }) => {
                let other = |session: &SessionId| {
                    asked.is_none_or(|pod| pod.session != *session)
                        && self.owners.pod(*session).is_some()
                };
                Failed::Answered(OrgsError::NotOwner { owner: owner.filter(other) })
            }
            failed @ (Failed::Answered(_)
            | Failed::NotTaken(_)
            | Failed::NotKnown(_)
            | Failed::Lost(_)) => failed,
        }
    }

    /// The payment that an engine has just answered.
    async fn told(
        &self,
        org: OrgId,
        payment: PaymentId,
        row: Option<Vec<u8>>,
    ) -> Result<Row, OrgsError> {
        match row.and_then(|bytes| rows::from_bytes(&bytes, payment)) {
            Some(row) => Ok(row),
            None => self.committed(org, payment).await,
        }
    }

    /// What an engine has just said is committed.
    async fn committed(&self, org: OrgId, payment: PaymentId) -> Result<Row, OrgsError> {
        let unread = |why| OrgsError::Uncertain(format!("taken, but it cannot be read now: {why}"));
        let read = self.reads.payment(org, payment).await;
        read.map_err(|error| unread(error.to_string()))?
            .ok_or_else(|| unread("the store does not show it".to_owned()))
    }
}

/// A send that was perhaps taken before an answer was lost, and is found when it is asked for again, counts
/// as a repeat: to say so of a first one does no harm, while two that are both the first would.
#[async_trait]
impl Orgs for Forward {
    async fn send(
        &self,
        org: OrgId,
        payment: PaymentId,
        terms: SendTerms,
        within: Within,
    ) -> Result<Answered<Arc<Outgoing>>, OrgsError> {
        let Within { end: within, begin: begin_within } = within;
        let deadline = begin_within.map(|left| Instant::now() + left);
        let send = engine::Send { org, payment, terms, within, begin_within };
        let request = v1::SendRequest::from(send);
        let taken = self.ask(org, within, |mut client, left| {
            let (within_ms, begin_within_ms) = (millis(left), deadline.map(millis_until));
            let request = v1::SendRequest { within_ms, begin_within_ms, ..request.clone() };
            async move { client.send(request).await }
        });
        let v1::Taken { repeat, row, .. } = taken.await?;
        match self.told(org, payment, row).await? {
            Row::Outgoing(payment) => Ok(Answered { payment, repeat }),
            Row::Incoming(_)
            | Row::Environment(..)
            | Row::Line(..)
            | Row::Node(..)
            | Row::Wallet(..)
            | Row::Account(..) => Err(Rejection::IdReused.into()),
        }
    }

    async fn receive(
        &self,
        org: OrgId,
        payment: PaymentId,
        terms: ReceiveTerms,
        within: Within,
    ) -> Result<Answered<Arc<Incoming>>, OrgsError> {
        let Within { end: within, begin: begin_within } = within;
        let deadline = begin_within.map(|left| Instant::now() + left);
        let receive = engine::Receive { org, payment, terms, within, begin_within };
        let request = v1::ReceiveRequest::from(receive);
        let taken = self.ask(org, within, |mut client, left| {
            let (within_ms, begin_within_ms) = (millis(left), deadline.map(millis_until));
            let request = v1::ReceiveRequest { within_ms, begin_within_ms, ..request.clone() };
            async move { client.receive(request).await }
        });
        let v1::Taken { repeat, row, .. } = taken.await?;
        match self.told(org, payment, row).await? {
            Row::Incoming(payment) => Ok(Answered { payment, repeat }),
            Row::Outgoing(_)
            | Row::Environment(..)
            | Row::Line(..)
            | Row::Node(..)
            | Row::Wallet(..)
            | Row::Account(..) => Err(Rejection::IdReused.into()),
        }
    }

    async fn cancel(
        &self,
        org: OrgId,
        payment: PaymentId,
        within: Duration,
    ) -> Result<Row, OrgsError> {
        let request = v1::WaitRequest::from(engine::Wait { org, payment, within });
        let cancelled = self.ask(org, within, |mut client, left| {
            let request = v1::WaitRequest { within_ms: millis(left), ..request.clone() };
            async move { client.cancel(request).await }
        });
        let v1::Found { row } = cancelled.await?;
        self.told(org, payment, row).await
    }

    async fn administer(&self, org: OrgId, command: Command) -> Result<(), OrgsError> {
        let Some(request) = engine::administer(Order { org, command }) else {
            let why = "only the engine that owns an organisation gives it this command";
            return Err(OrgsError::Unavailable(why.to_owned()));
        };
        self.ask(org, self.owners.patience(), |mut client, _| {
            let request = request.clone();
            async move { client.administer(request).await }
        })
        .await
        .map(|v1::Done {}| ())
    }

    /// While the owner is away, what was committed is still there to be read, when the time is up.
    async fn wait(
        &self,
        org: OrgId,
        payment: PaymentId,
        within: Duration,
    ) -> Result<Row, OrgsError> {
        let deadline = Instant::now() + within;
        let request = v1::WaitRequest::from(engine::Wait { org, payment, within });
        let waited = self.ask(org, within, |mut client, left| {
            let request = v1::WaitRequest { within_ms: millis(left), ..request.clone() };
            async move { client.wait(request).await }
        });
        match waited.await {
            Ok(v1::Found { row }) => self.told(org, payment, row).await,
            Err(
                away @ (OrgsError::NotOwner { .. }
                | OrgsError::Unavailable(_)
                | OrgsError::Busy { .. }
                | OrgsError::OlderPods(_)
                | OrgsError::Uncertain(_)),
            ) => {
                sleep_until(deadline).await;
                match self.reads.payment(org, payment).await {
                    Ok(Some(row)) => Ok(row),
                    Ok(None) => Err(Rejection::PaymentNotFound(payment).into()),
                    Err(_) => Err(away),
                }
            }
            Err(
                error @ (OrgsError::Rejected(_) | OrgsError::NotFound(_) | OrgsError::Frozen(_)),
            ) => Err(error),
        }
    }
}

/// Whoever asks its peer repeats it by itself, so it is not held for longer than a planned move.
#[async_trait]
impl Peers for Forward {
    async fn claim(
        &self,
        payee: OrgId,
        request: ClaimRequest,
        text: String,
    ) -> Result<(), OrgsError> {
        let request = v1::ClaimRequest::from(engine::Claim { payee, request, text });
        self.ask(payee, limits::HOLD, |mut client, _| {
            let request = request.clone();
            async move { client.claim(request).await }
        })
        .await
        .map(|v1::Done {}| ())
    }

    async fn answer_claim(
        &self,
        payer: OrgId,
        payment: PaymentId,
        answer: ClaimAnswer,
    ) -> Result<(), OrgsError> {
        let answer = engine::AnswerClaim { payer, payment, answer };
        self.ask(payer, limits::HOLD, |mut client, _| async move {
            client.answer_claim(v1::AnswerClaimRequest::from(answer)).await
        })
        .await
        .map(|v1::Done {}| ())
    }

    async fn book_receipt(&self, receipt: OpenReceipt) -> Result<(), OrgsError> {
        let OpenReceipt { org, payment, node, hash, paid_msat } = receipt;
        let receipt = engine::Receipt { org, payment, node, hash, paid_msat };
        self.ask(org, limits::HOLD, |mut client, _| async move {
            client.book_receipt(v1::BookReceiptRequest::from(receipt)).await
        })
        .await
        .map(|v1::Done {}| ())
    }
}

fn millis(left: Duration) -> u64 {
    u64::try_from(left.as_millis()).unwrap_or(u64::MAX)
}

fn millis_until(deadline: Instant) -> u64 {
    millis(deadline.saturating_duration_since(Instant::now()))
}

/// Without randomness nothing is shortened.
fn dice() -> u8 {
    let mut thrown = [0];
    let _ = getrandom::fill(&mut thrown);
    thrown[0]
}
