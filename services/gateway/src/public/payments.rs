use std::sync::Arc;

use domain::org::Row;
use proto::{
    Problem,
    convert::payments::{self, List, Receive, Send},
    v1::{self, payments_server},
};
use tonic::{Request, Response, Status, metadata::MetadataMap};

use super::{
    bolt11, list,
    watch::{Watch, WatchStream},
};
use crate::{
    edge::Edge,
    problem::{answer, customer},
};

pub(crate) struct Payments(pub(crate) Arc<Edge>);

impl Payments {
    async fn sent(
        &self,
        metadata: &MetadataMap,
        request: v1::SendRequest,
    ) -> Result<v1::Payment, Problem> {
        let caller = self.0.keys.caller(metadata).await?;
        let send = Send::try_from(request)?;
        self.0.check_wallet(caller, send.wallet).await?;
        let terms = send.terms(bolt11::parse(&send.invoice)?);
        let orgs = &self.0.gateway.orgs;
        let ask = |within| orgs.send(caller.org, send.payment, terms.clone(), within);
        let sent = self.0.unless_stopped(send.wait, ask).await.map_err(customer::orgs)?;
        self.0.told(caller, &Row::Outgoing(sent)).await
    }

    async fn received(
        &self,
        metadata: &MetadataMap,
        request: v1::ReceiveRequest,
    ) -> Result<v1::Payment, Problem> {
        let caller = self.0.keys.caller(metadata).await?;
        let Receive { payment, terms, wait } = Receive::try_from(request)?;
        self.0.check_wallet(caller, terms.wallet).await?;
        let orgs = &self.0.gateway.orgs;
        let ask = |within| orgs.receive(caller.org, payment, terms.clone(), within);
        let asked = self.0.unless_stopped(wait, ask).await.map_err(customer::orgs)?;
        self.0.told(caller, &Row::Incoming(asked)).await
    }

    async fn listed(
        &self,
        metadata: &MetadataMap,
        request: v1::ListPaymentsRequest,
    ) -> Result<v1::ListPaymentsResponse, Problem> {
        let caller = self.0.keys.caller(metadata).await?;
        let wanted = List::try_from(request)?;
        if let Some(wallet) = wanted.wallet {
            self.0.check_wallet(caller, wallet).await?;
        }
        let reads = self.0.gateway.reads.as_ref();
        let page = list::page(reads, caller, &wanted).await.map_err(customer::store)?;
        let names = self.0.node_names().await;
        let payments = page.rows.iter().filter_map(|row| payments::payment(row, &names));
        Ok(v1::ListPaymentsResponse {
            payments: payments.collect(),
            next_cursor: page.next.map(|next| next.to_wire()).unwrap_or_default(),
        })
    }

    async fn watched(
        &self,
        metadata: &MetadataMap,
        request: v1::WatchPaymentRequest,
    ) -> Result<WatchStream, Problem> {
        let caller = self.0.keys.caller(metadata).await?;
        let id = payments::payment_id(&request.id)?;
        let row = self.0.payment(caller, id).await?;
        Ok(Watch::begin(self.0.clone(), caller, id, row)?.stream())
    }
}

#[tonic::async_trait]
impl payments_server::Payments for Payments {
    type WatchPaymentStream = WatchStream;

    async fn send(
        &self,
        request: Request<v1::SendRequest>,
    ) -> Result<Response<v1::Payment>, Status> {
        let (metadata, _, request) = request.into_parts();
        answer("Payments.Send", self.sent(&metadata, request)).await
    }

    async fn receive(
        &self,
        request: Request<v1::ReceiveRequest>,
    ) -> Result<Response<v1::Payment>, Status> {
        let (metadata, _, request) = request.into_parts();
        answer("Payments.Receive", self.received(&metadata, request)).await
    }

    async fn get_payment(
        &self,
        request: Request<v1::GetPaymentRequest>,
    ) -> Result<Response<v1::Payment>, Status> {
        answer("Payments.GetPayment", async {
            let caller = self.0.keys.caller(request.metadata()).await?;
            let id = payments::payment_id(&request.get_ref().id)?;
            let row = self.0.payment(caller, id).await?;
            self.0.told(caller, &row).await
        })
        .await
    }

    async fn list_payments(
        &self,
        request: Request<v1::ListPaymentsRequest>,
    ) -> Result<Response<v1::ListPaymentsResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        answer("Payments.ListPayments", self.listed(&metadata, request)).await
    }

    async fn watch_payment(
        &self,
        request: Request<v1::WatchPaymentRequest>,
    ) -> Result<Response<WatchStream>, Status> {
        let (metadata, _, request) = request.into_parts();
        answer("Payments.WatchPayment", self.watched(&metadata, request)).await
    }

    async fn decode(
        &self,
        request: Request<v1::DecodeRequest>,
    ) -> Result<Response<v1::Invoice>, Status> {
        answer("Payments.Decode", async {
            self.0.keys.caller(request.metadata()).await?;
            Ok(payments::invoice(&bolt11::parse(&request.get_ref().invoice)?))
        })
        .await
    }
}
