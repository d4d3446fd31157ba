//! `switchyard line`: what the house lends.

use bootstrap::Exit;
use clap::{Args, Subcommand};
use proto::{admin::v1 as admin, v1};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    client::{self, Connection},
    failure::Failure,
    names,
    output::Output,
    show::{facts, sat, signed_sat, time},
};

#[derive(Args)]
pub(crate) struct Line {
    #[command(flatten)]
    to: Connection,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Open a line of credit (operator).
    Open {
        /// Name or id.
        #[arg(long)]
        org: String,
        /// Name or id.
        #[arg(long)]
        env: String,
        #[arg(long, value_name = "N", allow_negative_numbers = true)]
        limit_msat: u64,
        #[arg(long, value_name = "UUID")]
        id: Option<Uuid>,
    },
    /// Set a line's limit; below use it stops new sends and nothing else (operator).
    Limit {
        line: Uuid,
        /// Name or id.
        #[arg(long)]
        org: String,
        #[arg(long, value_name = "N", allow_negative_numbers = true)]
        limit_msat: u64,
    },
    /// Limit, allocated, used, available: of one line, or of all that the key sees.
    Show { line: Option<Uuid> },
}

impl Line {
    pub(crate) async fn run(self, out: &Output) -> Result<Exit, Failure> {
        match self.command {
            Command::Open { org, env, limit_msat, id } => {
                let mut to = self.to.operator().await?;
                let organisation_id = names::organisation(&mut to, &org).await?;
                let environment_id = names::environment(&mut to, &organisation_id, &env).await?;
                let id = names::id_or_new(id)?;
                let document = json!({
                    "id": id,
                    "organisation_id": organisation_id,
                    "environment_id": environment_id,
                    "limit_msat": limit_msat,
                });
                let line_id = id.clone();
                let request = admin::OpenLineRequest {
                    organisation_id,
                    id: line_id,
                    environment_id,
                    limit_msat,
                };
                let opened = client::change(to.organisations.open_line(request)).await;
                opened.map_err(|failure| failure.about(&id))?;
                out.answer(&document, || id.clone());
            }
            Command::Limit { line, org, limit_msat } => {
                let mut to = self.to.operator().await?;
                let organisation_id = names::organisation(&mut to, &org).await?;
                let line_id = line.to_string();
                let document = json!({ "id": line_id, "limit_msat": limit_msat });
                let request = admin::SetLineLimitRequest { organisation_id, line_id, limit_msat };
                client::change(to.organisations.set_line_limit(request)).await?;
                out.answer(&document, || format!("limit {}", sat(limit_msat)));
            }
            Command::Show { line } => self.show(line, out).await?,
        }
        Ok(Exit::Done)
    }

    async fn show(&self, line: Option<Uuid>, out: &Output) -> Result<(), Failure> {
        let mut to = self.to.customer().await?;
        match line {
            Some(id) => {
                let get = to.lines.get(v1::GetLineRequest { id: id.to_string() });
                let line = client::read(get).await?;
                out.answer(&document(&line), || text(&line));
            }
            None => {
                let all = v1::ListLinesRequest { include_disabled: true };
                let lines = client::read(to.lines.list(all)).await?.lines;
                let all: Vec<Value> = lines.iter().map(document).collect();
                out.answer(&json!({ "lines": all }), || {
                    lines.iter().map(text).collect::<Vec<_>>().join("\n")
                });
            }
        }
        Ok(())
    }
}

fn document(line: &v1::Line) -> Value {
    json!({
        "id": line.id,
        "environment_id": line.environment_id,
        "limit_msat": line.limit_msat,
        "allocated_msat": line.allocated_msat,
        "used_msat": line.used_msat,
        "held_msat": line.held_msat,
        "available_msat": line.available_msat,
        "currency": line.currency,
        "network": line.network,
        "created_at_ms": line.created_at_ms,
        "disabled_at_ms": line.disabled_at_ms,
    })
}

fn text(line: &v1::Line) -> String {
    facts(&[
        ("line", line.id.clone()),
        ("limit", sat(line.limit_msat)),
        ("allocated", sat(line.allocated_msat)),
        ("used", sat(line.used_msat)),
        ("held", sat(line.held_msat)),
        ("available", signed_sat(line.available_msat)),
        ("disabled", line.disabled_at_ms.map(time).unwrap_or_default()),
    ])
}
