//! A wallet in the contract's words.

use domain::{
    Network, Timestamp, WalletId,
    org::{Backing, Metadata, Org, Outgoing, Wallet},
};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{amount::SignedAmount, text};

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Wallet)]
pub(super) struct WalletView {
    pub(super) id: Uuid,
    organization_id: Uuid,
    environment_id: Uuid,
    /// A line of credit, or the own node that stands for one.
    line_of_credit_id: Uuid,
    name: String,
    #[schema(example = "regtest")]
    network: &'static str,
    /// Millisatoshi; the wallet's share of its line.
    limit: u64,
    active: bool,
    created_at: String,
    updated_at: String,
    deleted_at: Option<String>,
    deletion_failed_at: Option<String>,
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    metadata: Metadata,
    balances: Vec<Balance>,
    /// Of sends in flight.
    holds: Vec<Hold>,
    #[schema(value_type = Vec<Object>)]
    pending_settlements: [Value; 0],
    #[schema(value_type = Option<Object>)]
    error: Option<Value>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Balance {
    id: Uuid,
    wallet_id: Uuid,
    effective_time: String,
    /// What may be spent now, its line of credit considered.
    available: SignedAmount,
    /// Limit and what was received, less what was sent.
    total: SignedAmount,
    #[schema(example = "regtest")]
    network: &'static str,
    #[schema(example = "btc")]
    currency: &'static str,
}

#[derive(Debug, Serialize, ToSchema)]
struct Hold {
    /// The payment that holds it.
    id: Uuid,
    amount: SignedAmount,
    effective_time: String,
}

/// What a wallet is told from.
pub(super) struct Seen<'a> {
    pub(super) org: &'a Org,
    pub(super) network: Network,
    /// The instant of the balances.
    pub(super) now: Timestamp,
}

impl Seen<'_> {
    pub(super) fn wallet<'a>(
        &self,
        id: WalletId,
        wallet: &Wallet,
        in_flight: impl Iterator<Item = &'a Outgoing>,
    ) -> WalletView {
        let network = self.network.name();
        let balance = Balance {
            id: *id.uuid(),
            wallet_id: *id.uuid(),
            effective_time: text::instant(self.now),
            available: self.org.spendable(wallet).into(),
            total: wallet.funds.total().into(),
            network,
            currency: "btc",
        };
        WalletView {
            id: *id.uuid(),
            organization_id: *self.org.id.uuid(),
            environment_id: *wallet.environment.uuid(),
            line_of_credit_id: line_of(wallet.backing),
            name: wallet.name.clone(),
            network,
            limit: wallet.funds.limit_msat.get(),
            active: wallet.deleted_at.is_none(),
            created_at: text::instant(wallet.created_at),
            updated_at: text::instant(wallet.updated_at),
            deleted_at: wallet.deleted_at.map(text::instant),
            deletion_failed_at: None,
            metadata: wallet.metadata.clone(),
            balances: vec![balance],
            holds: in_flight.filter(|payment| payment.terms.wallet == id).map(hold).collect(),
            pending_settlements: [],
            error: None,
        }
    }
}

fn hold(payment: &Outgoing) -> Hold {
    Hold {
        id: *payment.id.uuid(),
        amount: payment.hold_msat().signed().into(),
        effective_time: text::instant(payment.created_at),
    }
}

pub(super) fn line_of(backing: Backing) -> Uuid {
    match backing {
        Backing::Line(line) => *line.uuid(),
        Backing::Node(node) => *node.uuid(),
    }
}
