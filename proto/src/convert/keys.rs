//! switchyard.admin.v1.Keys

use std::{collections::BTreeSet, fmt, net::IpAddr};

use domain::{EnvironmentId, KeyId, OrgId, Permission, Timestamp};
use ipnet::IpNet;

use super::{WireError, id, named};
use crate::admin::v1;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Create {
    pub key: KeyId,
    pub org: OrgId,
    pub environment: EnvironmentId,
    pub name: String,
    pub permissions: BTreeSet<Permission>,
    pub expires_at: Option<Timestamp>,
    pub valid_ips: Vec<IpNet>,
}

/// The most networks that one key names.
const VALID_IPS_MAX: usize = 100;

impl TryFrom<v1::CreateKeyRequest> for Create {
    type Error = WireError;

    fn try_from(request: v1::CreateKeyRequest) -> Result<Create, WireError> {
        Ok(Create {
            key: id("id", &request.id)?,
            org: id("organisation_id", &request.organisation_id)?,
            environment: id("environment_id", &request.environment_id)?,
            name: named("name", request.name)?,
            permissions: permissions(&request.permissions)?,
            expires_at: request.expires_at_ms.map(Timestamp::from_millis),
            valid_ips: valid_ips(&request.valid_ips)?,
        })
    }
}

fn permissions(asked: &[i32]) -> Result<BTreeSet<Permission>, WireError> {
    if asked.is_empty() {
        return Ok(Permission::USUAL.into());
    }
    let known = |number: &i32| match v1::Permission::try_from(*number) {
        Ok(v1::Permission::Read) => Ok(Permission::Read),
        Ok(v1::Permission::Receive) => Ok(Permission::Receive),
        Ok(v1::Permission::Write) => Ok(Permission::Write),
        Ok(v1::Permission::Billing) => Ok(Permission::Billing),
        Ok(v1::Permission::Unspecified) | Err(_) => Err(WireError::Permission),
    };
    asked.iter().map(known).collect()
}

pub fn permission(permission: Permission) -> v1::Permission {
    match permission {
        Permission::Read => v1::Permission::Read,
        Permission::Receive => v1::Permission::Receive,
        Permission::Write => v1::Permission::Write,
        Permission::Billing => v1::Permission::Billing,
    }
}

/// The contract's word, for people.
pub fn permission_word(permission: v1::Permission) -> &'static str {
    match permission {
        v1::Permission::Unspecified => "unspecified",
        v1::Permission::Read => Permission::Read.name(),
        v1::Permission::Receive => Permission::Receive.name(),
        v1::Permission::Write => Permission::Write.name(),
        v1::Permission::Billing => Permission::Billing.name(),
    }
}

/// An address alone is the network of one; what a mask hides of an address is left out.
fn valid_ips(asked: &[String]) -> Result<Vec<IpNet>, WireError> {
    if asked.len() > VALID_IPS_MAX {
        return Err(WireError::Networks);
    }
    let network = |text: &String| {
        let alone = text.parse::<IpAddr>().map(IpNet::from);
        alone.or_else(|_| text.parse::<IpNet>()).map(|network| network.trunc())
    };
    asked.iter().map(|text| network(text).map_err(|_| WireError::Networks)).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(permissions: &[i32], valid_ips: &[&str]) -> Result<Create, WireError> {
        let id = "00000000-0000-0000-0000-000000000001".to_owned();
        Create::try_from(v1::CreateKeyRequest {
            id: id.clone(),
            organisation_id: id.clone(),
            environment_id: id,
            name: "till".to_owned(),
            permissions: permissions.to_vec(),
            expires_at_ms: None,
            valid_ips: valid_ips.iter().map(ToString::to_string).collect(),
        })
    }

    #[test]
    fn a_key_that_names_no_permission_has_the_usual_ones() {
        assert_eq!(asked(&[], &[]).unwrap().permissions, Permission::USUAL.into());
    }

    #[test]
    fn permissions_come_back_as_they_were_asked_for() {
        for one in Permission::ALL {
            let number = permission(one).into();
            assert_eq!(asked(&[number, number], &[]).unwrap().permissions, [one].into());
            assert_eq!(permission_word(permission(one)), one.name());
            assert_eq!(Permission::from_name(one.name()), Some(one));
        }
        for wrong in [0, 5, -1, i32::MAX] {
            assert_eq!(asked(&[1, wrong], &[]), Err(WireError::Permission));
        }
    }

    #[test]
    fn addresses_and_networks_are_read() {
        let read = |text: &str| asked(&[], &[text]).map(|it| it.valid_ips[0].to_string());
        for (text, network) in [
            ("10.1.2.3", "10.1.2.3/32"),
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("::1", "::1/128"),
            ("2001:db8:1::/32", "2001:db8::/32"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(network));
        }
        for wrong in ["", "10.1.2", "10.1.2.3/33", "::1/129", "localhost", "10.0.0.0/8,::1", " ::1"]
        {
            assert_eq!(read(wrong), Err(WireError::Networks), "{wrong}");
        }
        assert!(asked(&[], &["::1"; 100]).is_ok());
        assert_eq!(asked(&[], &["::1"; 101]), Err(WireError::Networks));
    }
}
