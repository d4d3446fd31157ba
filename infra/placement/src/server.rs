//! Takes in what other pods ask of this engine.

mod exchange;
mod strangers;

use std::sync::Arc;

use domain::org::Row;
use futures_util::StreamExt as _;
use ports::{
    Operations, Orgs, Peers, Seal, StoreError,
    operations::{NewNode, RegisterError},
    orgs::{Answered, OrgsError, Within},
    receipts::OpenReceipt,
    seal::SealFailure,
};
use proto::{
    convert::{
        engine::{AnswerClaim, Claim, Receipt, Receive, Send, Wait, id, id_bytes},
        organisations::Order,
    },
    engine::v1::{
        self,
        operations_server::{self, OperationsServer},
        orgs_server::{self, OrgsServer},
    },
};
use tokio::{net::TcpListener, sync::watch, time::sleep};
use tonic::{
    Request, Response, Status, Streaming,
    service::interceptor::InterceptedService,
    transport::{Server, server::TcpIncoming},
};

pub(crate) use self::strangers::Known;
use self::{exchange::Exchange, strangers::Stranger};
use crate::{
    failure::{of_orgs, of_register, of_store, of_thaw, unreadable},
    limits, nodes, restored, rows,
    secret::{ClusterSecret, Guard},
    trace::TraceLayer,
};

type Answer<T> = Result<Response<T>, Status>;

/// What one life of an engine does for other pods.
#[derive(Clone)]
pub struct Served {
    pub orgs: Arc<dyn Orgs>,
    pub peers: Arc<dyn Peers>,
    pub operations: Arc<dyn Operations>,
    /// Opens what they have sealed.
    pub seal: Arc<dyn Seal>,
}

#[derive(Debug, thiserror::Error)]
#[error("the listener failed: {0}")]
pub struct ServeError(#[from] tonic::transport::Error);

#[derive(Clone)]
struct Door {
    /// What is served now. `None` between two lives, when nothing is owned.
    served: watch::Receiver<Option<Served>>,
    stopping: watch::Receiver<bool>,
    /// For calls under way on one stream.
    places: usize,
}

/// Serves pods that show the secret until `shutdown`, then lets calls under way end.
pub async fn serve(
    listener: TcpListener,
    served: watch::Receiver<Option<Served>>,
    secret: ClusterSecret,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    serve_with_places(limits::places_on_a_stream(), listener, served, secret, shutdown).await
}

/// The same with so many places for the calls on each stream.
pub async fn serve_with_places(
    places: usize,
    listener: TcpListener,
    served: watch::Receiver<Option<Served>>,
    secret: ClusterSecret,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let guard = Guard(secret);
    let stop = watch::Sender::new(false);
    let door = Door { served, stopping: stop.subscribe(), places };
    let mut stopping = stop.subscribe();
    let orgs = OrgsServer::new(door.clone())
        .max_decoding_message_size(limits::REQUEST_BYTES_MAX)
        .max_encoding_message_size(limits::REQUEST_BYTES_MAX);
    let operations = OperationsServer::new(door)
        .max_decoding_message_size(limits::REQUEST_BYTES_MAX)
        .max_encoding_message_size(limits::ANSWER_BYTES_MAX);
    let router = Server::builder()
        .layer(TraceLayer)
        .max_concurrent_streams(limits::STREAMS_MAX)
        .http2_max_header_list_size(limits::HEADER_LIST_BYTES_MAX)
        .http2_keepalive_interval(Some(limits::PING_EVERY))
        .http2_keepalive_timeout(Some(limits::PONG_WITHIN))
        .initial_connection_window_size(limits::CONNECTION_WINDOW)
        .initial_stream_window_size(limits::STREAM_WINDOW)
        .add_service(InterceptedService::new(orgs, guard.clone()))
        .add_service(InterceptedService::new(operations, guard));
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let incoming = cork::bounded(incoming, limits::CONNECTIONS_MAX);
    let incoming = Box::pin(incoming.map(|came| came.map(Stranger::new)));
    let serving = router.serve_with_incoming_shutdown(incoming, async {
        shutdown.await;
        stop.send_replace(true);
    });
    let out_of_time = async {
        // The sender lives as long as this future.
        let _ = stopping.wait_for(|stopping| *stopping).await;
        sleep(limits::STOP_WITHIN).await;
    };
    tokio::select! {
        served = serving => Ok(served?),
        () = out_of_time => {
            tracing::warn!("calls of other pods were still under way when the listener stopped");
            Ok(())
        }
    }
}

impl Door {
    /// Returns when the listener's owner wants it to stop.
    async fn stops(mut self) {
        // Whoever would say so lives as long as the listener.
        let _ = self.stopping.wait_for(|stopping| *stopping).await;
    }

    fn orgs(&self) -> Result<Arc<dyn Orgs>, Status> {
        let served = self.served.borrow();
        served.as_ref().map(|served| served.orgs.clone()).ok_or_else(nobody_home)
    }

    fn peers(&self) -> Result<Arc<dyn Peers>, Status> {
        let served = self.served.borrow();
        served.as_ref().map(|served| served.peers.clone()).ok_or_else(nobody_home)
    }

    fn operations(&self) -> Result<Arc<dyn Operations>, Status> {
        let served = self.served.borrow();
        served.as_ref().map(|served| served.operations.clone()).ok_or_else(between_lives)
    }

    fn seal(&self) -> Result<Arc<dyn Seal>, Status> {
        let served = self.served.borrow();
        served.as_ref().map(|served| served.seal.clone()).ok_or_else(between_lives)
    }

    async fn registered(&self, node: NewNode) -> Answer<v1::Node> {
        let record = self.operations()?.register_node(node).await;
        taken(nodes::of_record(record.map_err(|error| of_register(&error))?))
    }
}

fn between_lives() -> Status {
    of_store(&StoreError::Unavailable("it is starting".to_owned()))
}

fn nobody_home() -> Status {
    of_orgs(&OrgsError::NotOwner { owner: None })
}

#[tonic::async_trait]
impl orgs_server::Orgs for Door {
    async fn send(&self, request: Request<v1::SendRequest>) -> Answer<v1::Taken> {
        let Send { org, payment, terms, within, begin_within } =
            request.into_inner().try_into().map_err(unreadable)?;
        let within = Within { end: within, begin: begin_within };
        let sent = self.orgs()?.send(org, payment, terms, within).await;
        let Answered { payment: sent, repeat } = sent.map_err(|error| of_orgs(&error))?;
        let row = rows::to_bytes(&Row::Outgoing(sent));
        taken(v1::Taken { payment_id: id_bytes(payment), repeat, row })
    }

    async fn receive(&self, request: Request<v1::ReceiveRequest>) -> Answer<v1::Taken> {
        let Receive { org, payment, terms, within, begin_within } =
            request.into_inner().try_into().map_err(unreadable)?;
        let within = Within { end: within, begin: begin_within };
        let asked = self.orgs()?.receive(org, payment, terms, within).await;
        let Answered { payment: asked, repeat } = asked.map_err(|error| of_orgs(&error))?;
        let row = rows::to_bytes(&Row::Incoming(asked));
        taken(v1::Taken { payment_id: id_bytes(payment), repeat, row })
    }

    async fn administer(&self, request: Request<v1::AdministerRequest>) -> Answer<v1::Done> {
        let Order { org, command } = request.into_inner().try_into().map_err(unreadable)?;
        let done = self.orgs()?.administer(org, command).await;
        done.map_err(|error| of_orgs(&error))?;
        taken(v1::Done {})
    }

    async fn cancel(&self, request: Request<v1::CancelRequest>) -> Answer<v1::Found> {
        let Wait { org, payment, within } = request.into_inner().try_into().map_err(unreadable)?;
        let cancelled = self.orgs()?.cancel(org, payment, within).await;
        let row = cancelled.map_err(|error| of_orgs(&error))?;
        taken(v1::Found { row: rows::to_bytes(&row) })
    }

    async fn wait(&self, request: Request<v1::WaitRequest>) -> Answer<v1::Found> {
        let Wait { org, payment, within } = request.into_inner().try_into().map_err(unreadable)?;
        let waited = self.orgs()?.wait(org, payment, within).await;
        let row = waited.map_err(|error| of_orgs(&error))?;
        taken(v1::Found { row: rows::to_bytes(&row) })
    }

    async fn claim(&self, request: Request<v1::ClaimRequest>) -> Answer<v1::Done> {
        let Claim { payee, request, text } = request.into_inner().try_into().map_err(unreadable)?;
        let claimed = self.peers()?.claim(payee, request, text).await;
        claimed.map_err(|error| of_orgs(&error))?;
        taken(v1::Done {})
    }

    async fn answer_claim(&self, request: Request<v1::AnswerClaimRequest>) -> Answer<v1::Done> {
        let AnswerClaim { payer, payment, answer } =
            request.into_inner().try_into().map_err(unreadable)?;
        let answered = self.peers()?.answer_claim(payer, payment, answer).await;
        answered.map_err(|error| of_orgs(&error))?;
        taken(v1::Done {})
    }

    async fn book_receipt(&self, request: Request<v1::BookReceiptRequest>) -> Answer<v1::Done> {
        let Receipt { org, payment, node, hash, paid_msat } =
            request.into_inner().try_into().map_err(unreadable)?;
        let receipt = OpenReceipt { org, payment, node, hash, paid_msat };
        let booked = self.peers()?.book_receipt(receipt).await;
        booked.map_err(|error| of_orgs(&error))?;
        taken(v1::Done {})
    }

    type ExchangeStream = Exchange;

    async fn exchange(&self, request: Request<Streaming<v1::Calls>>) -> Answer<Exchange> {
        taken(Exchange::new(self.clone(), request.into_inner()))
    }

    /// Between two lives as well.
    async fn greet(&self, _: Request<v1::GreetRequest>) -> Answer<v1::Done> {
        taken(v1::Done {})
    }
}

#[tonic::async_trait]
impl operations_server::Operations for Door {
    async fn register_sealed_node(
        &self,
        request: Request<v1::RegisterNodeRequest>,
    ) -> Answer<v1::Node> {
        let mut request = request.into_inner();
        let key_id = request.seal_key_id.take();
        let sealed = nodes::read_new(request).map_err(unreadable)?;
        let node = nodes::opened(sealed, key_id, self.seal()?.as_ref());
        let unread = |why: SealFailure| of_register(&RegisterError::BadMacaroon(why.to_string()));
        self.registered(node.map_err(unread)?).await
    }

    async fn register_node(&self, request: Request<v1::RegisterNodeRequest>) -> Answer<v1::Node> {
        self.registered(nodes::read_new(request.into_inner()).map_err(unreadable)?).await
    }

    async fn nodes(&self, _: Request<v1::NodesRequest>) -> Answer<v1::NodesResponse> {
        let states = self.operations()?.nodes().await.map_err(|error| of_store(&error))?;
        taken(v1::NodesResponse { nodes: states.into_iter().map(nodes::of_state).collect() })
    }

    async fn stop_node(
        &self,
        request: Request<v1::StopNodeRequest>,
    ) -> Answer<v1::StopNodeResponse> {
        let v1::StopNodeRequest { node_id, why } = request.into_inner();
        let node = id("node_id", &node_id).map_err(unreadable)?;
        let known = self.operations()?.stop_node(node, why.as_deref()).await;
        taken(v1::StopNodeResponse { known: known.map_err(|error| of_store(&error))? })
    }

    async fn frozen(&self, _: Request<v1::FrozenRequest>) -> Answer<v1::FrozenResponse> {
        let why = self.operations()?.frozen().await.map_err(|error| of_store(&error))?;
        taken(v1::FrozenResponse { why })
    }

    async fn thaw(&self, request: Request<v1::ThawRequest>) -> Answer<v1::ThawResponse> {
        let how = restored::read_thaw(request.into_inner());
        let was = self.operations()?.thaw(how).await.map_err(|error| of_thaw(&error))?;
        taken(restored::of_thawed(was))
    }

    async fn audit(&self, _: Request<v1::AuditRequest>) -> Answer<v1::AuditResponse> {
        let report = self.operations()?.audit().await.map_err(|error| of_store(&error))?;
        taken(nodes::of_report(report))
    }

    async fn restore(&self, request: Request<v1::RestoreRequest>) -> Answer<v1::RestoreResponse> {
        let how = restored::read_wish(request.into_inner());
        let report = self.operations()?.restore(how).await.map_err(|error| of_store(&error))?;
        taken(restored::of_report(report))
    }
}

fn taken<T>(answer: T) -> Answer<T> {
    Ok(Response::new(answer))
}
