//! The REST face, on the paths and shapes of the contract: one file per resource. A handler parses,
//! asks, and translates.
//!
//! ```text
//! envelope ─▶ guard ─▶ once ─▶ handler
//!    │          │        └ Idempotency-Key: a repeat is answered with what the first one was
//!    │          └ who calls, whether the path is theirs, how often, and what the key may do
//!    └ request id, time limit, panics, and every error in one shape
//! ```

mod amount;
mod cancel;
mod document;
mod envelope;
mod events;
mod guard;
mod history;
mod json;
mod ledger;
mod lines_of_credit;
mod network;
mod once;
mod payment;
mod payment_body;
mod payment_list;
mod payments;
mod preview;
mod refusal;
mod request;
mod text;
mod wallet;
mod wallets;

use std::{convert::Infallible, sync::Arc};

use axum::{
    Router,
    extract::Request,
    http::{HeaderName, Method, StatusCode, header},
    middleware::{from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
};
use domain::{InvoiceTerms, org::PaymentStatus};
use futures_util::{FutureExt as _, future::BoxFuture};
use lightning_node::bolt11;
use proto::Problem;
use tonic::{
    codegen::{Context, Poll, Service},
    service::Routes,
};
use tower_http::cors::{Any, CorsLayer};
use utoipa_axum::{
    router::{OpenApiRouter, UtoipaMethodRouter},
    routes,
};

use crate::{access::Need, edge::Edge, public::Door};
use refusal::Refusal;

/// Where every path of the contract begins; clients write one or the other.
const PREFIXES: [&str; 2] = ["/v1", "/api/v1"];

/// Both faces behind one listener: what says that it is gRPC goes there.
pub(crate) fn beside(grpc: Routes, edge: Arc<Edge>) -> Router {
    let rest = router(&edge);
    let grpc = Door::new(grpc.into_axum_router(), edge);
    Router::new().fallback_service(Faces { grpc, rest })
}

#[derive(Clone)]
struct Faces {
    grpc: Door<Router>,
    rest: Router,
}

impl Service<Request> for Faces {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // Both are at any time.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if is_grpc(&request) { self.grpc.call(request) } else { self.rest.call(request).boxed() }
    }
}

fn is_grpc(request: &Request) -> bool {
    let content_type = request.headers().get(header::CONTENT_TYPE);
    content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

fn router(edge: &Arc<Edge>) -> Router {
    let (v1, paths) = routes(edge).split_for_parts();
    let both = PREFIXES.iter().fold(Router::new(), |both, prefix| both.nest(prefix, v1.clone()));
    both.with_state(edge.clone())
        .merge(document::router(document::text(paths)))
        .fallback(unknown_path)
        .method_not_allowed_fallback(unknown_method)
        .layer(from_fn(envelope::envelope))
        .layer(from_any_page())
}

/// Programs in browsers may call from any page: what lets them in is the key, never a cookie.
fn from_any_page() -> CorsLayer {
    let known = ["prefer", "idempotency-key", "last-event-id", "x-api-key"];
    let told = [
        "x-request-id",
        "idempotency-hit",
        "retry-after",
        refusal::RETRY_AFTER_MS,
        "ratelimit",
        "ratelimit-policy",
    ];
    let sent = known.into_iter().map(HeaderName::from_static);
    let sent = sent.chain([header::AUTHORIZATION, header::CONTENT_TYPE]);
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST, Method::PATCH, Method::DELETE])
        .allow_headers(sent.collect::<Vec<_>>())
        .expose_headers(told.map(HeaderName::from_static))
}

/// Every route with what a key needs for it, and its part of the document.
fn routes(edge: &Arc<Edge>) -> OpenApiRouter<Arc<Edge>> {
    let guarded = |need, route| guarded(edge.clone(), need, route);
    OpenApiRouter::new()
        .routes(guarded(Need::ReceiveOrWrite, routes!(payments::create)))
        .routes(guarded(Need::Read, routes!(payment_list::list)))
        .routes(guarded(Need::Read, routes!(payment_list::summary)))
        .routes(guarded(Need::Read, routes!(preview::decode)))
        .routes(guarded(Need::ReceiveOrWrite, routes!(preview::estimate)))
        .routes(guarded(Need::Read, routes!(payments::read)))
        .routes(guarded(Need::ReceiveOrWrite, routes!(cancel::cancel)))
        .routes(guarded(Need::Read, routes!(history::history)))
        .routes(guarded(Need::Read, routes!(events::follow)))
        .routes(guarded(Need::Write, routes!(wallets::create)))
        .routes(guarded(Need::Read, routes!(wallets::list)))
        .routes(guarded(Need::Read, routes!(wallets::read)))
        .routes(guarded(Need::Write, routes!(wallets::rename)))
        .routes(guarded(Need::Write, routes!(wallets::delete)))
        .routes(guarded(Need::Read, routes!(ledger::ledger)))
        .routes(guarded(Need::Read, routes!(payment_list::wallet_summary)))
        .routes(guarded(Need::Read, routes!(lines_of_credit::list)))
        .routes(guarded(Need::Read, routes!(lines_of_credit::read)))
        .routes(guarded(Need::Write, routes!(lines_of_credit::sandbox)))
}

/// The guard before the handler, and what it asks for in the document.
fn guarded(
    edge: Arc<Edge>,
    need: Need,
    (schemas, mut paths, methods): UtoipaMethodRouter<Arc<Edge>>,
) -> UtoipaMethodRouter<Arc<Edge>> {
    paths.paths.values_mut().for_each(|item| document::complete(item, need));
    (schemas, paths, methods.layer(from_fn_with_state((edge, need), guard::guard)))
}

/// Reads an invoice. Whether it has expired is judged by the organisation alone, so that a repeat is
/// answered whatever the clock says.
fn bolt11(text: &str) -> Result<InvoiceTerms, Refusal> {
    bolt11::parse(text).map_err(|error| Problem::new(error.class(), error.code(), error).into())
}

fn status_word(status: PaymentStatus) -> &'static str {
    match status {
        PaymentStatus::Sending => "sending",
        PaymentStatus::Completed => "completed",
        PaymentStatus::Failed => "failed",
        PaymentStatus::Generating => "generating",
        PaymentStatus::Receiving => "receiving",
        PaymentStatus::Expired => "expired",
    }
}

fn status_of(word: &str) -> Option<PaymentStatus> {
    use PaymentStatus::{Completed, Expired, Failed, Generating, Receiving, Sending};

    [Sending, Completed, Failed, Generating, Receiving, Expired]
        .into_iter()
        .find(|status| status_word(*status) == word)
}

async fn unknown_path(request: Request) -> Response {
    Refusal::not_found(
        "route_not_found",
        format!("the path {}", text::shortened(request.uri().path())),
    )
    .into_response()
}

async fn unknown_method(request: Request) -> Response {
    Refusal::invalid("method_not_allowed", format!("{} cannot be done here", request.method()))
        .with_status(StatusCode::METHOD_NOT_ALLOWED)
        .into_response()
}
