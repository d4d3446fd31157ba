//! What has moved a wallet: holds, captures, releases, credits.

use std::sync::Arc;

use axum::extract::State;
use domain::{Msat, WalletId, org::Event};
use ports::reads::{LedgerFilter, Recorded};
use proto::{
    convert::{PAGE_DEFAULT, PAGE_MAX, wallets as words},
    v1::LedgerKind,
};
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use uuid::{Builder, Uuid};

use super::{
    amount::Amount,
    json::Out,
    refusal::Refusal,
    request::{Asker, Ids, Params, bad_filter},
    text,
};
use crate::{edge::Edge, problem::customer};

#[derive(Serialize, ToSchema)]
pub(super) struct LedgerPage {
    items: Vec<LedgerEvent>,
    offset: u64,
    limit: u32,
    total: u64,
}

#[derive(Serialize, ToSchema)]
struct LedgerEvent {
    /// `held`: a send reserves its amount and largest fee. `captured`: what it took in the end.
    /// `released`: it failed. `credited`: a receive.
    #[serde(rename = "type")]
    #[schema(example = "captured")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hold_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credit_id: Option<Uuid>,
    payment_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    amount: Option<Amount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(deprecated)]
    amount_msats: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_breakdown: Option<LedgerBreakdown>,
    #[schema(example = "btc")]
    currency: String,
    effective_time: String,
    /// In the journal of the organization; grows from event to event.
    position: u64,
}

#[derive(Serialize, ToSchema)]
struct LedgerBreakdown {
    principal: Amount,
    network_fee: Amount,
    processing_fee: Amount,
}

/// Read a wallet's ledger
#[utoipa::path(
    get,
    path = "/organizations/{organization_id}/wallets/{wallet_id}/ledger",
    operation_id = "get_wallet_ledger",
    tag = "wallets",
    params(
        ("organization_id" = Uuid, Path),
        ("wallet_id" = Uuid, Path),
        ("offset" = Option<i64>, Query, minimum = 0),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "100 if not given"),
        ("payment_id" = Option<Uuid>, Query),
        ("start_date" = Option<String>, Query, format = DateTime, description = "At or after (RFC 3339)"),
        ("end_date" = Option<String>, Query, format = DateTime, description = "At or before (RFC 3339)"),
        ("sort_key" = Option<String>, Query, description = "One order here, whichever is named",
         pattern = "^(effective_time|message_time|time_and_effective_time)$"),
        ("sort_order" = Option<String>, Query, pattern = "^(ASC|DESC)$"),
    ),
    responses((status = 200, description = "A page.", body = LedgerPage)),
)]
pub(super) async fn ledger(
    State(edge): State<Arc<Edge>>,
    Asker(caller): Asker,
    ids: Ids,
    params: Params,
) -> Result<Out<LedgerPage>, Refusal> {
    let wallet = ids.get("wallet_id")?;
    let filter = LedgerFilter {
        payment: params.id("payment_id")?,
        from: params.not_before("start_date")?,
        to: params.not_after("end_date")?,
        after: None,
    };
    // Events take effect in the order in which they are committed: all three keys are one order.
    match params.one("sort_key")? {
        None | Some("effective_time" | "message_time" | "time_and_effective_time") => {}
        Some(_) => return Err(bad_filter("sort_key", "is not known")),
    }
    let ascending = match params.one("sort_order")? {
        None | Some("DESC") => false,
        Some("ASC") => true,
        Some(_) => return Err(bad_filter("sort_order", "must be ASC or DESC")),
    };
    let offset = params.number("offset")?.unwrap_or_default();
    let limit = params.limit(PAGE_DEFAULT, PAGE_MAX)?;
    edge.check_wallet(caller, wallet).await?;
    let reads = &edge.gateway.reads;
    let total = reads.count_ledger(caller.org, wallet, &filter).await.map_err(customer::store)?;
    let recorded = reads
        .ledger(caller.org, wallet, &filter, ascending, offset, limit)
        .await
        .map_err(customer::store)?;
    let items = recorded.iter().filter_map(|recorded| event(wallet, recorded)).collect();
    Ok(Out(LedgerPage { items, offset, limit, total }))
}

fn event(wallet: WalletId, recorded: &Recorded) -> Option<LedgerEvent> {
    let Recorded { seq, at, event } = recorded;
    let entry = words::ledger_entry(wallet, seq.0, *at, event)?;
    let kind = entry.kind();
    let payment = event.payment().map(|payment| *payment.uuid());
    let (hold_id, credit_id) = match kind {
        LedgerKind::Held | LedgerKind::Captured | LedgerKind::Released => (payment, None),
        LedgerKind::Credited => (None, payment.map(|payment| credit_id(payment, seq.0))),
        LedgerKind::Unspecified => (None, None),
    };
    Some(LedgerEvent {
        kind: words::kind_word(kind),
        hold_id,
        credit_id,
        payment_id: entry.payment_id,
        amount: entry.amount_msat.and_then(Msat::new).map(Amount::from),
        amount_msats: entry.amount_msat,
        payment_breakdown: breakdown(event, entry.amount_msat),
        currency: entry.currency,
        effective_time: text::instant(*at),
        position: seq.0,
    })
}

fn breakdown(event: &Event, amount_msat: Option<u64>) -> Option<LedgerBreakdown> {
    let total = amount_msat.and_then(Msat::new)?;
    let Event::Posted { fee_msat, .. } = event else { return None };
    Some(LedgerBreakdown {
        principal: total.saturating_sub(*fee_msat).into(),
        network_fee: (*fee_msat).into(),
        processing_fee: Msat::ZERO.into(),
    })
}

/// One invoice may be credited more than once; each credit has an id of its own, the same on every
/// read.
fn credit_id(payment: Uuid, seq: u64) -> Uuid {
    let mut hash = Sha256::new();
    hash.update(b"credit");
    hash.update(payment.as_bytes());
    hash.update(seq.to_be_bytes());
    let digest: [u8; 32] = hash.finalize().into();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    Builder::from_custom_bytes(bytes).into_uuid()
}
