//! What has happened to one payment, event by event.

use std::sync::Arc;

use axum::{Json as Out, extract::State};
use domain::{Rejection, org::Event};
use ports::reads::Recorded;
use proto::convert::payments as words;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
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
        event_type: event_type(&recorded.event),
        error: error(&recorded.event),
        time: text::instant(recorded.at),
        position: recorded.seq.0,
    }
}

/// The stable name of an event.
pub(super) fn event_type(event: &Event) -> &'static str {
    match event {
        Event::EnvironmentCreated { .. } => "environment_created",
        Event::LineOpened { .. } => "line_of_credit_opened",
        Event::LineLimitSet { .. } => "line_of_credit_limit_set",
        Event::LineDisabled { .. } => "line_of_credit_disabled",
        Event::LineEnabled { .. } => "line_of_credit_enabled",
        Event::NodeFundsSet { .. } => "node_funds_set",
        Event::WalletCreated { .. } => "wallet_created",
        Event::WalletLimitSet { .. } => "wallet_limit_set",
        Event::WalletRenamed { .. } => "wallet_renamed",
        Event::WalletDeleted { .. } => "wallet_deleted",
        Event::SendRefused { .. } => "send_rejected",
        Event::Held { .. } => "send_held",
        Event::AttemptStarted { .. } => "send_attempt_started",
        Event::RequestIssued { .. } => "send_attempt_repeated",
        Event::RequestUnsent { .. } => "send_attempt_not_sent",
        Event::AttemptFailed { .. } => "send_attempt_failed",
        Event::Posted { .. } => "send_succeeded",
        Event::Voided { .. } => "send_failed",
        Event::Contradicted { .. } => "send_contradicted",
        Event::InvoiceRequested { .. } => "receive_requested",
        Event::InvoiceMade { .. } => "receive_generated",
        Event::InvoiceNotMade { .. } => "receive_failed",
        Event::Received { .. } => "receive_completed",
        Event::InvoiceExpired { .. } => "receive_expired",
        Event::InvoiceClaimed { .. } => "receive_claimed",
        Event::ClaimCredited { .. } => "receive_completed_internally",
        Event::ClaimWithdrawn { .. } => "receive_claim_withdrawn",
        Event::ClaimRefused { .. } => "claim_refused",
        Event::InvoiceWithdrawn { .. } => "receive_withdrawn",
    }
}

/// Why something went wrong, for people.
pub(super) fn error(event: &Event) -> Option<String> {
    match event {
        Event::SendRefused { failure, .. } | Event::Voided { failure, .. } => {
            Some(words::payment_failure(*failure).message)
        }
        Event::AttemptFailed { reason, .. } => Some(words::node_failure(*reason).message),
        Event::Contradicted { .. } => {
            Some("a node contradicts what was recorded for this payment".to_owned())
        }
        Event::InvoiceNotMade { .. } => Some("the node could not make the invoice".to_owned()),
        Event::EnvironmentCreated { .. }
        | Event::LineOpened { .. }
        | Event::LineLimitSet { .. }
        | Event::LineDisabled { .. }
        | Event::LineEnabled { .. }
        | Event::NodeFundsSet { .. }
        | Event::WalletCreated { .. }
        | Event::WalletLimitSet { .. }
        | Event::WalletRenamed { .. }
        | Event::WalletDeleted { .. }
        | Event::Held { .. }
        | Event::AttemptStarted { .. }
        | Event::RequestIssued { .. }
        | Event::RequestUnsent { .. }
        | Event::Posted { .. }
        | Event::InvoiceRequested { .. }
        | Event::InvoiceMade { .. }
        | Event::Received { .. }
        | Event::InvoiceExpired { .. }
        | Event::InvoiceClaimed { .. }
        | Event::ClaimCredited { .. }
        | Event::ClaimWithdrawn { .. }
        | Event::ClaimRefused { .. }
        | Event::InvoiceWithdrawn { .. } => None,
    }
}
