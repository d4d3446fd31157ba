//! Who is calling: an API key for one environment, or the operator's token.

use std::{
    collections::HashMap,
    hint::black_box,
    sync::{Arc, Mutex, PoisonError},
};

use domain::{EnvironmentId, ErrorClass, OrgId};
use ports::Directory;
use proto::Problem;
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use tonic::{Request, Status, metadata::MetadataMap, service::Interceptor};

use crate::{limits, problem::customer};

/// Begins every secret, so that one that leaked is recognised.
const SECRET_PREFIX: &str = "switchyard_";

/// What a key may see: one environment of one organisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) org: OrgId,
    pub(crate) environment: EnvironmentId,
    digest: [u8; 32],
}

/// Keys looked up a moment ago. Unknown keys are not remembered: a new key works at once.
pub(crate) struct Keys {
    directory: Arc<dyn Directory>,
    known: Mutex<HashMap<[u8; 32], (Caller, Instant)>>,
}

impl Keys {
    pub(crate) fn new(directory: Arc<dyn Directory>) -> Keys {
        Keys { directory, known: Mutex::default() }
    }

    pub(crate) async fn caller(&self, metadata: &MetadataMap) -> Result<Caller, Problem> {
        let secret = secret(metadata)?;
        if secret.len() > limits::SECRET_BYTES_MAX {
            return Err(wrong());
        }
        self.by_digest(digest(secret)).await
    }

    /// The same caller, unless the key has been revoked since.
    pub(crate) async fn again(&self, caller: Caller) -> Result<Caller, Problem> {
        self.by_digest(caller.digest).await
    }

    async fn by_digest(&self, digest: [u8; 32]) -> Result<Caller, Problem> {
        // What is looked up is as old as the moment before it was asked for.
        let asked_at = Instant::now();
        if let Some(caller) = self.remembered(&digest, asked_at) {
            return Ok(caller);
        }
        let found = self.directory.key(digest).await.map_err(customer::store)?;
        let Some(key) = found.filter(|key| key.revoked_at.is_none()) else {
            return Err(wrong());
        };
        let caller = Caller { org: key.org, environment: key.environment, digest };
        self.remember(caller, asked_at);
        Ok(caller)
    }

    fn remembered(&self, digest: &[u8; 32], now: Instant) -> Option<Caller> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (caller, since) = known.get(digest)?;
        is_fresh(*since, now).then_some(*caller)
    }

    fn remember(&self, caller: Caller, since: Instant) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= limits::KEYS_CACHED_MAX {
            known.retain(|_, (_, since)| is_fresh(*since, Instant::now()));
        }
        if known.len() < limits::KEYS_CACHED_MAX {
            known.insert(caller.digest, (caller, since));
        }
    }
}

fn is_fresh(since: Instant, now: Instant) -> bool {
    now.saturating_duration_since(since) < limits::KEY_TRUSTED_FOR
}

/// A new key's secret. Shown once; only its digest is kept.
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn draw() -> Result<Secret, Problem> {
        let mut bytes = [0_u8; 32];
        getrandom::fill(&mut bytes)
            .map_err(|error| Problem::new(ErrorClass::Unavailable, "unavailable", error))?;
        let hex = bytes.iter().map(|byte| format!("{byte:02x}"));
        Ok(Secret(SECRET_PREFIX.to_owned() + &hex.collect::<String>()))
    }

    pub(crate) fn digest(&self) -> [u8; 32] {
        digest(&self.0)
    }

    pub(crate) fn show(self) -> String {
        self.0
    }
}

/// The operator's token, kept as its digest.
#[derive(Clone)]
pub struct AdminToken([u8; 32]);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the admin token must be at least {} bytes long", limits::ADMIN_TOKEN_BYTES_MIN)]
pub struct TokenTooShort;

impl AdminToken {
    pub fn new(token: &str) -> Result<AdminToken, TokenTooShort> {
        match token.len() < limits::ADMIN_TOKEN_BYTES_MIN {
            true => Err(TokenTooShort),
            false => Ok(AdminToken(digest(token))),
        }
    }

    /// Takes as long wherever the two differ.
    fn is(&self, shown: &str) -> bool {
        let shown = digest(shown);
        let pairs = self.0.iter().zip(shown.iter());
        let differing =
            pairs.fold(0_u8, |differing, (one, other)| black_box(differing | (one ^ other)));
        differing == 0
    }
}

/// Lets nobody but the operator in.
#[derive(Clone)]
pub(crate) struct TokenGuard(pub(crate) AdminToken);

impl Interceptor for TokenGuard {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        match bearer(request.metadata()) {
            Some(shown) if self.0.is(shown) => Ok(request),
            Some(_) => Err(wrong().into()),
            None => Err(missing("the operator's token", "authorization: Bearer").into()),
        }
    }
}

fn secret(metadata: &MetadataMap) -> Result<&str, Problem> {
    match metadata.get("x-api-key") {
        Some(key) => key.to_str().map_err(|_| wrong()),
        None => bearer(metadata)
            .ok_or_else(|| missing("an API key", "x-api-key, or authorization: Bearer")),
    }
}

fn bearer(metadata: &MetadataMap) -> Option<&str> {
    let (scheme, token) = metadata.get("authorization")?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret).into()
}

fn missing(what: &str, key: &str) -> Problem {
    let message = format!("{what} is needed, in the metadata as {key}");
    Problem::new(ErrorClass::Denied, "missing_credentials", message)
}

/// The same for a key that never was and one that was revoked.
fn wrong() -> Problem {
    Problem::new(ErrorClass::Denied, "wrong_credentials", "the credentials are not valid")
}

#[cfg(test)]
mod tests;
