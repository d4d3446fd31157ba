use domain::Rejection;
use ports::directory::KeyRecord;
use proto::{
    Problem,
    admin::v1::{self, keys_server},
    convert::keys::{self, Create},
};
use tonic::{Request, Response, Status};

use super::{not_found, standing};
use crate::{
    Gateway,
    auth::Secret,
    problem::{answer, operator},
};

pub(crate) struct Keys(pub(crate) Gateway);

impl Keys {
    async fn created(
        &self,
        request: v1::CreateKeyRequest,
    ) -> Result<v1::CreateKeyResponse, Problem> {
        let Create { key, org, environment, name } = Create::try_from(request)?;
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
            created_at: self.0.clock.now(),
            revoked_at: None,
        };
        // The secret of a first time is not known here, so a repeat is refused, never answered.
        self.0.directory.add_key(&record).await.map_err(operator::store)?;
        let key = v1::Key {
            id: record.id.to_string(),
            organisation_id: record.org.to_string(),
            environment_id: record.environment.to_string(),
            name: record.name,
            created_at_ms: record.created_at.millis(),
        };
        Ok(v1::CreateKeyResponse { key: Some(key), secret: secret.show() })
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

#[tonic::async_trait]
impl keys_server::Keys for Keys {
    async fn create(
        &self,
        request: Request<v1::CreateKeyRequest>,
    ) -> Result<Response<v1::CreateKeyResponse>, Status> {
        answer("Keys.Create", self.created(request.into_inner())).await
    }

    async fn revoke(
        &self,
        request: Request<v1::RevokeKeyRequest>,
    ) -> Result<Response<v1::RevokeKeyResponse>, Status> {
        answer("Keys.Revoke", self.revoked(request.into_inner())).await
    }
}
