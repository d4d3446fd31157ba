//! Why an organisation refused, with everything that it said.

use domain::{Network, Rejection};

use super::{id, id_bytes};
use crate::{
    convert::{WireError, msat},
    engine::v1::{self, rejection::Why},
};

impl From<&Rejection> for v1::Rejection {
    fn from(rejection: &Rejection) -> v1::Rejection {
        const NOTHING: v1::Nothing = v1::Nothing {};
        let why = match rejection {
            Rejection::WalletNotFound(wallet) => Why::WalletNotFound(id_bytes(*wallet)),
            Rejection::LineNotFound(line) => Why::LineNotFound(id_bytes(*line)),
            Rejection::EnvironmentNotFound(id) => Why::EnvironmentNotFound(id_bytes(*id)),
            Rejection::NodeNotFound(node) => Why::NodeNotFound(id_bytes(*node)),
            Rejection::PaymentNotFound(payment) => Why::PaymentNotFound(id_bytes(*payment)),
            Rejection::IdReused => Why::IdReused(NOTHING),
            Rejection::NameTaken => Why::NameTaken(NOTHING),
            Rejection::WrongNetwork { expected, found } => Why::WrongNetwork(v1::WrongNetwork {
                expected: (*expected).to_owned(),
                found: (*found).to_owned(),
            }),
            Rejection::InvoiceExpired => Why::InvoiceExpired(NOTHING),
            Rejection::AmountMissing => Why::AmountMissing(NOTHING),
            Rejection::AmountGiven(amount) => Why::AmountGivenMsat(amount.get()),
            Rejection::AmountOutOfRange => Why::AmountOutOfRange(NOTHING),
            Rejection::FeeLimitOutOfRange => Why::FeeLimitOutOfRange(NOTHING),
            Rejection::InvoiceUnknownToLedger(node) => {
                Why::InvoiceUnknownToLedgerOfNode(id_bytes(*node))
            }
            Rejection::ExpiryOutOfRange => Why::ExpiryOutOfRange(NOTHING),
            Rejection::TextTooLong(bytes) => Why::TextLongerThanBytes(wide(*bytes)),
            Rejection::MetadataOutOfRange => Why::MetadataOutOfRange(NOTHING),
            Rejection::WalletNotEmpty(wallet) => Why::WalletNotEmpty(id_bytes(*wallet)),
            Rejection::LineDisabled(line) => Why::LineDisabled(id_bytes(*line)),
            Rejection::CannotAllocate(left) => Why::LeftToAllocateMsat(left.get()),
            Rejection::TooManyOpen(most) => Why::OpenPaymentsMax(wide(*most)),
            Rejection::EvidenceMissing => Why::EvidenceMissing(NOTHING),
            Rejection::NotStopped(payment) => Why::PaymentNotStopped(id_bytes(*payment)),
            Rejection::AlreadyResolved(payment) => Why::PaymentAlreadyResolved(id_bytes(*payment)),
            Rejection::WrongPreimage => Why::WrongPreimage(NOTHING),
            Rejection::ProvenPaid(payment) => Why::PaymentProvenPaid(id_bytes(*payment)),
            Rejection::PayingNodeMissing(payment) => {
                Why::PayingNodeMissingOfPayment(id_bytes(*payment))
            }
            Rejection::NotThePayer(node) => Why::NotThePayingNode(id_bytes(*node)),
            Rejection::NodeShowsPaid(node) => Why::NodeShowsPaid(id_bytes(*node)),
            Rejection::NodeShowsInFlight(node) => Why::NodeShowsInFlight(id_bytes(*node)),
            Rejection::StillPermitted { node, left_ms } => {
                let (node_id, left_ms) = (id_bytes(*node), *left_ms);
                Why::StillPermitted(v1::StillPermitted { node_id, left_ms })
            }
            Rejection::PermittedByItsClock(node) => Why::PermittedByClockOfNode(id_bytes(*node)),
        };
        v1::Rejection { why: Some(why) }
    }
}

impl TryFrom<v1::Rejection> for Rejection {
    type Error = WireError;

    fn try_from(rejection: v1::Rejection) -> Result<Rejection, WireError> {
        Ok(match rejection.why.ok_or(WireError::Missing("why"))? {
            Why::WalletNotFound(wallet) => Rejection::WalletNotFound(id("wallet", &wallet)?),
            Why::LineNotFound(line) => Rejection::LineNotFound(id("line", &line)?),
            Why::EnvironmentNotFound(environment) => {
                Rejection::EnvironmentNotFound(id("environment", &environment)?)
            }
            Why::NodeNotFound(node) => Rejection::NodeNotFound(id("node", &node)?),
            Why::PaymentNotFound(payment) => Rejection::PaymentNotFound(id("payment", &payment)?),
            Why::IdReused(_) => Rejection::IdReused,
            Why::NameTaken(_) => Rejection::NameTaken,
            Why::WrongNetwork(v1::WrongNetwork { expected, found }) => Rejection::WrongNetwork {
                expected: network_name(&expected)?,
                found: network_name(&found)?,
            },
            Why::InvoiceExpired(_) => Rejection::InvoiceExpired,
            Why::AmountMissing(_) => Rejection::AmountMissing,
            Why::AmountGivenMsat(fixed) => Rejection::AmountGiven(msat("amount_msat", fixed)?),
            Why::AmountOutOfRange(_) => Rejection::AmountOutOfRange,
            Why::FeeLimitOutOfRange(_) => Rejection::FeeLimitOutOfRange,
            Why::InvoiceUnknownToLedgerOfNode(node) => {
                Rejection::InvoiceUnknownToLedger(id("node", &node)?)
            }
            Why::ExpiryOutOfRange(_) => Rejection::ExpiryOutOfRange,
            Why::TextLongerThanBytes(bytes) => Rejection::TextTooLong(narrow("bytes", bytes)?),
            Why::MetadataOutOfRange(_) => Rejection::MetadataOutOfRange,
            Why::WalletNotEmpty(wallet) => Rejection::WalletNotEmpty(id("wallet", &wallet)?),
            Why::LineDisabled(line) => Rejection::LineDisabled(id("line", &line)?),
            Why::LeftToAllocateMsat(left) => Rejection::CannotAllocate(msat("left_msat", left)?),
            Why::OpenPaymentsMax(most) => Rejection::TooManyOpen(narrow("most", most)?),
            Why::EvidenceMissing(_) => Rejection::EvidenceMissing,
            Why::PaymentNotStopped(payment) => Rejection::NotStopped(id("payment", &payment)?),
            Why::PaymentAlreadyResolved(payment) => {
                Rejection::AlreadyResolved(id("payment", &payment)?)
            }
            Why::WrongPreimage(_) => Rejection::WrongPreimage,
            Why::PaymentProvenPaid(payment) => Rejection::ProvenPaid(id("payment", &payment)?),
            Why::PayingNodeMissingOfPayment(payment) => {
                Rejection::PayingNodeMissing(id("payment", &payment)?)
            }
            Why::NotThePayingNode(node) => Rejection::NotThePayer(id("node", &node)?),
            Why::NodeShowsPaid(node) => Rejection::NodeShowsPaid(id("node", &node)?),
            Why::NodeShowsInFlight(node) => Rejection::NodeShowsInFlight(id("node", &node)?),
            Why::StillPermitted(v1::StillPermitted { node_id, left_ms }) => {
                Rejection::StillPermitted { node: id("node", &node_id)?, left_ms }
            }
            Why::PermittedByClockOfNode(node) => Rejection::PermittedByItsClock(id("node", &node)?),
        })
    }
}

fn network_name(name: &str) -> Result<&'static str, WireError> {
    Network::from_name(name).map(Network::name).ok_or(WireError::Value("network"))
}

fn wide(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn narrow(field: &'static str, number: u64) -> Result<usize, WireError> {
    usize::try_from(number).map_err(|_| WireError::Value(field))
}
