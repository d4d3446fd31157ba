//! What the gateway itself costs: one read of a payment and one event of the feed through it, and the
//! same answers from bare tonic and from bare axum, each served by a process of its own with nothing
//! behind it.

use std::convert::Infallible;
use std::env;
use std::future::{Ready, pending, ready};
use std::process::Command;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::{Json, Router, extract::Path, routing::get, serve::ListenerExt as _};
use futures_util::stream::{self, BoxStream};
use proto::v1::{self, events_client::EventsClient, payments_client::PaymentsClient};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::metadata::MetadataValue;
use tonic::server::{NamedService, ServerStreamingService, UnaryService};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::cpu::Meter;
use crate::loadgen::{self, Answer, Call};
use crate::process::Process;
use crate::rest::Rest;
use crate::table::{Check, Workload};
use crate::{Bench, Outcome, stub};

const CALLERS: usize = 128;
const CHANNELS: usize = 2;
/// Each is read by one caller, who counts every event that arrives.
const STREAMS: usize = 16;

const LISTENS: &str = "the front listens on ";
/// The answer that bare axum gives.
const ANSWER: &str = "SWITCHYARD_BENCH_ANSWER";

/// Ours and bare, side by side.
pub(crate) async fn run(bench: &Bench) -> Outcome<Vec<Workload>> {
    let gateway = Front::start(bench, "gateway", crate::SERVE_GATEWAY, "")?;
    let path = path();
    let answer = Rest::at(&gateway.address).get(&path, stub::SECRET).await?;
    let answer = String::from_utf8(answer.to_vec())?;
    let tonic = Front::start(bench, "bare-tonic", crate::SERVE_BARE_TONIC, &answer)?;
    let axum = Front::start(bench, "bare-axum", crate::SERVE_BARE_AXUM, &answer)?;
    let unary = async |front: &Front, id| front.unary(id, bench).await;
    let streamed = async |front: &Front, id| front.streamed(id, bench).await;
    let rest = async |front: &Front, id| front.rest(id, &path, bench).await;
    let mut lines = Vec::from(beside(["bare tonic", "W6"], [&tonic, &gateway], unary).await?);
    lines.extend(beside(["bare stream", "W6 stream"], [&tonic, &gateway], streamed).await?);
    lines.extend(beside(["bare axum", "W6 REST"], [&axum, &gateway], rest).await?);
    Ok(lines)
}

/// Ours between two runs of the bare one: machines drift.
async fn beside(
    [bare, ours]: [&'static str; 2],
    [theirs, gateway]: [&Front; 2],
    run: impl AsyncFn(&Front, &'static str) -> Outcome<Workload>,
) -> Outcome<[Workload; 3]> {
    let before = run(theirs, bare).await?;
    let mut line = run(gateway, ours).await?;
    let after = run(theirs, bare).await?;
    let what = format!("rate / {bare}");
    line.checks.push(Check::at_least(&what, line.between(&before, &after), 0.75, 0.9));
    let each = |it: &Workload| it.cpu.switchyard_us as f64 / it.done.max(1) as f64;
    let kept = f64::midpoint(each(&before), each(&after)) / each(&line).max(0.001);
    let what = format!("CPU of {bare} / ours");
    line.checks.push(Check::at_least(&what, kept, 0.75, 0.9));
    Ok([before, line, after])
}

fn path() -> String {
    let (org, environment, payment) = (stub::org(), stub::environment(), stub::payment());
    format!("/v1/organizations/{org}/environments/{environment}/payments/{payment}")
}

struct Front {
    process: Process,
    address: String,
}

impl Front {
    fn start(bench: &Bench, name: &str, serve: &str, answer: &str) -> Outcome<Front> {
        let mut command = Command::new(env::current_exe()?);
        command.arg(serve).env(ANSWER, answer);
        let mut process = Process::start(name, command, bench.folder())?;
        let address = process.says(LISTENS)?;
        Ok(Front { process, address })
    }

    fn meter(&self) -> Meter<'_> {
        Meter { switchyard: vec![self.process.pid()], ..Meter::default() }
    }

    async fn connect(&self) -> Outcome<Channel> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address))?;
        Ok(endpoint.tcp_nodelay(true).connect().await?)
    }

    async fn unary(&self, id: &'static str, bench: &Bench) -> Outcome<Workload> {
        let mut channels = Vec::new();
        for _ in 0..CHANNELS {
            channels.push(self.connect().await?);
        }
        let meter = self.meter();
        let load = loadgen::closed(bench.timing, &channels, CALLERS, &meter, read);
        Workload::measured(id, async { Ok(load.await) }).await
    }

    async fn streamed(&self, id: &'static str, bench: &Bench) -> Outcome<Workload> {
        let mut streams = Vec::new();
        for _ in 0..STREAMS {
            let follow = keyed(v1::FollowEventsRequest { after_seq: 0 });
            let events = EventsClient::new(self.connect().await?).follow(follow).await?;
            streams.push(Arc::new(Mutex::new(events.into_inner())));
        }
        let meter = self.meter();
        let load = loadgen::closed(bench.timing, &streams, STREAMS, &meter, hear);
        Workload::measured(id, async { Ok(load.await) }).await
    }

    async fn rest(&self, id: &'static str, path: &str, bench: &Bench) -> Outcome<Workload> {
        let path = Arc::<str>::from(path);
        let read = move |rest: Rest, _: Call| {
            let path = path.clone();
            async move {
                match rest.get(&path, stub::SECRET).await {
                    Ok(_) => Answer::Done,
                    Err(why) => Answer::Failed(why),
                }
            }
        };
        let rest = [Rest::at(&self.address)];
        let meter = self.meter();
        let load = loadgen::closed(bench.timing, &rest, CALLERS, &meter, read);
        Workload::measured(id, async { Ok(load.await) }).await
    }
}

fn keyed<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    let key = MetadataValue::from_static(stub::SECRET);
    request.metadata_mut().insert("x-api-key", key);
    request
}

async fn read(channel: Channel, _: Call) -> Answer {
    let request = keyed(v1::GetPaymentRequest { id: stub::payment().to_string() });
    match PaymentsClient::new(channel).get_payment(request).await {
        Ok(_) => Answer::Done,
        Err(status) => status.into(),
    }
}

async fn hear(events: Arc<Mutex<Streaming<v1::Event>>>, _: Call) -> Answer {
    match events.lock().await.message().await {
        Ok(Some(_)) => Answer::Done,
        Ok(None) => Answer::Failed("the stream has ended".to_owned()),
        Err(status) => status.into(),
    }
}

/// Our gateway. Runs until it is killed, as the others do.
pub(crate) async fn serve_gateway() -> Outcome<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{LISTENS}{}", listener.local_addr()?);
    Ok(gateway::serve_public(listener, stub::gateway(), pending()).await?)
}

/// Bare tonic, with the messages of ours.
pub(crate) async fn serve_bare_tonic() -> Outcome<()> {
    let answer: Value = serde_json::from_str(&env::var(ANSWER)?)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let payment = v1::Payment {
        id: text(&answer["id"]),
        wallet_id: text(&answer["wallet_id"]),
        environment_id: text(&answer["environment_id"]),
        direction: v1::Direction::Receive.into(),
        status: v1::PaymentStatus::Receiving.into(),
        amount_msat: answer["data"]["amount_msats"].as_u64(),
        invoice: text(&answer["data"]["payment_request"]),
        payment_hash: text(&answer["data"]["payment_hash"]),
        description: text(&answer["data"]["memo"]),
        memo: text(&answer["data"]["memo"]),
        created_at_ms: 1_700_000_000_000,
        updated_at_ms: 1_700_000_000_000,
        expires_at_ms: 1_700_003_600_000,
        received_msat: Some(0),
        ..v1::Payment::default()
    };
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse()?)?.with_nodelay(Some(true));
    println!("{LISTENS}{}", incoming.local_addr()?);
    let event = v1::Event {
        // As long as most of ours, which count.
        seq: 4_000_000,
        r#type: "receive_expired".to_owned(),
        at_ms: 1_700_000_000_000,
        payment_id: stub::payment().to_string(),
        ..v1::Event::default()
    };
    let server = Server::builder().add_service(Reads(payment)).add_service(Follows(event));
    Ok(server.serve_with_incoming(incoming).await?)
}

/// Bare axum, with the answer of ours.
pub(crate) async fn serve_bare_axum() -> Outcome<()> {
    // As long as the process.
    let answer: &'static Value = Box::leak(Box::new(serde_json::from_str(&env::var(ANSWER)?)?));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{LISTENS}{}", listener.local_addr()?);
    let read = move |Path(_): Path<(String, String, String)>| ready(Json(answer));
    let route = "/v1/organizations/{org}/environments/{environment}/payments/{payment}";
    let router = Router::new().route(route, get(read));
    // Without it small answers wait for each other.
    let listener = listener.tap_io(|tcp| {
        let _ = tcp.set_nodelay(true);
    });
    Ok(axum::serve(listener, router).await?)
}

/// Answers whatever is read with the one payment.
#[derive(Clone)]
struct Reads(v1::Payment);

impl NamedService for Reads {
    const NAME: &'static str = "switchyard.v1.Payments";
}

impl Service<http::Request<Body>> for Reads {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let reads = self.clone();
        Box::pin(async {
            let codec = ProstCodec::<v1::Payment, v1::GetPaymentRequest>::default();
            Ok(tonic::server::Grpc::new(codec).unary(reads, request).await)
        })
    }
}

impl UnaryService<v1::GetPaymentRequest> for Reads {
    type Response = v1::Payment;
    type Future = Ready<Result<Response<v1::Payment>, Status>>;

    fn call(&mut self, _: Request<v1::GetPaymentRequest>) -> Self::Future {
        ready(Ok(Response::new(self.0.clone())))
    }
}

/// Tells the one event again and again.
#[derive(Clone)]
struct Follows(v1::Event);

impl NamedService for Follows {
    const NAME: &'static str = "switchyard.v1.Events";
}

impl Service<http::Request<Body>> for Follows {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let follows = self.clone();
        Box::pin(async {
            let codec = ProstCodec::<v1::Event, v1::FollowEventsRequest>::default();
            Ok(tonic::server::Grpc::new(codec).server_streaming(follows, request).await)
        })
    }
}

impl ServerStreamingService<v1::FollowEventsRequest> for Follows {
    type Response = v1::Event;
    type ResponseStream = BoxStream<'static, Result<v1::Event, Status>>;
    type Future = Ready<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, _: Request<v1::FollowEventsRequest>) -> Self::Future {
        let events = stream::repeat(Ok(self.0.clone()));
        ready(Ok(Response::new(Box::pin(events))))
    }
}
