//! The way in: gathers what a command needs to know, has its organisation decide, waits for news.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use domain::{
    NodeId, OrgId, PaymentId, PublicKey, Rejection, WalletId,
    org::{
        Backing, ClaimAnswer, ClaimRequest, Command, Incoming, Outgoing, Payee, ReceiveTerms, Row,
        SendFacts, SendTerms,
    },
    routing::{self, Candidate, Wanted},
};
use ports::{
    Orgs, Peers,
    journal::{Issued, Known, Question},
    orgs::{Answered, OrgsError, Within},
    receipts::OpenReceipt,
};
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::{
    house::{House, unavailable},
    org::Order,
    platform::Platform,
    spans,
    waiters::SentAway,
};

/// What each wallet draws on. It never changes, so it is read once.
#[derive(Default)]
pub(crate) struct Backings {
    known: Mutex<HashMap<(OrgId, WalletId), Backing>>,
}

impl Backings {
    fn get(&self, org: OrgId, wallet: WalletId) -> Option<Backing> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&(org, wallet)).copied()
    }

    fn learn(&self, org: OrgId, rows: Vec<Row>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for row in rows {
            if let Row::Wallet(id, wallet) = row {
                known.insert((org, id), wallet.backing);
            }
        }
    }
}

#[async_trait]
impl Orgs for Platform {
    async fn send(
        &self,
        org: OrgId,
        payment: PaymentId,
        terms: SendTerms,
        within: Within,
    ) -> Result<Answered<Arc<Outgoing>>, OrgsError> {
        let (deadline, begin_by) = until(within);
        // Before it begins, so that no news is missed.
        let news = self.house.waiters.listen(org, payment);
        let house = self.house.clone();
        spans::is_about(payment);
        let sent = finished(async move { house.send(org, payment, terms, begin_by).await });
        let Answered { payment, repeat } = sent.await?;
        let heard = news.hear_out(payment, deadline).await;
        let Row::Outgoing(payment) = *heard.map_err(taken_along)? else {
            return Err(Rejection::IdReused.into());
        };
        Ok(Answered { payment, repeat })
    }

    async fn receive(
        &self,
        org: OrgId,
        payment: PaymentId,
        terms: ReceiveTerms,
        within: Within,
    ) -> Result<Answered<Arc<Incoming>>, OrgsError> {
        let (deadline, begin_by) = until(within);
        let news = self.house.waiters.listen(org, payment);
        let house = self.house.clone();
        spans::is_about(payment);
        let asked = finished(async move { house.receive(org, payment, terms, begin_by).await });
        let Answered { payment, repeat } = asked.await?;
        let heard = news.hear_out(payment, deadline).await;
        let Row::Incoming(payment) = *heard.map_err(taken_along)? else {
            return Err(Rejection::IdReused.into());
        };
        Ok(Answered { payment, repeat })
    }

    async fn cancel(
        &self,
        org: OrgId,
        payment: PaymentId,
        within: Duration,
    ) -> Result<Row, OrgsError> {
        let deadline = Instant::now() + within;
        let news = self.house.waiters.listen(org, payment);
        let house = self.house.clone();
        spans::is_about(payment);
        let asked = finished(async move { house.cancel(org, payment).await }).await?;
        news.hear_the_end(asked, deadline).await.map(|row| *row).map_err(taken_along)
    }

    async fn administer(&self, org: OrgId, command: Command) -> Result<(), OrgsError> {
        let house = self.house.clone();
        finished(async move { house.administer(org, command).await }).await
    }

    async fn wait(
        &self,
        org: OrgId,
        payment: PaymentId,
        within: Duration,
    ) -> Result<Row, OrgsError> {
        spans::is_about(payment);
        self.house.wait(org, payment, within).await
    }
}

/// What other pods ask of the organisations that live here.
#[async_trait]
impl Peers for Platform {
    async fn claim(
        &self,
        payee: OrgId,
        request: ClaimRequest,
        text: String,
    ) -> Result<(), OrgsError> {
        let house = self.house.clone();
        finished(async move { house.claim(payee, request, text).await }).await
    }

    async fn answer_claim(
        &self,
        payer: OrgId,
        payment: PaymentId,
        answer: ClaimAnswer,
    ) -> Result<(), OrgsError> {
        let house = self.house.clone();
        finished(async move { house.answer_claim(payer, payment, answer).await }).await
    }

    async fn book_receipt(&self, receipt: OpenReceipt) -> Result<(), OrgsError> {
        let house = self.house.clone();
        finished(async move { house.book_receipt(receipt).await }).await
    }
}

/// Until when its end is waited for, and until when it may begin.
fn until(within: Within) -> (Instant, Option<Instant>) {
    let now = Instant::now();
    (now + within.end, within.begin.map(|left| now + left))
}

/// It is committed, and its news are told where its organisation has gone.
fn taken_along(_: SentAway) -> OrgsError {
    OrgsError::Uncertain("the organisation has moved to another process".to_owned())
}

/// The caller may hang up; what has begun is finished.
fn finished<T: Send + 'static>(
    work: impl Future<Output = Result<T, OrgsError>> + Send + 'static,
) -> impl Future<Output = Result<T, OrgsError>> {
    let lost = |_| Err(OrgsError::Uncertain("the request was lost".to_owned()));
    let work = tokio::spawn(work.in_current_span());
    async move { work.await.unwrap_or_else(lost) }
}

impl House {
    async fn send(
        self: &Arc<Self>,
        org: OrgId,
        payment: PaymentId,
        terms: SendTerms,
        begin_by: Option<Instant>,
    ) -> Result<Answered<Row>, OrgsError> {
        let inside = self.admit(org, begin_by).await?;
        let hash = terms.invoice.hash;
        let question = Question { org, payment, hash: Some(hash), claim: None };
        let known = self.lookups.ask(question).await.map_err(unavailable)?;
        if let (None, Some(why)) = (&known.payment, self.frozen()) {
            return Err(OrgsError::Frozen(why));
        }
        let facts = self.facts(org, payment, &terms, &known).await?;
        let command = Command::Send { payment, terms: Arc::new(terms), facts: Box::new(facts) };
        let order = Order { remember: known.payment, begin_by, ..command.into() };
        self.execute_on(&inside.seated, order).await?.ok_or_else(|| Rejection::IdReused.into())
    }

    /// What others know that a send needs. A repeat needs none of it.
    async fn facts(
        self: &Arc<Self>,
        org: OrgId,
        payment: PaymentId,
        terms: &SendTerms,
        known: &Known,
    ) -> Result<SendFacts, OrgsError> {
        let backing = match &known.payment {
            Some(_) => None,
            None => self.backing(org, terms.wallet).await?,
        };
        let settings = &self.settings;
        let mut facts = SendFacts {
            hash_taken: known.paid_by.is_some_and(|holder| holder != (org, payment)),
            payee: self.payee(known.issued, terms.invoice.payee, backing),
            plan: Vec::new(),
            older_failures: known.older_failures.clone(),
            permitted_until: self.lease.permitted_until(),
            network: settings.network,
            default_fee_ppm: settings.default_fee_ppm,
            default_fee_min_msat: settings.default_fee_min_msat,
        };
        if let Some(backing) = backing
            && let Some((amount_msat, fee_limit_msat)) = terms.to_hold(&facts)
        {
            let candidates = self.candidates(backing, terms.invoice.payee, known.foreign_on);
            let wanted = Wanted { amount_msat, fee_limit_msat };
            facts.plan = self.router().choose(candidates.clone(), wanted).await;
            // What would be refused for good as "no usable node" can be paid a moment later.
            if facts.plan.is_empty() && facts.payee == Payee::Outside {
                if let Some(latency_ms) = routing::full(&candidates, wanted) {
                    return Err(self.refused_by_nodes(latency_ms));
                }
                if self.is_in_doubt(backing, terms.invoice.payee) {
                    return Err(self.refused_by_nodes(0));
                }
            }
        }
        Ok(facts)
    }

    /// `None`: there is no such wallet, which the organisation itself will say.
    async fn backing(&self, org: OrgId, wallet: WalletId) -> Result<Option<Backing>, OrgsError> {
        if let Some(known) = self.backings.get(org, wallet) {
            return Ok(Some(known));
        }
        let rows = self.sockets.reads.standing(org).await.map_err(unavailable)?;
        self.backings.learn(org, rows);
        Ok(self.backings.get(org, wallet))
    }

    fn payee(&self, issued: Option<Issued>, payee: PublicKey, backing: Option<Backing>) -> Payee {
        if let Some(Issued { org, payment, node }) = issued {
            let owned = self.node(node).is_some_and(|node| node.record.owner.is_some());
            return Payee::Inside { org, payment, node: owned.then_some(node) };
        }
        let ours = self.nodes().into_iter().find(|node| node.record.identity == payee);
        match ours {
            Some(node)
                if node.record.owner.is_none()
                    || backing == Some(Backing::Node(node.record.id)) =>
            {
                Payee::UnknownOn(node.record.id)
            }
            Some(_) | None => Payee::Outside,
        }
    }

    /// Nodes of the wallet's rail, without the payee itself: a node cannot pay its own invoice. Of a hash
    /// that one has paid without our knowing, only that one.
    fn candidates(
        &self,
        backing: Backing,
        payee: PublicKey,
        foreign_on: Option<NodeId>,
    ) -> Arc<[Candidate]> {
        let wanted = |id| {
            foreign_on.is_none_or(|payer| payer == id)
                && self.is_of(backing, id)
                && !self.is_node(id, payee)
        };
        self.health.snapshot(wanted).into()
    }

    /// Whether a node of the wallet's rail may be usable in a moment: this process has just begun, or the node
    /// has.
    fn is_in_doubt(&self, backing: Backing, payee: PublicKey) -> bool {
        let mut nodes = self.nodes().into_iter();
        nodes.any(|node| {
            let is_of_rail = self.is_of(backing, node.record.id);
            is_of_rail && node.record.identity != payee && node.is_in_doubt()
        })
    }

    fn is_of(&self, backing: Backing, id: NodeId) -> bool {
        match backing {
            Backing::Node(own) => own == id,
            Backing::Line(_) => self.node(id).is_some_and(|node| node.record.owner.is_none()),
        }
    }

    fn is_node(&self, id: NodeId, identity: PublicKey) -> bool {
        self.node(id).is_some_and(|node| node.record.identity == identity)
    }

    async fn receive(
        self: &Arc<Self>,
        org: OrgId,
        payment: PaymentId,
        terms: ReceiveTerms,
        begin_by: Option<Instant>,
    ) -> Result<Answered<Row>, OrgsError> {
        let inside = self.admit(org, begin_by).await?;
        let question = Question { org, payment, hash: None, claim: None };
        let known = self.lookups.ask(question).await.map_err(unavailable)?;
        let backing = self.backing(org, terms.wallet).await?;
        let node = match (&known.payment, backing) {
            (Some(Row::Incoming(incoming)), _) => incoming.node,
            (Some(_), _) => return Err(Rejection::IdReused.into()),
            (None, None) => return Err(Rejection::WalletNotFound(terms.wallet).into()),
            (None, Some(backing)) => self.node_to_receive(backing)?,
        };
        let preimage = (self.sockets.draw_preimage)();
        let command = Command::Receive { payment, terms, hash: preimage.hash(), node };
        let preimage = Some(preimage);
        let order = Order { remember: known.payment, preimage, begin_by, ..command.into() };
        self.execute_on(&inside.seated, order).await?.ok_or_else(|| Rejection::IdReused.into())
    }

    /// The wallet's own node, or the usable node of the pool with the most room.
    fn node_to_receive(&self, backing: Backing) -> Result<NodeId, OrgsError> {
        let none = || OrgsError::Unavailable("no node can make an invoice now".to_owned());
        match backing {
            Backing::Node(own) => Ok(own),
            Backing::Line(_) => self.health.roomiest(|id| self.is_of(backing, id)).ok_or_else(none),
        }
    }

    async fn cancel(self: &Arc<Self>, org: OrgId, payment: PaymentId) -> Result<Row, OrgsError> {
        self.has_room(org).await?;
        let (seated, order) = self.recalled(org, payment, Command::Cancel { payment }).await?;
        let asked = self.execute_on(&seated, order).await?;
        asked.map(|asked| asked.payment).ok_or_else(|| Rejection::PaymentNotFound(payment).into())
    }

    async fn administer(self: &Arc<Self>, org: OrgId, command: Command) -> Result<(), OrgsError> {
        if let Command::SetNodeFunds { node, .. } = &command {
            let known = self.registered(*node).await.map_err(unavailable)?;
            if known.and_then(|node| node.record.owner) != Some(org) {
                return Err(Rejection::NodeNotFound(*node).into());
            }
        }
        if let Command::Resolve { payment, resolution, evidence, .. } = command {
            return self.resolve(org, payment, resolution, evidence).await;
        }
        self.has_room(org).await?;
        self.execute(org, command.into()).await.map(|_| ())
    }

    async fn wait(
        self: &Arc<Self>,
        org: OrgId,
        payment: PaymentId,
        within: Duration,
    ) -> Result<Row, OrgsError> {
        let deadline = Instant::now() + within;
        // Before looking, so that no news falls between.
        let news = self.waiters.listen(org, payment);
        self.has_room(org).await?;
        let known = self.payment(org, payment).await?;
        let heard = news.hear_out(known, deadline).await;
        heard.map(|row| *row).map_err(|_| self.place.not_owner(org))
    }

    async fn payment(self: &Arc<Self>, org: OrgId, payment: PaymentId) -> Result<Row, OrgsError> {
        if let Some(known) = self.recall(org, payment).await? {
            return Ok(known.payment);
        }
        let stored = self.sockets.reads.payment(org, payment).await.map_err(unavailable)?;
        stored.ok_or_else(|| Rejection::PaymentNotFound(payment).into())
    }
}
