//! Lines of credit, and the own nodes that stand for one.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use domain::{
    LineId, Msat, Network, NodeId, Rejection, SignedMsat, Timestamp,
    ledger::Funds,
    org::{CustomerNode, Line},
};
use ports::directory::NodeRecord;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    amount::{SignedAmount, Units},
    json::{Json, Out},
    payments::written,
    refusal::Refusal,
    request::{Asker, Ids, Params, Prefer},
    text,
};
use crate::{auth::Caller, edge::Edge, lines, problem::customer};

#[derive(Serialize, ToSchema)]
pub(super) struct LineOfCredit {
    id: Uuid,
    organization_id: Uuid,
    environment_id: Uuid,
    #[schema(example = "regtest")]
    network: &'static str,
    /// Millisatoshi.
    limit: u64,
    /// The part of the limit that wallets have.
    allocated_limit: u64,
    #[schema(example = "btc")]
    currency: &'static str,
    /// Of collateral; `null` where none was asked for.
    #[schema(value_type = Option<Object>)]
    status: Option<Value>,
    disabled_at: Option<String>,
    /// The own node whose wallets these are.
    #[serde(skip_serializing_if = "Option::is_none")]
    infrastructure: Option<Infrastructure>,
    /// Millisatoshi; what was sent and is held, less what was received.
    used: u64,
    /// Millisatoshi; held for sends in flight.
    held: u64,
    available: SignedAmount,
}

#[derive(Serialize, ToSchema)]
struct Infrastructure {
    #[serde(rename = "type")]
    #[schema(example = "lnd_node")]
    kind: &'static str,
    host: String,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = SandboxPatch)]
#[serde(deny_unknown_fields)]
pub(super) struct SandboxBody {
    /// Millisatoshi, at least 1.
    limit: Option<Units>,
    /// `true` disables the line; only an operator can enable it again.
    disable: Option<bool>,
}

/// List lines of credit
///
/// Those of the key's environment, and the organization's own nodes.
#[utoipa::path(
    get,
    path = "/organizations/{organization_id}/lines_of_credit/summaries",
    operation_id = "list_lines_of_credit",
    tag = "lines of credit",
    params(
        ("organization_id" = Uuid, Path),
        ("network" = Option<String>, Query,
         pattern = "^(mainnet|testnet|testnet3|signet|mutinynet|regtest)$"),
        ("environment_ids" = Option<Vec<Uuid>>, Query, description = "Repeated; also spelt \
         `environment_ids[]`"),
        ("include_disabled" = Option<bool>, Query),
    ),
    responses((status = 200, description = "All of them.", body = Vec<LineOfCredit>)),
)]
pub(super) async fn list(
    State(edge): State<Arc<Edge>>,
    Asker(caller): Asker,
    params: Params,
) -> Result<Out<Vec<LineOfCredit>>, Refusal> {
    let with_disabled = params.flag("include_disabled")?;
    let environments = params.many("environment_ids").map(|text| {
        text.parse().map_err(|_| super::request::bad_filter("environment_ids", "must be UUIDs"))
    });
    let environments = environments.collect::<Result<Vec<domain::EnvironmentId>, _>>()?;
    let asked = environments.is_empty() || environments.contains(&caller.environment);
    let on_network = match params.one("network")? {
        None => true,
        Some(named) => super::network::is(named, edge.gateway.network)?,
    };
    if !asked || !on_network {
        return Ok(Out(Vec::new()));
    }
    let org = edge.standing(caller.org).await?;
    let own = org.lines.iter().filter(|(_, line)| {
        line.environment == caller.environment && (with_disabled || line.disabled_at.is_none())
    });
    let network = edge.gateway.network;
    let mut lines: Vec<_> = own.map(|(&id, line)| of_line(caller, network, id, line)).collect();
    if !org.nodes.is_empty() {
        let records = records(&edge).await?;
        let nodes = org.nodes.iter();
        lines.extend(nodes.map(|(&id, node)| of_node(caller, network, id, node, &records)));
    }
    Ok(Out(lines))
}

/// Read a line of credit
#[utoipa::path(
    get,
    path = "/organizations/{organization_id}/lines_of_credit/{line_id}/summary",
    operation_id = "get_line_of_credit",
    tag = "lines of credit",
    params(("organization_id" = Uuid, Path), ("line_id" = Uuid, Path)),
    responses((status = 200, description = "The line as it stands.", body = LineOfCredit)),
)]
pub(super) async fn read(
    State(edge): State<Arc<Edge>>,
    Asker(caller): Asker,
    ids: Ids,
) -> Result<Out<LineOfCredit>, Refusal> {
    let id: LineId = ids.get("line_id")?;
    let node = NodeId::new(*id.uuid());
    let network = edge.gateway.network;
    let org = edge.standing(caller.org).await?;
    let line = org.lines.get(&id).filter(|line| line.environment == caller.environment);
    match (line, org.nodes.get(&node)) {
        (Some(line), _) => Ok(Out(of_line(caller, network, id, line))),
        (None, Some(known)) => {
            let records = records(&edge).await?;
            Ok(Out(of_node(caller, network, node, known, &records)))
        }
        (None, None) => Err(Rejection::LineNotFound(id).into()),
    }
}

/// Change a sandbox line of credit
///
/// Not on mainnet, where a line is changed by an operator.
#[utoipa::path(
    patch,
    path = "/organizations/{organization_id}/environments/{environment_id}/lines_of_credit/{line_id}/sandbox",
    operation_id = "change_sandbox_line_of_credit",
    tag = "lines of credit",
    params(
        ("organization_id" = Uuid, Path),
        ("environment_id" = Uuid, Path),
        ("line_id" = Uuid, Path),
    ),
    request_body(content = SandboxBody, example = json!({ "limit": 2_000_000_000 })),
    responses((status = 202, description = "Changed.")),
)]
pub(super) async fn sandbox(
    State(edge): State<Arc<Edge>>,
    Asker(caller): Asker,
    ids: Ids,
    Json(body): Json<SandboxBody>,
) -> Result<Response, Refusal> {
    let line = ids.get("line_id")?;
    let disables = body.disable == Some(true);
    lines::change_sandbox(&edge, caller, line, body.limit.map(Units::get), disables).await?;
    Ok(written::<()>(&Prefer::default(), false, None))
}

fn of_line(caller: Caller, network: Network, id: LineId, line: &Line) -> LineOfCredit {
    let base = Base { id: *id.uuid(), funds: &line.funds, allocated_msat: line.allocated_msat };
    base.told(caller, network, line.disabled_at, None)
}

fn of_node(
    caller: Caller,
    network: Network,
    id: NodeId,
    node: &CustomerNode,
    records: &[NodeRecord],
) -> LineOfCredit {
    let base = Base { id: *id.uuid(), funds: &node.funds, allocated_msat: node.allocated_msat };
    let record = records.iter().find(|record| record.id == id);
    let infrastructure =
        record.map(|record| Infrastructure { kind: "lnd_node", host: record.address.clone() });
    base.told(caller, network, None, infrastructure)
}

struct Base<'a> {
    id: Uuid,
    funds: &'a Funds,
    allocated_msat: Msat,
}

impl Base<'_> {
    fn told(
        self,
        caller: Caller,
        network: Network,
        disabled_at: Option<Timestamp>,
        infrastructure: Option<Infrastructure>,
    ) -> LineOfCredit {
        let held = self.funds.held_msat;
        let used = held.signed().checked_sub(self.funds.net_msat).unwrap_or(SignedMsat::ZERO);
        LineOfCredit {
            id: self.id,
            organization_id: *caller.org.uuid(),
            environment_id: *caller.environment.uuid(),
            network: network.name(),
            limit: self.funds.limit_msat.get(),
            allocated_limit: self.allocated_msat.get(),
            currency: "btc",
            status: None,
            disabled_at: disabled_at.map(text::instant),
            infrastructure,
            used: used.floor_at_zero().get(),
            held: held.get(),
            available: self.funds.available().into(),
        }
    }
}

async fn records(edge: &Edge) -> Result<Vec<NodeRecord>, Refusal> {
    edge.gateway.directory.nodes().await.map_err(|error| customer::store(error).into())
}
