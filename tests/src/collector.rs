//! A collector of traces: an OTLP server that keeps what it is sent.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    trace::v1::Span,
};
use tokio::{net::TcpListener, task::JoinHandle};
use tonic::{
    Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};

/// Listens until it is dropped.
pub struct Collector {
    pub address: SocketAddr,
    sent: Sent,
    server: JoinHandle<Result<(), tonic::transport::Error>>,
}

#[derive(Clone, Default)]
struct Sent(Arc<Mutex<Vec<ExportTraceServiceRequest>>>);

impl Collector {
    /// # Errors
    ///
    /// There is no port to listen on.
    pub async fn start() -> std::io::Result<Collector> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let sent = Sent::default();
        let service = TraceServiceServer::new(sent.clone());
        let serving =
            Server::builder().add_service(service).serve_with_incoming(TcpIncoming::from(listener));
        Ok(Collector { address, sent, server: tokio::spawn(serving) })
    }

    /// Everything that it was sent, as it came.
    pub fn sent(&self) -> Vec<ExportTraceServiceRequest> {
        self.sent.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn spans(&self) -> Vec<Span> {
        let resources = self.sent().into_iter().flat_map(|sent| sent.resource_spans);
        let scopes = resources.flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[tonic::async_trait]
impl TraceService for Sent {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}
