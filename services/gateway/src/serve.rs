//! Listeners: the limits of a connection, and stopping without breaking off what is under way.

use std::{convert::Infallible, sync::Arc, time::Duration};

use proto::{
    admin::v1::{
        installation_server::InstallationServer, keys_server::KeysServer,
        nodes_server::NodesServer as OperatorsNodesServer,
        organisations_server::OrganisationsServer,
    },
    v1::{
        events_server::EventsServer, lines_server::LinesServer, nodes_server::NodesServer,
        payments_server::PaymentsServer, wallets_server::WalletsServer,
    },
};
use tokio::{net::TcpListener, sync::watch, time::sleep};
use tonic::{
    body::Body,
    codec::CompressionEncoding,
    codegen::{Bytes, Service, StdError, http},
    service::{Routes, interceptor::InterceptedService},
    transport::{Server, server::TcpIncoming},
};
use tonic_health::pb::health_server::HealthServer;
use tower_layer::Layer as _;

use crate::{
    Gateway, admin,
    auth::{AdminToken, TokenGuard},
    edge::Edge,
    faces::Faces,
    limits, public, share,
    typed::{self, Typed},
    watch::WatchLayer,
};

#[derive(Debug, thiserror::Error)]
#[error("the listener failed: {0}")]
pub struct ServeError(#[from] tonic::transport::Error);

/// Serves callers with an API key until `shutdown`, then lets calls under way end.
pub async fn serve_public(
    listener: TcpListener,
    gateway: Gateway,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let stop = watch::Sender::new(false);
    let edge = Arc::new(Edge::new(gateway, stop.subscribe()));
    let faces = Faces::new(grpc(&edge), edge.clone());
    // HTTP/1.1 is for REST; gRPC over it is refused by its own clients.
    let server = server(limits::ANSWER_WITHIN).accept_http1(true);
    let keeping = tokio::spawn(keep(edge.clone()));
    if let Some(counts) = edge.gateway.counts.clone() {
        // It ends with the listener.
        tokio::spawn(share::keep(edge.clone(), counts));
    }
    let served = run(server, faces, listener, stop, shutdown).await;
    // It ends with the listener.
    let _ = keeping.await;
    edge.keys.write_down_use().await;
    served
}

/// What every public service may take in and give out. The bound of a message is that of what comes out
/// of a compressed one, too.
macro_rules! bounded {
    ($server:expr) => {
        Typed(
            $server
                .max_decoding_message_size(limits::MESSAGE_BYTES_MAX)
                .accept_compressed(CompressionEncoding::Gzip)
                .send_compressed(CompressionEncoding::Gzip),
        )
    };
}

/// The services of callers with a key, and what anybody may ask: health, and what services there are.
fn grpc(edge: &Arc<Edge>) -> Routes {
    let reflection = tonic_reflection::server::Builder::configure()
        .register_file_descriptor_set(proto::public_descriptors())
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .expect("the descriptors are of this build");
    let health = public::SharedHealth(Arc::new(public::Health::new(edge.clone())));
    typed::routes()
        .add_service(bounded!(PaymentsServer::new(public::Payments(edge.clone()))))
        .add_service(bounded!(WalletsServer::new(public::Wallets(edge.clone()))))
        .add_service(bounded!(LinesServer::new(public::Lines(edge.clone()))))
        .add_service(bounded!(NodesServer::new(public::Nodes(edge.clone()))))
        .add_service(bounded!(EventsServer::new(public::Events(edge.clone()))))
        .add_service(bounded!(HealthServer::new(health)))
        .add_service(Typed(reflection.max_decoding_message_size(limits::MESSAGE_BYTES_MAX)))
}

/// Writes down when keys were used, and forgets answers that were kept for long enough.
async fn keep(edge: Arc<Edge>) {
    loop {
        tokio::select! {
            () = sleep(limits::KEPT_EVERY) => {}
            () = edge.stopped() => return,
        }
        edge.keys.write_down_use().await;
        let before = edge.gateway.clock.now().plus_millis(-limits::ANSWERS_KEPT_MS);
        let idempotency = &edge.gateway.idempotency;
        match idempotency.forget_before(before, limits::ANSWERS_FORGOTTEN_AT_ONCE).await {
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "kept answers could not be forgotten"),
        }
    }
}

/// Serves the operator, who shows the token, until `shutdown`.
pub async fn serve_admin(
    listener: TcpListener,
    gateway: Gateway,
    token: AdminToken,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let guard = TokenGuard(token);
    let organisations = OrganisationsServer::new(admin::Organisations(gateway.clone()))
        .max_decoding_message_size(limits::MESSAGE_BYTES_MAX);
    let keys = KeysServer::new(admin::Keys(gateway.clone()))
        .max_decoding_message_size(limits::MESSAGE_BYTES_MAX);
    let nodes = OperatorsNodesServer::new(admin::Nodes(gateway.clone()))
        .max_decoding_message_size(limits::MESSAGE_BYTES_MAX);
    let installation = InstallationServer::new(admin::Installation(gateway))
        .max_decoding_message_size(limits::MESSAGE_BYTES_MAX);
    let routes = typed::routes()
        .add_service(InterceptedService::new(Typed(organisations), guard.clone()))
        .add_service(InterceptedService::new(Typed(keys), guard.clone()))
        .add_service(InterceptedService::new(Typed(nodes), guard.clone()))
        .add_service(InterceptedService::new(Typed(installation), guard));
    let watched = WatchLayer::new().layer(routes.prepare());
    let server = server(limits::AUDIT_WITHIN);
    run(server, watched, listener, watch::Sender::new(false), shutdown).await
}

fn server(longest_work: Duration) -> Server {
    Server::builder()
        .timeout(longest_work + limits::TRANSPORT_MARGIN)
        .max_concurrent_streams(limits::STREAMS_PER_CONNECTION_MAX)
        .http2_max_header_list_size(limits::HEADER_LIST_BYTES_MAX)
        .http2_keepalive_interval(Some(limits::KEEPALIVE_EVERY))
        .http2_keepalive_timeout(Some(limits::KEEPALIVE_WITHIN))
}

async fn run<S, B>(
    server: Server,
    service: S,
    listener: TcpListener,
    stop: watch::Sender<bool>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError>
where
    S: Service<http::Request<Body>, Response = http::Response<B>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send,
    B: http_body::Body<Data = Bytes, Error: Into<StdError>> + Send + 'static,
{
    let incoming = TcpIncoming::from(listener)
        .with_nodelay(Some(true))
        .with_keepalive(Some(limits::KEEPALIVE_EVERY));
    let incoming = Box::pin(cork::bounded(incoming, limits::CONNECTIONS_MAX));
    let mut stopping = stop.subscribe();
    let serving = server.serve_with_incoming_shutdown(service, incoming, async {
        shutdown.await;
        // Waits and watches end now, so that the connections can.
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
            tracing::warn!("calls were still under way when the listener stopped");
            Ok(())
        }
    }
}
