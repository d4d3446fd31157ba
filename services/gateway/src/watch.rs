//! Around every request of either face: its id, the span that everything of it is logged and traced in,
//! and what it counts for.

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
    sync::{Arc, OnceLock, PoisonError, RwLock},
    task::{Context, Poll},
};

use axum::extract::MatchedPath;
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
const TRACE_PARENT: &str = "traceparent";

/// The label of everything that is no call of ours, so that nobody can make labels up.
const NO_ROUTE: &str = "none";

/// In the place of a method, of what is no route of REST.
const CALL: &str = "";

/// Names one request, in the log and in its answer. An extension of the request from here on.
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

/// Watches every request of a listener.
#[derive(Clone)]
pub(crate) struct WatchLayer(Arc<Routes>);

impl WatchLayer {
    pub(crate) fn new() -> WatchLayer {
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
        let standard =
            [tonic_health::pb::FILE_DESCRIPTOR_SET, tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET];
        let standard = standard.into_iter().flat_map(proto::calls_of);
        let calls = proto::calls().into_iter().chain(standard).collect();
        WatchLayer(Arc::new(Routes { calls, seen: RwLock::default() }))
    }
}

impl<S> Layer<S> for WatchLayer {
    type Service = Watched<S>;

    fn layer(&self, inner: S) -> Watched<S> {
        Watched { inner, routes: self.0.clone() }
    }
}

#[derive(Clone)]
pub(crate) struct Watched<S> {
    inner: S,
    routes: Arc<Routes>,
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

    fn call(&mut self, mut request: http::Request<I>) -> Self::Future {
        let id = RequestId::draw();
        let call = self.routes.call(request.uri().path());
        let span = span(id, &request, call);
        let method = method(request.method());
        request.extensions_mut().insert(id);
        let routes = self.routes.clone();
        let meters = call.map(|call| routes.meters(CALL, call));
        let began = Instant::now();
        let answer = span.in_scope(|| self.inner.call(request));
        let watched = answer.inspect(move |answered| {
            let Ok(answer) = answered else { return };
            let meters = meters.unwrap_or_else(|| routes.matched(method, answer));
            let class = class(answer);
            meters.answered(class, began);
            let class = class.map_or("ok", name);
            Span::current().record("class", class);
            tracing::debug!("answered");
        });
        watched.instrument(span).boxed()
    }
}

/// The span of everything that is done for a request, at the level of the worst line that may be
/// written, so that each has its request. Where the caller keeps the trace that it belongs to, ours is
/// kept as a part of it, whatever the share of those that begin here.
fn span<I>(id: RequestId, request: &http::Request<I>, call: Option<&str>) -> Span {
    let request_id = display(id.0);
    let Some(theirs) = trace_of_caller(request.headers()) else {
        return error_span!("request", request_id, route = call, payment_id = Empty, class = Empty);
    };
    let span = error_span!(
        target: "gateway::traced",
        "request",
        request_id,
        route = call,
        payment_id = Empty,
        class = Empty,
    );
    // Where nobody traces there is nothing to be a part of.
    let _ = span.set_parent(theirs);
    span
}

/// The caller's own trace, if it keeps it.
fn trace_of_caller(headers: &http::HeaderMap) -> Option<opentelemetry::Context> {
    if !headers.contains_key(TRACE_PARENT) {
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

/// What there is to be called: known beforehand for gRPC, learned from the router for REST, which names
/// the path that it has matched in its answer ([`MatchedPath`], in the extensions).
struct Routes {
    calls: HashSet<String>,
    /// By method and path, made when they are first needed. A gRPC call has no method of its own.
    seen: RwLock<HashMap<&'static str, HashMap<String, Arc<RouteMeters>>>>,
}

impl Routes {
    fn call(&self, path: &str) -> Option<&str> {
        self.calls.get(path).map(String::as_str)
    }

    fn matched<O>(&self, method: &'static str, answer: &http::Response<O>) -> Arc<RouteMeters> {
        let meters = match answer.extensions().get::<MatchedPath>() {
            Some(path) => self.meters(method, path.as_str()),
            None => self.meters(CALL, NO_ROUTE),
        };
        Span::current().record("route", meters.route.as_str());
        meters
    }

    fn meters(&self, method: &'static str, path: &str) -> Arc<RouteMeters> {
        let seen = self.seen.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(meters) = seen.get(method).and_then(|paths| paths.get(path)) {
            return meters.clone();
        }
        drop(seen);
        let mut seen = self.seen.write().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(RouteMeters::new(format!("{method} {path}").trim_start()));
        seen.entry(method).or_default().entry(path.to_owned()).or_insert_with(new).clone()
    }
}

/// A method that anybody may make up is none of ours.
fn method(method: &http::Method) -> &'static str {
    let ours = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    ours.into_iter().find(|name| method.as_str() == *name).unwrap_or("OTHER")
}

struct RouteMeters {
    route: String,
    took: Histogram,
    ok: Counter,
    refused: [OnceLock<Counter>; 8],
}

impl RouteMeters {
    fn new(route: &str) -> RouteMeters {
        RouteMeters {
            route: route.to_owned(),
            took: histogram!("switchyard_request_seconds", "route" => route.to_owned()),
            ok: answers(route, "ok"),
            refused: Default::default(),
        }
    }

    fn answered(&self, class: Option<ErrorClass>, began: Instant) {
        self.took.record(began.elapsed());
        let refused = |class| {
            let number = CLASSES.iter().position(|known| *known == class)?;
            let counter = self.refused.get(number)?;
            Some(counter.get_or_init(|| answers(&self.route, name(class))))
        };
        class.and_then(refused).unwrap_or(&self.ok).increment(1);
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

/// The class of an answer; `None`: it went well. Whoever refuses over REST says so in the extensions;
/// a gRPC status of ours is read back.
fn class<O>(answer: &http::Response<O>) -> Option<ErrorClass> {
    if let Some(class) = answer.extensions().get::<ErrorClass>() {
        return Some(*class);
    }
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
    use axum::{
        Router,
        body::Body,
        extract::Request,
        middleware::{Next, from_fn},
        response::Response,
        routing::get,
    };
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    /// As the REST face does it: the path that was matched, and the class of a refusal.
    async fn name_route(request: Request, next: Next) -> Response {
        let path = request.extensions().get::<MatchedPath>().cloned();
        assert!(request.extensions().get::<RequestId>().is_some(), "everything in it knows its id");
        let mut answer = next.run(request).await;
        path.map(|path| answer.extensions_mut().insert(path));
        answer
    }

    fn http(method: &str, path: &str) -> http::Request<Body> {
        http::Request::builder().method(method).uri(path).body(Body::empty()).unwrap()
    }

    #[tokio::test]
    async fn labels_are_of_what_there_is_never_of_what_was_asked_for() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let _here = metrics::set_default_local_recorder(&recorder);
        let rejected = async || {
            let mut answer = Response::new(Body::empty());
            answer.extensions_mut().insert(ErrorClass::Rejected);
            answer
        };
        let router = Router::new()
            .route("/v1/things/{id}", get(async || "a thing").post(rejected))
            .layer(from_fn(name_route));
        let mut watched = WatchLayer::new().layer(router);
        for (method, path) in [
            ("GET", "/v1/things/1"),
            ("GET", "/v1/things/2"),
            ("POST", "/v1/things/3"),
            ("BREW", "/v1/things/4"),
            ("GET", "/secret/5"),
            ("POST", "/switchyard.v1.Payments/Send"),
            ("POST", "/switchyard.v1.Payments/Send6"),
        ] {
            watched.call(http(method, path)).await.unwrap();
        }
        let text = recorder.handle().render();
        let counted = text.lines().filter(|line| line.starts_with("switchyard_requests_total{"));
        let mut counted: Vec<_> = counted.filter(|line| !line.ends_with(" 0")).collect();
        counted.sort_unstable();
        let wanted = [
            r#"switchyard_requests_total{route="/switchyard.v1.Payments/Send",class="not_found"} 1"#,
            r#"switchyard_requests_total{route="GET /v1/things/{id}",class="ok"} 2"#,
            r#"switchyard_requests_total{route="OTHER /v1/things/{id}",class="invalid"} 1"#,
            r#"switchyard_requests_total{route="POST /v1/things/{id}",class="rejected"} 1"#,
            r#"switchyard_requests_total{route="none",class="not_found"} 2"#,
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
