//! The journal as a feed: ordered, and replayable from wherever a reader has come to.

use std::sync::Arc;

use domain::ErrorClass;
use futures_util::{Stream, StreamExt as _, future::ready, stream};
use ports::{journal::Seq, reads::FeedEvent};
use proto::Problem;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};

use crate::{
    auth::Caller,
    edge::Edge,
    limits,
    problem::customer,
    streams::{is_taken, told},
};

/// Events of the caller's environment behind a position that there is, and how far was looked.
pub(crate) async fn page(
    edge: &Edge,
    caller: Caller,
    after: Seq,
    limit: u32,
) -> Result<(Vec<FeedEvent>, Seq), Problem> {
    let (events, looked_at) = read(edge, caller, after, limit).await?;
    if looked_at == after {
        check_is_there(edge, caller, after).await?;
    }
    Ok((events, looked_at))
}

async fn read(
    edge: &Edge,
    caller: Caller,
    after: Seq,
    limit: u32,
) -> Result<(Vec<FeedEvent>, Seq), Problem> {
    let reads = &edge.gateway.reads;
    let read = reads.feed(caller.org, caller.environment, after, limit).await;
    let (events, looked_at) = read.map_err(customer::store)?;
    Ok((events, looked_at.max(after)))
}

/// The position that a filter names, if it names one.
pub(crate) async fn position(
    edge: &Edge,
    caller: Caller,
    named: Option<u64>,
) -> Result<Option<Seq>, Problem> {
    let Some(at) = named.map(Seq) else { return Ok(None) };
    check_is_there(edge, caller, at).await?;
    Ok(Some(at))
}

/// Whoever asks for what comes behind the end would miss what is written up to there: the position is of a
/// history that is no more, such as that of a database which was restored.
async fn check_is_there(edge: &Edge, caller: Caller, at: Seq) -> Result<(), Problem> {
    let Some(before) = at.0.checked_sub(1) else { return Ok(()) };
    // No store counts further.
    if i64::try_from(at.0).is_ok() {
        let found = edge.gateway.reads.journal(caller.org, Seq(before), 1).await;
        if !found.map_err(customer::store)?.is_empty() {
            return Ok(());
        }
    }
    let why = format!("there is no event {} yet; read on from an earlier one", at.0);
    Err(Problem::new(ErrorClass::NotFound, "unknown_position", why))
}

/// What is on record behind a position, then what happens as it happens. A reader that is cut off knows
/// by the last event where to go on.
pub(crate) async fn follow(
    edge: Arc<Edge>,
    caller: Caller,
    after: Seq,
) -> Result<impl Stream<Item = Result<FeedEvent, Problem>> + Send + use<>, Problem> {
    // One that can never begin is told so before it is open.
    check_is_there(&edge, caller, after).await?;
    let permit = edge.watches.clone().try_acquire_owned().map_err(|_| {
        let why = "too many streams; ask for pages";
        Problem::new(ErrorClass::Unavailable, "too_many_streams", why)
    })?;
    let pages = told(limits::PAGES_UNREAD_MAX, async move |tell| {
        let end = tell_all(&edge, caller, after, &tell).await;
        drop(permit);
        match end {
            Ok(()) => Ok(()),
            Err(problem) => {
                tracing::debug!(code = %problem.code, problem.message, "an event stream breaks off");
                Err(problem)
            }
        }
    });
    // From task to task by the page: event by event that costs more than everything else done for one.
    Ok(pages.flat_map(|page| match page {
        Ok(events) => stream::iter(events).map(Ok).left_stream(),
        Err(problem) => stream::once(ready(Err(problem))).right_stream(),
    }))
}

async fn tell_all(
    edge: &Edge,
    caller: Caller,
    mut after: Seq,
    tell: &mpsc::Sender<Vec<FeedEvent>>,
) -> Result<(), Problem> {
    let until = Instant::now() + limits::WATCH_FOR;
    while Instant::now() < until {
        // A revoked key stops hearing within five seconds.
        edge.keys.again(caller).await?;
        let (events, next) = read(edge, caller, after, limits::EVENTS_READ_AT_ONCE).await?;
        let is_idle = next == after;
        after = next;
        if !events.is_empty() && !is_taken(tell, events).await {
            return Err(broken_off("nothing was read for too long"));
        }
        if is_idle {
            tokio::select! {
                () = sleep(limits::EVENTS_EVERY) => {}
                () = edge.gateway.wakes.woken(caller.org) => {}
                () = edge.stopped() => return Err(broken_off("this server stops")),
                () = tell.closed() => return Ok(()),
            }
        }
    }
    Err(broken_off("the stream has lasted long enough"))
}

fn broken_off(why: &str) -> Problem {
    let message = format!("{why}; follow again after the last event that was read");
    Problem::new(ErrorClass::Unavailable, "events_broken_off", message)
}
