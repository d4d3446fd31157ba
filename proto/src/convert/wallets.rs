//! switchyard.v1.Wallets

use domain::{
    SignedMsat, Timestamp, WalletId,
    ledger::{Account, Funds, Posting, Side},
    org::{Backing, Event, Org, Wallet},
};

use super::{BackingMissing, PAGE_DEFAULT, PAGE_MAX, WireError, id, page_limit};
use crate::v1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct List {
    pub limit: u32,
    pub after: Option<WalletId>,
}

impl TryFrom<v1::ListWalletsRequest> for List {
    type Error = WireError;

    fn try_from(request: v1::ListWalletsRequest) -> Result<List, WireError> {
        let after = match request.cursor.as_str() {
            "" => None,
            cursor => Some(cursor.parse().map_err(|_| WireError::Cursor)?),
        };
        Ok(List { limit: page_limit(request.limit, PAGE_MAX)?, after })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ledger {
    pub wallet: WalletId,
    pub after_seq: u64,
    pub limit: u32,
}

impl TryFrom<v1::LedgerRequest> for Ledger {
    type Error = WireError;

    fn try_from(request: v1::LedgerRequest) -> Result<Ledger, WireError> {
        Ok(Ledger {
            wallet: id("wallet_id", &request.wallet_id)?,
            // Nothing is behind a position that no journal reaches.
            after_seq: request.after_seq.min(i64::MAX.unsigned_abs()),
            limit: page_limit(request.limit, PAGE_DEFAULT)?,
        })
    }
}

pub fn wallet_id(request_id: &str) -> Result<WalletId, WireError> {
    id("id", request_id)
}

pub fn wallet(org: &Org, id: WalletId, wallet: &Wallet) -> Result<v1::Wallet, BackingMissing> {
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
    seq: u64,
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
        Event::Received { .. } | Event::ClaimCredited { .. } => {
            (v1::LedgerKind::Credited, Some(moved(of, event).unsigned_abs()))
        }
        Event::Held { .. }
        | Event::EnvironmentCreated { .. }
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
    let currency = entry.map_or(domain::money::Currency::Btc, |entry| entry.currency());
    Some(v1::LedgerEntry {
        seq,
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
