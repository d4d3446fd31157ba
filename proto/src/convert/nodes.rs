//! switchyard.admin.v1.Nodes

use std::fmt;

use domain::{NodeId, OrgId, PublicKey};

use super::{WireError, id, named, present, public_key};
use crate::admin::v1::{self, register_node_request as request};

/// A node to register. Without `Debug`: the macaroon is spending power (`money-safety` rule 31).
#[derive(Clone, PartialEq, Eq)]
pub struct Register {
    pub node: NodeId,
    pub name: String,
    /// `None`: a node of the credit pool.
    pub owner: Option<OrgId>,
    pub address: String,
    /// PEM, to be pinned; `None` for one of a public authority.
    pub certificate: Option<String>,
    pub macaroon: Vec<u8>,
    pub identity: Option<PublicKey>,
}

impl TryFrom<v1::RegisterNodeRequest> for Register {
    type Error = WireError;

    fn try_from(request: v1::RegisterNodeRequest) -> Result<Register, WireError> {
        let owner = match request.owner.ok_or(WireError::Missing("owner"))? {
            request::Owner::OrganisationId(org) => Some(id("organisation_id", &org)?),
            request::Owner::CreditPool(v1::CreditPool {}) => None,
        };
        let certificate = match request.trust.ok_or(WireError::Missing("trust"))? {
            request::Trust::CertificatePem(pem) => Some(present("certificate_pem", pem)?),
            request::Trust::PublicAuthority(v1::PublicAuthority {}) => None,
        };
        let identity = match request.expected_identity.as_str() {
            "" => None,
            key => Some(public_key("expected_identity", key)?),
        };
        if request.macaroon.is_empty() {
            return Err(WireError::Missing("macaroon"));
        }
        Ok(Register {
            node: id("id", &request.id)?,
            name: named("name", request.name)?,
            owner,
            address: named("address", request.address)?,
            certificate,
            macaroon: request.macaroon,
            identity,
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    pub node: NodeId,
    pub reason: String,
}

impl TryFrom<v1::StopNodeRequest> for Stop {
    type Error = WireError;

    fn try_from(request: v1::StopNodeRequest) -> Result<Stop, WireError> {
        Ok(Stop { node: node_id(&request.id)?, reason: named("reason", request.reason)? })
    }
}

pub fn node_id(request_id: &str) -> Result<NodeId, WireError> {
    id("id", request_id)
}

/// The macaroon stays out.
impl fmt::Debug for v1::RegisterNodeRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegisterNodeRequest")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("address", &self.address)
            .field("expected_identity", &self.expected_identity)
            .finish_non_exhaustive()
    }
}
