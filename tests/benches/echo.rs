//! Bare tonic: a unary call that returns what it was sent, served by a process of its own. What
//! gRPC costs by itself on this machine, and what the load generator costs.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::process::Command;
use std::task::{Context, Poll};

use tonic::body::Body;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::{NamedService, UnaryService};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use crate::cpu::Meter;
use crate::loadgen::{self, Answer, Call};
use crate::process::Process;
use crate::table::Workload;
use crate::{Bench, Outcome};

/// As long as a payment request with its invoice.
const MESSAGE_LENGTH: usize = 320;

const CALLERS: usize = 128;

const CHANNELS: usize = 2;

const LISTENS: &str = "echo listens on ";

const PATH: &str = "/bench.Echo/Repeat";

/// The unary rate, and the latency at half of it.
pub(crate) async fn run(bench: &Bench) -> Outcome<Vec<Workload>> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(crate::SERVE_ECHO);
    let mut server = Process::start("echo", command, bench.folder())?;
    let address = server.says(LISTENS)?;
    let mut channels = Vec::new();
    for _ in 0..CHANNELS {
        channels.push(Endpoint::from_shared(format!("http://{address}"))?.connect().await?);
    }
    let meter = Meter { switchyard: vec![server.pid()], ..Meter::default() };
    let closed = loadgen::closed(bench.timing, &channels, CALLERS, &meter, repeat);
    let closed = closed.await;
    let half = (closed.done / 2 / bench.timing.measure.as_secs()).max(1);
    let open = loadgen::open(bench.timing, &channels, (half, 1_000), &meter, repeat);
    Ok(vec![Workload::of("echo", closed), Workload::of("echo half", open.await)])
}

async fn repeat(channel: Channel, call: Call) -> Answer {
    let mut client = tonic::client::Grpc::new(channel);
    if let Err(error) = client.ready().await {
        return Answer::Failed(format!("not connected: {error}"));
    }
    let path = PathAndQuery::from_static(PATH);
    let codec = ProstCodec::<Vec<u8>, Vec<u8>>::default();
    let mut message = vec![7; MESSAGE_LENGTH];
    message[..8].copy_from_slice(&call.number.to_be_bytes());
    match client.unary(Request::new(message.clone()), path, codec).await {
        Ok(answer) if *answer.get_ref() == message => Answer::Done,
        Ok(_) => Answer::Failed("the echo is another message".to_owned()),
        Err(status) => status.into(),
    }
}

/// The other process. Runs until it is killed.
pub(crate) async fn serve() -> Outcome<()> {
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse()?)?.with_nodelay(Some(true));
    println!("{LISTENS}{}", incoming.local_addr()?);
    Ok(Server::builder().add_service(Echo).serve_with_incoming(incoming).await?)
}

#[derive(Clone)]
struct Echo;

impl NamedService for Echo {
    const NAME: &'static str = "bench.Echo";
}

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async {
            let codec = ProstCodec::<Vec<u8>, Vec<u8>>::default();
            Ok(tonic::server::Grpc::new(codec).unary(Repeat, request).await)
        })
    }
}

struct Repeat;

impl UnaryService<Vec<u8>> for Repeat {
    type Response = Vec<u8>;
    type Future = Ready<Result<Response<Vec<u8>>, Status>>;

    fn call(&mut self, request: Request<Vec<u8>>) -> Self::Future {
        ready(Ok(Response::new(request.into_inner())))
    }
}
