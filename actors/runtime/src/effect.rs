//! The one match that performs effects. Called only once their decision is committed.

use std::sync::Arc;

use domain::{
    NodeId, OrgId, PaymentId,
    org::{ClaimAnswer, ClaimRequest, Command, Effect},
};
use ports::{journal::Question, lightning::PayRequest, orgs::OrgsError};
use tracing::Instrument as _;

use crate::{
    attempt::{self, Job},
    house::{House, unavailable},
    invoice,
    org::Order,
};

pub(crate) fn perform(house: &Arc<House>, org: OrgId, effect: Effect) {
    match effect {
        Effect::Pay {
            payment,
            attempt,
            request,
            node,
            hash,
            invoice,
            amount_msat,
            fee_limit_msat,
            until,
        } => {
            fail::fail_point!("effect::before_pay");
            let call = PayRequest { hash, invoice, amount_msat, fee_limit_msat, until };
            let job = Job { org, payment, attempt, request, node, hash };
            attempt::start(house, job, attempt::Task::Pay(call));
        }
        Effect::LookUp { payment, attempt, request, node, hash } => {
            let job = Job { org, payment, attempt, request, node, hash };
            attempt::start(house, job, attempt::Task::LookUp);
        }
        Effect::LookUpOnceLapsed { payment, attempt, request, node, hash, until } => {
            let job = Job { org, payment, attempt, request, node, hash };
            attempt::start(house, job, attempt::Task::LookUpOnceLapsed(until));
        }
        Effect::StopNode { node, payment } => {
            let why = format!("it contradicted the record of payment {payment}");
            tokio::spawn(stop_node(house.clone(), node, why).in_current_span());
        }
        Effect::MakeInvoice { payment, node, hash, amount_msat, description, expires_at } => {
            let job = invoice::Job { org, payment, node, hash };
            let task = invoice::Task::Make { amount_msat, description, expires_at };
            invoice::start(house, job, task);
        }
        Effect::CancelInvoice { payment, node, hash } => {
            let job = invoice::Job { org, payment, node, hash };
            invoice::start(house, job, invoice::Task::Cancel);
        }
        Effect::Claim { payee, request, text } => {
            tokio::spawn(claim(house.clone(), payee, request, text).in_current_span());
        }
        Effect::AnswerClaim { payer, payment, answer } => {
            let work = answer_claim(house.clone(), payer, payment, answer);
            tokio::spawn(work.in_current_span());
        }
    }
}

/// A claim that does not arrive is driven again by the payer.
async fn claim(house: Arc<House>, payee: OrgId, request: ClaimRequest, text: String) {
    fail::fail_point!("effect::before_claim");
    let here = house.claim(payee, request, text.clone()).await;
    let taken = match house.place.elsewhere(&here) {
        Some(peers) => peers.claim(payee, request, text).await,
        None => here,
    };
    if let Err(error) = taken {
        tracing::warn!(%payee, %error, "a claim was not taken; it will be driven again");
    }
}

/// An answer that does not arrive is asked for again by the payer.
async fn answer_claim(house: Arc<House>, payer: OrgId, payment: PaymentId, answer: ClaimAnswer) {
    fail::fail_point!("effect::before_answer_claim");
    let here = house.answer_claim(payer, payment, answer).await;
    let taken = match house.place.elsewhere(&here) {
        Some(peers) => peers.answer_claim(payer, payment, answer).await,
        None => here,
    };
    if let Err(error) = taken {
        tracing::warn!(%payer, %error, "an answer to a claim was not taken; it will be asked again");
    }
}

/// Of organisations that live here.
impl House {
    pub(crate) async fn claim(
        self: &Arc<Self>,
        payee: OrgId,
        request: ClaimRequest,
        text: String,
    ) -> Result<(), OrgsError> {
        let claim = Some((request.payer, request.payer_payment));
        let question = Question { org: payee, payment: request.payment, hash: None, claim };
        let seated = self.seated(payee).await?;
        let known = self.lookups.ask(question).await.map_err(unavailable)?;
        let command = Command::Claim { request, text, seen_before: known.claim_seen };
        let order = Order { remember: known.payment, ..command.into() };
        self.execute_on(&seated, order).await.map(|_| ())
    }

    pub(crate) async fn answer_claim(
        self: &Arc<Self>,
        payer: OrgId,
        payment: PaymentId,
        answer: ClaimAnswer,
    ) -> Result<(), OrgsError> {
        let command = Command::ClaimAnswered { payment, answer };
        let (seated, order) = self.recalled(payer, payment, command).await?;
        self.execute_on(&seated, order).await.map(|_| ())
    }
}

pub(crate) async fn stop_node(house: Arc<House>, node: NodeId, why: String) {
    tracing::error!(%node, %why, "the node gets no more sends");
    if let Some(handle) = house.node(node) {
        handle.stop(why.clone());
    }
    house.health.unusable(node);
    if let Err(error) = house.sockets.directory.stop_node(node, Some(&why)).await {
        tracing::error!(%node, %error, "the stop could not be recorded");
    }
}
