//! The door of gRPC, around every call: until when, who calls, and what for.
//!
//! It is written out as a service because a call may wait for long, and thousands at a time: a layer made of a
//! function keeps the whole request meanwhile.

use std::{convert::Infallible, sync::Arc};

use axum::{
    extract::Request,
    response::{IntoResponse as _, Response},
};
use domain::ErrorClass;
use futures_util::{
    FutureExt as _,
    future::{BoxFuture, ready},
};
use proto::Problem;
use tonic::{
    Status,
    body::Body,
    codegen::{Context, Poll, Service},
};

use super::{deadline::Deadline, guard};
use crate::{auth::Caller, edge::Edge};

#[derive(Clone)]
pub(crate) struct Door<S> {
    inner: S,
    edge: Arc<Edge>,
}

impl<S> Door<S> {
    pub(crate) fn new(inner: S, edge: Arc<Edge>) -> Door<S> {
        Door { inner, edge }
    }
}

impl<S> Service<Request> for Door<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let deadline = match Deadline::asked(&request) {
            Ok(deadline) => deadline,
            Err(problem) => return ready(Ok(refusal(problem))).boxed(),
        };
        let next = self.inner.clone();
        // The one that was polled is the one that is ready.
        let mut inner = std::mem::replace(&mut self.inner, next);
        // Gone once it has let the call in.
        let admitted = Box::pin(guard::admitted(self.edge.clone(), request));
        let call = async move {
            match admitted.await {
                Ok(request) => inner.call(request).await,
                Err(problem) => Ok(refusal(problem)),
            }
        };
        match deadline {
            // Around the guard too: a look-up of the key takes its time.
            Some(deadline) => deadline.of(call).boxed(),
            None => call.boxed(),
        }
    }
}

fn refusal(problem: Problem) -> Response {
    Status::from(problem).into_http::<Body>().into_response()
}

/// Who asks, as the guard has found, and what. The rest is let go, as a call may wait for long.
pub(super) fn asked<T>(request: tonic::Request<T>) -> Result<(Caller, T), Status> {
    let (_, extensions, message) = request.into_parts();
    match extensions.get::<Caller>() {
        Some(caller) => Ok((*caller, message)),
        None => Err(Problem::new(ErrorClass::Bug, "internal", "the call has no guard").into()),
    }
}
