//! `Idempotency-Key`: a POST that is repeated under its key is answered with what the first one was
//! answered, and not done again.
//!
//! Everything behind it is safe to repeat by the id in its body; the key makes the answer the same too.

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use domain::ErrorClass;
use ports::idempotency::{Begun, IdempotencyScope, Runner, StoredAnswer};
use sha2::{Digest, Sha256};

use super::{
    payments::IDEMPOTENCY_HIT,
    refusal::Refusal,
    request::{Asked, read_body},
    table::Route,
};
use crate::{access::Need, edge::Edge, headers::only, limits, problem::customer};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

pub(super) async fn once(route: &Route, request: Request, asked: Asked) -> Response {
    if request.method() != Method::POST {
        return route.answer(request, asked).await;
    }
    let key = match key(request.headers()) {
        Ok(Some(key)) => key,
        Ok(None) => return route.answer(request, asked).await,
        Err(refusal) => return refusal.into_response(),
    };
    // A caller that hangs up leaves no key behind that looks as if it were still running.
    let work = tokio::spawn(keyed(route.clone(), key, request, asked));
    match work.await {
        Ok(Ok(response)) => response,
        Ok(Err(refusal)) => refusal.into_response(),
        Err(_) => Refusal::new(ErrorClass::Bug, "internal", "something is wrong on our side")
            .into_response(),
    }
}

fn key(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let Some(given) = only(headers, &IDEMPOTENCY_KEY)? else { return Ok(None) };
    let text = given.to_str().ok().map(str::trim);
    let text = text.filter(|text| text.len() <= limits::IDEMPOTENCY_KEY_BYTES_MAX);
    // A string as the draft writes it; any other quotes are part of the key.
    let inner = |text: &'_ str| text.strip_prefix('"')?.strip_suffix('"').map(str::to_owned);
    let key = text.map(|text| inner(text).unwrap_or_else(|| text.to_owned()));
    match key.filter(|key| !key.is_empty()) {
        Some(key) => Ok(Some(key)),
        None => Err(Refusal::field(
            "idempotency-key",
            format!(
                "Idempotency-Key must have 1 to {} visible ASCII characters",
                limits::IDEMPOTENCY_KEY_BYTES_MAX
            ),
        )),
    }
}

async fn keyed(
    route: Route,
    key: String,
    request: Request,
    asked: Asked,
) -> Result<Response, Refusal> {
    let (edge, caller) = (asked.edge.clone(), asked.caller);
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map(|path| path.as_str().to_owned()).unwrap_or_default();
    let body = read_body(Request::from_parts(parts.clone(), body)).await?;
    let fingerprint = fingerprint(&path, &body, Need::Write.check(&caller).is_ok());
    let scope = IdempotencyScope { org: caller.org, environment: caller.environment, key };
    let store = &edge.gateway.idempotency;
    let now = edge.gateway.clock.now();
    let stale_before = now.plus_millis(-limits::IDEMPOTENCY_RUNS_MS);
    let runner = Runner { session: edge.gateway.session, now, stale_before };
    let begun = store.begin(&scope, fingerprint, runner).await;
    match begun.map_err(customer::store)? {
        Begun::New => {}
        Begun::Done(answer) => return replay(answer),
        Begun::Running => {
            // The same request may come again: it is then answered with what the first one was.
            return Err(Refusal::new(
                ErrorClass::Unavailable,
                "idempotency_key_running",
                "the first request under this key has not been answered yet",
            )
            .with_status(StatusCode::CONFLICT));
        }
        Begun::OtherRequest => {
            return Err(Refusal::invalid(
                "idempotency_conflict",
                "the key was used before with another request",
            )
            .with_status(StatusCode::UNPROCESSABLE_ENTITY));
        }
    }
    let response = route.answer(Request::from_parts(parts, Body::from(body)), asked).await;
    settle(&edge, &scope, fingerprint, response).await
}

/// Keeps what was answered, or frees the key where nothing was done for certain. The answer stands even
/// where it cannot be kept: then a repeat hears that the key runs, and later is carried out again, which
/// its id makes safe.
async fn settle(
    edge: &Edge,
    scope: &IdempotencyScope,
    fingerprint: [u8; 32],
    response: Response,
) -> Result<Response, Refusal> {
    let store = &edge.gateway.idempotency;
    if !response.status().is_success() {
        // A refusal has done nothing, and what perhaps was done is found by its id: the same request
        // may be tried again under the same key.
        if let Err(error) = store.abandon(scope, fingerprint).await {
            tracing::warn!(%error, "an idempotency key could not be freed");
        }
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, limits::PAGE_BYTES_MAX).await.map_err(|_| {
        Refusal::new(ErrorClass::Bug, "internal", "the answer is larger than an answer can be")
    })?;
    let answer = StoredAnswer { status: parts.status.as_u16(), body: body.to_vec() };
    if let Err(error) = store.finish(scope, fingerprint, &answer, edge.gateway.clock.now()).await {
        tracing::warn!(%error, "an answer could not be kept");
    }
    Ok(Response::from_parts(parts, Body::from(body)))
}

fn replay(answer: StoredAnswer) -> Result<Response, Refusal> {
    let status = StatusCode::from_u16(answer.status)
        .map_err(|_| Refusal::new(ErrorClass::Bug, "internal", "a kept answer has no status"))?;
    let is_empty = answer.body.is_empty();
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if !is_empty {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    headers.insert(IDEMPOTENCY_HIT, HeaderValue::from_static("true"));
    Ok(response)
}

/// What makes two requests the same: where they go, what they bring, and whether whoever asks may send. What was
/// answered to a key that may is not for one that may only receive, and would be refused if it asked first.
fn fingerprint(path: &str, body: &[u8], may_send: bool) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(u64::try_from(path.len()).unwrap_or(u64::MAX).to_be_bytes());
    hash.update(path);
    hash.update(body);
    if !may_send {
        hash.update(b"only receives");
    }
    hash.finalize().into()
}
