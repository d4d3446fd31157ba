//! switchyard.engine.v1: pod to pod. What travels has been parsed at the edge, so that an engine takes in
//! domain values; each conversion goes both ways and loses nothing.

mod command;
mod orgs;
mod rejection;

#[cfg(test)]
mod tests;

use std::fmt;

use domain::{Network, PublicKey, id::Id};
use uuid::Uuid;

use super::WireError;
use crate::engine::v1;

pub use command::administer;
pub use orgs::{AnswerClaim, Claim, Receipt, Receive, Send, Wait};

pub fn id<Kind>(field: &'static str, bytes: &[u8]) -> Result<Id<Kind>, WireError> {
    Uuid::from_slice(bytes).map(Id::new).map_err(|_| WireError::Id(field))
}

pub fn optional_id<Kind>(
    field: &'static str,
    bytes: Option<Vec<u8>>,
) -> Result<Option<Id<Kind>>, WireError> {
    bytes.map(|bytes| id(field, &bytes)).transpose()
}

pub fn id_bytes<Kind>(id: Id<Kind>) -> Vec<u8> {
    id.uuid().as_bytes().to_vec()
}

/// Exactly `N` bytes.
pub fn exactly<const N: usize>(field: &'static str, bytes: &[u8]) -> Result<[u8; N], WireError> {
    bytes.try_into().map_err(|_| WireError::Value(field))
}

pub fn public_key(field: &'static str, bytes: &[u8]) -> Result<PublicKey, WireError> {
    exactly(field, bytes).map(PublicKey)
}

pub fn network(number: i32) -> Result<Network, WireError> {
    match v1::Network::try_from(number) {
        Ok(v1::Network::Mainnet) => Ok(Network::Mainnet),
        Ok(v1::Network::Testnet) => Ok(Network::Testnet),
        Ok(v1::Network::Signet) => Ok(Network::Signet),
        Ok(v1::Network::Mutinynet) => Ok(Network::Mutinynet),
        Ok(v1::Network::Regtest) => Ok(Network::Regtest),
        Ok(v1::Network::Unspecified) | Err(_) => Err(WireError::Value("network")),
    }
}

pub fn network_number(network: Network) -> i32 {
    let network = match network {
        Network::Mainnet => v1::Network::Mainnet,
        Network::Testnet => v1::Network::Testnet,
        Network::Signet => v1::Network::Signet,
        Network::Mutinynet => v1::Network::Mutinynet,
        Network::Regtest => v1::Network::Regtest,
    };
    network.into()
}

/// The macaroon stays out (`money-safety` rule 31).
impl fmt::Debug for v1::RegisterNodeRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegisterNodeRequest")
            .field("name", &self.name)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}
