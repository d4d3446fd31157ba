//! Programs in browsers may call from any page: what lets them in is the key, never a cookie.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};

static ANY: HeaderValue = HeaderValue::from_static("*");
static DIFFERS_BY: HeaderValue = HeaderValue::from_static(
    "origin, access-control-request-method, access-control-request-headers",
);
static METHODS: HeaderValue = HeaderValue::from_static("GET,POST,PATCH,DELETE");
static SENT: HeaderValue = HeaderValue::from_static(
    "prefer,idempotency-key,last-event-id,x-api-key,authorization,content-type",
);
static TOLD: HeaderValue = HeaderValue::from_static(
    "x-request-id,idempotency-hit,retry-after,x-retry-after-ms,ratelimit,ratelimit-policy",
);

/// Lets the page read an answer.
pub(super) fn may_read(headers: &mut HeaderMap) {
    headers.append(header::VARY, DIFFERS_BY.clone());
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, ANY.clone());
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, TOLD.clone());
}

/// A browser asks first, without a key.
pub(super) fn may_call(allowed: Option<HeaderValue>) -> Response {
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(header::VARY, DIFFERS_BY.clone());
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, ANY.clone());
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS.clone());
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, SENT.clone());
    allowed.map(|methods| headers.insert(header::ALLOW, methods));
    response
}
