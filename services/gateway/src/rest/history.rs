//! What has happened to one payment, event by event.

use std::sync::Arc;

use axum::extract::State;
use domain::Rejection;
use ports::reads::Recorded;
use proto::convert::events as words;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    json::Out,
    refusal::Refusal,
    request::{Asker, Ids},
    text,
};
use crate::{edge::Edge, problem::customer};

#[derive(Serialize, ToSchema)]
pub(super) struct History {
    events: Vec<HistoryEvent>,
}

#[derive(Serialize, ToSchema)]
struct HistoryEvent {
    #[schema(example = "send_held")]
    event_type: &'static str,
    error: Option<String>,
    time: String,
    /// In the journal of the organization; grows from event to event.
    position: u64,
}

/// Read a payment's history
///
/// Oldest first; empty for a payment that is not there.
#[utoipa::path(
    get,
    path = "/organizations/{organization_id}/environments/{environment_id}/payments/{payment_id}/history",
    operation_id = "get_payment_history",
    tag = "payments",
    params(
        ("organization_id" = uuid::Uuid, Path),
        ("environment_id" = uuid::Uuid, Path),
        ("payment_id" = uuid::Uuid, Path),
    ),
    responses((status = 200, description = "Its events.", body = History)),
)]
pub(super) async fn history(
    State(edge): State<Arc<Edge>>,
    Asker(caller): Asker,
    ids: Ids,
) -> Result<Out<History>, Refusal> {
    let id = ids.get("payment_id")?;
    let not_found = Refusal::from(Rejection::PaymentNotFound(id));
    match edge.payment(caller, id).await.map_err(Refusal::from) {
        Ok(_) => {}
        Err(refusal) if refusal.kind() == not_found.kind() => {
            return Ok(Out(History { events: Vec::new() }));
        }
        Err(refusal) => return Err(refusal),
    }
    let recorded = edge.gateway.reads.history(caller.org, id).await.map_err(customer::store)?;
    Ok(Out(History { events: recorded.iter().map(event).collect() }))
}

fn event(recorded: &Recorded) -> HistoryEvent {
    HistoryEvent {
        event_type: words::event_type(&recorded.event),
        error: words::error(&recorded.event),
        time: text::instant(recorded.at),
        position: recorded.seq.0,
    }
}
