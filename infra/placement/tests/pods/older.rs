//! An engine of another version: it knows nothing of streams, or leaves them to a test, and answers payments without their
//! rows, or with rows that nobody of today can read.

use std::{
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
};

use domain::Rejection;
use futures_util::Stream;
use ports::{
    Orgs as _, Peers as _,
    orgs::{OrgsError, Within},
};
use prost::bytes::Bytes;
use proto::{
    convert::engine::{Claim, Receive, Send, Wait},
    engine::v1::{
        self,
        orgs_server::{Orgs, OrgsServer},
    },
};
use tokio::{net::TcpListener, sync::mpsc};
use tonic::{
    Request, Response, Status, Streaming,
    transport::{Server, server::TcpIncoming},
};

use crate::fake::Engine;

type Answer<T> = Result<Response<T>, Status>;

pub(crate) struct Older {
    pub(crate) engine: Arc<Engine>,
    /// In every answer.
    pub(crate) row: Option<Bytes>,
    /// Where streams come to that a test answers by hand. `None`: it knows nothing of them.
    pub(crate) streams: Option<mpsc::UnboundedSender<ByHand>>,
}

/// One stream, on the pod's side.
pub(crate) struct ByHand {
    pub(crate) calls: Streaming<v1::Calls>,
    pub(crate) answers: mpsc::UnboundedSender<Result<v1::Answers, Status>>,
}

pub(crate) struct Told(mpsc::UnboundedReceiver<Result<v1::Answers, Status>>);

impl Stream for Told {
    type Item = Result<v1::Answers, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}

impl Older {
    pub(crate) async fn serve(self, listener: TcpListener) {
        let router = Server::builder().add_service(OrgsServer::new(self));
        router.serve_with_incoming(TcpIncoming::from(listener)).await.unwrap();
    }

    fn taken(&self, payment: &[u8], repeat: bool) -> Answer<v1::Taken> {
        let (payment_id, row) = (payment.to_vec(), self.row.clone());
        Ok(Response::new(v1::Taken { payment_id, repeat, row }))
    }

    fn found(&self) -> Answer<v1::Found> {
        Ok(Response::new(v1::Found { row: self.row.clone() }))
    }
}

/// None of the tests looks at what it refuses with.
fn refused(error: OrgsError) -> Status {
    Status::internal(error.to_string())
}

#[tonic::async_trait]
impl Orgs for Older {
    async fn send(&self, request: Request<v1::SendRequest>) -> Answer<v1::Taken> {
        let request = request.into_inner();
        let id = request.payment_id.clone();
        let Send { org, payment, terms, within, begin_within } = request.try_into().unwrap();
        let within = Within { end: within, begin: begin_within };
        match self.engine.send(org, payment, terms, within).await {
            Ok(sent) => self.taken(&id, sent.repeat),
            // It does not look at what it has under that id.
            Err(OrgsError::Rejected(Rejection::IdReused)) => self.taken(&id, true),
            Err(error) => Err(refused(error)),
        }
    }

    async fn receive(&self, request: Request<v1::ReceiveRequest>) -> Answer<v1::Taken> {
        let request = request.into_inner();
        let id = request.payment_id.clone();
        let Receive { org, payment, terms, within, begin_within } = request.try_into().unwrap();
        let within = Within { end: within, begin: begin_within };
        let asked = self.engine.receive(org, payment, terms, within).await.map_err(refused)?;
        self.taken(&id, asked.repeat)
    }

    async fn cancel(&self, request: Request<v1::CancelRequest>) -> Answer<v1::Found> {
        let Wait { org, payment, within } = request.into_inner().try_into().unwrap();
        self.engine.cancel(org, payment, within).await.map_err(refused)?;
        self.found()
    }

    async fn wait(&self, request: Request<v1::WaitRequest>) -> Answer<v1::Found> {
        let Wait { org, payment, within } = request.into_inner().try_into().unwrap();
        self.engine.wait(org, payment, within).await.map_err(refused)?;
        self.found()
    }

    async fn claim(&self, request: Request<v1::ClaimRequest>) -> Answer<v1::Done> {
        let Claim { payee, request, text } = request.into_inner().try_into().unwrap();
        self.engine.claim(payee, request, text).await.map_err(refused)?;
        Ok(Response::new(v1::Done {}))
    }

    async fn answer_claim(&self, _: Request<v1::AnswerClaimRequest>) -> Answer<v1::Done> {
        unreachable!("nobody asks it that")
    }

    async fn book_receipt(&self, _: Request<v1::BookReceiptRequest>) -> Answer<v1::Done> {
        unreachable!("nobody asks it that")
    }

    type ExchangeStream = Told;

    async fn exchange(
        &self,
        request: Request<Streaming<v1::Calls>>,
    ) -> Answer<Self::ExchangeStream> {
        self.engine.streams.fetch_add(1, Ordering::Relaxed);
        let Some(streams) = &self.streams else {
            // What the transport answers to a call that it does not know.
            return Err(Status::unimplemented(""));
        };
        let (answers, told) = mpsc::unbounded_channel();
        let _ = streams.send(ByHand { calls: request.into_inner(), answers });
        Ok(Response::new(Told(told)))
    }

    async fn administer(&self, _: Request<v1::AdministerRequest>) -> Answer<v1::Done> {
        unreachable!("nobody asks it that")
    }

    async fn greet(&self, _: Request<v1::GreetRequest>) -> Answer<v1::Done> {
        Ok(Response::new(v1::Done {}))
    }
}
