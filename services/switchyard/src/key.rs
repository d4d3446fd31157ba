//! `switchyard key`: API keys, for the operator.

use std::path::PathBuf;

use bootstrap::{Exit, files};
use clap::{Args, Subcommand};
use proto::admin::v1 as admin;
use serde_json::json;
use uuid::Uuid;

use crate::{
    client::{self, Connection},
    failure::Failure,
    names,
    output::Output,
    show::facts,
};

#[derive(Args)]
pub(crate) struct Key {
    #[command(flatten)]
    to: Connection,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make an API key. Its secret is shown once and never stored.
    Create {
        name: String,
        /// Name or id.
        #[arg(long)]
        org: String,
        /// The one environment that the key sees: name or id.
        #[arg(long)]
        env: String,
        /// Write the secret to this file (mode 0600) instead of showing it.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        #[arg(long, value_name = "UUID")]
        id: Option<Uuid>,
    },
    /// Revoke a key; it stops within five seconds.
    Revoke { id: Uuid },
}

impl Key {
    pub(crate) async fn run(self, out: &Output) -> Result<Exit, Failure> {
        let mut to = self.to.operator().await?;
        match self.command {
            Command::Create { name, org, env, out: file, id } => {
                let organisation_id = names::organisation(&mut to, &org).await?;
                let environment_id = names::environment(&mut to, &organisation_id, &env).await?;
                let id = names::id_or_new(id)?;
                let document = json!({
                    "id": id,
                    "organisation_id": organisation_id,
                    "environment_id": environment_id,
                    "name": name,
                });
                let key_id = id.clone();
                let request =
                    admin::CreateKeyRequest { id: key_id, organisation_id, environment_id, name };
                let made = client::change(to.keys.create(request)).await;
                let secret = made.map_err(|failure| failure.about(&id))?.secret;
                show_secret(document, &id, &secret, file, out)?;
            }
            Command::Revoke { id } => {
                let id = id.to_string();
                client::change(to.keys.revoke(admin::RevokeKeyRequest { id: id.clone() })).await?;
                out.answer(&json!({ "id": id, "revoked": true }), || "revoked".to_owned());
            }
        }
        Ok(Exit::Done)
    }
}

fn show_secret(
    mut document: serde_json::Value,
    id: &str,
    secret: &str,
    file: Option<PathBuf>,
    out: &Output,
) -> Result<(), Failure> {
    match file {
        Some(file) => {
            files::write_secret(&file, secret)?;
            document["secret_file"] = json!(file);
            out.answer(&document, || {
                facts(&[("key", id.to_owned()), ("secret in", file.display().to_string())])
            });
        }
        None => {
            document["secret"] = json!(secret);
            out.answer(&document, || {
                facts(&[("key", id.to_owned()), ("secret", secret.to_owned())])
            });
        }
    }
    Ok(())
}
