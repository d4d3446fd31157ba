//! The journal as a feed: ordered, and replayable from wherever a reader has come to.

use std::{convert::Infallible, sync::Arc};

use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, header},
    response::{
        IntoResponse, Response,
        sse::{Event as Sse, KeepAlive},
    },
};
use futures_util::StreamExt as _;
use ports::journal::Seq;
use proto::convert::{PAGE_DEFAULT, PAGE_MAX, events as words};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    json::Out,
    refusal::Refusal,
    request::{Asker, Params, bad_filter},
    text,
};
use crate::{auth::Caller, edge::Edge, feed, headers::only, limits};

#[derive(Serialize, ToSchema)]
pub(super) struct EventPage {
    events: Vec<FeedEvent>,
    /// Ask with this as `after` to go on; also where there is nothing new.
    next_after: u64,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
struct FeedEvent {
    /// Grows from event to event.
    seq: u64,
    #[serde(rename = "type")]
    #[schema(example = "send_succeeded")]
    kind: &'static str,
    time: String,
    payment_id: Option<Uuid>,
    wallet_id: Option<Uuid>,
    line_of_credit_id: Option<Uuid>,
    error: Option<String>,
}

/// Follow what happens
///
/// The events of the environment after a position, oldest first. As `text/event-stream` the answer stays
/// open and tells what happens as it happens; a reader that was cut off goes on with `Last-Event-ID`.
#[utoipa::path(
    get,
    path = "/organizations/{organization_id}/environments/{environment_id}/events",
    operation_id = "follow_events",
    tag = "events",
    params(
        ("organization_id" = Uuid, Path),
        ("environment_id" = Uuid, Path),
        ("after" = Option<i64>, Query, minimum = 0, description = "A position; 0 or nothing: from the beginning"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "Events of a \
         page: 100 if not given"),
        ("last-event-id" = Option<String>, Header, description = "As `after`, of a stream, and takes \
         precedence over it: a reader that was cut off repeats its address. A page does not look at it"),
    ),
    responses((status = 200, description = "A page, or a stream.", content(
        (EventPage = "application/json"),
        (String = "text/event-stream"),
    ))),
)]
pub(super) async fn follow(
    State(edge): State<Arc<Edge>>,
    Asker(caller): Asker,
    params: Params,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let after = params.number("after")?;
    let limit = params.limit(PAGE_DEFAULT, PAGE_MAX)?;
    if !wants_stream(&headers) {
        let after = Seq(after.unwrap_or_default());
        let (told, next) = feed::page(&edge, caller, after, limit).await?;
        let events = told.iter().map(event).collect();
        return Ok(Out(EventPage { events, next_after: next.0 }).into_response());
    }
    stream(edge, caller, Seq(last_seen(&headers)?.or(after).unwrap_or_default())).await
}

/// Where a reader who comes back has got to.
fn last_seen(headers: &HeaderMap) -> Result<Option<u64>, Refusal> {
    const NAME: HeaderName = HeaderName::from_static("last-event-id");
    let Some(id) = only(headers, &NAME)? else { return Ok(None) };
    let id = id.to_str().ok().and_then(|id| id.parse().ok());
    let id = id.filter(|id: &u64| i64::try_from(*id).is_ok());
    id.map(Some).ok_or_else(|| bad_filter(NAME.as_str(), "must be the id of an event"))
}

fn wants_stream(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|one| {
        let (essence, parameters) = one.split_once(';').unwrap_or((one, ""));
        essence.trim().eq_ignore_ascii_case("text/event-stream")
            && !parameters.split(';').any(unwanted)
    })
}

/// A weight of zero, which may have decimals: "not acceptable" (RFC 9110, 12.4.2).
fn unwanted(parameter: &str) -> bool {
    let (name, weight) = parameter.split_once('=').unwrap_or_default();
    let weight = weight.trim();
    let is_zero = weight.starts_with('0') && weight.trim_matches(['0', '.']).is_empty();
    name.trim().eq_ignore_ascii_case("q") && is_zero
}

fn event(told: &ports::reads::FeedEvent) -> FeedEvent {
    let ports::reads::FeedEvent { recorded, payment } = told;
    let (wallet, line) = words::subject(&recorded.event);
    FeedEvent {
        seq: recorded.seq.0,
        kind: words::event_type(&recorded.event),
        time: text::instant(recorded.at),
        payment_id: payment.map(|payment| *payment.uuid()),
        wallet_id: wallet.map(|wallet| *wallet.uuid()),
        line_of_credit_id: line.map(|line| *line.uuid()),
        error: words::error(&recorded.event),
    }
}

/// An open answer. One that breaks off just ends: its reader asks again with the last id.
async fn stream(edge: Arc<Edge>, caller: Caller, after: Seq) -> Result<Response, Refusal> {
    let following = feed::follow(edge, caller, after).await?;
    let events = following.filter_map(async |told| {
        let event = event(&told.ok()?);
        let sse = Sse::default().id(event.seq.to_string()).event(event.kind);
        sse.json_data(event).ok().map(Ok::<_, Infallible>)
    });
    let sse = axum::response::Sse::new(events);
    Ok(sse.keep_alive(KeepAlive::new().interval(limits::EVENTS_ALIVE_EVERY)).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_given_to_whoever_asks_for_one() {
        for (accept, wanted) in [
            ("text/event-stream", true),
            ("application/json, Text/Event-Stream; q=0.5", true),
            ("text/event-stream;q=0.001", true),
            ("text/event-stream;charset=utf-8;q=1.000", true),
            ("text/event-stream;q=0", false),
            ("text/event-stream; charset=utf-8; Q=0.000, application/json", false),
            ("application/json", false),
            ("*/*", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, accept.parse().unwrap());
            assert_eq!(wants_stream(&headers), wanted, "{accept}");
        }
    }
}
