//! switchyard.admin.v1.Organisations

use std::fmt;

use domain::{
    OrgId, PaymentId, SignedMsat, Timestamp,
    ledger::Funds,
    org::{Backing, Command, Metadata, Org, Resolution, ResolveFacts},
};

use super::{BackingMissing, WireError, id, msat, named, preimage, text, wallets};
use crate::admin::v1::{self, create_wallet_request as request, resolve_payment_request::Found};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Create {
    pub org: OrgId,
    pub name: String,
}

impl TryFrom<v1::CreateOrganisationRequest> for Create {
    type Error = WireError;

    fn try_from(request: v1::CreateOrganisationRequest) -> Result<Create, WireError> {
        Ok(Create { org: id("id", &request.id)?, name: named("name", request.name)? })
    }
}

/// A command for one organisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    pub org: OrgId,
    pub command: Command,
}

impl TryFrom<v1::CreateEnvironmentRequest> for Order {
    type Error = WireError;

    fn try_from(request: v1::CreateEnvironmentRequest) -> Result<Order, WireError> {
        Ok(Order {
            org: organisation_id(&request.organisation_id)?,
            command: Command::CreateEnvironment {
                environment: id("id", &request.id)?,
                name: named("name", request.name)?,
            },
        })
    }
}

impl TryFrom<v1::RenameEnvironmentRequest> for Order {
    type Error = WireError;

    fn try_from(request: v1::RenameEnvironmentRequest) -> Result<Order, WireError> {
        Ok(Order {
            org: organisation_id(&request.organisation_id)?,
            command: Command::RenameEnvironment {
                environment: id("environment_id", &request.environment_id)?,
                name: named("name", request.name)?,
            },
        })
    }
}

impl TryFrom<v1::OpenLineRequest> for Order {
    type Error = WireError;

    fn try_from(request: v1::OpenLineRequest) -> Result<Order, WireError> {
        Ok(Order {
            org: organisation_id(&request.organisation_id)?,
            command: Command::OpenLine {
                line: id("id", &request.id)?,
                environment: id("environment_id", &request.environment_id)?,
                limit_msat: msat("limit_msat", request.limit_msat)?,
            },
        })
    }
}

impl TryFrom<v1::SetLineLimitRequest> for Order {
    type Error = WireError;

    fn try_from(request: v1::SetLineLimitRequest) -> Result<Order, WireError> {
        Ok(Order {
            org: organisation_id(&request.organisation_id)?,
            command: Command::SetLineLimit {
                line: id("line_id", &request.line_id)?,
                limit_msat: msat("limit_msat", request.limit_msat)?,
            },
        })
    }
}

impl TryFrom<v1::SetNodeFundsRequest> for Order {
    type Error = WireError;

    fn try_from(request: v1::SetNodeFundsRequest) -> Result<Order, WireError> {
        Ok(Order {
            org: organisation_id(&request.organisation_id)?,
            command: Command::SetNodeFunds {
                node: id("node_id", &request.node_id)?,
                funds_msat: msat("funds_msat", request.funds_msat)?,
            },
        })
    }
}

impl TryFrom<v1::CreateWalletRequest> for Order {
    type Error = WireError;

    fn try_from(request: v1::CreateWalletRequest) -> Result<Order, WireError> {
        let backing = match request.backing.ok_or(WireError::Missing("backing"))? {
            request::Backing::LineId(line) => Backing::Line(id("line_id", &line)?),
            request::Backing::NodeId(node) => Backing::Node(id("node_id", &node)?),
        };
        Ok(Order {
            org: organisation_id(&request.organisation_id)?,
            command: Command::CreateWallet {
                wallet: id("id", &request.id)?,
                environment: id("environment_id", &request.environment_id)?,
                name: named("name", request.name)?,
                backing,
                limit_msat: msat("limit_msat", request.limit_msat)?,
                metadata: Metadata::new(),
            },
        })
    }
}

impl TryFrom<v1::SetWalletLimitRequest> for Order {
    type Error = WireError;

    fn try_from(request: v1::SetWalletLimitRequest) -> Result<Order, WireError> {
        Ok(Order {
            org: organisation_id(&request.organisation_id)?,
            command: Command::SetWalletLimit {
                wallet: id("wallet_id", &request.wallet_id)?,
                limit_msat: msat("limit_msat", request.limit_msat)?,
            },
        })
    }
}

impl TryFrom<v1::ResolvePaymentRequest> for Order {
    type Error = WireError;

    fn try_from(request: v1::ResolvePaymentRequest) -> Result<Order, WireError> {
        let resolution = match request.found.ok_or(WireError::Missing("found"))? {
            Found::Unpaid(v1::FoundUnpaid {}) => Resolution::Failed,
            Found::Paid(paid) => Resolution::Paid {
                node: match paid.node_id.as_str() {
                    "" => None,
                    node => Some(id("node_id", node)?),
                },
                preimage: preimage("preimage", &paid.preimage)?,
                fee_msat: msat("fee_msat", paid.fee_msat)?,
            },
        };
        Ok(Order {
            org: organisation_id(&request.organisation_id)?,
            command: Command::Resolve {
                payment: id("payment_id", &request.payment_id)?,
                resolution,
                evidence: text("evidence", request.evidence)?,
                facts: Box::new(nobody_asked()),
            },
        })
    }
}

/// Nobody has asked a node yet.
pub(super) fn nobody_asked() -> ResolveFacts {
    ResolveFacts { lost: false, says: Vec::new(), asked_at: Timestamp::from_millis(i64::MIN) }
}

/// A preimage is money until the payment has settled (`money-safety` rule 31).
impl fmt::Debug for v1::FoundPaid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let v1::FoundPaid { preimage: _, fee_msat, node_id } = self;
        let mut told = f.debug_struct("FoundPaid");
        told.field("fee_msat", fee_msat).field("node_id", node_id).finish_non_exhaustive()
    }
}

pub fn payment_id(text: &str) -> Result<PaymentId, WireError> {
    id("payment_id", text)
}

pub fn organisation_id(text: &str) -> Result<OrgId, WireError> {
    id("organisation_id", text)
}

/// Environments, lines, nodes and wallets as they stand.
pub fn standing(org: &Org) -> Result<v1::Standing, BackingMissing> {
    let environments = org.environments.iter();
    let lines = org.lines.iter().map(|(id, line)| v1::Funds {
        environment_id: line.environment.to_string(),
        allocated_msat: line.allocated_msat.get(),
        ..funds(id.to_string(), &line.funds, line.funds.available())
    });
    let nodes = org.nodes.iter().map(|(id, node)| v1::Funds {
        allocated_msat: node.allocated_msat.get(),
        ..funds(id.to_string(), &node.funds, node.funds.available())
    });
    let wallets = org.wallets.iter().map(|(&id, wallet)| {
        let backing_id = match wallet.backing {
            Backing::Line(line) => line.to_string(),
            Backing::Node(node) => node.to_string(),
        };
        Ok(v1::Funds {
            environment_id: wallet.environment.to_string(),
            name: wallet.name.clone(),
            backing_id,
            ..funds(id.to_string(), &wallet.funds, wallets::available(org, id, wallet)?)
        })
    });
    Ok(v1::Standing {
        environments: environments
            .map(|(id, environment)| v1::Environment {
                id: id.to_string(),
                name: environment.name.clone(),
            })
            .collect(),
        lines: lines.collect(),
        nodes: nodes.collect(),
        wallets: wallets.collect::<Result<_, _>>()?,
    })
}

fn funds(id: String, funds: &Funds, available: SignedMsat) -> v1::Funds {
    v1::Funds {
        id,
        environment_id: String::new(),
        name: String::new(),
        backing_id: String::new(),
        limit_msat: funds.limit_msat.get(),
        net_msat: funds.net_msat.get(),
        held_msat: funds.held_msat.get(),
        available_msat: available.get(),
        allocated_msat: 0,
    }
}
