//! Both faces behind one listener: what says that it is gRPC goes there, everything else to REST.

use std::{convert::Infallible, sync::Arc};

use axum::{
    Router,
    body::Body,
    http::{self, header},
    response::Response,
};
use futures_util::future::BoxFuture;
use http_body::Body as _;
use tonic::{
    codegen::{Context, Poll, Service},
    service::Routes,
};
use tower_layer::Layer as _;

use crate::{
    edge::Edge,
    public::Door,
    rest::Rest,
    unread::heard_out,
    watch::{WatchLayer, Watched},
};

#[derive(Clone)]
pub(crate) struct Faces {
    grpc: Watched<Door<Router>>,
    rest: Rest,
}

impl Faces {
    pub(crate) fn new(grpc: Routes, edge: Arc<Edge>) -> Faces {
        // With its state given beforehand a router is not put together anew for every call.
        let router = grpc.prepare().into_axum_router();
        let grpc = WatchLayer::new().layer(Door::new(router, edge.clone()));
        Faces { grpc, rest: Rest::new(edge) }
    }
}

impl Service<http::Request<tonic::body::Body>> for Faces {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // Both are at any time.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        if is_grpc(&request) {
            // Its clients know what a reset is, and a stream of theirs need not end.
            return self.grpc.call(request.map(known_to_axum));
        }
        let is_http2 = request.version() == http::Version::HTTP_2;
        self.rest.call(request.map(|body| match is_http2 {
            true => heard_out(body),
            false => known_to_axum(body),
        }))
    }
}

fn is_grpc(request: &http::Request<tonic::body::Body>) -> bool {
    let content_type = request.headers().get(header::CONTENT_TYPE);
    content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// A body that has nothing to say needs no place of its own.
fn known_to_axum(body: tonic::body::Body) -> Body {
    if body.is_end_stream() { Body::empty() } else { Body::new(body) }
}
