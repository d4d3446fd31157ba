//! `switchyard org` and `switchyard env`: organisations and their environments, for the operator.

use bootstrap::Exit;
use clap::{Args, Subcommand};
use proto::admin::v1 as admin;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    client::{self, Connection},
    failure::Failure,
    names::{self, some},
    output::Output,
    show::{facts, sat, signed_sat, table, time},
};

#[derive(Args)]
pub(crate) struct Org {
    #[command(flatten)]
    to: Connection,
    #[command(subcommand)]
    command: OrgCommand,
}

#[derive(Subcommand)]
enum OrgCommand {
    /// Take an organisation in.
    Create {
        /// Unique in the installation.
        name: String,
        /// Choose the id, so that a lost answer can be repeated [default: a new one].
        #[arg(long, value_name = "UUID")]
        id: Option<Uuid>,
    },
    List,
    /// Environments, lines, nodes and wallets as they stand.
    Show {
        /// Name or id.
        organisation: String,
    },
}

#[derive(Args)]
pub(crate) struct Env {
    #[command(flatten)]
    to: Connection,
    #[command(subcommand)]
    command: EnvCommand,
}

#[derive(Subcommand)]
enum EnvCommand {
    /// Give an organisation an environment: what an API key is bound to.
    Create {
        name: String,
        /// Name or id.
        #[arg(long)]
        org: String,
        #[arg(long, value_name = "UUID")]
        id: Option<Uuid>,
    },
    /// Give an environment another name. Its keys and wallets stay as they are.
    Rename {
        /// Name or id.
        environment: String,
        #[arg(value_name = "NEW NAME")]
        name: String,
        /// Name or id.
        #[arg(long)]
        org: String,
    },
    /// The environments of an organisation.
    List {
        /// Name or id.
        #[arg(long)]
        org: String,
    },
}

impl Org {
    pub(crate) async fn run(self, out: &Output) -> Result<Exit, Failure> {
        let mut to = self.to.operator().await?;
        match self.command {
            OrgCommand::Create { name, id } => {
                let id = names::id_or_new(id)?;
                let request = admin::CreateOrganisationRequest { id: id.clone(), name };
                let org = client::change(to.organisations.create(request)).await;
                let org = org.map_err(|failure| failure.about(&id))?;
                out.answer(&organisation(&org), || org.id.clone());
            }
            OrgCommand::List => {
                let list = to.organisations.list(admin::ListOrganisationsRequest {});
                let all = client::read(list).await?.organisations;
                let document: Vec<Value> = all.iter().map(organisation).collect();
                out.answer(&json!({ "organisations": document }), || {
                    let row = |org: &admin::Organisation| {
                        vec![org.id.clone(), org.name.clone(), time(org.created_at_ms)]
                    };
                    table(&["ID", "NAME", "SINCE"], &all.iter().map(row).collect::<Vec<_>>())
                });
            }
            OrgCommand::Show { organisation } => {
                let id = names::organisation(&mut to, &organisation).await?;
                let get = to.organisations.get(admin::GetOrganisationRequest { id: id.clone() });
                let standing = client::read(get).await?;
                out.answer(&standing_document(&id, &standing), || standing_text(&standing));
            }
        }
        Ok(Exit::Done)
    }
}

impl Env {
    pub(crate) async fn run(self, out: &Output) -> Result<Exit, Failure> {
        let mut to = self.to.operator().await?;
        match self.command {
            EnvCommand::Create { name, org, id } => {
                let organisation_id = names::organisation(&mut to, &org).await?;
                let id = names::id_or_new(id)?;
                let document =
                    json!({ "id": id, "organisation_id": organisation_id, "name": name });
                let request =
                    admin::CreateEnvironmentRequest { organisation_id, id: id.clone(), name };
                let created = client::change(to.organisations.create_environment(request)).await;
                created.map_err(|failure| failure.about(&id))?;
                out.answer(&document, || id.clone());
            }
            EnvCommand::Rename { environment, name, org } => {
                let organisation_id = names::organisation(&mut to, &org).await?;
                let id = names::environment(&mut to, &organisation_id, &environment).await?;
                let document =
                    json!({ "id": id, "organisation_id": organisation_id, "name": name });
                let request = admin::RenameEnvironmentRequest {
                    organisation_id,
                    environment_id: id.clone(),
                    name,
                };
                client::change(to.organisations.rename_environment(request)).await?;
                out.answer(&document, || id.clone());
            }
            EnvCommand::List { org } => {
                let id = names::organisation(&mut to, &org).await?;
                let get = to.organisations.get(admin::GetOrganisationRequest { id });
                let all = client::read(get).await?.environments;
                let document: Vec<_> = all.iter().map(environment_document).collect();
                out.answer(&json!({ "environments": document }), || {
                    let row = |of: &admin::Environment| vec![of.id.clone(), of.name.clone()];
                    table(&["ID", "NAME"], &all.iter().map(row).collect::<Vec<_>>())
                });
            }
        }
        Ok(Exit::Done)
    }
}

fn environment_document(of: &admin::Environment) -> Value {
    json!({ "id": of.id, "name": of.name })
}

fn organisation(org: &admin::Organisation) -> Value {
    json!({ "id": org.id, "name": org.name, "created_at_ms": org.created_at_ms })
}

fn standing_document(id: &str, standing: &admin::Standing) -> Value {
    let all = |funds: &[admin::Funds]| funds.iter().map(funds_document).collect::<Vec<_>>();
    json!({
        "id": id,
        "environments": standing.environments.iter().map(environment_document).collect::<Vec<_>>(),
        "lines": all(&standing.lines),
        "nodes": all(&standing.nodes),
        "wallets": all(&standing.wallets),
    })
}

fn funds_document(funds: &admin::Funds) -> Value {
    json!({
        "id": funds.id,
        "environment_id": some(&funds.environment_id),
        "name": some(&funds.name),
        "backing_id": some(&funds.backing_id),
        "limit_msat": funds.limit_msat,
        "net_msat": funds.net_msat,
        "held_msat": funds.held_msat,
        "available_msat": funds.available_msat,
        "allocated_msat": funds.allocated_msat,
    })
}

fn standing_text(standing: &admin::Standing) -> String {
    let environments: Vec<_> = standing
        .environments
        .iter()
        .map(|of| ("environment", format!("{} {}", of.id, of.name)))
        .collect();
    let kinds =
        [("line", &standing.lines), ("node", &standing.nodes), ("wallet", &standing.wallets)];
    let mut rows = Vec::new();
    for (kind, all) in kinds {
        rows.extend(all.iter().map(|of| {
            vec![
                kind.to_owned(),
                of.id.clone(),
                of.name.clone(),
                sat(of.limit_msat),
                sat(of.allocated_msat),
                sat(of.held_msat),
                signed_sat(of.available_msat),
            ]
        }));
    }
    let head = ["", "ID", "NAME", "LIMIT", "ALLOCATED", "HELD", "AVAILABLE"];
    format!("{}{}", facts(&environments), table(&head, &rows))
}
