//! The commands of an operator, which any pod may pass on.

use std::fmt;

use domain::{
    PaymentId, Preimage,
    org::{Backing, Command, Resolution},
};

use super::{exactly, id, id_bytes, optional_id};
use crate::{
    convert::{
        WireError, msat,
        organisations::{self, Order},
    },
    engine::v1::{self, administer_request as request},
};

/// `None` for a command that an organisation's own pod gives, with what only that pod can know.
pub fn administer(order: Order) -> Option<v1::AdministerRequest> {
    use request::Command as Wire;

    let command = match order.command {
        Command::CreateEnvironment { environment, name } => {
            let environment_id = id_bytes(environment);
            Wire::CreateEnvironment(v1::CreateEnvironment { environment_id, name })
        }
        Command::RenameEnvironment { environment, name } => {
            let environment_id = id_bytes(environment);
            Wire::RenameEnvironment(v1::RenameEnvironment { environment_id, name })
        }
        Command::OpenLine { line, environment, limit_msat } => Wire::OpenLine(v1::LineLimit {
            line_id: id_bytes(line),
            environment_id: id_bytes(environment),
            limit_msat: limit_msat.get(),
        }),
        Command::SetLineLimit { line, limit_msat } => Wire::SetLineLimit(v1::LineLimit {
            line_id: id_bytes(line),
            environment_id: Vec::new(),
            limit_msat: limit_msat.get(),
        }),
        Command::DisableLine { line } => Wire::DisableLine(id_bytes(line)),
        Command::EnableLine { line } => Wire::EnableLine(id_bytes(line)),
        Command::SetNodeFunds { node, funds_msat } => {
            let (node_id, funds_msat) = (id_bytes(node), funds_msat.get());
            Wire::SetNodeFunds(v1::SetNodeFunds { node_id, funds_msat })
        }
        Command::CreateWallet { wallet, environment, name, backing, limit_msat, metadata } => {
            Wire::CreateWallet(v1::CreateWallet {
                wallet_id: id_bytes(wallet),
                environment_id: id_bytes(environment),
                name,
                backing: Some(match backing {
                    Backing::Line(line) => v1::create_wallet::Backing::LineId(id_bytes(line)),
                    Backing::Node(node) => v1::create_wallet::Backing::NodeId(id_bytes(node)),
                }),
                limit_msat: limit_msat.get(),
                metadata,
            })
        }
        Command::SetWalletLimit { wallet, limit_msat } => {
            let (wallet_id, limit_msat) = (id_bytes(wallet), limit_msat.get());
            Wire::SetWalletLimit(v1::SetWalletLimit { wallet_id, limit_msat })
        }
        Command::RenameWallet { wallet, name } => {
            Wire::RenameWallet(v1::RenameWallet { wallet_id: id_bytes(wallet), name })
        }
        Command::DeleteWallet { wallet } => Wire::DeleteWallet(id_bytes(wallet)),
        Command::Resolve { payment, resolution, evidence, facts: _ } => {
            Wire::ResolvePayment(resolve_payment(payment, resolution, evidence))
        }
        Command::Send { .. }
        | Command::Report { .. }
        | Command::Drive { .. }
        | Command::Cancel { .. }
        | Command::Receive { .. }
        | Command::InvoiceMade { .. }
        | Command::InvoiceNotMade { .. }
        | Command::Receipt { .. }
        | Command::InvoiceOver { .. }
        | Command::Claim { .. }
        | Command::ClaimAnswered { .. }
        | Command::GiveUpClaim { .. } => return None,
    };
    let organisation_id = id_bytes(order.org);
    Some(v1::AdministerRequest { organisation_id, command: Some(command) })
}

impl TryFrom<v1::AdministerRequest> for Order {
    type Error = WireError;

    fn try_from(request: v1::AdministerRequest) -> Result<Order, WireError> {
        let command = request.command.ok_or(WireError::Missing("command"))?;
        let org = id("organisation_id", &request.organisation_id)?;
        Ok(Order { org, command: read(command)? })
    }
}

fn read(command: request::Command) -> Result<Command, WireError> {
    use request::Command as Wire;

    Ok(match command {
        Wire::CreateEnvironment(v1::CreateEnvironment { environment_id, name }) => {
            Command::CreateEnvironment { environment: id("environment_id", &environment_id)?, name }
        }
        Wire::RenameEnvironment(v1::RenameEnvironment { environment_id, name }) => {
            Command::RenameEnvironment { environment: id("environment_id", &environment_id)?, name }
        }
        Wire::OpenLine(v1::LineLimit { line_id, environment_id, limit_msat }) => {
            Command::OpenLine {
                line: id("line_id", &line_id)?,
                environment: id("environment_id", &environment_id)?,
                limit_msat: msat("limit_msat", limit_msat)?,
            }
        }
        Wire::SetLineLimit(v1::LineLimit { line_id, environment_id: _, limit_msat }) => {
            let limit_msat = msat("limit_msat", limit_msat)?;
            Command::SetLineLimit { line: id("line_id", &line_id)?, limit_msat }
        }
        Wire::DisableLine(line) => Command::DisableLine { line: id("disable_line", &line)? },
        Wire::EnableLine(line) => Command::EnableLine { line: id("enable_line", &line)? },
        Wire::SetNodeFunds(v1::SetNodeFunds { node_id, funds_msat }) => {
            let funds_msat = msat("funds_msat", funds_msat)?;
            Command::SetNodeFunds { node: id("node_id", &node_id)?, funds_msat }
        }
        Wire::CreateWallet(wallet) => create_wallet(wallet)?,
        Wire::SetWalletLimit(v1::SetWalletLimit { wallet_id, limit_msat }) => {
            let limit_msat = msat("limit_msat", limit_msat)?;
            Command::SetWalletLimit { wallet: id("wallet_id", &wallet_id)?, limit_msat }
        }
        Wire::RenameWallet(v1::RenameWallet { wallet_id, name }) => {
            Command::RenameWallet { wallet: id("wallet_id", &wallet_id)?, name }
        }
        Wire::DeleteWallet(wallet) => {
            Command::DeleteWallet { wallet: id("delete_wallet", &wallet)? }
        }
        Wire::ResolvePayment(found) => read_resolve(found)?,
    })
}

fn create_wallet(wallet: v1::CreateWallet) -> Result<Command, WireError> {
    let backing = match wallet.backing.ok_or(WireError::Missing("backing"))? {
        v1::create_wallet::Backing::LineId(line) => Backing::Line(id("line_id", &line)?),
        v1::create_wallet::Backing::NodeId(node) => Backing::Node(id("node_id", &node)?),
    };
    Ok(Command::CreateWallet {
        wallet: id("wallet_id", &wallet.wallet_id)?,
        environment: id("environment_id", &wallet.environment_id)?,
        name: wallet.name,
        backing,
        limit_msat: msat("limit_msat", wallet.limit_msat)?,
        metadata: wallet.metadata,
    })
}

fn resolve_payment(
    payment: PaymentId,
    resolution: Resolution,
    evidence: String,
) -> v1::ResolvePayment {
    let paid = match resolution {
        Resolution::Failed => None,
        Resolution::Paid { node, preimage, fee_msat } => Some(v1::FoundPaid {
            preimage: preimage.0.to_vec(),
            fee_msat: fee_msat.get(),
            node_id: node.map(id_bytes),
        }),
    };
    v1::ResolvePayment { payment_id: id_bytes(payment), evidence, paid }
}

fn read_resolve(found: v1::ResolvePayment) -> Result<Command, WireError> {
    let resolution = match found.paid {
        None => Resolution::Failed,
        Some(v1::FoundPaid { preimage, fee_msat, node_id }) => Resolution::Paid {
            node: optional_id("node_id", node_id)?,
            preimage: Preimage(exactly("preimage", &preimage)?),
            fee_msat: msat("fee_msat", fee_msat)?,
        },
    };
    Ok(Command::Resolve {
        payment: id("payment_id", &found.payment_id)?,
        resolution,
        evidence: found.evidence,
        facts: Box::new(organisations::nobody_asked()),
    })
}

/// A preimage is money until the payment has settled (`money-safety` rule 31).
impl fmt::Debug for v1::FoundPaid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FoundPaid").field("fee_msat", &self.fee_msat).finish_non_exhaustive()
    }
}
