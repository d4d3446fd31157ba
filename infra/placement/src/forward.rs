//! Calls whoever owns the organisation.

mod asked;
mod operations;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use domain::{
    OrgId, PaymentId, Rejection, SessionId,
    org::{ClaimAnswer, ClaimRequest, Command, Incoming, Outgoing, ReceiveTerms, Row, SendTerms},
};
use ports::{
    Orgs, Peers, Reads, Seal,
    orgs::{Answered, OrgsError, Within},
    placement::Pod,
    receipts::OpenReceipt,
};
use prost::{Message as _, bytes::Bytes};
use proto::{
    convert::{engine, organisations::Order},
    engine::v1,
};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use self::asked::Asked;
use crate::{
    ClusterSecret, Owners,
    channels::{Channels, Unanswered, Way},
    failure::{self, Failed},
    limits,
    road::{Next, Road},
    rows,
};

/// Every organisation of the cluster, and its engines, from wherever this is.
///
/// An engine answers what is committed. Where it leaves a payment out of its answer, that is read from the
/// store, whose reads show every acknowledged write.
pub struct Forward {
    owners: Arc<Owners>,
    channels: Channels,
    reads: Arc<dyn Reads>,
    seal: Arc<dyn Seal>,
}

impl Forward {
    pub fn new(
        owners: Arc<Owners>,
        secret: ClusterSecret,
        reads: Arc<dyn Reads>,
        seal: Arc<dyn Seal>,
    ) -> Forward {
        Forward { owners, channels: Channels::new(secret), reads, seal }
    }

    /// Asks the owner, whoever that is by then, until it has answered or the time is up.
    async fn ask<A: Asked>(
        &self,
        org: OrgId,
        within: Duration,
        asked: impl Fn(Duration) -> A,
    ) -> Result<A::Answer, OrgsError> {
        let mut road = Road::new(Instant::now(), within, self.owners.patience());
        let mut hinted = None;
        loop {
            let owner = hinted.take().or_else(|| self.owners.owner(org));
            let failed = match self.attempt(org, owner.as_ref(), &road, &asked).await {
                Ok(answer) => return Ok(answer),
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

    async fn attempt<A: Asked>(
        &self,
        org: OrgId,
        owner: Option<&Pod>,
        road: &Road,
        asked: impl Fn(Duration) -> A,
    ) -> Result<A::Answer, Failed<OrgsError>> {
        let Some(pod) = owner else {
            return Err(Failed::Answered(OrgsError::NotOwner { owner: None }));
        };
        let way = self.channels.orgs(pod, &self.owners.map()).map_err(Failed::NotTaken)?;
        let call = self.call(pod, &way, asked(road.left(Instant::now())));
        let answer = tokio::select! {
            answer = timeout_at(road.end(), call) => answer,
            () = self.owners.moved(org, pod.session) => {
                return Err(Failed::Lost("the organisation has moved meanwhile".to_owned()));
            }
        };
        match answer.unwrap_or_else(|_| Err(Failed::Lost("no answer in time".to_owned()))) {
            Err(Failed::NotKnown(_)) => Err(Failed::NotKnown(pod.name.clone())),
            answer => answer,
        }
    }

    /// By stream, if it is often made and the pod takes it so; otherwise by itself.
    async fn call<A: Asked>(
        &self,
        pod: &Pod,
        way: &Arc<Way>,
        asked: A,
    ) -> Result<A::Answer, Failed<OrgsError>> {
        if let Some(kind) = A::KIND
            && asked.encoded_len() <= limits::STREAMED_BYTES_MAX
            && let Some(link) = self.channels.link(way, pod, &self.owners)
        {
            let unreadable = |error| Failed::Lost(format!("an unreadable answer: {error}"));
            match link.ask(kind, Bytes::from(asked.encode_to_vec())).await {
                Ok(answer) => return A::Answer::decode(answer).map_err(unreadable),
                Err(Unanswered::Failed(failed)) => return Err(failed),
                Err(Unanswered::NotByStream) => {}
            }
        }
        match asked.alone(self.channels.alone(way)).await {
            Ok(answer) => Ok(answer.into_inner()),
            Err(status) => {
                self.channels.failed(pod, &status, &self.owners);
                Err(failure::orgs(&status))
            }
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
        row: Option<Bytes>,
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
        let taken = self.ask(org, within, |left| {
            let (within_ms, begin_within_ms) = (millis(left), deadline.map(millis_until));
            v1::SendRequest { within_ms, begin_within_ms, ..request.clone() }
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
        let taken = self.ask(org, within, |left| {
            let (within_ms, begin_within_ms) = (millis(left), deadline.map(millis_until));
            v1::ReceiveRequest { within_ms, begin_within_ms, ..request.clone() }
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
        let cancelled = self.ask(org, within, |left| {
            v1::CancelRequest::from(engine::Wait { org, payment, within: left })
        });
        let v1::Found { row } = cancelled.await?;
        self.told(org, payment, row).await
    }

    async fn administer(&self, org: OrgId, command: Command) -> Result<(), OrgsError> {
        let Some(request) = engine::administer(Order { org, command }) else {
            let why = "only the engine that owns an organisation gives it this command";
            return Err(OrgsError::Unavailable(why.to_owned()));
        };
        let v1::Done {} = self.ask(org, self.owners.patience(), |_| request.clone()).await?;
        Ok(())
    }

    /// While the owner is away, what was committed is still there to be read, when the time is up.
    async fn wait(
        &self,
        org: OrgId,
        payment: PaymentId,
        within: Duration,
    ) -> Result<Row, OrgsError> {
        let deadline = Instant::now() + within;
        let waited = self.ask(org, within, |left| {
            v1::WaitRequest::from(engine::Wait { org, payment, within: left })
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
        let v1::Done {} = self.ask(payee, limits::HOLD, |_| request.clone()).await?;
        Ok(())
    }

    async fn answer_claim(
        &self,
        payer: OrgId,
        payment: PaymentId,
        answer: ClaimAnswer,
    ) -> Result<(), OrgsError> {
        let answer = engine::AnswerClaim { payer, payment, answer };
        let asked = |_| v1::AnswerClaimRequest::from(answer);
        let v1::Done {} = self.ask(payer, limits::HOLD, asked).await?;
        Ok(())
    }

    async fn book_receipt(&self, receipt: OpenReceipt) -> Result<(), OrgsError> {
        let OpenReceipt { org, payment, node, hash, paid_msat } = receipt;
        let receipt = engine::Receipt { org, payment, node, hash, paid_msat };
        let asked = |_| v1::BookReceiptRequest::from(receipt);
        let v1::Done {} = self.ask(org, limits::HOLD, asked).await?;
        Ok(())
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
