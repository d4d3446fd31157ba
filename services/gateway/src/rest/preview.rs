//! Before a payment is made: what an invoice says, and what a payment would come to. Nothing changes.

use std::sync::Arc;

use axum::extract::State;
use domain::{
    WalletId,
    org::{Org, Wallet},
};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    amount::{self, Amount, AmountBody, SignedAmount, Units},
    guard,
    json::{Json, Out},
    network,
    payment_body::{PaymentKind, SendData, check_kind},
    refusal::Refusal,
    request::Asker,
    text,
};
use crate::{access::Need, edge::Edge, estimate};

#[derive(Deserialize, ToSchema)]
#[schema(as = DecodeRequest)]
#[serde(deny_unknown_fields)]
pub(super) struct DecodeBody {
    /// A BOLT11 invoice, also with `lightning:` before it or inside a BIP21 URI.
    payment_request: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Decoded {
    #[serde(rename = "type")]
    #[schema(example = "bolt11")]
    kind: &'static str,
    payment_request: String,
    #[schema(example = "regtest")]
    network: &'static str,
    payment_hash: String,
    /// `null`: the payer names the amount.
    amount: Option<Amount>,
    payee: String,
    description: Option<String>,
    expires_at: String,
    is_expired: bool,
}

/// Read an invoice
#[utoipa::path(
    post,
    path = "/organizations/{organization_id}/environments/{environment_id}/payments/decode",
    operation_id = "decode_payment_request",
    tag = "payments",
    params(("organization_id" = Uuid, Path), ("environment_id" = Uuid, Path)),
    request_body(content = DecodeBody, example = json!({ "payment_request": "lnbcrt250u1p..." })),
    responses((status = 200, description = "What it says.", body = Decoded)),
)]
pub(super) async fn decode(
    State(edge): State<Arc<Edge>>,
    Json(body): Json<DecodeBody>,
) -> Result<Out<Decoded>, Refusal> {
    let invoice = super::bolt11(inside(&body.payment_request))?;
    Ok(Out(Decoded {
        kind: "bolt11",
        network: network::name(invoice.network, edge.gateway.network),
        payment_hash: invoice.hash.to_string(),
        amount: invoice.amount_msat.map(Amount::from),
        payee: invoice.payee.to_string(),
        description: Some(invoice.description).filter(|description| !description.is_empty()),
        expires_at: text::instant(invoice.expires_at),
        is_expired: invoice.expires_at <= edge.gateway.clock.now(),
        payment_request: invoice.text,
    }))
}

/// The invoice inside a BIP21 URI, or the text itself.
fn inside(text: &str) -> &str {
    let text = text.trim();
    let is_uri = text.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("bitcoin:"));
    let query = text.split_once('?').map(|(_, query)| query).filter(|_| is_uri);
    let mut pairs = query.into_iter().flat_map(|query| query.split('&'));
    let lightning = pairs.find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.eq_ignore_ascii_case("lightning").then_some(value)
    });
    lightning.unwrap_or(text)
}

/// A payment that has not been made: as its body would be. What changes nothing of what it comes to is
/// taken and not looked at.
#[derive(Deserialize, ToSchema)]
#[schema(as = EstimateRequest)]
#[serde(deny_unknown_fields)]
pub(super) struct EstimateBody {
    wallet_id: Uuid,
    #[schema(example = "btc")]
    currency: Option<String>,
    /// Of a send.
    #[serde(rename = "type")]
    kind: Option<PaymentKind>,
    /// Of a send.
    data: Option<SendData>,
    /// Of a receive.
    payment_kind: Option<PaymentKind>,
    /// Of a receive.
    amount: Option<AmountBody>,
    #[schema(deprecated)]
    amount_msats: Option<Units>,
    #[schema(deprecated)]
    amount_sats: Option<Units>,
    #[serde(rename = "id")]
    #[schema(value_type = Option<Uuid>)]
    _id: Option<IgnoredAny>,
    #[serde(rename = "description")]
    #[schema(value_type = Option<String>)]
    _description: Option<IgnoredAny>,
    #[serde(rename = "expiration")]
    #[schema(value_type = Option<u32>)]
    _expiration: Option<IgnoredAny>,
    #[serde(rename = "metadata")]
    #[schema(value_type = Option<Object>)]
    _metadata: Option<IgnoredAny>,
    #[serde(rename = "quote_id")]
    #[schema(value_type = Option<Uuid>)]
    _quote_id: Option<IgnoredAny>,
    #[serde(rename = "auto_quote")]
    #[schema(value_type = Option<Object>)]
    _auto_quote: Option<IgnoredAny>,
    #[serde(rename = "flow_preference")]
    #[schema(value_type = Option<Object>)]
    _flow_preference: Option<IgnoredAny>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Estimate {
    #[schema(example = "send")]
    direction: &'static str,
    amount: Option<Amount>,
    /// The most that routing can cost. What it will cost only the payment itself can tell: routes are
    /// not probed.
    max_fee: Amount,
    /// What would be held: amount and largest fee.
    total: Option<Amount>,
    /// What the wallet may spend now, its line of credit considered.
    spendable: SignedAmount,
    /// The largest amount that fits what may be spent, with the fee limit asked for or the usual one.
    largest_sendable: Amount,
    /// Whether it would be taken as things stand. A freeze of all sends is not looked at.
    allowed: bool,
    /// Why not: `insufficient_funds`, `invoice_expired`, `line_of_credit_disabled`.
    reasons: Vec<&'static str>,
}

/// Preview a payment
#[utoipa::path(
    post,
    path = "/organizations/{organization_id}/environments/{environment_id}/payments/estimate",
    operation_id = "estimate_payment",
    tag = "payments",
    params(("organization_id" = Uuid, Path), ("environment_id" = Uuid, Path)),
    request_body(content = EstimateBody, examples(
        ("send" = (summary = "What would this invoice cost?", value = json!({
            "wallet_id": "01a20ae0-92c1-7d0e-8f6f-2b9d3c5a7e10",
            "currency": "btc",
            "type": "bolt11",
            "data": { "payment_request": "lnbcrt250u1p..." },
        }))),
        ("receive" = (summary = "What would be received?", value = json!({
            "wallet_id": "01a20ae0-92c1-7d0e-8f6f-2b9d3c5a7e10",
            "currency": "btc",
            "payment_kind": "bolt11",
            "amount": { "currency": "btc", "amount": 2_000_000 },
        }))),
    )),
    responses((status = 200, description = "What it would come to now.", body = Estimate)),
)]
pub(super) async fn estimate(
    State(edge): State<Arc<Edge>>,
    Asker(caller): Asker,
    Json(body): Json<EstimateBody>,
) -> Result<Out<Estimate>, Refusal> {
    body.currency.as_deref().map_or(Ok(()), amount::check_currency)?;
    let id = WalletId::new(body.wallet_id);
    let org = edge.standing(caller.org).await?;
    let wallet = estimate::wallet(&org, caller, id)?;
    match (body.kind, body.payment_kind) {
        (Some(kind), None) => {
            guard::check(&caller, Need::Write)?;
            check_kind(kind)?;
            let data =
                body.data.as_ref().ok_or_else(|| Refusal::field("data", "data must be set"))?;
            of_send(&edge, &org, wallet, data).map(Out)
        }
        (None, Some(kind)) => {
            check_kind(kind)?;
            of_receive(&org, wallet, &body).map(Out)
        }
        (Some(_), Some(_)) | (None, None) => Err(Refusal::unreadable(
            "a send has the field type, a receive has payment_kind; exactly one of the two",
        )),
    }
}

fn of_send(edge: &Edge, org: &Org, wallet: &Wallet, data: &SendData) -> Result<Estimate, Refusal> {
    let invoice = data.invoice()?;
    let asked = (data.amount_msat_beside(&invoice)?, data.max_fee_msat()?);
    Ok(told("send", estimate::of_send(edge, org, wallet, &invoice, asked)?))
}

fn of_receive(org: &Org, wallet: &Wallet, body: &EstimateBody) -> Result<Estimate, Refusal> {
    let amount_msat = amount::agreed(
        "amount",
        "invalid_amount",
        body.amount.as_ref(),
        body.amount_msats,
        body.amount_sats,
    )?;
    Ok(told("receive", estimate::of_receive(org, wallet, amount_msat)?))
}

fn told(direction: &'static str, estimate: estimate::Estimate) -> Estimate {
    Estimate {
        direction,
        amount: estimate.amount.map(Amount::from),
        max_fee: estimate.max_fee.into(),
        total: estimate.total.map(Amount::from),
        spendable: estimate.spendable.into(),
        largest_sendable: estimate.largest_sendable.into(),
        allowed: estimate.reasons.is_empty(),
        reasons: estimate.reasons,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invoice_is_found_inside_a_uri() {
        assert_eq!(inside("bitcoin:bc1q?amount=0.1&lightning=LNBC1"), "LNBC1");
        assert_eq!(inside(" lnbc1 "), "lnbc1");
        assert_eq!(inside("bitcoin:bc1q"), "bitcoin:bc1q");
    }
}
