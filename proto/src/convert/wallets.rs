//! switchyard.v1.Wallets

use domain::{
    Msat, Network, PaymentId, SignedMsat, Timestamp, WalletId,
    ledger::{Account, Funds, Posting, Side},
    money::Currency,
    org::{Backing, Event, Metadata, Org, Wallet},
};

use super::{BackingMissing, PAGE_DEFAULT, PAGE_MAX, WireError, id, msat, page_limit, seq};
use crate::v1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct List {
    pub limit: u32,
    pub after: Option<WalletId>,
    pub include_deleted: bool,
}

impl TryFrom<v1::ListWalletsRequest> for List {
    type Error = WireError;

    fn try_from(request: v1::ListWalletsRequest) -> Result<List, WireError> {
        let after = match request.cursor.as_str() {
            "" => None,
            cursor => Some(cursor.parse().map_err(|_| WireError::Cursor)?),
        };
        let limit = page_limit(request.limit, PAGE_MAX)?;
        Ok(List { limit, after, include_deleted: request.include_deleted })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ledger {
    pub wallet: WalletId,
    pub after_seq: u64,
    pub limit: u32,
    pub payment: Option<PaymentId>,
    /// Both inclusive.
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    pub newest_first: bool,
    pub offset: u64,
}

impl TryFrom<v1::LedgerRequest> for Ledger {
    type Error = WireError;

    fn try_from(request: v1::LedgerRequest) -> Result<Ledger, WireError> {
        let payment = match request.payment_id.as_str() {
            "" => None,
            payment => Some(id("payment_id", payment)?),
        };
        Ok(Ledger {
            wallet: id("wallet_id", &request.wallet_id)?,
            after_seq: seq(request.after_seq),
            limit: page_limit(request.limit, PAGE_DEFAULT)?,
            payment,
            from: request.from_ms.map(Timestamp::from_millis),
            to: request.to_ms.map(Timestamp::from_millis),
            newest_first: request.newest_first,
            offset: seq(request.offset),
        })
    }
}

/// A wallet to make. Its name has not been looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Create {
    pub wallet: WalletId,
    pub name: String,
    pub backing: Backing,
    pub limit_msat: Msat,
    pub metadata: Metadata,
}

impl TryFrom<v1::CreateWalletRequest> for Create {
    type Error = WireError;

    fn try_from(request: v1::CreateWalletRequest) -> Result<Create, WireError> {
        use v1::create_wallet_request::Backing as Asked;

        let backing = match request.backing.ok_or(WireError::Missing("backing"))? {
            Asked::LineId(line) => Backing::Line(id("line_id", &line)?),
            Asked::NodeId(node) => Backing::Node(id("node_id", &node)?),
        };
        Ok(Create {
            wallet: id("id", &request.id)?,
            name: request.name,
            backing,
            limit_msat: msat("limit_msat", request.limit_msat)?,
            metadata: request.metadata,
        })
    }
}

pub fn wallet_id(request_id: &str) -> Result<WalletId, WireError> {
    id("id", request_id)
}

pub fn wallet(
    org: &Org,
    network: Network,
    id: WalletId,
    wallet: &Wallet,
) -> Result<v1::Wallet, BackingMissing> {
    let backing = match wallet.backing {
        Backing::Line(line) => v1::wallet::Backing::LineId(line.to_string()),
        Backing::Node(node) => v1::wallet::Backing::NodeId(node.to_string()),
    };
    Ok(v1::Wallet {
        id: id.to_string(),
        environment_id: wallet.environment.to_string(),
        name: wallet.name.clone(),
        backing: Some(backing),
        available_msat: available(org, id, wallet)?.get(),
        held_msat: wallet.funds.held_msat.get(),
        total_msat: wallet.funds.total().get(),
        limit_msat: wallet.funds.limit_msat.get(),
        created_at_ms: wallet.created_at.millis(),
        updated_at_ms: wallet.updated_at.millis(),
        deleted_at_ms: wallet.deleted_at.map(Timestamp::millis),
        metadata: wallet.metadata.clone(),
        currency: Currency::Btc.code().to_owned(),
        network: network.name().to_owned(),
    })
}

/// The least of what the wallet and its backing have (`money-safety` rule 32).
pub(super) fn available(
    org: &Org,
    id: WalletId,
    wallet: &Wallet,
) -> Result<SignedMsat, BackingMissing> {
    let backing: Option<&Funds> = match wallet.backing {
        Backing::Line(line) => org.lines.get(&line).map(|line| &line.funds),
        Backing::Node(node) => org.nodes.get(&node).map(|node| &node.funds),
    };
    let backing = backing.ok_or(BackingMissing(id))?;
    Ok(wallet.funds.available().min(backing.available()))
}

/// One event as an entry of a wallet's ledger; `None` for an event that does not move the wallet.
pub fn ledger_entry(
    of: WalletId,
    at_seq: u64,
    at: Timestamp,
    event: &Event,
) -> Option<v1::LedgerEntry> {
    let (kind, amount_msat) = match event {
        Event::Held { terms, amount_msat, fee_limit_msat, .. } if terms.wallet == of => {
            let hold_msat = amount_msat.get().saturating_add(fee_limit_msat.get());
            (v1::LedgerKind::Held, Some(hold_msat))
        }
        Event::Posted { .. } => (v1::LedgerKind::Captured, Some(moved(of, event).unsigned_abs())),
        // Which wallet it was is known by the hold; the ledger of a wallet has only its own events.
        Event::Voided { .. } => (v1::LedgerKind::Released, None),
        Event::Resolved { correction: Some(_), .. } => {
            let change_msat = moved(of, event);
            let kind = match change_msat {
                0.. => v1::LedgerKind::Credited,
                _ => v1::LedgerKind::Captured,
            };
            (kind, Some(change_msat.unsigned_abs()))
        }
        Event::Received { .. } | Event::ClaimCredited { .. } => {
            (v1::LedgerKind::Credited, Some(moved(of, event).unsigned_abs()))
        }
        Event::Held { .. }
        | Event::EnvironmentCreated { .. }
        | Event::EnvironmentRenamed { .. }
        | Event::LineOpened { .. }
        | Event::LineLimitSet { .. }
        | Event::LineDisabled { .. }
        | Event::LineEnabled { .. }
        | Event::NodeFundsSet { .. }
        | Event::WalletCreated { .. }
        | Event::WalletLimitSet { .. }
        | Event::WalletRenamed { .. }
        | Event::WalletDeleted { .. }
        | Event::SendRefused { .. }
        | Event::AttemptStarted { .. }
        | Event::RequestIssued { .. }
        | Event::RequestUnsent { .. }
        | Event::AttemptFailed { .. }
        | Event::Contradicted { .. }
        | Event::Resolved { correction: None, .. }
        | Event::CancelRequested { .. }
        | Event::InvoiceRequested { .. }
        | Event::InvoiceMade { .. }
        | Event::InvoiceNotMade { .. }
        | Event::InvoiceExpired { .. }
        | Event::InvoiceClaimed { .. }
        | Event::ClaimWithdrawn { .. }
        | Event::ClaimRefused { .. }
        | Event::InvoiceWithdrawn { .. } => return None,
    };
    let entry = event.entry();
    let postings = entry.map(|entry| entry.postings().iter().map(posting).collect());
    let currency = entry.map_or(Currency::Btc, |entry| entry.currency());
    Some(v1::LedgerEntry {
        seq: at_seq,
        at_ms: at.millis(),
        kind: kind.into(),
        payment_id: event.payment().map(|payment| payment.to_string()).unwrap_or_default(),
        amount_msat,
        change_msat: moved(of, event),
        currency: currency.code().to_owned(),
        postings: postings.unwrap_or_default(),
    })
}

/// The contract's word, for people and exports.
pub fn kind_word(kind: v1::LedgerKind) -> &'static str {
    match kind {
        v1::LedgerKind::Unspecified => "unspecified",
        v1::LedgerKind::Held => "held",
        v1::LedgerKind::Captured => "captured",
        v1::LedgerKind::Released => "released",
        v1::LedgerKind::Credited => "credited",
    }
}

/// What the event's entry adds to what the house owes the wallet.
fn moved(of: WalletId, event: &Event) -> i64 {
    let postings = event.entry().map(|entry| entry.postings()).unwrap_or_default();
    let of_wallet = postings.iter().filter(|posting| posting.account == Account::Wallet(of));
    of_wallet.fold(0_i64, |sum, posting| {
        let amount_msat = posting.amount_msat.signed().get();
        match posting.side {
            Side::Debit => sum.saturating_sub(amount_msat),
            Side::Credit => sum.saturating_add(amount_msat),
        }
    })
}

fn posting(posting: &Posting) -> v1::Posting {
    let account = match posting.account {
        Account::Wallet(wallet) => format!("wallet:{wallet}"),
        Account::Node(node) => format!("node:{node}"),
        Account::Clearing => "clearing".to_owned(),
    };
    let amount_msat = posting.amount_msat.get();
    let (debit_msat, credit_msat) = match posting.side {
        Side::Debit => (amount_msat, 0),
        Side::Credit => (0, amount_msat),
    };
    v1::Posting { account, debit_msat, credit_msat }
}
