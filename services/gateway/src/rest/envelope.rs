//! Around every request: its id, its time limit, and every error in one shape.

use std::panic::AssertUnwindSafe;

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderValue, Method, StatusCode},
    middleware::Next,
    response::{IntoResponse, Response},
};
use domain::ErrorClass;
use futures_util::FutureExt;
use proto::Problem;
use tokio::time::timeout;
use uuid::Uuid;

use super::refusal::Refusal;
use crate::{limits, problem, watch::RequestId};

pub(super) const REQUEST_ID: &str = "x-request-id";

pub(super) async fn envelope(request: Request, next: Next) -> Response {
    let request_id = request.extensions().get::<RequestId>().map_or(Uuid::nil(), |id| id.0);
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    // A handler that panics has broken nothing but its own request: what it had asked of an
    // organisation goes on there.
    let work = async {
        match headers_fit(&request) {
            true => next.run(request).await,
            false => Refusal::invalid("headers_too_large", "the headers are too long")
                .with_status(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)
                .into_response(),
        }
    };
    let work = AssertUnwindSafe(work).catch_unwind();
    let response = match timeout(limits::ANSWER_WITHIN, work).await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => {
            Refusal::new(ErrorClass::Bug, "internal", "something is wrong on our side; tell us")
                .into_response()
        }
        Err(_) => Refusal::new(ErrorClass::Uncertain, "outcome_unknown", "no answer in time")
            .into_response(),
    };
    let mut response = in_one_shape(response, &method, &path, request_id);
    let id = HeaderValue::try_from(request_id.to_string()).expect("a UUID is plain ASCII");
    response.headers_mut().insert(REQUEST_ID, id);
    // For whoever counts the answers.
    matched.map(|path| response.extensions_mut().insert(path));
    response
}

/// HTTP/2 bounds them by itself, HTTP/1.1 more generously than we like.
fn headers_fit(request: &Request) -> bool {
    let lengths = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len());
    let most = usize::try_from(limits::HEADER_LIST_BYTES_MAX).unwrap_or(usize::MAX);
    lengths.sum::<usize>() <= most
}

fn in_one_shape(response: Response, method: &Method, path: &str, request_id: Uuid) -> Response {
    let (mut parts, body) = response.into_parts();
    let refusal = match parts.extensions.remove::<Refusal>() {
        Some(refusal) => refusal,
        None => match unnamed(parts.status) {
            Some(refusal) => refusal,
            None => return Response::from_parts(parts, body),
        },
    };
    let inside = Problem {
        class: refusal.class(),
        code: refusal.kind().to_owned().into(),
        message: refusal.detail().to_owned(),
        retry_after_ms: None,
    };
    problem::report(&format!("{method} {path}"), &inside);
    let mut response = refusal.envelope(method, request_id);
    response.extensions_mut().insert(refusal.class());
    // `Allow` of a 405, the state of the rate limit.
    for (name, value) in &parts.headers {
        if !response.headers().contains_key(name) && name != "content-length" {
            response.headers_mut().append(name, value.clone());
        }
    }
    response
}

/// An error that the router made by itself and that nothing here has named.
fn unnamed(status: StatusCode) -> Option<Refusal> {
    let class = match status.as_u16() {
        500.. => ErrorClass::Bug,
        400.. => ErrorClass::Invalid,
        _ => return None,
    };
    let detail = status.canonical_reason().unwrap_or("refused").to_lowercase();
    Some(Refusal::new(class, "invalid_request", detail).with_status(status))
}
