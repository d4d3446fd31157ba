//! Payments: made, read, listed, counted.

use std::{collections::HashMap, sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use domain::{PaymentId, Rejection, org::Row};
use serde_json::json;

use super::{
    guard,
    json::{Json, Out},
    payment::{self, Payment},
    payment_body::{NewPayment, NewPaymentBody, NewSend},
    refusal::Refusal,
    request::{Asker, Ids, Prefer},
};
use crate::{access::Need, edge::Edge, limits, problem::customer};

pub(super) const IDEMPOTENCY_HIT: HeaderName = HeaderName::from_static("idempotency-hit");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// Make a payment
///
/// Pays an invoice, or asks for one to be paid by others: what the body has decides. The id is yours:
/// the same id with the same body is never a second payment, whatever you repeat. A send that a rule
/// refuses is taken all the same and ends as `failed` with its code, so that its id has one answer for
/// ever.
#[utoipa::path(
    post,
    path = "/organizations/{organization_id}/environments/{environment_id}/payments",
    operation_id = "create_payment",
    tag = "payments",
    params(
        ("organization_id" = uuid::Uuid, Path),
        ("environment_id" = uuid::Uuid, Path),
        ("prefer" = Option<String>, Header, description = "`return=representation` answers with the \
         payment; `wait=N` holds the answer until a send has ended, or a receive has its invoice, or N \
         seconds (at most 60) have passed", example = "return=representation, wait=10"),
    ),
    request_body(content = NewPaymentBody, examples(
        ("send" = (summary = "Pay an invoice", value = json!({
            "id": "01a20ae0-e07d-73ad-b7aa-21f132985458",
            "wallet_id": "01a20ae0-92c1-7d0e-8f6f-2b9d3c5a7e10",
            "currency": "btc",
            "type": "bolt11",
            "data": {
                "payment_request": "lnbcrt250u1p...",
                "max_fee": { "currency": "btc", "amount": 250_000 },
            },
            "metadata": { "order": "7" },
        }))),
        ("receive" = (summary = "Ask for a payment", value = json!({
            "id": "01a20ae0-e07d-73ad-b7aa-21f132985459",
            "wallet_id": "01a20ae0-92c1-7d0e-8f6f-2b9d3c5a7e10",
            "currency": "btc",
            "payment_kind": "bolt11",
            "amount": { "currency": "btc", "amount": 2_000_000 },
            "description": "a book",
            "expiration": 3600,
        }))),
        ("receive_any_amount" = (summary = "Ask for a payment, the payer names the amount", value = json!({
            "id": "01a20ae0-e07d-73ad-b7aa-21f132985460",
            "wallet_id": "01a20ae0-92c1-7d0e-8f6f-2b9d3c5a7e10",
            "currency": "btc",
            "payment_kind": "bolt11",
        }))),
    )),
    responses(
        (status = 202, description = "Taken. Reads see it at once."),
        (status = 201, description = "Taken, and as it stands now (`Prefer: return=representation`).",
         body = Payment),
        (status = 200, description = "Taken before: a repeat, with `Idempotency-Hit: true` (`Prefer: \
         return=representation`).", body = Payment),
    ),
)]
pub(super) async fn create(
    State(edge): State<Arc<Edge>>,
    Asker(caller): Asker,
    prefer: Prefer,
    Json(body): Json<serde_json::Value>,
) -> Result<Response, Refusal> {
    let wanted = NewPayment::read(body)?;
    let (id, wallet) = match &wanted {
        NewPayment::Send(NewSend { payment, terms }) => (*payment, terms.wallet),
        NewPayment::Receive { payment, terms } => (*payment, terms.wallet),
    };
    guard::check(
        &caller,
        match wanted {
            NewPayment::Send(_) => Need::Write,
            NewPayment::Receive { .. } => Need::ReceiveOrWrite,
        },
    )?;
    edge.check_wallet(caller, wallet).await?;
    let orgs = &edge.gateway.orgs;
    let asked = match wanted {
        NewPayment::Send(NewSend { terms, .. }) => {
            let ask = |within| orgs.send(caller.org, id, terms.clone(), within);
            let sent = edge.unless_stopped(prefer.wait, ask).await;
            sent.map(|sent| (Row::Outgoing(sent.payment), sent.repeat))
        }
        NewPayment::Receive { terms, .. } => {
            // A caller who polls finds its invoice at the first look.
            let wait = prefer.wait.max(limits::INVOICE_WAIT);
            let ask = |within| orgs.receive(caller.org, id, terms.clone(), within);
            let asked = edge.unless_stopped(wait, ask).await;
            asked.map(|asked| (Row::Incoming(asked.payment), asked.repeat))
        }
    };
    let (row, is_repeat) = asked.map_err(|error| reused(id, customer::orgs(error).into()))?;
    let object = match prefer.representation {
        true => Some(told(&edge, caller, &row).await?),
        false => None,
    };
    Ok(written(&prefer, is_repeat, object))
}

/// The id names another payment, and the caller learns which.
fn reused(id: PaymentId, refusal: Refusal) -> Refusal {
    match refusal.is_reused_id() {
        true => Refusal::new(
            domain::ErrorClass::Conflict,
            "payment_exists",
            format!("payment {id} was made with another body"),
        )
        .with_context(json!({ "payment_id": id.to_string() })),
        false => refusal,
    }
}

/// The answer to a write: empty, or the object where the caller prefers it.
pub(super) fn written<T: serde::Serialize>(
    prefer: &Prefer,
    is_repeat: bool,
    object: Option<T>,
) -> Response {
    let status = match (&object, is_repeat) {
        (None, _) => StatusCode::ACCEPTED,
        (Some(_), false) => StatusCode::CREATED,
        (Some(_), true) => StatusCode::OK,
    };
    let mut response = match object {
        Some(object) => Out(object).into_response(),
        None => ().into_response(),
    };
    *response.status_mut() = status;
    if is_repeat {
        response.headers_mut().insert(IDEMPOTENCY_HIT, HeaderValue::from_static("true"));
    }
    applied(prefer, response.headers_mut());
    response
}

/// Says which preferences were met.
pub(super) fn applied(prefer: &Prefer, headers: &mut HeaderMap) {
    let mut applied = Vec::new();
    if prefer.representation {
        applied.push("return=representation".to_owned());
    }
    if prefer.wait > Duration::ZERO {
        applied.push(format!("wait={}", prefer.wait.as_secs()));
    }
    if let (false, Ok(applied)) = (applied.is_empty(), HeaderValue::try_from(applied.join(", "))) {
        headers.insert(PREFERENCE_APPLIED, applied);
    }
}

/// Read a payment
#[utoipa::path(
    get,
    path = "/organizations/{organization_id}/environments/{environment_id}/payments/{payment_id}",
    operation_id = "get_payment",
    tag = "payments",
    params(
        ("organization_id" = uuid::Uuid, Path),
        ("environment_id" = uuid::Uuid, Path),
        ("payment_id" = uuid::Uuid, Path),
    ),
    responses((status = 200, description = "The payment as it stands.", body = Payment)),
)]
pub(super) async fn read(
    State(edge): State<Arc<Edge>>,
    Asker(caller): Asker,
    ids: Ids,
) -> Result<Out<Payment>, Refusal> {
    let row = edge.payment(caller, ids.get("payment_id")?).await?;
    told(&edge, caller, &row).await.map(Out)
}

pub(super) async fn told(
    edge: &Edge,
    caller: crate::auth::Caller,
    row: &Row,
) -> Result<Payment, Refusal> {
    let names = match row {
        Row::Outgoing(payment) if !payment.attempts.is_empty() => edge.node_names().await,
        Row::Outgoing(_)
        | Row::Incoming(_)
        | Row::Environment(..)
        | Row::Line(..)
        | Row::Node(..)
        | Row::Wallet(..)
        | Row::Account(..) => Arc::new(HashMap::new()),
    };
    let own = crate::edge::Place::of(row)
        .filter(|place| place.environment == caller.environment)
        .and_then(|_| payment::payment(caller.org, row, &names));
    match (own, crate::edge::Place::of(row)) {
        (Some(payment), _) => Ok(payment),
        // A repeat of another environment's payment: not found, like one that never was.
        (None, Some(place)) => Err(Rejection::PaymentNotFound(place.payment).into()),
        (None, None) => {
            Err(Refusal::new(domain::ErrorClass::Bug, "internal", "the answer is no payment"))
        }
    }
}
