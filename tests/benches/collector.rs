//! A collector of traces that drops what it is sent, as a process of its own: what becomes of spans
//! elsewhere is not what telemetry costs here.

use std::process::Command;

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
    trace_service_server::{TraceService, TraceServiceServer},
};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use crate::process::Process;
use crate::{Bench, Outcome};

const LISTENS: &str = "collector listens on ";

/// Starts it; answers with its endpoint.
pub(crate) fn start(bench: &Bench) -> Outcome<(Process, String)> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(crate::SERVE_COLLECTOR);
    let mut process = Process::start("collector", command, bench.folder())?;
    let address = process.says(LISTENS)?;
    Ok((process, format!("http://{address}")))
}

/// The other process. Runs until it is killed.
pub(crate) async fn serve() -> Outcome<()> {
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse()?)?.with_nodelay(Some(true));
    println!("{LISTENS}{}", incoming.local_addr()?);
    let service = TraceServiceServer::new(Drain);
    Ok(Server::builder().add_service(service).serve_with_incoming(incoming).await?)
}

struct Drain;

#[tonic::async_trait]
impl TraceService for Drain {
    async fn export(
        &self,
        _: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}
