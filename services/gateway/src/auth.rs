//! Who is calling: an API key for one environment, or the operator's token.

mod lookups;

use std::{
    collections::{BTreeSet, HashMap},
    hint::black_box,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use axum::http::{HeaderMap, HeaderName, HeaderValue, header::AUTHORIZATION};
use domain::{EnvironmentId, ErrorClass, KeyId, OrgId, Permission, Timestamp};
use ports::{Clock, Directory, directory::KeyRecord};
use proto::Problem;
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use tonic::{Request, Status, service::Interceptor};

use crate::{headers, limits, problem::customer};
use lookups::KeyLookUps;

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Begins every secret, so that one that leaked is recognised.
const SECRET_PREFIX: &str = "switchyard_";

/// Who calls: one environment of one organisation, and what the key may do there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) org: OrgId,
    pub(crate) environment: EnvironmentId,
    pub(crate) key: KeyId,
    pub(crate) permissions: Permissions,
    digest: [u8; 32],
}

/// What a key may do. Small, so that it can be handed around.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Permissions(u8);

impl Permissions {
    pub(crate) fn of(given: &BTreeSet<Permission>) -> Permissions {
        Permissions(given.iter().fold(0, |bits, permission| bits | bit(*permission)))
    }

    pub(crate) fn has(self, permission: Permission) -> bool {
        self.0 & bit(permission) != 0
    }
}

fn bit(permission: Permission) -> u8 {
    match permission {
        Permission::Read => 1,
        Permission::Receive => 2,
        Permission::Write => 4,
        Permission::Billing => 8,
    }
}

/// Keys looked up a moment ago. Unknown keys are not remembered: a new key works at once.
pub(crate) struct Keys {
    directory: Arc<dyn Directory>,
    clock: Arc<dyn Clock>,
    look_ups: KeyLookUps,
    known: Mutex<HashMap<[u8; 32], Remembered>>,
    /// When keys were used since that was last written down.
    used: Mutex<HashMap<KeyId, Timestamp>>,
}

struct Remembered {
    key: Arc<KeyRecord>,
    since: Instant,
}

impl Keys {
    pub(crate) fn new(directory: Arc<dyn Directory>, clock: Arc<dyn Clock>) -> Keys {
        let look_ups = KeyLookUps::start(directory.clone());
        Keys { directory, clock, look_ups, known: Mutex::default(), used: Mutex::default() }
    }

    /// Whoever the key in the headers belongs to, calling from that address.
    pub(crate) async fn admit(
        &self,
        headers: &HeaderMap,
        from: Option<IpAddr>,
    ) -> Result<Caller, Problem> {
        let key = self.by_secret(headers).await?;
        self.check_not_expired(&key)?;
        check_address(&key, from)?;
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.insert(key.id, self.clock.now());
        Ok(caller(&key))
    }

    /// The same caller, unless the key has been revoked or has expired since.
    pub(crate) async fn again(&self, known: Caller) -> Result<Caller, Problem> {
        let key = self.by_digest(known.digest).await?;
        self.check_not_expired(&key)?;
        Ok(caller(&key))
    }

    /// Writes down when keys were last used. What fails is tried again with the next use.
    pub(crate) async fn write_down_use(&self) {
        let used = {
            let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *used)
        };
        let mut used: Vec<_> = used.into_iter().collect();
        used.sort_unstable();
        for some in used.chunks(limits::KEYS_WRITTEN_AT_ONCE) {
            if let Err(error) = self.directory.touch_keys(some).await {
                tracing::warn!(%error, "the use of keys could not be written down");
                return;
            }
        }
    }

    async fn by_secret(&self, headers: &HeaderMap) -> Result<Arc<KeyRecord>, Problem> {
        let secret = secret(headers)?;
        if secret.len() > limits::SECRET_BYTES_MAX {
            return Err(wrong());
        }
        self.by_digest(digest(secret)).await
    }

    async fn by_digest(&self, digest: [u8; 32]) -> Result<Arc<KeyRecord>, Problem> {
        // What is looked up is as old as the moment before it was asked for.
        let asked_at = Instant::now();
        if let Some(key) = self.remembered(&digest, asked_at) {
            return Ok(key);
        }
        let found = self.look_ups.ask(digest).await.map_err(customer::store)?;
        let Some(key) = found.filter(|key| key.revoked_at.is_none()) else {
            return Err(wrong());
        };
        self.remember(key.clone(), asked_at);
        Ok(key)
    }

    fn check_not_expired(&self, key: &KeyRecord) -> Result<(), Problem> {
        match key.expires_at.is_some_and(|expires_at| expires_at <= self.clock.now()) {
            true => Err(Problem::new(ErrorClass::Denied, "key_expired", "the key has expired")),
            false => Ok(()),
        }
    }

    fn remembered(&self, digest: &[u8; 32], now: Instant) -> Option<Arc<KeyRecord>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Remembered { key, since } = known.get(digest)?;
        is_fresh(*since, now).then(|| key.clone())
    }

    fn remember(&self, key: Arc<KeyRecord>, since: Instant) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= limits::KEYS_CACHED_MAX {
            known.retain(|_, known| is_fresh(known.since, Instant::now()));
        }
        if known.len() < limits::KEYS_CACHED_MAX {
            known.insert(key.digest, Remembered { key, since });
        }
    }
}

fn caller(key: &KeyRecord) -> Caller {
    Caller {
        org: key.org,
        environment: key.environment,
        key: key.id,
        permissions: Permissions::of(&key.permissions),
        digest: key.digest,
    }
}

/// An address that is not known is none of those allowed.
fn check_address(key: &KeyRecord, from: Option<IpAddr>) -> Result<(), Problem> {
    let from = from.map(|from| from.to_canonical());
    let is_allowed = |from: &IpAddr| key.valid_ips.iter().any(|net| net.contains(from));
    match key.valid_ips.is_empty() || from.as_ref().is_some_and(is_allowed) {
        true => Ok(()),
        false => {
            let message = "the key may not be used from this address";
            Err(Problem::new(ErrorClass::Denied, "address_not_allowed", message))
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
        match bearer(request.metadata().as_ref()) {
            Some(shown) if self.0.is(shown) => Ok(request),
            Some(_) => Err(wrong().into()),
            None => Err(missing("the operator's token", "authorization: Bearer").into()),
        }
    }
}

fn secret(headers: &HeaderMap) -> Result<&str, Problem> {
    let (key, authorization) = (only(headers, &API_KEY)?, only(headers, &AUTHORIZATION)?);
    match key {
        Some(key) => key.to_str().map_err(|_| wrong()),
        None => authorization
            .and_then(of_bearer)
            .ok_or_else(|| missing("an API key", "x-api-key, or authorization: Bearer")),
    }
}

fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a HeaderValue>, Problem> {
    headers::only(headers, name).map_err(|twice| {
        Problem::new(ErrorClass::Invalid, "duplicate_credentials", twice.to_string())
    })
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    of_bearer(headers::only(headers, &AUTHORIZATION).ok()??)
}

fn of_bearer(authorization: &HeaderValue) -> Option<&str> {
    let (scheme, token) = authorization.to_str().ok()?.split_once(' ')?;
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
