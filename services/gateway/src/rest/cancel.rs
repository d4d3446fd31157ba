//! A payment that its caller wants no more.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use proto::convert::payments::{CANCEL_WAIT_SECONDS_DEFAULT, row_has_ended};

use super::{
    json::{NoBody, Nothing, Out},
    payment::Payment,
    payments::{applied, told},
    refusal::Refusal,
    request::{Asker, Ids, Prefer},
};
use crate::{cancel, edge::Edge};

/// Cancel a payment
///
/// An invoice that can be paid is withdrawn and ends as `expired`; if it was paid before, it is credited.
/// For a send nothing more is tried: one that no node has been asked for ends as `failed`; one in flight
/// goes on, keeps its hold and may yet be paid. What has ended stays as it is. Safe to repeat.
#[utoipa::path(
    post,
    path = "/organizations/{organization_id}/environments/{environment_id}/payments/{payment_id}/cancel",
    operation_id = "cancel_payment",
    tag = "payments",
    params(
        ("organization_id" = uuid::Uuid, Path),
        ("environment_id" = uuid::Uuid, Path),
        ("payment_id" = uuid::Uuid, Path),
        ("prefer" = Option<String>, Header, description = "`wait=N` holds the answer until the payment \
         has ended or N seconds (at most 60) have passed; 5 unless it is given", example = "wait=10"),
    ),
    request_body(content = Option<Nothing>, example = json!({})),
    responses(
        (status = 200, description = "It has ended: its status says how.", body = Payment),
        (status = 202, description = "It goes on for now, and may yet be paid.", body = Payment),
    ),
)]
pub(super) async fn cancel(
    State(edge): State<Arc<Edge>>,
    Asker(caller): Asker,
    ids: Ids,
    prefer: Prefer,
    _: NoBody,
) -> Result<Response, Refusal> {
    let wait = match prefer.wait {
        Duration::ZERO => Duration::from_secs(CANCEL_WAIT_SECONDS_DEFAULT.into()),
        wait => wait,
    };
    let row = cancel::cancel(&edge, caller, ids.get("payment_id")?, wait).await?;
    let payment = told(&edge, caller, &row).await.map_err(Refusal::after_a_write)?;
    let status = if row_has_ended(&row) { StatusCode::OK } else { StatusCode::ACCEPTED };
    let mut response = (status, Out(payment)).into_response();
    applied(&prefer, response.headers_mut());
    Ok(response)
}
