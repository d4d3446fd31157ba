//! `switchyard node`: the Lightning nodes, for the operator.

use std::{fs, path::PathBuf};

use bootstrap::Exit;
use clap::{ArgGroup, Args, Subcommand};
use proto::admin::v1::{
    self as admin,
    register_node_request::{Owner, Trust},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    client::{self, Connection, Operator},
    failure::Failure,
    names::{self, some},
    output::Output,
    show::{facts, sat, table},
};

#[derive(Args)]
pub(crate) struct Node {
    #[command(flatten)]
    to: Connection,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Check an lnd, take it in and begin to use it.
    Add(Add),
    /// The nodes, and whether each may be used now.
    List,
    /// Stop a node's sends; receipts are still booked.
    Stop {
        /// Name or id.
        node: String,
        /// For those who will look at it later.
        #[arg(long, default_value = "stopped by the operator")]
        reason: String,
    },
    /// Let a stopped node's sends go on.
    Resume {
        /// Name or id.
        node: String,
    },
    /// Declare what an organisation's own node holds: the most that its wallets may be given.
    Funds {
        /// Name or id.
        node: String,
        /// Name or id.
        #[arg(long)]
        org: String,
        #[arg(long, value_name = "N", allow_negative_numbers = true)]
        funds_msat: u64,
    },
}

#[derive(Args)]
#[command(group(ArgGroup::new("owner").required(true).args(["org", "pool"])))]
#[command(group(
    ArgGroup::new("trust").required(true).args(["certificate", "public_authority"])
))]
pub(crate) struct Add {
    /// Unique in the installation.
    name: String,
    /// host:port of lnd's gRPC listener.
    #[arg(value_name = "ADDRESS")]
    node_address: String,
    /// The node's tls.cert, to be pinned.
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// The node's certificate is of a public authority.
    #[arg(long)]
    public_authority: bool,
    /// A macaroon that may pay, receive and observe, and no more.
    #[arg(long, value_name = "FILE")]
    macaroon: PathBuf,
    /// The organisation whose own node it is: name or id.
    #[arg(long)]
    org: Option<String>,
    /// It is a node of the house's credit pool.
    #[arg(long)]
    pool: bool,
    /// The public key that the node must have, in hex [default: whichever answers].
    #[arg(long, value_name = "HEX", default_value = "", hide_default_value = true)]
    identity: String,
    #[arg(long, value_name = "UUID")]
    id: Option<Uuid>,
}

impl Node {
    pub(crate) async fn run(self, out: &Output) -> Result<Exit, Failure> {
        let mut to = self.to.operator().await?;
        match self.command {
            Command::Add(add) => add.run(&mut to, out).await?,
            Command::List => {
                let list = to.nodes.list(admin::ListNodesRequest {});
                let nodes = client::read(list).await?.nodes;
                let all: Vec<Value> = nodes.iter().map(state_document).collect();
                out.answer(&json!({ "nodes": all }), || list_text(&nodes));
            }
            Command::Stop { node, reason } => {
                let id = names::node(&mut to, &node).await?;
                let document = json!({ "id": id, "stopped": reason });
                client::change(to.nodes.stop(admin::StopNodeRequest { id, reason })).await?;
                out.answer(&document, || "stopped".to_owned());
            }
            Command::Resume { node } => {
                let id = names::node(&mut to, &node).await?;
                let document = json!({ "id": id, "stopped": null });
                client::change(to.nodes.resume(admin::ResumeNodeRequest { id })).await?;
                out.answer(&document, || "resumed".to_owned());
            }
            Command::Funds { node, org, funds_msat } => {
                let node_id = names::node(&mut to, &node).await?;
                let organisation_id = names::organisation(&mut to, &org).await?;
                let document = json!({ "id": node_id, "funds_msat": funds_msat });
                let request = admin::SetNodeFundsRequest { organisation_id, node_id, funds_msat };
                client::change(to.organisations.set_node_funds(request)).await?;
                out.answer(&document, || format!("funds {}", sat(funds_msat)));
            }
        }
        Ok(Exit::Done)
    }
}

impl Add {
    async fn run(self, to: &mut Operator, out: &Output) -> Result<(), Failure> {
        let unreadable = |path: &PathBuf| {
            let path = path.display().to_string();
            move |error: std::io::Error| Failure::invalid(format!("{path}: {error}"))
        };
        let trust = match &self.certificate {
            Some(file) => {
                Trust::CertificatePem(fs::read_to_string(file).map_err(unreadable(file))?)
            }
            None => Trust::PublicAuthority(admin::PublicAuthority {}),
        };
        let owner = match &self.org {
            Some(org) => Owner::OrganisationId(names::organisation(to, org).await?),
            None => Owner::CreditPool(admin::CreditPool {}),
        };
        let id = names::id_or_new(self.id)?;
        let request = admin::RegisterNodeRequest {
            id: id.clone(),
            name: self.name,
            address: self.node_address,
            macaroon: fs::read(&self.macaroon).map_err(unreadable(&self.macaroon))?,
            expected_identity: self.identity,
            owner: Some(owner),
            trust: Some(trust),
        };
        let node = client::change(to.nodes.register(request)).await;
        let node =
            node.map_err(|failure| not_trusted(failure, self.public_authority).about(&id))?;
        out.answer(&document(&node), || {
            facts(&[
                ("node", format!("{} {}", node.id, node.name)),
                ("of", owner_text(&node)),
                ("address", node.address.clone()),
                ("identity", node.identity.clone()),
                ("network", node.network.clone()),
            ])
        });
        Ok(())
    }
}

/// No repeat makes a certificate one of a public authority.
fn not_trusted(failure: Failure, public_authority: bool) -> Failure {
    if public_authority && failure.message.contains("invalid peer certificate") {
        let message = format!("{}; pin the node's own with --certificate", failure.message);
        return Failure::new(Exit::Invalid, "node_certificate_not_trusted", message);
    }
    failure
}

fn owner_text(node: &admin::Node) -> String {
    some(&node.organisation_id).unwrap_or("the credit pool").to_owned()
}

fn document(node: &admin::Node) -> Value {
    json!({
        "id": node.id,
        "name": node.name,
        "organisation_id": some(&node.organisation_id),
        "address": node.address,
        "certificate_pinned": node.certificate_pinned,
        "identity": node.identity,
        "network": node.network,
        "stopped": some(&node.stopped),
    })
}

fn state_document(state: &admin::NodeState) -> Value {
    let mut all = state.node.as_ref().map(document).unwrap_or_else(|| json!({}));
    all["not_usable"] = json!(some(&state.not_usable));
    all["in_flight"] = json!(state.in_flight);
    all["outbound_msat"] = json!(state.outbound_msat);
    all["inbound_msat"] = json!(state.inbound_msat);
    all
}

fn list_text(nodes: &[admin::NodeState]) -> String {
    let row = |state: &admin::NodeState| {
        let node = state.node.clone().unwrap_or_default();
        let usable = some(&state.not_usable).unwrap_or("usable").to_owned();
        vec![
            node.name.clone(),
            node.id.clone(),
            owner_text(&node),
            sat(state.outbound_msat),
            sat(state.inbound_msat),
            state.in_flight.to_string(),
            usable,
        ]
    };
    let head = ["NAME", "ID", "OF", "CAN SEND", "CAN RECEIVE", "IN FLIGHT", "STATE"];
    table(&head, &nodes.iter().map(row).collect::<Vec<_>>())
}
