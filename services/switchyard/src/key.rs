//! `switchyard key`: API keys, for the operator.

use std::path::{Path, PathBuf};

use bootstrap::{Exit, clock::SystemClock, files::SecretFile};
use clap::{Args, Subcommand, ValueEnum};
use ports::Clock as _;
use proto::{admin::v1 as admin, convert::keys};
use serde_json::json;
use uuid::Uuid;

use crate::{
    client::{self, Connection},
    failure::Failure,
    names,
    output::Output,
    show::{facts, table, time},
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
        /// What the key may do, once for each; without any: read, receive and write.
        #[arg(long = "permission", value_enum, value_name = "PERMISSION")]
        permissions: Vec<Permission>,
        /// The key stops after so many days; without it, when it is revoked.
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
        expires_in_days: Option<u32>,
        /// An address or network (such as 10.0.0.0/8) that the key may be used from, once for each;
        /// without any: from everywhere.
        #[arg(long = "allow", value_name = "NETWORK")]
        valid_ips: Vec<String>,
        /// Write the secret to this file (mode 0600) instead of showing it.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        #[arg(long, value_name = "UUID")]
        id: Option<Uuid>,
    },
    /// All keys of an organisation, the revoked ones too.
    List {
        /// Name or id.
        #[arg(long)]
        org: String,
    },
    /// Revoke a key; it stops within five seconds.
    Revoke { id: Uuid },
}

#[derive(Clone, Copy, ValueEnum)]
enum Permission {
    /// See everything of the environment.
    Read,
    /// Ask for money to be paid in.
    Receive,
    /// Send, and change wallets.
    Write,
    /// See and pay what is owed to the house.
    Billing,
}

impl From<Permission> for admin::Permission {
    fn from(permission: Permission) -> admin::Permission {
        match permission {
            Permission::Read => admin::Permission::Read,
            Permission::Receive => admin::Permission::Receive,
            Permission::Write => admin::Permission::Write,
            Permission::Billing => admin::Permission::Billing,
        }
    }
}

impl Key {
    pub(crate) async fn run(self, out: &Output) -> Result<Exit, Failure> {
        let mut to = self.to.operator().await?;
        match self.command {
            Command::Create {
                name,
                org,
                env,
                permissions,
                expires_in_days,
                valid_ips,
                out: file,
                id,
            } => {
                let file = file.as_deref().map(reserve).transpose()?;
                let organisation_id = names::organisation(&mut to, &org).await?;
                let environment_id = names::environment(&mut to, &organisation_id, &env).await?;
                let id = names::id_or_new(id)?;
                let wanted = permissions.into_iter().map(|it| admin::Permission::from(it).into());
                let request = admin::CreateKeyRequest {
                    id: id.clone(),
                    organisation_id,
                    environment_id,
                    name,
                    permissions: wanted.collect(),
                    expires_at_ms: expires_in_days.map(in_days),
                    valid_ips,
                };
                let made = client::change(to.keys.create(request)).await;
                let made = made.map_err(|failure| failure.about(&id))?;
                let document = key_document(&made.key.unwrap_or_default());
                show_secret(document, &id, &made.secret, file, out)?;
            }
            Command::List { org } => {
                let organisation_id = names::organisation(&mut to, &org).await?;
                let request = admin::ListKeysRequest { organisation_id };
                let keys = client::read(to.keys.list(request)).await?.keys;
                let document: Vec<_> = keys.iter().map(key_document).collect();
                out.answer(&json!({ "keys": document }), || keys_text(&keys));
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

/// Before the key is made: its secret is told once, and what is in that file may be one that somebody uses.
fn reserve(file: &Path) -> Result<SecretFile, Failure> {
    match file.exists() {
        true => Err(Failure::invalid(format!("{} is there already", file.display()))),
        false => Ok(SecretFile::reserve(file)?),
    }
}

fn in_days(days: u32) -> i64 {
    SystemClock.now().plus_seconds(i64::from(days) * 86_400).millis()
}

fn key_document(key: &admin::Key) -> serde_json::Value {
    json!({
        "id": key.id,
        "organisation_id": key.organisation_id,
        "environment_id": key.environment_id,
        "name": key.name,
        "permissions": words(key),
        "valid_ips": key.valid_ips,
        "created_at_ms": key.created_at_ms,
        "updated_at_ms": key.updated_at_ms,
        "expires_at_ms": key.expires_at_ms,
        "revoked_at_ms": key.revoked_at_ms,
        "last_used_at_ms": key.last_used_at_ms,
    })
}

fn words(key: &admin::Key) -> Vec<&'static str> {
    key.permissions().map(keys::permission_word).collect()
}

fn keys_text(keys: &[admin::Key]) -> String {
    let when = |millis: Option<i64>| millis.map_or_else(|| "-".to_owned(), time);
    let head = ["ID", "NAME", "ENVIRONMENT", "PERMISSIONS", "EXPIRES", "LAST USED", "REVOKED"];
    let row = |key: &admin::Key| {
        vec![
            key.id.clone(),
            key.name.clone(),
            key.environment_id.clone(),
            words(key).join(","),
            when(key.expires_at_ms),
            when(key.last_used_at_ms),
            when(key.revoked_at_ms),
        ]
    };
    table(&head, &keys.iter().map(row).collect::<Vec<_>>())
}

fn show_secret(
    mut document: serde_json::Value,
    id: &str,
    secret: &str,
    file: Option<SecretFile>,
    out: &Output,
) -> Result<(), Failure> {
    match file {
        Some(file) => {
            let path = file.path().display().to_string();
            file.write(secret).map_err(|error| Failure::from(error).about(id))?;
            document["secret_file"] = json!(path);
            out.answer(&document, || facts(&[("key", id.to_owned()), ("secret in", path.clone())]));
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
