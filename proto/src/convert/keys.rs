//! switchyard.admin.v1.Keys

use std::fmt;

use domain::{EnvironmentId, KeyId, OrgId};

use super::{WireError, id, named};
use crate::admin::v1;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Create {
    pub key: KeyId,
    pub org: OrgId,
    pub environment: EnvironmentId,
    pub name: String,
}

impl TryFrom<v1::CreateKeyRequest> for Create {
    type Error = WireError;

    fn try_from(request: v1::CreateKeyRequest) -> Result<Create, WireError> {
        Ok(Create {
            key: id("id", &request.id)?,
            org: id("organisation_id", &request.organisation_id)?,
            environment: id("environment_id", &request.environment_id)?,
            name: named("name", request.name)?,
        })
    }
}

pub fn key_id(request_id: &str) -> Result<KeyId, WireError> {
    id("id", request_id)
}

/// The secret is spending power and stays out (`money-safety` rule 31).
impl fmt::Debug for v1::CreateKeyResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateKeyResponse").field("key", &self.key).finish_non_exhaustive()
    }
}
