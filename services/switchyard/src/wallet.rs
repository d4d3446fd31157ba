//! `switchyard wallet`: balances and the entries that moved them.

use bootstrap::Exit;
use clap::{ArgGroup, Args, Subcommand};
use proto::{
    admin::v1::{self as admin, create_wallet_request},
    v1::{self, wallet::Backing},
};
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
pub(crate) struct Wallet {
    #[command(flatten)]
    to: Connection,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a wallet that draws on a line of credit, or on the organisation's own node (operator).
    Create(Create),
    /// Set a wallet's share (operator).
    Limit {
        /// Name or id.
        wallet: String,
        /// Name or id.
        #[arg(long)]
        org: String,
        #[arg(long, value_name = "N", allow_negative_numbers = true)]
        limit_msat: u64,
    },
    /// Available, held, total.
    Show {
        /// Name or id.
        wallet: String,
    },
    List,
    /// Every entry that moved a wallet, oldest first.
    Ledger {
        /// Name or id.
        wallet: String,
        #[arg(long, value_name = "SEQ", default_value_t = 0)]
        after_seq: u64,
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: u32,
    },
}

#[derive(Args)]
#[command(group(ArgGroup::new("backing").required(true).args(["line", "node"])))]
struct Create {
    name: String,
    /// Name or id.
    #[arg(long)]
    org: String,
    /// Name or id.
    #[arg(long)]
    env: String,
    /// Draw on this line of credit.
    #[arg(long, value_name = "UUID")]
    line: Option<Uuid>,
    /// Draw on this node of the organisation: name or id.
    #[arg(long)]
    node: Option<String>,
    /// The wallet's share of what its backing has to give.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    limit_msat: u64,
    #[arg(long, value_name = "UUID")]
    id: Option<Uuid>,
}

impl Wallet {
    pub(crate) async fn run(self, out: &Output) -> Result<Exit, Failure> {
        match self.command {
            Command::Create(create) => create.run(&self.to, out).await?,
            Command::Limit { wallet, org, limit_msat } => {
                let mut to = self.to.operator().await?;
                let organisation_id = names::organisation(&mut to, &org).await?;
                let wallet_id =
                    names::organisations_wallet(&mut to, &organisation_id, &wallet).await?;
                let document = json!({ "id": wallet_id, "limit_msat": limit_msat });
                let request =
                    admin::SetWalletLimitRequest { organisation_id, wallet_id, limit_msat };
                client::change(to.organisations.set_wallet_limit(request)).await?;
                out.answer(&document, || format!("limit {}", sat(limit_msat)));
            }
            Command::Show { wallet } => {
                let mut to = self.to.customer().await?;
                let id = names::wallet(&mut to, &wallet).await?;
                let wallet = client::read(to.wallets.get(v1::GetWalletRequest { id })).await?;
                out.answer(&document(&wallet), || text(&wallet));
            }
            Command::List => {
                let mut to = self.to.customer().await?;
                let wallets = names::wallets(&mut to).await?;
                let all: Vec<Value> = wallets.iter().map(document).collect();
                out.answer(&json!({ "wallets": all }), || list_text(&wallets));
            }
            Command::Ledger { wallet, after_seq, limit } => {
                let mut to = self.to.customer().await?;
                let wallet_id = names::wallet(&mut to, &wallet).await?;
                let request =
                    v1::LedgerRequest { wallet_id, after_seq, limit, ..Default::default() };
                let page = client::read(to.wallets.ledger(request)).await?;
                let entries: Vec<Value> = page.entries.iter().map(entry).collect();
                let document = json!({ "entries": entries, "next_after_seq": page.next_after_seq });
                out.answer(&document, || ledger_text(&page));
            }
        }
        Ok(Exit::Done)
    }
}

impl Create {
    async fn run(self, to: &Connection, out: &Output) -> Result<(), Failure> {
        let mut to = to.operator().await?;
        let organisation_id = names::organisation(&mut to, &self.org).await?;
        let environment_id = names::environment(&mut to, &organisation_id, &self.env).await?;
        let node_id = match &self.node {
            Some(node) => Some(names::node(&mut to, node).await?),
            None => None,
        };
        let line_id = self.line.map(|line| line.to_string());
        let id = names::id_or_new(self.id)?;
        let document = json!({
            "id": id,
            "organisation_id": organisation_id,
            "environment_id": environment_id,
            "name": self.name,
            "line_id": line_id,
            "node_id": node_id,
            "limit_msat": self.limit_msat,
        });
        let backing = match (line_id, node_id) {
            (Some(line), _) => Some(create_wallet_request::Backing::LineId(line)),
            (None, Some(node)) => Some(create_wallet_request::Backing::NodeId(node)),
            (None, None) => None,
        };
        let request = admin::CreateWalletRequest {
            organisation_id,
            id: id.clone(),
            environment_id,
            name: self.name,
            limit_msat: self.limit_msat,
            backing,
        };
        let created = client::change(to.organisations.create_wallet(request)).await;
        created.map_err(|failure| failure.about(&id))?;
        out.answer(&document, || id.clone());
        Ok(())
    }
}

fn backing(wallet: &v1::Wallet) -> (Option<&str>, Option<&str>) {
    match &wallet.backing {
        Some(Backing::LineId(line)) => (Some(line), None),
        Some(Backing::NodeId(node)) => (None, Some(node)),
        None => (None, None),
    }
}

fn backing_text(wallet: &v1::Wallet) -> String {
    match backing(wallet) {
        (Some(line), _) => format!("line {line}"),
        (None, Some(node)) => format!("node {node}"),
        (None, None) => String::new(),
    }
}

fn document(wallet: &v1::Wallet) -> Value {
    let (line_id, node_id) = backing(wallet);
    json!({
        "id": wallet.id,
        "environment_id": wallet.environment_id,
        "name": wallet.name,
        "line_id": line_id,
        "node_id": node_id,
        "available_msat": wallet.available_msat,
        "held_msat": wallet.held_msat,
        "total_msat": wallet.total_msat,
        "limit_msat": wallet.limit_msat,
        "currency": wallet.currency,
        "network": wallet.network,
        "metadata": wallet.metadata,
        "created_at_ms": wallet.created_at_ms,
        "updated_at_ms": wallet.updated_at_ms,
        "deleted_at_ms": wallet.deleted_at_ms,
    })
}

fn text(wallet: &v1::Wallet) -> String {
    facts(&[
        ("wallet", format!("{} {}", wallet.id, wallet.name)),
        ("draws on", backing_text(wallet)),
        ("available", signed_sat(wallet.available_msat)),
        ("held", sat(wallet.held_msat)),
        ("total", signed_sat(wallet.total_msat)),
        ("limit", sat(wallet.limit_msat)),
    ])
}

fn list_text(wallets: &[v1::Wallet]) -> String {
    let row = |wallet: &v1::Wallet| {
        vec![
            wallet.name.clone(),
            wallet.id.clone(),
            signed_sat(wallet.available_msat),
            sat(wallet.held_msat),
            signed_sat(wallet.total_msat),
        ]
    };
    let head = ["NAME", "ID", "AVAILABLE", "HELD", "TOTAL"];
    table(&head, &wallets.iter().map(row).collect::<Vec<_>>())
}

fn kind(entry: &v1::LedgerEntry) -> &'static str {
    match entry.kind() {
        v1::LedgerKind::Held => "held",
        v1::LedgerKind::Captured => "captured",
        v1::LedgerKind::Released => "released",
        v1::LedgerKind::Credited => "credited",
        v1::LedgerKind::Unspecified => "unspecified",
    }
}

fn entry(entry: &v1::LedgerEntry) -> Value {
    let posting = |posting: &v1::Posting| {
        json!({
            "account": posting.account,
            "debit_msat": posting.debit_msat,
            "credit_msat": posting.credit_msat,
        })
    };
    json!({
        "seq": entry.seq,
        "at_ms": entry.at_ms,
        "kind": kind(entry),
        "payment_id": some(&entry.payment_id),
        "amount_msat": entry.amount_msat,
        "change_msat": entry.change_msat,
        "currency": entry.currency,
        "postings": entry.postings.iter().map(posting).collect::<Vec<_>>(),
    })
}

fn ledger_text(page: &v1::LedgerResponse) -> String {
    let row = |entry: &v1::LedgerEntry| {
        vec![
            entry.seq.to_string(),
            time(entry.at_ms),
            kind(entry).to_owned(),
            entry.amount_msat.map(sat).unwrap_or_default(),
            if entry.change_msat == 0 { String::new() } else { signed_sat(entry.change_msat) },
            entry.payment_id.clone(),
        ]
    };
    let head = ["SEQ", "AT", "ENTRY", "AMOUNT", "CHANGE", "PAYMENT"];
    let mut text = table(&head, &page.entries.iter().map(row).collect::<Vec<_>>());
    if let Some(next) = page.next_after_seq {
        text += &format!("there is more: --after-seq {next}\n");
    }
    text
}
