use domain::{ErrorClass, Rejection, Timestamp};
use ports::directory::KeyRecord;
use proto::{
    Problem,
    admin::v1::{self, keys_server},
    convert::{
        keys::{self, Create},
        organisations::organisation_id,
    },
};
use tonic::{Request, Response, Status};

use super::{not_found, standing};
use crate::{
    Gateway,
    auth::Secret,
    problem::{answer, operator},
};

const PAST: &str = "expires_at_ms must be in the future";

pub(crate) struct Keys(pub(crate) Gateway);

impl Keys {
    async fn created(
        &self,
        request: v1::CreateKeyRequest,
    ) -> Result<v1::CreateKeyResponse, Problem> {
        let Create { key, org, environment, name, permissions, expires_at, valid_ips } =
            Create::try_from(request)?;
        let now = self.0.clock.now();
        if expires_at.is_some_and(|expires_at| expires_at <= now) {
            return Err(Problem::new(ErrorClass::Invalid, "expiry_in_the_past", PAST));
        }
        let known = standing(&self.0, org).await?;
        if !known.environments.contains_key(&environment) {
            return Err(Rejection::EnvironmentNotFound(environment).into());
        }
        let secret = Secret::draw()?;
        let record = KeyRecord {
            id: key,
            org,
            environment,
            name,
            digest: secret.digest(),
            permissions,
            expires_at,
            valid_ips,
            created_at: now,
            updated_at: now,
            revoked_at: None,
            last_used_at: None,
        };
        // The secret of a first time is not known here, so a repeat is refused, never answered.
        self.0.directory.add_key(&record).await.map_err(operator::store)?;
        Ok(v1::CreateKeyResponse { key: Some(told(&record)), secret: secret.show() })
    }

    async fn listed(&self, request: v1::ListKeysRequest) -> Result<v1::ListKeysResponse, Problem> {
        let org = organisation_id(&request.organisation_id)?;
        // One that is not there is said not to be, instead of having no keys.
        standing(&self.0, org).await?;
        let keys = self.0.directory.keys(org).await.map_err(operator::store)?;
        Ok(v1::ListKeysResponse { keys: keys.iter().map(told).collect() })
    }

    async fn revoked(
        &self,
        request: v1::RevokeKeyRequest,
    ) -> Result<v1::RevokeKeyResponse, Problem> {
        let key = keys::key_id(&request.id)?;
        let now = self.0.clock.now();
        match self.0.directory.revoke_key(key, now).await.map_err(operator::store)? {
            true => Ok(v1::RevokeKeyResponse {}),
            false => Err(not_found("key_not_found", format!("key {key}"))),
        }
    }
}

fn told(key: &KeyRecord) -> v1::Key {
    v1::Key {
        id: key.id.to_string(),
        organisation_id: key.org.to_string(),
        environment_id: key.environment.to_string(),
        name: key.name.clone(),
        created_at_ms: key.created_at.millis(),
        permissions: key.permissions.iter().map(|it| keys::permission(*it).into()).collect(),
        expires_at_ms: key.expires_at.map(Timestamp::millis),
        valid_ips: key.valid_ips.iter().map(ToString::to_string).collect(),
        updated_at_ms: key.updated_at.millis(),
        revoked_at_ms: key.revoked_at.map(Timestamp::millis),
        last_used_at_ms: key.last_used_at.map(Timestamp::millis),
    }
}

#[tonic::async_trait]
impl keys_server::Keys for Keys {
    async fn create(
        &self,
        request: Request<v1::CreateKeyRequest>,
    ) -> Result<Response<v1::CreateKeyResponse>, Status> {
        answer("Keys.Create", self.created(request.into_inner())).await
    }

    async fn list(
        &self,
        request: Request<v1::ListKeysRequest>,
    ) -> Result<Response<v1::ListKeysResponse>, Status> {
        answer("Keys.List", self.listed(request.into_inner())).await
    }

    async fn revoke(
        &self,
        request: Request<v1::RevokeKeyRequest>,
    ) -> Result<Response<v1::RevokeKeyResponse>, Status> {
        answer("Keys.Revoke", self.revoked(request.into_inner())).await
    }
}
