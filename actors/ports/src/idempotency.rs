//! Keys that callers put on their requests, so that a request that is repeated is done once.
//!
//! A store keeps each for as long as the caller of [`Idempotency::forget_before`] lets it: 30 days.

use async_trait::async_trait;
use domain::{EnvironmentId, OrgId, SessionId, Timestamp};

use crate::StoreError;

/// Whose key it is: the same words are another key in another environment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct IdempotencyScope {
    pub org: OrgId,
    pub environment: EnvironmentId,
    /// The caller's own words.
    pub key: String,
}

/// What was answered the first time, to be answered again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAnswer {
    pub status: u16,
    pub body: Vec<u8>,
}

/// What is known of a key when a request brings it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// The request is to be carried out, and then finished or abandoned.
    New,
    /// The same request is being carried out.
    Running,
    /// The key is on another request.
    OtherRequest,
    Done(StoredAnswer),
}

/// Who carries a request out, from when on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Runner {
    /// Of the process, which says again and again that it lives: a pod, or a reader.
    pub session: SessionId,
    pub now: Timestamp,
    /// Whoever began before this is given up for lost, even one that lives.
    pub stale_before: Timestamp,
}

#[async_trait]
pub trait Idempotency: Send + Sync {
    /// Takes the key for the request with this fingerprint, of one of many at once.
    ///
    /// A request that has not ended is taken over when whoever carried it out lives no more, as far as
    /// anybody can tell, or is stale. So callers must give to keys only requests that are safe to carry
    /// out twice.
    async fn begin(
        &self,
        scope: &IdempotencyScope,
        fingerprint: [u8; 32],
        runner: Runner,
    ) -> Result<Begun, StoreError>;

    /// Keeps the answer. The first one stands, and one of another request is not kept.
    async fn finish(
        &self,
        scope: &IdempotencyScope,
        fingerprint: [u8; 32],
        answer: &StoredAnswer,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// Nothing was done: the key is free again, unless the request has an answer.
    async fn abandon(
        &self,
        scope: &IdempotencyScope,
        fingerprint: [u8; 32],
    ) -> Result<(), StoreError>;

    /// Forgets keys that were taken before, the oldest first, at most `limit`. Answers how many.
    async fn forget_before(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;
}
