//! Errors of the ports as answers: one place that answers, bounds and reports a call.

use std::time::Duration;

use axum::http::StatusCode;
use domain::ErrorClass;
use ports::orgs::OrgsError;
use proto::{Problem, status::Retryable};
use tokio::time::timeout;
use tonic::{Response, Status};

use crate::limits;

/// Answers a call with what the work comes to.
pub(crate) fn answer<T>(
    call: &'static str,
    work: impl Future<Output = Result<T, Problem>>,
) -> impl Future<Output = Result<Response<T>, Status>> {
    answer_within(limits::ANSWER_WITHIN, call, work)
}

pub(crate) fn answer_within<T>(
    longest: Duration,
    call: &'static str,
    work: impl Future<Output = Result<T, Problem>>,
) -> impl Future<Output = Result<Response<T>, Status>> {
    // Handed on by value it would be kept once for each function that it has come through.
    let work = Box::pin(timeout(longest, work));
    async move {
        let problem = match work.await {
            Ok(Ok(answer)) => return Ok(Response::new(answer)),
            Ok(Err(problem)) => problem,
            Err(_) => Problem::new(ErrorClass::Uncertain, "outcome_unknown", "no answer in time"),
        };
        report(call, &problem);
        Err(problem.into())
    }
}

/// Something was done before this went wrong: it must not read as if nothing had been.
pub(crate) fn after_a_write(problem: Problem) -> Problem {
    match problem.retryable() {
        Retryable::No => problem,
        Retryable::SameId => outcome_unknown(),
    }
}

pub(crate) fn outcome_unknown() -> Problem {
    Problem::new(ErrorClass::Uncertain, "outcome_unknown", PERHAPS)
}

const PERHAPS: &str = "perhaps carried out; repeat it with the same id, or read by id";

/// The class of an error as HTTP has it.
pub(crate) fn http(class: ErrorClass) -> StatusCode {
    match class {
        ErrorClass::Invalid | ErrorClass::Rejected => StatusCode::BAD_REQUEST,
        ErrorClass::Denied => StatusCode::UNAUTHORIZED,
        ErrorClass::NotFound => StatusCode::NOT_FOUND,
        ErrorClass::Conflict => StatusCode::CONFLICT,
        ErrorClass::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        // Not 503: that one says that nothing was done.
        ErrorClass::Uncertain => StatusCode::GATEWAY_TIMEOUT,
        ErrorClass::Bug => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// As loud as its class asks for.
pub(crate) fn report(call: &str, problem: &Problem) {
    let Problem { class, code, message, retry_after_ms: _ } = problem;
    match class {
        ErrorClass::Invalid | ErrorClass::NotFound => tracing::debug!(call, %code, message),
        ErrorClass::Denied | ErrorClass::Rejected | ErrorClass::Conflict => {
            tracing::info!(call, %code, message);
        }
        ErrorClass::Unavailable | ErrorClass::Uncertain => tracing::warn!(call, %code, message),
        ErrorClass::Bug => tracing::error!(call, %code, message),
    }
}

/// When to come back, where more is known about it than the class says.
fn timed(problem: Problem, error: &OrgsError) -> Problem {
    match error {
        OrgsError::Busy { retry_after } => problem.retry_after(*retry_after),
        OrgsError::Frozen(_) => problem.retry_after(limits::FROZEN_SENDS_AGAIN_AFTER),
        OrgsError::Rejected(_)
        | OrgsError::NotFound(_)
        | OrgsError::Unavailable(_)
        | OrgsError::Uncertain(_)
        | OrgsError::OlderPods(_)
        | OrgsError::NotOwner { .. } => problem,
    }
}

/// For callers with a key: what is inside, such as the address of a database, stays inside.
pub(crate) mod customer {
    use domain::ErrorClass;
    use ports::{StoreError, orgs::OrgsError};
    use proto::Problem;

    pub(crate) fn orgs(error: OrgsError) -> Problem {
        let problem = match &error {
            OrgsError::Rejected(_) | OrgsError::NotFound(_) | OrgsError::Busy { .. } => {
                Problem::new(error.class(), error.code(), &error)
            }
            OrgsError::Unavailable(_)
            | OrgsError::Uncertain(_)
            | OrgsError::Frozen(_)
            | OrgsError::OlderPods(_)
            | OrgsError::NotOwner { .. } => veiled(error.class(), error.code(), &error.to_string()),
        };
        super::timed(problem, &error)
    }

    pub(crate) fn store(error: StoreError) -> Problem {
        veiled(error.class(), error.code(), &error.to_string())
    }

    fn veiled(class: ErrorClass, code: &'static str, inside: &str) -> Problem {
        tracing::warn!(code, inside, "a customer's call could not be carried out");
        let message = match class {
            ErrorClass::Unavailable => "not carried out; repeat it later, with the same id",
            ErrorClass::Uncertain => super::PERHAPS,
            ErrorClass::Invalid
            | ErrorClass::Denied
            | ErrorClass::NotFound
            | ErrorClass::Rejected
            | ErrorClass::Conflict
            | ErrorClass::Bug => "something is wrong on our side; tell us",
        };
        Problem::new(class, code, message)
    }
}

/// For the operator: everything.
pub(crate) mod operator {
    use ports::{
        StoreError,
        operations::{RegisterError, ThawError},
        orgs::OrgsError,
    };
    use proto::Problem;

    pub(crate) fn orgs(error: OrgsError) -> Problem {
        super::timed(Problem::new(error.class(), error.code(), &error), &error)
    }

    pub(crate) fn store(error: StoreError) -> Problem {
        Problem::new(error.class(), error.code(), error)
    }

    pub(crate) fn thaw(error: ThawError) -> Problem {
        Problem::new(error.class(), error.code(), error)
    }

    pub(crate) fn register(error: RegisterError) -> Problem {
        Problem::new(error.class(), error.code(), error)
    }
}
