//! The journal as a feed: ordered, and replayable from wherever a reader has come to.

use std::{convert::Infallible, sync::Arc};

use axum::{
    Json as Out,
    extract::State,
    http::{HeaderMap, header},
    response::{
        IntoResponse, Response,
        sse::{Event as Sse, KeepAlive},
    },
};
use domain::{ErrorClass, org::Event};
use futures_util::stream;
use ports::journal::Seq;
use serde::Serialize;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    history,
    refusal::Refusal,
    request::{Asker, Params, bad_filter},
    text,
};
use crate::{auth::Caller, edge::Edge, limits, problem::customer};

const PAGE_DEFAULT: u32 = 100;
const PAGE_MAX: u32 = 1_000;

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
        ("last-event-id" = Option<String>, Header, description = "As `after`, of a stream"),
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
        let (events, next) = page(&edge, caller, after, limit).await?;
        return Ok(Out(EventPage { events, next_after: next.0 }).into_response());
    }
    stream(edge, caller, Seq(last_seen(&headers)?.or(after).unwrap_or_default()))
}

/// Where a reader who comes back has got to.
fn last_seen(headers: &HeaderMap) -> Result<Option<u64>, Refusal> {
    const NAME: &str = "last-event-id";
    let mut given = headers.get_all(NAME).iter();
    let Some(id) = given.next() else { return Ok(None) };
    if given.next().is_some() {
        return Err(bad_filter(NAME, "may be given once"));
    }
    let id = id.to_str().ok().and_then(|id| id.parse().ok());
    let id = id.filter(|id: &u64| i64::try_from(*id).is_ok());
    id.map(Some).ok_or_else(|| bad_filter(NAME, "must be the id of an event"))
}

fn wants_stream(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|one| {
        let essence = one.split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case("text/event-stream")
    })
}

async fn page(
    edge: &Edge,
    caller: Caller,
    after: Seq,
    limit: u32,
) -> Result<(Vec<FeedEvent>, Seq), Refusal> {
    let reads = &edge.gateway.reads;
    let (recorded, looked_at) =
        reads.feed(caller.org, caller.environment, after, limit).await.map_err(customer::store)?;
    let events = recorded.iter().map(event).collect();
    Ok((events, looked_at.max(after)))
}

fn event(told: &ports::reads::FeedEvent) -> FeedEvent {
    let ports::reads::FeedEvent { recorded, payment } = told;
    let (wallet, line) = match &recorded.event {
        Event::WalletCreated { wallet, .. }
        | Event::WalletLimitSet { wallet, .. }
        | Event::WalletRenamed { wallet, .. }
        | Event::WalletDeleted { wallet } => (Some(*wallet), None),
        Event::SendRefused { terms, .. } | Event::Held { terms, .. } => (Some(terms.wallet), None),
        Event::InvoiceRequested { terms, .. } => (Some(terms.wallet), None),
        Event::LineOpened { line, .. }
        | Event::LineLimitSet { line, .. }
        | Event::LineDisabled { line }
        | Event::LineEnabled { line } => (None, Some(*line)),
        Event::EnvironmentCreated { .. }
        | Event::NodeFundsSet { .. }
        | Event::AttemptStarted { .. }
        | Event::RequestIssued { .. }
        | Event::RequestUnsent { .. }
        | Event::AttemptFailed { .. }
        | Event::Posted { .. }
        | Event::Voided { .. }
        | Event::Contradicted { .. }
        | Event::InvoiceMade { .. }
        | Event::InvoiceNotMade { .. }
        | Event::Received { .. }
        | Event::InvoiceExpired { .. }
        | Event::InvoiceClaimed { .. }
        | Event::ClaimCredited { .. }
        | Event::ClaimWithdrawn { .. }
        | Event::ClaimRefused { .. }
        | Event::InvoiceWithdrawn { .. } => (None, None),
    };
    FeedEvent {
        seq: recorded.seq.0,
        kind: history::event_type(&recorded.event),
        time: text::instant(recorded.at),
        payment_id: payment.map(|payment| *payment.uuid()),
        wallet_id: wallet.map(|wallet| *wallet.uuid()),
        line_of_credit_id: line.map(|line| *line.uuid()),
        error: history::error(&recorded.event),
    }
}

/// An open answer. What is on its way to the reader is bounded; one that does not read for a while is
/// cut off, and knows by the last id where to go on.
fn stream(edge: Arc<Edge>, caller: Caller, after: Seq) -> Result<Response, Refusal> {
    let permit = edge.watches.clone().try_acquire_owned().map_err(|_| {
        Refusal::new(ErrorClass::Unavailable, "too_many_streams", "too many streams; ask for pages")
    })?;
    let (told, heard) = mpsc::channel(limits::EVENTS_UNREAD_MAX);
    tokio::spawn(async move {
        tell(&edge, caller, after, told).await;
        drop(permit);
    });
    let events = stream::unfold(heard, async |mut heard| {
        let event: Sse = heard.recv().await?;
        Some((Ok::<_, Infallible>(event), heard))
    });
    let sse = axum::response::Sse::new(events);
    Ok(sse.keep_alive(KeepAlive::new().interval(limits::EVENTS_ALIVE_EVERY)).into_response())
}

async fn tell(edge: &Edge, caller: Caller, mut after: Seq, told: mpsc::Sender<Sse>) {
    let until = Instant::now() + limits::WATCH_FOR;
    while Instant::now() < until {
        // A revoked key stops hearing within five seconds.
        if edge.keys.again(caller).await.is_err() {
            return;
        }
        let (events, next) = match page(edge, caller, after, PAGE_DEFAULT).await {
            Ok(page) => page,
            Err(refusal) => {
                tracing::warn!(detail = refusal.detail(), "an event stream breaks off");
                return;
            }
        };
        let is_idle = next == after;
        after = next;
        for event in &events {
            let Ok(sse) =
                Sse::default().id(event.seq.to_string()).event(event.kind).json_data(event)
            else {
                return;
            };
            if !is_taken(&told, sse).await {
                return;
            }
        }
        if is_idle {
            tokio::select! {
                () = sleep(limits::EVENTS_EVERY) => {}
                () = edge.stopped() => return,
                () = told.closed() => return,
            }
        }
    }
}

/// `false`: the reader has gone, or takes nothing for so long that it is cut off.
async fn is_taken<T>(told: &mpsc::Sender<T>, event: T) -> bool {
    matches!(timeout(limits::EVENTS_READ_WITHIN, told.send(event)).await, Ok(Ok(())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_is_cut_off_and_never_buffered_without_bound() {
        let (told, mut heard) = mpsc::channel(2);
        let began = Instant::now();
        assert!(is_taken(&told, 1).await && is_taken(&told, 2).await);
        assert!(!is_taken(&told, 3).await);
        assert_eq!(began.elapsed(), limits::EVENTS_READ_WITHIN);
        // What it was told before it stopped reading is still in order.
        assert_eq!((heard.recv().await, heard.recv().await), (Some(1), Some(2)));
        drop(heard);
        assert!(!is_taken(&told, 4).await);
    }
}
