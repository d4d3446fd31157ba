//! A demonstration's organisation and all that belongs to it, made through the operator's API as
//! anybody else would, once. The ids are chosen and kept before the first call, so that a start
//! that was interrupted is carried on by the next.

use std::{fs, path::Path, time::Duration};

use bootstrap::{Exit, files};
use proto::admin::v1::{
    self as admin,
    create_wallet_request::Backing,
    register_node_request::{Owner, Trust},
};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::{
    client::{self, Connection, Operator},
    failure::Failure,
    names,
    output::Output,
    ready,
};

const FILE: &str = "demo.json";
const ORGANISATION: &str = "demo";
const ENVIRONMENT: &str = "main";
const KEY: &str = "demo";
pub(crate) const CREDIT_WALLET: &str = "credit";
pub(super) const NODE_WALLET: &str = "own-node";

const USABLE_WITHIN: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(50);

const SAT: u64 = 1_000;
pub(super) const LINE_MSAT: u64 = 1_000_000 * SAT;
pub(super) const CREDIT_WALLET_MSAT: u64 = 500_000 * SAT;
/// Well below what the simulated customer's node has in its channels.
pub(super) const NODE_FUNDS_MSAT: u64 = 2_000_000 * SAT;
pub(super) const NODE_WALLET_MSAT: u64 = 1_000_000 * SAT;

/// Everything of the demonstration that has an id.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct House {
    pub(crate) organisation_id: String,
    pub(super) environment_id: String,
    pub(super) line_id: String,
    pub(super) credit_wallet_id: String,
    pub(super) node_wallet_id: String,
    pub(super) nodes: Vec<HouseNode>,
    /// All of it is there.
    pub(super) complete: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct HouseNode {
    pub(super) name: String,
    pub(super) id: String,
}

/// Whose a node of the simulated network becomes; those outside become nobody's.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    CreditPool,
    OwnNode,
    Outside,
}

fn place(node: &ready::NetworkNode) -> Place {
    match node.role.as_str() {
        "pool" => Place::CreditPool,
        "customer" => Place::OwnNode,
        _ => Place::Outside,
    }
}

pub(crate) async fn onboard(
    to: &Connection,
    data: &Path,
    network: &ready::Network,
    out: &Output,
) -> Result<House, Failure> {
    let mut operator = to.operator().await?;
    let file = data.join(FILE);
    let mut house = kept_or_new(&file, network)?;
    if !house.complete || !is_there(&mut operator, &house).await? {
        house.complete = false;
        keep(&file, &house)?;
        out.say("taking in the demo organisation, its line of credit and the nodes");
        organisation(&mut operator, &house).await?;
        nodes(&mut operator, &house, network).await?;
        wallets(&mut operator, &house, network).await?;
        house.complete = true;
        keep(&file, &house)?;
    }
    usable(&mut operator, &house, out).await?;
    let key_file = data.join(ready::DEMO_KEY_FILE);
    if !key_file.exists() {
        key(&mut operator, &house, &key_file).await?;
    }
    Ok(house)
}

fn kept_or_new(file: &Path, network: &ready::Network) -> Result<House, Failure> {
    if file.exists() {
        return ready::read(file, "the demonstration");
    }
    let ours = network.nodes.iter().filter(|node| place(node) != Place::Outside);
    let nodes: Result<Vec<HouseNode>, Failure> = ours
        .map(|node| Ok(HouseNode { name: node.name.clone(), id: names::id_or_new(None)? }))
        .collect();
    Ok(House {
        organisation_id: names::id_or_new(None)?,
        environment_id: names::id_or_new(None)?,
        line_id: names::id_or_new(None)?,
        credit_wallet_id: names::id_or_new(None)?,
        node_wallet_id: names::id_or_new(None)?,
        nodes: nodes?,
        complete: false,
    })
}

fn keep(file: &Path, house: &House) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(house).map_err(Failure::bug)?;
    Ok(files::write_plain(file, &text)?)
}

/// A store that was thrown away, or another one, knows nothing of it.
async fn is_there(to: &mut Operator, house: &House) -> Result<bool, Failure> {
    let list = to.organisations.list(admin::ListOrganisationsRequest {});
    let all = client::read(list).await?.organisations;
    Ok(all.iter().any(|org| org.id == house.organisation_id))
}

async fn organisation(to: &mut Operator, house: &House) -> Result<(), Failure> {
    let request = admin::CreateOrganisationRequest {
        id: house.organisation_id.clone(),
        name: ORGANISATION.to_owned(),
    };
    client::change(to.organisations.create(request)).await?;
    let request = admin::CreateEnvironmentRequest {
        organisation_id: house.organisation_id.clone(),
        id: house.environment_id.clone(),
        name: ENVIRONMENT.to_owned(),
    };
    client::change(to.organisations.create_environment(request)).await?;
    let request = admin::OpenLineRequest {
        organisation_id: house.organisation_id.clone(),
        id: house.line_id.clone(),
        environment_id: house.environment_id.clone(),
        limit_msat: LINE_MSAT,
    };
    client::change(to.organisations.open_line(request)).await?;
    Ok(())
}

async fn nodes(to: &mut Operator, house: &House, network: &ready::Network) -> Result<(), Failure> {
    for node in &network.nodes {
        let owner = match place(node) {
            Place::CreditPool => Owner::CreditPool(admin::CreditPool {}),
            Place::OwnNode => Owner::OrganisationId(house.organisation_id.clone()),
            Place::Outside => continue,
        };
        let unreadable = |error: std::io::Error| {
            Failure::new(Exit::Unavailable, "file_unusable", format!("{}: {error}", node.name))
        };
        let pem = fs::read_to_string(&node.certificate_file).map_err(unreadable)?;
        let request = admin::RegisterNodeRequest {
            id: house.node_id(&node.name)?,
            name: node.name.clone(),
            address: node.address.to_string(),
            macaroon: fs::read(&node.macaroon_file).map_err(unreadable)?,
            expected_identity: node.identity.clone(),
            owner: Some(owner),
            trust: Some(Trust::CertificatePem(pem)),
        };
        client::change(to.nodes.register(request)).await?;
    }
    Ok(())
}

async fn wallets(
    to: &mut Operator,
    house: &House,
    network: &ready::Network,
) -> Result<(), Failure> {
    let wallet = |id: &str, name: &str, limit_msat, backing| admin::CreateWalletRequest {
        organisation_id: house.organisation_id.clone(),
        id: id.to_owned(),
        environment_id: house.environment_id.clone(),
        name: name.to_owned(),
        limit_msat,
        backing: Some(backing),
    };
    let line = Backing::LineId(house.line_id.clone());
    let credit = wallet(&house.credit_wallet_id, CREDIT_WALLET, CREDIT_WALLET_MSAT, line);
    client::change(to.organisations.create_wallet(credit)).await?;
    let Some(own) = network.nodes.iter().find(|node| place(node) == Place::OwnNode) else {
        return Ok(());
    };
    let node_id = house.node_id(&own.name)?;
    let request = admin::SetNodeFundsRequest {
        organisation_id: house.organisation_id.clone(),
        node_id: node_id.clone(),
        funds_msat: NODE_FUNDS_MSAT,
    };
    client::change(to.organisations.set_node_funds(request)).await?;
    let node = Backing::NodeId(node_id);
    let own = wallet(&house.node_wallet_id, NODE_WALLET, NODE_WALLET_MSAT, node);
    client::change(to.organisations.create_wallet(own)).await?;
    Ok(())
}

/// A node gets no sends until its own payments have been compared; a first payment must not fail
/// for being early.
async fn usable(to: &mut Operator, house: &House, out: &Output) -> Result<(), Failure> {
    let began = Instant::now();
    loop {
        let all = client::read(to.nodes.list(admin::ListNodesRequest {})).await?.nodes;
        let ours = |state: &&admin::NodeState| {
            let id = state.node.as_ref().map(|node| &node.id);
            house.nodes.iter().any(|node| Some(&node.id) == id)
        };
        let waiting: Vec<_> =
            all.iter().filter(ours).filter(|state| !state.not_usable.is_empty()).collect();
        if waiting.is_empty() {
            return Ok(());
        }
        if began.elapsed() > USABLE_WITHIN {
            for state in waiting {
                let name = state.node.as_ref().map(|node| node.name.as_str()).unwrap_or_default();
                out.say(&format!("{name} cannot be used now: {}", state.not_usable));
            }
            return Ok(());
        }
        sleep(LOOK_EVERY).await;
    }
}

/// A key whose secret was never written is of no use to anybody: the next start makes another.
async fn key(to: &mut Operator, house: &House, file: &Path) -> Result<(), Failure> {
    let request = admin::CreateKeyRequest {
        id: names::id_or_new(None)?,
        organisation_id: house.organisation_id.clone(),
        environment_id: house.environment_id.clone(),
        name: KEY.to_owned(),
        ..Default::default()
    };
    let made = client::change(to.keys.create(request)).await?;
    Ok(files::write_secret(file, &made.secret)?)
}

impl House {
    fn node_id(&self, name: &str) -> Result<String, Failure> {
        let found = self.nodes.iter().find(|node| node.name == name);
        found.map(|node| node.id.clone()).ok_or_else(|| {
            Failure::invalid(format!("the demonstration does not know the node {name}"))
        })
    }
}
