//! What the transport refuses by itself is typed like every other refusal: a message that is too long
//! or cannot be read, a call that nobody knows. No call has looked at it, so nothing was done.

use axum::Router;
use domain::ErrorClass;
use futures_util::{TryFutureExt as _, future::MapOk};
use proto::{Problem, status::CODE_KEY};
use tonic::{
    Code, Status,
    body::Body,
    codegen::{Context, Poll, Service, http},
    server::NamedService,
    service::Routes,
};

type Response = http::Response<Body>;

/// Where services are added. A call of one that nobody has added is refused like any other unknown call.
pub(crate) fn routes() -> Routes {
    let nobody: Router = Router::new().fallback(async || unknown_call());
    Routes::from(nobody)
}

/// A service whose every refusal has its class and code.
#[derive(Clone)]
pub(crate) struct Typed<S>(pub(crate) S);

impl<S: NamedService> NamedService for Typed<S> {
    const NAME: &'static str = S::NAME;
}

impl<S, Request> Service<Request> for Typed<S>
where
    S: Service<Request, Response = Response>,
{
    type Response = Response;
    type Error = S::Error;
    type Future = MapOk<S::Future, fn(Response) -> Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        self.0.call(request).map_ok(typed)
    }
}

fn typed(response: Response) -> Response {
    if response.headers().contains_key(CODE_KEY) {
        return response;
    }
    let Some(status) = Status::from_header_map(response.headers()) else { return response };
    let code = match status.code() {
        // Also what becomes too long when it is decompressed.
        Code::OutOfRange | Code::ResourceExhausted => "request_too_large",
        Code::Internal => "request_unreadable",
        // The body is packed in a way that is not known here; this header says which ways are.
        Code::Unimplemented if response.headers().contains_key("grpc-accept-encoding") => {
            return response;
        }
        Code::Unimplemented => return unknown_call(),
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::InvalidArgument
        | Code::DeadlineExceeded
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::Unavailable
        | Code::DataLoss
        | Code::Unauthenticated => return response,
    };
    Status::from(Problem::new(ErrorClass::Invalid, code, status.message())).into_http()
}

fn unknown_call() -> Response {
    Status::from(Problem::new(ErrorClass::Invalid, "unknown_call", "there is no such call"))
        .into_http()
}
