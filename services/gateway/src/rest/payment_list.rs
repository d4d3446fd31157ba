//! Lists of payments, and how many there are.

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use domain::{LineId, WalletId, org::PaymentStatus};
use ports::reads::{Direction, PaymentCount, PaymentFilter, PaymentOrder, PaymentPlace};
use proto::convert::{PAGE_DEFAULT, PAGE_MAX};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    json::Out,
    payment::{self, Payment},
    refusal::Refusal,
    request::{Asker, Ids, Params, bad_filter},
    text,
};
use crate::{auth::Caller, cursor::Cursor, edge::Edge, feed, lines, problem::customer};

/// A page by position. Deprecated: what is made meanwhile moves the positions.
#[derive(Serialize, ToSchema)]
pub(super) struct PaymentPage {
    items: Vec<Payment>,
    offset: u64,
    limit: u32,
    total: u64,
}

/// A page that goes on where the last one ended.
#[derive(Serialize, ToSchema)]
pub(super) struct PaymentCursorPage {
    items: Vec<Payment>,
    limit: u32,
    has_more: bool,
    next_cursor: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[allow(dead_code)] // The shape of the document.
pub(super) enum PaymentList {
    Offset(PaymentPage),
    Cursor(PaymentCursorPage),
}

/// A status as a filter names it.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[allow(dead_code)] // The shape of the document; the words are read by what the domain calls them.
enum StatusWord {
    Sending,
    Approved,
    Completed,
    Failed,
    Generating,
    Receiving,
    Expired,
}

/// What a list asks for. `None` as filter: nothing can match.
struct Wanted {
    filter: Option<PaymentFilter>,
    order: PaymentOrder,
    ascending: bool,
}

/// List payments
///
/// Newest first. With `pagination=cursor` each page goes on exactly where the last one ended; without
/// it pages are by position and have a `total`.
#[utoipa::path(
    get,
    path = "/organizations/{organization_id}/environments/{environment_id}/payments",
    operation_id = "list_payments",
    tag = "payments",
    params(
        ("organization_id" = Uuid, Path),
        ("environment_id" = Uuid, Path),
        ("pagination" = Option<String>, Query, pattern = "^(offset|cursor)$"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before; bound to \
         filters and sort"),
        ("offset" = Option<i64>, Query, minimum = 0, description = "Entries to leave out"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "Entries of a \
         page: 100 if not given"),
        ("wallet_id" = Option<Uuid>, Query),
        ("line_of_credit_id" = Option<Uuid>, Query),
        ("statuses" = inline(Option<Vec<StatusWord>>), Query, description = "Repeated; also spelt `statuses[]`"),
        ("direction" = Option<String>, Query, pattern = "^(send|receive)$"),
        ("kind" = Option<String>, Query, pattern = "^(bolt11|onchain|bip21|taprootasset|usdbatch)$"),
        ("payment_category" = Option<String>, Query, pattern = "^(standard|treasury)$"),
        ("metadata[key]" = Option<String>, Query, pattern = "^[^\\u0000]*$", description = "Payments with that pair; several \
         must all match"),
        ("start_date" = Option<String>, Query, format = DateTime, description = "Made at or after (RFC 3339)"),
        ("end_date" = Option<String>, Query, format = DateTime, description = "Made at or before (RFC 3339)"),
        ("sort_key" = Option<String>, Query, pattern = "^(created_at|updated_at)$"),
        ("sort_order" = Option<String>, Query, pattern = "^(ASC|DESC)$"),
        ("updated_after_seq" = Option<i64>, Query, minimum = 0, description = "Changed after that position of the \
         event feed, which must be there"),
    ),
    responses((status = 200, description = "A page.", body = PaymentList)),
)]
pub(super) async fn list(
    State(edge): State<Arc<Edge>>,
    Asker(caller): Asker,
    params: Params,
) -> Result<Response, Refusal> {
    let limit = params.limit(PAGE_DEFAULT, PAGE_MAX)?;
    let cursor = params.one("cursor")?;
    let goes_on = match params.one("pagination")? {
        Some("cursor") => true,
        Some("offset") => false,
        None => cursor.is_some(),
        Some(_) => return Err(bad_filter("pagination", "must be offset or cursor")),
    };
    let wanted = wanted(&edge, caller, &params).await?;
    match goes_on {
        true => by_cursor(&edge, caller, &params, &wanted, cursor, limit).await,
        false => by_offset(&edge, caller, &params, &wanted, limit).await,
    }
}

async fn by_offset(
    edge: &Edge,
    caller: Caller,
    params: &Params,
    wanted: &Wanted,
    limit: u32,
) -> Result<Response, Refusal> {
    let offset = params.number("offset")?.unwrap_or_default();
    let (items, total) = match &wanted.filter {
        None => (Vec::new(), 0),
        Some(filter) => {
            let counts = edge.gateway.reads.count_payments(caller.org, filter).await;
            let counts = counts.map_err(customer::store)?;
            let total = counts.iter().map(|count| count.count).sum();
            let (items, _) = found(edge, caller, wanted, filter, None, offset, limit).await?;
            (items, total)
        }
    };
    Ok(Out(PaymentPage { items, offset, limit, total }).into_response())
}

async fn by_cursor(
    edge: &Edge,
    caller: Caller,
    params: &Params,
    wanted: &Wanted,
    cursor: Option<&str>,
    limit: u32,
) -> Result<Response, Refusal> {
    let question = params.fingerprint_parts();
    let parts = question.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]);
    let bound_to = Cursor::bind(caller.environment, parts);
    let not_of_this = || {
        let why = "the cursor is not of this list, its filters and sort";
        Refusal::invalid("invalid_cursor", why)
    };
    let after = cursor.map(|cursor| bound_to.read(cursor).ok_or_else(not_of_this)).transpose()?;
    let (mut items, mut places) = (Vec::new(), Vec::new());
    if let Some(filter) = &wanted.filter {
        let ask = limit.saturating_add(1);
        (items, places) = found(edge, caller, wanted, filter, after, 0, ask).await?;
    }
    let has_more = u32::try_from(items.len()).is_ok_and(|read| read > limit);
    if has_more {
        items.pop();
        places.pop();
    }
    let next_cursor = places.last().filter(|_| has_more).map(|place| bound_to.write(*place));
    Ok(Out(PaymentCursorPage { items, limit, has_more, next_cursor }).into_response())
}

async fn found(
    edge: &Edge,
    caller: Caller,
    wanted: &Wanted,
    filter: &PaymentFilter,
    after: Option<PaymentPlace>,
    offset: u64,
    limit: u32,
) -> Result<(Vec<Payment>, Vec<PaymentPlace>), Refusal> {
    let Wanted { order, ascending, .. } = *wanted;
    let reads = &edge.gateway.reads;
    let listed = reads
        .find_payments(caller.org, filter, order, ascending, after, offset, limit)
        .await
        .map_err(customer::store)?;
    let names = edge.node_names().await;
    let mut items = Vec::with_capacity(listed.len());
    let mut places = Vec::with_capacity(listed.len());
    for one in &listed {
        let Some(view) = payment::payment(caller.org, &one.row, &names) else { continue };
        items.push(view.with_updated_seq(one.updated_seq.0));
        places.push(one.place(order));
    }
    Ok((items, places))
}

async fn wanted(edge: &Edge, caller: Caller, params: &Params) -> Result<Wanted, Refusal> {
    let order = match params.one("sort_key")? {
        None | Some("created_at") => PaymentOrder::Created,
        Some("updated_at") => PaymentOrder::Updated,
        Some(_) => return Err(bad_filter("sort_key", "must be created_at or updated_at")),
    };
    let ascending = match params.one("sort_order")? {
        None | Some("DESC") => false,
        Some("ASC") => true,
        Some(_) => return Err(bad_filter("sort_order", "must be ASC or DESC")),
    };
    let statuses = statuses(params)?;
    let others_match = has_only(params, "kind", "bolt11", &KINDS)?
        & has_only(params, "payment_category", "standard", &["treasury"])?
        & !params.flag("check_only")?
        & statuses.is_some();
    let wallets = wallets(edge, caller, params).await?;
    let filter = PaymentFilter {
        environment: caller.environment,
        wallets,
        direction: direction(params)?,
        statuses: statuses.unwrap_or_default(),
        metadata: params.pairs("metadata")?,
        created_from: params.not_before("start_date")?,
        created_to: params.not_after("end_date")?,
        // Last: what is wrong with the question itself is told first.
        updated_after: feed::position(edge, caller, params.number("updated_after_seq")?).await?,
    };
    Ok(Wanted { filter: Some(filter).filter(|_| others_match), order, ascending })
}

/// Kinds that the contract knows and that nothing here has.
const KINDS: [&str; 4] = ["onchain", "bip21", "taprootasset", "usdbatch"];

fn has_only(params: &Params, name: &str, ours: &str, others: &[&str]) -> Result<bool, Refusal> {
    match params.one(name)? {
        None => Ok(true),
        Some(asked) if asked == ours => Ok(true),
        Some(asked) if others.contains(&asked) => Ok(false),
        Some(_) => Err(bad_filter(name, "is not known")),
    }
}

fn direction(params: &Params) -> Result<Option<Direction>, Refusal> {
    match params.one("direction")? {
        None => Ok(None),
        Some("send") => Ok(Some(Direction::Send)),
        Some("receive") => Ok(Some(Direction::Receive)),
        Some(_) => Err(bad_filter("direction", "must be send or receive")),
    }
}

/// `None`: only statuses are asked for that nothing here ever has.
fn statuses(params: &Params) -> Result<Option<Vec<PaymentStatus>>, Refusal> {
    let (mut statuses, mut any) = (Vec::new(), false);
    for word in params.many("statuses") {
        any = true;
        match super::status_of(word) {
            Some(status) => statuses.push(status),
            None if word == "approved" => {}
            None => return Err(bad_filter("statuses", "must be statuses of payments")),
        }
    }
    Ok(Some(statuses).filter(|statuses| !any || !statuses.is_empty()))
}

/// `None`: any wallet.
async fn wallets(
    edge: &Edge,
    caller: Caller,
    params: &Params,
) -> Result<Option<Vec<WalletId>>, Refusal> {
    let one: Option<WalletId> = params.id("wallet_id")?;
    let line: Option<LineId> = params.id("line_of_credit_id")?;
    let Some(line) = line else { return Ok(one.map(|wallet| vec![wallet])) };
    let org = edge.standing(caller.org).await?;
    let of_line = lines::wallets_of(&org, line);
    Ok(Some(of_line.filter(|wallet| one.is_none_or(|one| one == *wallet)).collect()))
}

/// How many payments there are, without amounts.
#[derive(Serialize, ToSchema)]
pub(super) struct PaymentSummary {
    organization_id: Uuid,
    environment_id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    wallet_id: Option<Uuid>,
    total: u64,
    buckets: Vec<Bucket>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = PaymentSummaryBucket)]
struct Bucket {
    direction: &'static str,
    status: &'static str,
    currency: &'static str,
    kind: &'static str,
    count: u64,
    oldest_at: String,
    newest_at: String,
}

impl PaymentSummary {
    fn of(caller: Caller, wallet: Option<WalletId>, counts: &[PaymentCount]) -> PaymentSummary {
        let bucket = |count: &PaymentCount| Bucket {
            direction: match count.direction {
                Direction::Send => "send",
                Direction::Receive => "receive",
            },
            status: super::status_word(count.status),
            currency: "btc",
            kind: "bolt11",
            count: count.count,
            oldest_at: text::instant(count.oldest),
            newest_at: text::instant(count.newest),
        };
        PaymentSummary {
            organization_id: *caller.org.uuid(),
            environment_id: *caller.environment.uuid(),
            wallet_id: wallet.map(|wallet| *wallet.uuid()),
            total: counts.iter().map(|count| count.count).sum(),
            buckets: counts.iter().map(bucket).collect(),
        }
    }
}

/// Count payments
#[utoipa::path(
    get,
    path = "/organizations/{organization_id}/environments/{environment_id}/payments/summary",
    operation_id = "summarize_payments",
    tag = "payments",
    params(
        ("organization_id" = Uuid, Path),
        ("environment_id" = Uuid, Path),
        ("line_of_credit_id" = Option<Uuid>, Query),
    ),
    responses((status = 200, description = "Counts by direction and status.", body = PaymentSummary)),
)]
pub(super) async fn summary(
    State(edge): State<Arc<Edge>>,
    Asker(caller): Asker,
    params: Params,
) -> Result<Out<PaymentSummary>, Refusal> {
    let Wanted { filter, .. } = wanted(&edge, caller, &params).await?;
    counted(&edge, caller, None, filter).await
}

/// Count a wallet's payments
#[utoipa::path(
    get,
    path = "/organizations/{organization_id}/wallets/{wallet_id}/payments/summary",
    operation_id = "summarize_wallet_payments",
    tag = "wallets",
    params(("organization_id" = Uuid, Path), ("wallet_id" = Uuid, Path)),
    responses((status = 200, description = "Counts by direction and status.", body = PaymentSummary)),
)]
pub(super) async fn wallet_summary(
    State(edge): State<Arc<Edge>>,
    Asker(caller): Asker,
    ids: Ids,
) -> Result<Out<PaymentSummary>, Refusal> {
    let wallet = ids.get("wallet_id")?;
    edge.check_wallet(caller, wallet).await?;
    let filter =
        PaymentFilter { wallets: Some(vec![wallet]), ..PaymentFilter::all(caller.environment) };
    counted(&edge, caller, Some(wallet), Some(filter)).await
}

async fn counted(
    edge: &Edge,
    caller: Caller,
    wallet: Option<WalletId>,
    filter: Option<PaymentFilter>,
) -> Result<Out<PaymentSummary>, Refusal> {
    let counts = match filter {
        None => Vec::new(),
        Some(filter) => {
            let counts = edge.gateway.reads.count_payments(caller.org, &filter).await;
            counts.map_err(customer::store)?
        }
    };
    Ok(Out(PaymentSummary::of(caller, wallet, &counts)))
}
