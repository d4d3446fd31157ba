//! Around every request of either face: its id, the span that everything of it is logged and traced in,
//! and what it counts for.

use std::{
    cell::RefCell,
    collections::HashMap,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
};

use domain::ErrorClass;
use futures_util::{FutureExt as _, future::BoxFuture};
use metrics::{Counter, Histogram, Unit, counter, describe_counter, describe_histogram, histogram};
use opentelemetry::{global, propagation::Extractor, trace::TraceContextExt as _};
use proto::Problem;
use tokio::time::Instant;
use tonic::{
    Status,
    codegen::{Service, http},
};
use tower_layer::Layer;
use tracing::{
    Instrument as _, Span, error_span,
    field::{Empty, display},
};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use uuid::{Builder, Uuid};

/// W3C Trace Context: the caller's own trace, which ours becomes a part of.
const TRACE_PARENT: http::HeaderName = http::HeaderName::from_static("traceparent");

/// The label of everything that is no call of ours, so that nobody can make labels up.
const NO_ROUTE: &str = "none";

/// Names one request, in the log and in its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RequestId(pub(crate) Uuid);

impl RequestId {
    /// Only for finding a request again: without randomness it is all zeroes, and nothing else changes.
    fn draw() -> RequestId {
        let bytes = DRAWN.with_borrow_mut(|drawn| {
            if drawn.is_empty() {
                // One call of the system costs more than everything else about an id.
                let mut many = [[0_u8; 16]; 64];
                getrandom::fill(many.as_flattened_mut()).ok()?;
                drawn.extend(many);
            }
            drawn.pop()
        });
        RequestId(bytes.map_or(Uuid::nil(), |it| Builder::from_random_bytes(it).into_uuid()))
    }
}

thread_local! {
    static DRAWN: RefCell<Vec<[u8; 16]>> = const { RefCell::new(Vec::new()) };
}

/// Watches every call of gRPC.
#[derive(Clone)]
pub(crate) struct WatchLayer(Arc<Calls>);

impl WatchLayer {
    pub(crate) fn new() -> WatchLayer {
        describe();
        let standard =
            [tonic_health::pb::FILE_DESCRIPTOR_SET, tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET];
        let standard = standard.into_iter().flat_map(proto::calls_of);
        let calls = proto::calls().into_iter().chain(standard);
        let known = calls.map(|call| (call.clone(), Meters::of(call))).collect();
        WatchLayer(Arc::new(Calls { known, other: Meters::of_no_route() }))
    }
}

fn describe() {
    describe_counter!(
        "switchyard_requests_total",
        Unit::Count,
        "Requests answered, by route and class; a stream counts when it begins."
    );
    describe_histogram!(
        "switchyard_request_seconds",
        Unit::Seconds,
        "From a request's headers to those of its answer, a wait that was asked for included."
    );
}

impl<S> Layer<S> for WatchLayer {
    type Service = Watched<S>;

    fn layer(&self, inner: S) -> Watched<S> {
        Watched { inner, calls: self.0.clone() }
    }
}

#[derive(Clone)]
pub(crate) struct Watched<S> {
    inner: S,
    calls: Arc<Calls>,
}

/// What there is to be called.
struct Calls {
    known: HashMap<String, Meters>,
    other: Meters,
}

impl Calls {
    fn meters(&self, path: &str) -> &Meters {
        self.known.get(path).unwrap_or(&self.other)
    }
}

impl<S, I, O> Service<http::Request<I>> for Watched<S>
where
    S: Service<http::Request<I>, Response = http::Response<O>>,
    S::Future: Send + 'static,
    S::Error: 'static,
    O: 'static,
{
    type Response = http::Response<O>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<http::Response<O>, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<I>) -> Self::Future {
        let meters = self.calls.meters(request.uri().path());
        let watch = Watch::begin(request.headers(), meters.clone());
        let span = watch.span.clone();
        let answer = span.in_scope(|| self.inner.call(request));
        let watched = answer.inspect(move |answered| {
            if let Ok(answer) = answered {
                watch.answered(class(answer));
            }
        });
        watched.instrument(span).boxed()
    }
}

/// One request, from its headers to those of its answer.
pub(crate) struct Watch {
    pub(crate) id: RequestId,
    pub(crate) began: Instant,
    /// Whatever is done for the request belongs in here.
    pub(crate) span: Span,
    meters: Meters,
}

impl Watch {
    pub(crate) fn begin(headers: &http::HeaderMap, meters: Meters) -> Watch {
        let id = RequestId::draw();
        let span = span(id, headers, meters.route());
        Watch { id, began: Instant::now(), span, meters }
    }

    /// To be said in the span. Without a class it went well.
    pub(crate) fn answered(&self, class: Option<ErrorClass>) {
        self.meters.answered(class, self.began);
        self.span.record("class", class.map_or("ok", name));
        tracing::debug!("answered");
    }
}

/// The span of everything that is done for a request, at the level of the worst line that may be
/// written, so that each has its request. Where the caller keeps the trace that it belongs to, ours is
/// kept as a part of it, whatever the share of those that begin here.
fn span(id: RequestId, headers: &http::HeaderMap, route: &str) -> Span {
    let request_id = display(id.0);
    let Some(theirs) = trace_of_caller(headers) else {
        return error_span!("request", request_id, route, payment_id = Empty, class = Empty);
    };
    let span = error_span!(
        target: "gateway::traced",
        "request",
        request_id,
        route,
        payment_id = Empty,
        class = Empty,
    );
    // Where nobody traces there is nothing to be a part of.
    let _ = span.set_parent(theirs);
    span
}

/// The caller's own trace, if it keeps it.
fn trace_of_caller(headers: &http::HeaderMap) -> Option<opentelemetry::Context> {
    if !headers.contains_key(&TRACE_PARENT) {
        return None;
    }
    let headers = Headers(headers);
    let theirs = global::get_text_map_propagator(|propagator| propagator.extract(&headers));
    let is_kept = theirs.span().span_context().is_sampled();
    is_kept.then_some(theirs)
}

struct Headers<'a>(&'a http::HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

/// What the answers of one route count for, each meter made when it is first needed.
#[derive(Clone)]
pub(crate) struct Meters(Arc<OfRoute>);

struct OfRoute {
    route: String,
    answered: OnceLock<(Histogram, Counter)>,
    refused: [OnceLock<Counter>; CLASSES.len()],
}

impl Meters {
    pub(crate) fn of(route: String) -> Meters {
        Meters(Arc::new(OfRoute { route, answered: OnceLock::new(), refused: Default::default() }))
    }

    pub(crate) fn of_no_route() -> Meters {
        Meters::of(NO_ROUTE.to_owned())
    }

    pub(crate) fn route(&self) -> &str {
        &self.0.route
    }

    fn answered(&self, class: Option<ErrorClass>, began: Instant) {
        let OfRoute { route, answered, refused } = self.0.as_ref();
        let seconds = || histogram!("switchyard_request_seconds", "route" => route.clone());
        let (took, ok) = answered.get_or_init(|| (seconds(), answers(route, "ok")));
        took.record(began.elapsed());
        let refused = class.and_then(|class| {
            let number = CLASSES.iter().position(|known| *known == class)?;
            Some(refused.get(number)?.get_or_init(|| answers(route, name(class))))
        });
        refused.unwrap_or(ok).increment(1);
    }
}

fn answers(route: &str, class: &'static str) -> Counter {
    counter!("switchyard_requests_total", "route" => route.to_owned(), "class" => class)
}

const CLASSES: [ErrorClass; 8] = [
    ErrorClass::Invalid,
    ErrorClass::Denied,
    ErrorClass::NotFound,
    ErrorClass::Rejected,
    ErrorClass::Conflict,
    ErrorClass::Unavailable,
    ErrorClass::Uncertain,
    ErrorClass::Bug,
];

fn name(class: ErrorClass) -> &'static str {
    match class {
        ErrorClass::Invalid => "invalid",
        ErrorClass::Denied => "denied",
        ErrorClass::NotFound => "not_found",
        ErrorClass::Rejected => "rejected",
        ErrorClass::Conflict => "conflict",
        ErrorClass::Unavailable => "unavailable",
        ErrorClass::Uncertain => "uncertain",
        ErrorClass::Bug => "bug",
    }
}

/// The class of an answer of gRPC, whose status is read back; `None`: it went well.
fn class<O>(answer: &http::Response<O>) -> Option<ErrorClass> {
    if let Some(status) = Status::from_header_map(answer.headers()) {
        let refused = status.code() != tonic::Code::Ok;
        return refused.then(|| Problem::from_status(&status).class);
    }
    match answer.status().as_u16() {
        ..400 => None,
        401 | 403 => Some(ErrorClass::Denied),
        404 => Some(ErrorClass::NotFound),
        409 => Some(ErrorClass::Conflict),
        429 | 503 => Some(ErrorClass::Unavailable),
        504 => Some(ErrorClass::Uncertain),
        400..500 => Some(ErrorClass::Invalid),
        500.. => Some(ErrorClass::Bug),
    }
}

#[cfg(test)]
mod tests {
    use axum::{Router, body::Body, response::IntoResponse as _};
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    fn called(path: &str) -> http::Request<Body> {
        http::Request::post(path).body(Body::empty()).unwrap()
    }

    #[tokio::test]
    async fn labels_are_of_what_there_is_never_of_what_was_asked_for() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let _here = metrics::set_default_local_recorder(&recorder);
        let refused = async || Status::invalid_argument("no").into_http::<Body>().into_response();
        let mut watched = WatchLayer::new().layer(Router::new().fallback(refused));
        for path in ["Payments/Send", "Payments/Send6", "Payments/Send", "Secret/5"] {
            watched.call(called(&format!("/switchyard.v1.{path}"))).await.unwrap();
        }
        let text = recorder.handle().render();
        let counted = text.lines().filter(|line| line.starts_with("switchyard_requests_total{"));
        let mut counted: Vec<_> = counted.filter(|line| !line.ends_with(" 0")).collect();
        counted.sort_unstable();
        let wanted = [
            r#"switchyard_requests_total{route="/switchyard.v1.Payments/Send",class="invalid"} 2"#,
            r#"switchyard_requests_total{route="none",class="invalid"} 2"#,
        ];
        assert_eq!(counted, wanted);
    }

    #[test]
    fn every_call_of_the_wire_is_known() {
        let calls = proto::calls();
        for call in ["/switchyard.v1.Payments/Send", "/switchyard.admin.v1.Nodes/Register"] {
            assert!(calls.iter().any(|known| known == call), "{calls:?}");
        }
    }
}
