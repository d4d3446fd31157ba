//! Wallets: made, listed, renamed, deleted.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use domain::{
    EnvironmentId, ErrorClass, LineId, Msat, NodeId, Rejection, WalletId,
    org::{Backing, Command, Metadata, Org, Outgoing, PaymentStatus, Row},
};
use ports::reads::{Direction, PaymentFilter, PaymentOrder};
use proto::convert::PAGE_MAX;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    amount::Units,
    json::{Json, Out},
    network,
    payment_body::metadata,
    payments::written,
    refusal::Refusal,
    request::{Asker, Ids, Params, Prefer, chosen_id},
    wallet::{Seen, WalletView},
};
use crate::{auth::Caller, edge::Edge, lines, problem::customer, wallets};

#[derive(Deserialize, ToSchema)]
#[schema(as = NewWallet)]
#[serde(deny_unknown_fields)]
pub(super) struct WalletBody {
    /// Chosen by you: a repeat with the same body makes nothing new.
    id: Uuid,
    environment_id: Uuid,
    /// A line of credit, or the id of an own node.
    line_of_credit_id: Uuid,
    #[schema(min_length = 3, max_length = 256, example = "tills")]
    name: String,
    /// `mainnet`, `testnet3`, `mutinynet` or `regtest`: the one of the line.
    #[schema(example = "regtest")]
    network: String,
    /// Millisatoshi; 0 means no credit for this wallet.
    limit: Units,
    #[schema(value_type = Option<std::collections::BTreeMap<String, String>>)]
    metadata: Option<Metadata>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = WalletPatch)]
#[serde(deny_unknown_fields)]
pub(super) struct RenameBody {
    #[schema(min_length = 3, max_length = 256)]
    name: Option<String>,
}

/// Make a wallet
#[utoipa::path(
    post,
    path = "/organizations/{organization_id}/wallets",
    operation_id = "create_wallet",
    tag = "wallets",
    params(
        ("organization_id" = Uuid, Path),
        ("prefer" = Option<String>, Header, description = "`return=representation` answers with the \
         wallet"),
    ),
    request_body(content = WalletBody, example = json!({
        "id": "01a20ae0-92c1-7d0e-8f6f-2b9d3c5a7e10",
        "environment_id": "01a20ae0-6b1e-7c44-9d0b-5f1e8a7c3d22",
        "line_of_credit_id": "01a20ae0-7a3f-7b12-8c9e-1d2f3a4b5c66",
        "name": "tills",
        "network": "regtest",
        "limit": 100_000_000,
        "metadata": { "shop": "north" },
    })),
    responses(
        (status = 202, description = "Made. Reads see it at once."),
        (status = 201, description = "Made (`Prefer: return=representation`).", body = WalletView),
        (status = 200, description = "Made before: a repeat, with `Idempotency-Hit: true` (`Prefer: \
         return=representation`).", body = WalletView),
    ),
)]
pub(super) async fn create(
    State(edge): State<Arc<Edge>>,
    Asker(caller): Asker,
    prefer: Prefer,
    Json(body): Json<WalletBody>,
) -> Result<Response, Refusal> {
    check_name(&body.name)?;
    let environment = EnvironmentId::new(body.environment_id);
    if environment != caller.environment {
        return Err(Rejection::EnvironmentNotFound(environment).into());
    }
    network::check(&body.network, edge.gateway.network)?;
    let limit_msat = Msat::new(body.limit.get())
        .ok_or_else(|| Refusal::field("limit", "limit must be at most the bitcoin supply"))?;
    let wallet = chosen_id(body.id)?;
    let org = edge.standing(caller.org).await?;
    let is_repeat = org.wallets.contains_key(&wallet);
    let command = Command::CreateWallet {
        wallet,
        environment,
        name: body.name,
        backing: backing(&org, body.line_of_credit_id)?,
        limit_msat,
        metadata: metadata(body.metadata)?,
    };
    let made = wallets::administer(&edge, caller, command).await;
    made.map_err(|problem| reused(wallet, problem.into()))?;
    let object = match prefer.representation {
        true => Some(told(&edge, caller, wallet).await.map_err(Refusal::after_a_write)?),
        false => None,
    };
    Ok(written(&prefer, is_repeat, object))
}

/// A wallet draws on a line of credit, or on an own node that goes by the same id.
fn backing(org: &Org, id: Uuid) -> Result<Backing, Refusal> {
    let (line, node) = (LineId::new(id), NodeId::new(id));
    if org.lines.contains_key(&line) {
        return Ok(Backing::Line(line));
    }
    match org.nodes.contains_key(&node) {
        true => Ok(Backing::Node(node)),
        false => Err(Rejection::LineNotFound(line).into()),
    }
}

fn check_name(name: &str) -> Result<(), Refusal> {
    wallets::check_name(name).map_err(|problem| Refusal::field("name", problem.message))
}

/// The id names another wallet, and the caller learns which.
fn reused(wallet: WalletId, refusal: Refusal) -> Refusal {
    match refusal.is_reused_id() {
        true => Refusal::new(
            ErrorClass::Conflict,
            "wallet_exists",
            format!("wallet {wallet} was made with another body"),
        )
        .with_context(json!({ "wallet_id": wallet.to_string() })),
        false => refusal,
    }
}

/// List wallets
///
/// Those of the key's environment, by id.
#[utoipa::path(
    get,
    path = "/organizations/{organization_id}/wallets",
    operation_id = "list_wallets",
    tag = "wallets",
    params(
        ("organization_id" = Uuid, Path),
        ("environment_id" = Option<Uuid>, Query),
        ("inactive" = Option<bool>, Query, description = "Deleted ones too"),
    ),
    responses((status = 200, description = "All of them.", body = Vec<WalletView>)),
)]
pub(super) async fn list(
    State(edge): State<Arc<Edge>>,
    Asker(caller): Asker,
    params: Params,
) -> Result<Out<Vec<WalletView>>, Refusal> {
    let environment = params.id("environment_id")?.unwrap_or(caller.environment);
    let with_deleted = params.flag("inactive")?;
    let org = edge.standing(caller.org).await?;
    let in_flight = in_flight(&edge, caller, None).await?;
    let seen = seen(&edge, &org);
    let own = org.wallets.iter().filter(|(_, wallet)| {
        wallet.environment == caller.environment
            && wallet.environment == environment
            && (with_deleted || wallet.deleted_at.is_none())
    });
    let told = own.map(|(&id, wallet)| seen.wallet(id, wallet, outgoing(&in_flight)));
    Ok(Out(told.collect()))
}

/// Read a wallet
#[utoipa::path(
    get,
    path = "/organizations/{organization_id}/wallets/{wallet_id}",
    operation_id = "get_wallet",
    tag = "wallets",
    params(("organization_id" = Uuid, Path), ("wallet_id" = Uuid, Path)),
    responses((status = 200, description = "The wallet as it stands.", body = WalletView)),
)]
pub(super) async fn read(
    State(edge): State<Arc<Edge>>,
    Asker(caller): Asker,
    ids: Ids,
) -> Result<Out<WalletView>, Refusal> {
    told(&edge, caller, ids.get("wallet_id")?).await.map(Out)
}

/// Rename a wallet
#[utoipa::path(
    patch,
    path = "/organizations/{organization_id}/wallets/{wallet_id}",
    operation_id = "rename_wallet",
    tag = "wallets",
    params(("organization_id" = Uuid, Path), ("wallet_id" = Uuid, Path)),
    request_body(content = RenameBody, example = json!({ "name": "tills in the north" })),
    responses((status = 202, description = "Renamed.")),
)]
pub(super) async fn rename(
    State(edge): State<Arc<Edge>>,
    Asker(caller): Asker,
    ids: Ids,
    Json(body): Json<RenameBody>,
) -> Result<Response, Refusal> {
    let wallet = ids.get("wallet_id")?;
    let name = body.name.ok_or_else(lines::no_updates)?;
    check_name(&name)?;
    wallets::rename(&edge, caller, wallet, name).await?;
    Ok(written::<()>(&Prefer::default(), false, None))
}

/// Delete a wallet
///
/// Only an empty one: nothing in it, nothing held, no invoice or payment of it open. Its share of the
/// line is free again. Deleting it twice changes nothing.
#[utoipa::path(
    delete,
    path = "/organizations/{organization_id}/wallets/{wallet_id}",
    operation_id = "delete_wallet",
    tag = "wallets",
    params(("organization_id" = Uuid, Path), ("wallet_id" = Uuid, Path)),
    responses((status = 202, description = "Deleted.")),
)]
pub(super) async fn delete(
    State(edge): State<Arc<Edge>>,
    Asker(caller): Asker,
    ids: Ids,
) -> Result<Response, Refusal> {
    wallets::delete(&edge, caller, ids.get("wallet_id")?).await?;
    Ok(written::<()>(&Prefer::default(), false, None))
}

async fn told(edge: &Edge, caller: Caller, id: WalletId) -> Result<WalletView, Refusal> {
    let org = edge.standing(caller.org).await?;
    let wallet = wallets::own(&org, caller, id)?;
    // What holds nothing has nothing in flight to be looked for.
    let in_flight = match wallet.funds.held_msat.is_zero() {
        true => Vec::new(),
        false => in_flight(edge, caller, Some(id)).await?,
    };
    Ok(seen(edge, &org).wallet(id, wallet, outgoing(&in_flight)))
}

fn seen<'a>(edge: &Edge, org: &'a Org) -> Seen<'a> {
    Seen { org, network: edge.gateway.network, now: edge.gateway.clock.now() }
}

/// Sends that hold something: the newest, as many as fit a page.
async fn in_flight(
    edge: &Edge,
    caller: Caller,
    wallet: Option<WalletId>,
) -> Result<Vec<Row>, Refusal> {
    let filter = PaymentFilter {
        wallets: wallet.map(|wallet| vec![wallet]),
        direction: Some(Direction::Send),
        statuses: vec![PaymentStatus::Sending],
        ..PaymentFilter::all(caller.environment)
    };
    let reads = &edge.gateway.reads;
    let listed = reads
        .find_payments(caller.org, &filter, PaymentOrder::Created, false, None, 0, PAGE_MAX)
        .await
        .map_err(customer::store)?;
    Ok(listed.into_iter().map(|one| one.row).collect())
}

fn outgoing(rows: &[Row]) -> impl Iterator<Item = &Outgoing> {
    rows.iter().filter_map(|row| match row {
        Row::Outgoing(payment) => Some(payment.as_ref()),
        Row::Incoming(_)
        | Row::Environment(..)
        | Row::Line(..)
        | Row::Node(..)
        | Row::Wallet(..)
        | Row::Account(..) => None,
    })
}
