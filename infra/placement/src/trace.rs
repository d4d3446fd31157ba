//! A trace that its caller keeps goes on in the pod that is asked: W3C Trace Context in the metadata.

use std::{
    collections::BTreeMap,
    task::{Context, Poll},
};

use opentelemetry::{
    global,
    propagation::{Extractor, Injector},
    trace::TraceContextExt as _,
};
use tonic::{
    codegen::{Service, http},
    metadata::{Ascii, MetadataKey, MetadataMap},
};
use tower::Layer;
use tracing::{Instrument as _, Span, error_span, field::Empty, instrument::Instrumented};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

const TRACE_PARENT: &str = "traceparent";

/// Puts the trace of whoever calls into the call, if there is one.
pub(crate) fn put(metadata: &mut MetadataMap) {
    let ours = Span::current().context();
    if ours.span().span_context().is_sampled() {
        global::get_text_map_propagator(|propagator| {
            propagator.inject_context(&ours, &mut Put(metadata));
        });
    }
}

/// The same for a call on a stream.
pub(crate) fn carried() -> BTreeMap<String, String> {
    let mut carried = Carried::default();
    let ours = Span::current().context();
    if ours.span().span_context().is_sampled() {
        global::get_text_map_propagator(|propagator| {
            propagator.inject_context(&ours, &mut carried)
        });
    }
    carried.0
}

#[derive(Default)]
struct Carried(BTreeMap<String, String>);

impl Injector for Carried {
    fn set(&mut self, key: &str, value: String) {
        self.0.insert(key.to_owned(), value);
    }
}

impl Extractor for Carried {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}

struct Put<'a>(&'a mut MetadataMap);

impl Injector for Put<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(key), Ok(value)) = (key.parse::<MetadataKey<Ascii>>(), value.parse()) {
            self.0.insert(key, value);
        }
    }
}

/// Makes what is done for a call a part of its caller's trace. Of the rest nothing is made: it would
/// cost more than the call.
#[derive(Clone, Copy)]
pub(crate) struct TraceLayer;

impl<S> Layer<S> for TraceLayer {
    type Service = Traced<S>;

    fn layer(&self, inner: S) -> Traced<S> {
        Traced { inner }
    }
}

#[derive(Clone)]
pub(crate) struct Traced<S> {
    inner: S,
}

impl<S, I, O> Service<http::Request<I>> for Traced<S>
where
    S: Service<http::Request<I>, Response = http::Response<O>>,
{
    type Response = http::Response<O>;
    type Error = S::Error;
    type Future = Instrumented<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<I>) -> Self::Future {
        let span = span(&Got(request.headers()));
        let answer = span.in_scope(|| self.inner.call(request));
        answer.instrument(span)
    }
}

/// What is done for a call on a stream, as [`TraceLayer`] does for one by itself.
pub(crate) fn on_a_stream(carried: BTreeMap<String, String>) -> Span {
    span(&Carried(carried))
}

fn span(carried: &impl Extractor) -> Span {
    if carried.get(TRACE_PARENT).is_none() {
        return Span::none();
    }
    let theirs = global::get_text_map_propagator(|propagator| propagator.extract(carried));
    if !theirs.span().span_context().is_sampled() {
        return Span::none();
    }
    let span = error_span!(target: "placement::traced", "request", payment_id = Empty);
    // Where nobody traces there is nothing to be a part of.
    let _ = span.set_parent(theirs);
    span
}

struct Got<'a>(&'a http::HeaderMap);

impl Extractor for Got<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}
