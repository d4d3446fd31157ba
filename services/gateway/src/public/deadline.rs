//! Deadlines of callers (`grpc-timeout`): when one passes, the answer says what is known. What was taken
//! goes on.

use std::{convert::Infallible, time::Duration};

use axum::{
    body::{Body, HttpBody as _},
    extract::Request,
    http::HeaderMap,
    response::{IntoResponse as _, Response},
};
use domain::ErrorClass;
use futures_util::{FutureExt as _, stream};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use proto::Problem;
use tokio::time::{Instant, sleep_until, timeout_at};
use tonic::Status;

use super::guard::need;
use crate::{access::Need, limits, problem};

const GRPC_TIMEOUT: &str = "grpc-timeout";

tokio::task_local! {
    /// Of the call that is being answered.
    static UNTIL: Instant;
}

/// Until when the caller of the call that is being answered waits. `None`: it has named no deadline.
pub(crate) fn until() -> Option<Instant> {
    UNTIL.try_with(|until| *until).ok()
}

/// How long that still is.
pub(crate) fn left() -> Option<Duration> {
    Some(until()?.saturating_duration_since(Instant::now()))
}

/// Until when a call's caller waits.
pub(super) struct Deadline {
    until: Instant,
    path: String,
}

impl Deadline {
    /// `None`: the caller has named none.
    pub(super) fn asked(request: &Request) -> Result<Option<Deadline>, Problem> {
        let Some(within) = asked(request.headers())? else { return Ok(None) };
        // A little before, so that the answer is there when the caller stops waiting for it.
        let until = Instant::now() + within - limits::DEADLINE_MARGIN.min(within / 4);
        Ok(Some(Deadline { until, path: request.uri().path().to_owned() }))
    }

    /// The call's answer, or at the deadline what is known then.
    pub(super) fn of(
        self,
        call: impl Future<Output = Result<Response, Infallible>>,
    ) -> impl Future<Output = Result<Response, Infallible>> {
        let Deadline { until, path } = self;
        timeout_at(until, UNTIL.scope(until, call)).map(move |in_time| match in_time {
            Ok(answered) => answered.map(|answer| answer.map(|body| bounded(body, until, path))),
            Err(_) => Ok(passed(&path).into_http::<tonic::body::Body>().into_response()),
        })
    }
}

fn asked(headers: &HeaderMap) -> Result<Option<Duration>, Problem> {
    let Some(value) = headers.get(GRPC_TIMEOUT) else { return Ok(None) };
    let read = value.to_str().ok().and_then(parse);
    let within = read.ok_or_else(|| {
        let message = "grpc-timeout must be at most 8 digits and a unit: H, M, S, m, u or n";
        Problem::new(ErrorClass::Invalid, "deadline_invalid", message)
    })?;
    // Nothing here takes longer.
    Ok(Some(within.min(2 * limits::WATCH_FOR)))
}

fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let is_number = (1..=8).contains(&digits.len()) && digits.bytes().all(|it| it.is_ascii_digit());
    let number: u64 = digits.parse().ok().filter(|_| is_number)?;
    match unit {
        "H" => Some(Duration::from_secs(number * 3_600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

/// The deadline is of the whole answer: a stream that has begun ends with it too.
fn bounded(body: Body, until: Instant, path: String) -> Body {
    // One that has nothing in it must stay so, for the status to be in its head.
    if body.is_end_stream() {
        return body;
    }
    let frames = stream::unfold(Some((body, path)), move |told| async move {
        let (mut body, path) = told?;
        tokio::select! {
            biased;
            frame = body.frame() => Some((frame?, Some((body, path)))),
            () = sleep_until(until) => Some((Ok(last(&passed(&path))), None)),
        }
    });
    Body::new(StreamBody::new(frames))
}

fn last<T>(status: &Status) -> Frame<T> {
    let mut trailers = HeaderMap::new();
    // A status of ours has only what fits headers.
    let _ = status.add_header(&mut trailers);
    Frame::trailers(trailers)
}

fn passed(path: &str) -> Status {
    let problem = match need(path) {
        Some(Need::Write | Need::ReceiveOrWrite) => problem::outcome_unknown(),
        Some(Need::Read) | None => {
            Problem::new(ErrorClass::Uncertain, "deadline_exceeded", "no answer in time")
        }
    };
    problem::report(path, &problem);
    problem.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_wire_allows_is_a_deadline() {
        assert_eq!(parse("1S"), Some(Duration::from_secs(1)));
        assert_eq!(parse("20m"), Some(Duration::from_millis(20)));
        assert_eq!(parse("99999999H"), Some(Duration::from_secs(99_999_999 * 3_600)));
        for text in ["", "S", "1", "1s", "-1S", "+1S", "1.5S", "100000000S", "1ü", "ü"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
