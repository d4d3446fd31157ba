//! The door of REST, around every request: its id, its time limit, and every error in one shape.
//!
//! It is written out as a service because it is around every request: each layer made of a function is a
//! place in memory of its own and a copy of all that is below it, and together they cost more than the answer.

use std::{convert::Infallible, panic::AssertUnwindSafe, pin::pin, sync::Arc};

use axum::{
    Router,
    body::{Body, HttpBody as _},
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use domain::ErrorClass;
use futures_util::{FutureExt as _, future::BoxFuture};
use proto::Problem;
use tokio::time::timeout_at;
use tonic::codegen::{Context, Poll, Service};
use tracing::Instrument as _;
use uuid::Uuid;

use super::{
    any_page, document, guard,
    refusal::Refusal,
    table::{At, Found, Table},
    text,
};
use crate::{edge::Edge, headers::only, limits, problem, watch::Watch};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

#[derive(Clone)]
pub(crate) struct Rest(Arc<Door>);

struct Door {
    edge: Arc<Edge>,
    table: Table,
    pages: Router,
}

impl Rest {
    pub(crate) fn new(edge: Arc<Edge>) -> Rest {
        let (table, paths) = super::routes();
        let pages = document::router(document::text(paths));
        let pages = pages.method_not_allowed_fallback(async |method| unknown_method(&method));
        Rest(Arc::new(Door { edge, table, pages: pages.with_state(()) }))
    }
}

impl Service<Request> for Rest {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let door = self.0.clone();
        Box::pin(async move { Ok(door.answer(request).await) })
    }
}

impl Door {
    async fn answer(&self, request: Request) -> Response {
        let At { found, meters, allowed } = self.table.at(request.method(), request.uri().path());
        let asks_first = request.method() == Method::OPTIONS;
        let meters = if asks_first { self.table.nothing() } else { meters };
        let watch = Watch::begin(request.headers(), meters.clone());
        let span = watch.span.clone();
        // Pinned where they are: whatever is handed on moves a pointer.
        let answered = pin!(async {
            if asks_first {
                watch.answered(None);
                return with_length(any_page::may_call(allowed), &Method::OPTIONS);
            }
            // For a refusal; neither of the two is a copy of a text.
            let (method, uri) = (request.method().clone(), request.uri().clone());
            let response = self.in_time(found, allowed, request, &watch).await;
            let (mut response, class) = in_one_shape(response, &method, &uri, watch.id.0);
            let headers = response.headers_mut();
            headers.insert(REQUEST_ID, written(watch.id.0));
            any_page::may_read(headers);
            watch.answered(class);
            with_length(response, &method)
        });
        answered.instrument(span).await
    }

    /// A handler that panics has broken nothing but its own request: what it had asked of an
    /// organisation goes on there.
    async fn in_time(
        &self,
        found: Found<'_>,
        allowed: Option<HeaderValue>,
        request: Request,
        watch: &Watch,
    ) -> Response {
        let work = pin!(self.found(found, allowed, request));
        let work = AssertUnwindSafe(work).catch_unwind();
        match timeout_at(watch.began + limits::ANSWER_WITHIN, work).await {
            Ok(Ok(response)) => response,
            Ok(Err(_)) => {
                let detail = "something is wrong on our side; tell us";
                Refusal::new(ErrorClass::Bug, "internal", detail).into_response()
            }
            Err(_) => Refusal::new(ErrorClass::Uncertain, "outcome_unknown", "no answer in time")
                .into_response(),
        }
    }

    async fn found(
        &self,
        found: Found<'_>,
        allowed: Option<HeaderValue>,
        request: Request,
    ) -> Response {
        if !headers_fit(request.headers()) {
            return Refusal::invalid("headers_too_large", "the headers are too long")
                .with_status(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)
                .into_response();
        }
        // Whoever forwards by the first and whoever by the last would not mean the same server (RFC 9112, 3.2).
        if let Err(twice) = only(request.headers(), &header::HOST) {
            return Refusal::from(twice).into_response();
        }
        match found {
            Found::Route(route, Ok(ids)) => guard::guard(&self.edge, route, ids, request).await,
            Found::Route(_, Err(refusal)) => refusal.into_response(),
            Found::OtherMethod => {
                let mut response = unknown_method(request.method());
                allowed.map(|methods| response.headers_mut().insert(header::ALLOW, methods));
                response
            }
            Found::Page => {
                let mut pages = self.pages.clone();
                pages.call(request).await.unwrap_or_else(|never| match never {})
            }
            Found::Nothing => unknown_path(request.uri()),
        }
    }
}

/// HTTP/2 bounds them by itself, HTTP/1.1 more generously than we like.
fn headers_fit(headers: &HeaderMap) -> bool {
    let lengths = headers.iter().map(|(name, value)| name.as_str().len() + value.len());
    let most = usize::try_from(limits::HEADER_LIST_BYTES_MAX).unwrap_or(usize::MAX);
    lengths.sum::<usize>() <= most
}

/// The answer, with what a refusal is counted as.
fn in_one_shape(
    response: Response,
    method: &Method,
    uri: &Uri,
    request_id: Uuid,
) -> (Response, Option<ErrorClass>) {
    let (mut parts, body) = response.into_parts();
    let named = parts.extensions.remove::<Refusal>();
    let Some(refusal) = named.or_else(|| unnamed(parts.status)) else {
        return (Response::from_parts(parts, body), None);
    };
    let inside = Problem {
        class: refusal.class(),
        code: refusal.kind().to_owned().into(),
        message: refusal.detail().to_owned(),
        retry_after_ms: None,
    };
    problem::report(&format!("{method} {}", uri.path()), &inside);
    let mut response = refusal.envelope(method, request_id);
    // `Allow` of a 405, the state of the rate limit.
    for (name, value) in &parts.headers {
        if !response.headers().contains_key(name) && name != header::CONTENT_LENGTH {
            response.headers_mut().append(name, value.clone());
        }
    }
    (response, Some(refusal.class()))
}

/// An error that the pages made by themselves and that nothing here has named.
fn unnamed(status: StatusCode) -> Option<Refusal> {
    let class = match status.as_u16() {
        500.. => ErrorClass::Bug,
        400.. => ErrorClass::Invalid,
        _ => return None,
    };
    let detail = status.canonical_reason().unwrap_or("refused").to_lowercase();
    Some(Refusal::new(class, "invalid_request", detail).with_status(status))
}

fn unknown_path(uri: &Uri) -> Response {
    Refusal::not_found("route_not_found", format!("the path {}", text::shortened(uri.path())))
        .into_response()
}

fn unknown_method(method: &Method) -> Response {
    Refusal::invalid("method_not_allowed", format!("{method} cannot be done here"))
        .with_status(StatusCode::METHOD_NOT_ALLOWED)
        .into_response()
}

fn written(id: Uuid) -> HeaderValue {
    let mut text = Uuid::encode_buffer();
    HeaderValue::from_str(id.hyphenated().encode_lower(&mut text)).expect("a UUID is plain ASCII")
}

/// The transport counts what it sends, but says nothing of what it does not.
fn with_length(mut response: Response, method: &Method) -> Response {
    let length = response.body().size_hint().exact();
    let is_head = *method == Method::HEAD;
    if let Some(length) = length.filter(|length| is_head || *length == 0) {
        let headers = response.headers_mut();
        headers.entry(header::CONTENT_LENGTH).or_insert_with(|| HeaderValue::from(length));
    }
    if is_head {
        *response.body_mut() = Body::empty();
    }
    response
}
