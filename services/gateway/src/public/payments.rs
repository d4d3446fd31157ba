use std::{sync::Arc, time::Duration};

use domain::{
    ErrorClass, Msat, PaymentId, Rejection,
    org::{Row, SendTerms},
};
use ports::{orgs::Answered, reads::Recorded};
use proto::{
    Problem,
    convert::{
        WireError, events,
        lists::{Filter, List},
        payments::{self, Cancel, Receive, Send},
    },
    v1::{self, estimate_request, payments_server},
};
use tonic::{Request, Response, Status, Streaming, metadata::MetadataValue};

use super::{
    bolt11,
    door::asked,
    list,
    send_stream::{self, Answers},
    watch::{Watch, WatchStream},
};
use crate::{
    access::Need,
    auth::Caller,
    cancel,
    edge::Edge,
    estimate,
    problem::{answer, customer},
};

pub(crate) struct Payments(pub(crate) Arc<Edge>);

impl Payments {
    async fn sent(
        &self,
        caller: Caller,
        request: v1::SendRequest,
    ) -> Result<Answered<v1::Payment>, Problem> {
        let (payment, terms, wait) = Box::pin(self.to_send(caller, request)).await?;
        let orgs = &self.0.gateway.orgs;
        let ask = |within| orgs.send(caller.org, payment, terms.clone(), within);
        let sent = self.0.unless_stopped(wait, ask).await.map_err(customer::orgs)?;
        let payment = Box::pin(self.0.told(caller, &Row::Outgoing(sent.payment))).await?;
        Ok(Answered { payment, repeat: sent.repeat })
    }

    /// What a send asks for. On the heap and gone before the wait, like everything else that is not needed for it.
    async fn to_send(
        &self,
        caller: Caller,
        request: v1::SendRequest,
    ) -> Result<(PaymentId, SendTerms, Duration), Problem> {
        let send = Send::try_from(request)?;
        self.0.check_wallet(caller, send.wallet).await?;
        let terms = send.terms(bolt11::parse(&send.invoice)?);
        Ok((send.payment, terms, send.wait))
    }

    async fn received(
        &self,
        caller: Caller,
        request: v1::ReceiveRequest,
    ) -> Result<Answered<v1::Payment>, Problem> {
        let Receive { payment, terms, wait } = Receive::try_from(request)?;
        self.0.check_wallet(caller, terms.wallet).await?;
        let orgs = &self.0.gateway.orgs;
        let ask = |within| orgs.receive(caller.org, payment, terms.clone(), within);
        let asked = self.0.unless_stopped(wait, ask).await.map_err(customer::orgs)?;
        let payment = self.0.told(caller, &Row::Incoming(asked.payment)).await?;
        Ok(Answered { payment, repeat: asked.repeat })
    }

    async fn listed(
        &self,
        caller: Caller,
        request: v1::ListPaymentsRequest,
    ) -> Result<v1::ListPaymentsResponse, Problem> {
        list::page(&self.0, caller, List::try_from(request)?).await
    }

    async fn happened(
        &self,
        caller: Caller,
        request: v1::HistoryRequest,
    ) -> Result<v1::HistoryResponse, Problem> {
        let id = payments::payment_id(&request.id)?;
        match self.0.payment(caller, id).await {
            Ok(_) => {}
            Err(problem) if problem.class == ErrorClass::NotFound => {
                return Ok(v1::HistoryResponse::default());
            }
            Err(problem) => return Err(problem),
        }
        let recorded = self.0.gateway.reads.history(caller.org, id).await;
        let recorded = recorded.map_err(customer::store)?;
        let event = |one: &Recorded| events::history_event(one.seq.0, one.at, &one.event);
        Ok(v1::HistoryResponse { events: recorded.iter().map(event).collect() })
    }

    async fn estimated(
        &self,
        caller: Caller,
        request: v1::EstimateRequest,
    ) -> Result<v1::EstimateResponse, Problem> {
        let id = payments::wallet_id(&request.wallet_id)?;
        let asked = request.payment.ok_or(WireError::Missing("send or receive"))?;
        let org = self.0.standing(caller.org).await?;
        let wallet = estimate::wallet(&org, caller, id)?;
        let (direction, estimate) = match asked {
            estimate_request::Payment::Send(send) => {
                Need::Write.check(&caller)?;
                let invoice = bolt11::parse(&send.invoice)?;
                // As the send itself would be refused.
                if let (Some(fixed), Some(_)) = (invoice.amount_msat, send.amount_msat) {
                    return Err(Rejection::AmountGiven(fixed).into());
                }
                let amounts = (send.amount_msat, send.fee_limit_msat);
                let estimate = estimate::of_send(&self.0, &org, wallet, &invoice, amounts)?;
                (v1::Direction::Send, estimate)
            }
            estimate_request::Payment::Receive(receive) => {
                let estimate = estimate::of_receive(&org, wallet, receive.amount_msat)?;
                (v1::Direction::Receive, estimate)
            }
        };
        Ok(v1::EstimateResponse {
            direction: direction.into(),
            amount_msat: estimate.amount.map(Msat::get),
            fee_limit_msat: estimate.max_fee.get(),
            total_msat: estimate.total.map(Msat::get),
            spendable_msat: estimate.spendable.get(),
            largest_sendable_msat: estimate.largest_sendable.get(),
            allowed: estimate.reasons.is_empty(),
            reasons: estimate.reasons.into_iter().map(str::to_owned).collect(),
        })
    }

    async fn watched(
        &self,
        caller: Caller,
        request: v1::WatchPaymentRequest,
    ) -> Result<WatchStream, Problem> {
        let id = payments::payment_id(&request.id)?;
        let row = self.0.payment(caller, id).await?;
        Ok(Watch::begin(self.0.clone(), caller, id, row)?.stream())
    }
}

/// A repeat is marked as on REST, in the metadata.
fn with_hit(answered: Response<Answered<v1::Payment>>) -> Response<v1::Payment> {
    let repeat = answered.get_ref().repeat;
    let mut response = answered.map(|answered| answered.payment);
    if repeat {
        let hit = MetadataValue::from_static("true");
        response.metadata_mut().insert("idempotency-hit", hit);
    }
    response
}

#[tonic::async_trait]
impl payments_server::Payments for Payments {
    type WatchPaymentStream = WatchStream;
    type SendStreamStream = Answers;

    async fn send_stream(
        &self,
        request: Request<Streaming<v1::SendRequest>>,
    ) -> Result<Response<Answers>, Status> {
        let (caller, sends) = asked(request)?;
        answer("Payments.SendStream", async { send_stream::begin(self.0.clone(), caller, sends) })
            .await
    }

    async fn history(
        &self,
        request: Request<v1::HistoryRequest>,
    ) -> Result<Response<v1::HistoryResponse>, Status> {
        let (caller, request) = asked(request)?;
        answer("Payments.History", self.happened(caller, request)).await
    }

    async fn summary(
        &self,
        request: Request<v1::SummaryRequest>,
    ) -> Result<Response<v1::SummaryResponse>, Status> {
        let (caller, request) = asked(request)?;
        answer("Payments.Summary", async {
            list::summary(&self.0, caller, Filter::try_from(request)?).await
        })
        .await
    }

    async fn estimate(
        &self,
        request: Request<v1::EstimateRequest>,
    ) -> Result<Response<v1::EstimateResponse>, Status> {
        let (caller, request) = asked(request)?;
        answer("Payments.Estimate", self.estimated(caller, request)).await
    }

    async fn send(
        &self,
        request: Request<v1::SendRequest>,
    ) -> Result<Response<v1::Payment>, Status> {
        let (caller, request) = asked(request)?;
        answer("Payments.Send", self.sent(caller, request)).await.map(with_hit)
    }

    async fn receive(
        &self,
        request: Request<v1::ReceiveRequest>,
    ) -> Result<Response<v1::Payment>, Status> {
        let (caller, request) = asked(request)?;
        answer("Payments.Receive", self.received(caller, request)).await.map(with_hit)
    }

    async fn cancel(
        &self,
        request: Request<v1::CancelRequest>,
    ) -> Result<Response<v1::Payment>, Status> {
        let (caller, request) = asked(request)?;
        answer("Payments.Cancel", async {
            let Cancel { payment, wait } = Cancel::try_from(request)?;
            let row = cancel::cancel(&self.0, caller, payment, wait).await?;
            self.0.told(caller, &row).await
        })
        .await
    }

    async fn get_payment(
        &self,
        request: Request<v1::GetPaymentRequest>,
    ) -> Result<Response<v1::Payment>, Status> {
        let (caller, request) = asked(request)?;
        answer("Payments.GetPayment", async {
            let id = payments::payment_id(&request.id)?;
            let row = self.0.payment(caller, id).await?;
            self.0.told(caller, &row).await
        })
        .await
    }

    async fn list_payments(
        &self,
        request: Request<v1::ListPaymentsRequest>,
    ) -> Result<Response<v1::ListPaymentsResponse>, Status> {
        let (caller, request) = asked(request)?;
        answer("Payments.ListPayments", self.listed(caller, request)).await
    }

    async fn watch_payment(
        &self,
        request: Request<v1::WatchPaymentRequest>,
    ) -> Result<Response<WatchStream>, Status> {
        let (caller, request) = asked(request)?;
        answer("Payments.WatchPayment", self.watched(caller, request)).await
    }

    async fn decode(
        &self,
        request: Request<v1::DecodeRequest>,
    ) -> Result<Response<v1::Invoice>, Status> {
        let (_, request) = asked(request)?;
        answer("Payments.Decode", async {
            Ok(payments::invoice(&bolt11::parse(&request.invoice)?))
        })
        .await
    }
}
