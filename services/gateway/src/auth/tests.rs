use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use domain::{KeyId, NodeId, Timestamp};
use futures_util::future::join_all;
use ports::{
    StoreError,
    directory::{KeyRecord, NodeRecord, OrgRecord},
};
use tokio::time::advance;
use uuid::Uuid;

use super::*;

/// One key, which may be revoked, and nothing else.
#[derive(Default)]
struct OneKey {
    revoked: Mutex<bool>,
    asked: AtomicUsize,
    touched: Mutex<Vec<(KeyId, Timestamp)>>,
}

#[tonic::async_trait]
impl Directory for OneKey {
    async fn key(&self, digest: [u8; 32]) -> Result<Option<KeyRecord>, StoreError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let revoked = *self.revoked.lock().unwrap();
        Ok((digest == super::digest("good")).then(|| KeyRecord {
            id: KeyId::new(Uuid::nil()),
            org: OrgId::new(Uuid::from_u128(1)),
            environment: EnvironmentId::new(Uuid::from_u128(2)),
            name: String::new(),
            digest,
            created_at: Timestamp::default(),
            revoked_at: revoked.then(Timestamp::default),
            permissions: [Permission::Read].into(),
            expires_at: None,
            valid_ips: vec!["10.0.0.0/8".parse().unwrap()],
            updated_at: Timestamp::default(),
            last_used_at: None,
        }))
    }

    async fn add_org(&self, _: &OrgRecord) -> Result<(), StoreError> {
        Ok(())
    }

    async fn orgs(&self) -> Result<Vec<OrgRecord>, StoreError> {
        Ok(Vec::new())
    }

    async fn add_key(&self, _: &KeyRecord) -> Result<(), StoreError> {
        Ok(())
    }

    async fn revoke_key(&self, _: KeyId, _: Timestamp) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn keys(&self, _: OrgId) -> Result<Vec<KeyRecord>, StoreError> {
        Ok(Vec::new())
    }

    async fn touch_keys(&self, used: &[(KeyId, Timestamp)]) -> Result<(), StoreError> {
        self.touched.lock().unwrap().extend_from_slice(used);
        Ok(())
    }

    async fn add_node(&self, _: &NodeRecord) -> Result<(), StoreError> {
        Ok(())
    }

    async fn nodes(&self) -> Result<Vec<NodeRecord>, StoreError> {
        Ok(Vec::new())
    }

    async fn stop_node(&self, _: NodeId, _: Option<&str>) -> Result<bool, StoreError> {
        Ok(false)
    }
}

struct Midnight;

impl Clock for Midnight {
    fn now(&self) -> Timestamp {
        Timestamp::default()
    }
}

fn with_key(secret: &'static str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("x-api-key", secret.parse().unwrap());
    headers
}

/// One of the addresses that the key may be used from.
fn inside() -> Option<IpAddr> {
    Some([10, 1, 2, 3].into())
}

#[tokio::test(start_paused = true)]
async fn a_revoked_key_stops_within_five_seconds() {
    let directory = Arc::new(OneKey::default());
    let keys = Keys::new(directory.clone(), Arc::new(Midnight));
    let good = with_key("good");
    let caller = keys.admit(&good, inside()).await.unwrap();
    assert_eq!(keys.admit(&good, inside()).await, Ok(caller));
    assert_eq!(directory.asked.load(Ordering::Relaxed), 1);

    *directory.revoked.lock().unwrap() = true;
    advance(Duration::from_millis(3_999)).await;
    assert_eq!(keys.again(caller).await, Ok(caller));
    advance(Duration::from_millis(1)).await;
    assert_eq!(keys.admit(&good, inside()).await.unwrap_err(), wrong());
    assert_eq!(keys.again(caller).await.unwrap_err(), wrong());
}

/// Also when an address of version 4 comes in the clothes of version 6.
#[tokio::test(start_paused = true)]
async fn a_key_is_let_in_from_its_addresses_and_its_use_is_noted() {
    let directory = Arc::new(OneKey::default());
    let keys = Keys::new(directory.clone(), Arc::new(Midnight));
    let good = with_key("good");
    for (from, may) in [
        (Some("10.1.2.3"), true),
        (Some("::ffff:10.1.2.3"), true),
        (Some("11.1.2.3"), false),
        (Some("::1"), false),
        (None, false),
    ] {
        let from = from.map(|from| from.parse().unwrap());
        let admitted = keys.admit(&good, from).await;
        assert_eq!(admitted.is_ok(), may, "{from:?}");
    }
    keys.write_down_use().await;
    keys.write_down_use().await;
    let once = [(KeyId::new(Uuid::nil()), Timestamp::default())];
    assert_eq!(*directory.touched.lock().unwrap(), once);
}

/// Unknown keys are asked for each time, so that a new key works at once.
#[tokio::test(start_paused = true)]
async fn unknown_keys_are_not_remembered() {
    let directory = Arc::new(OneKey::default());
    let keys = Keys::new(directory.clone(), Arc::new(Midnight));
    for asked in 1..=3 {
        assert_eq!(keys.admit(&with_key("bad"), inside()).await, Err(wrong()));
        assert_eq!(directory.asked.load(Ordering::Relaxed), asked);
    }
}

/// A key's callers need it anew at the same moment.
#[tokio::test(start_paused = true)]
async fn a_thousand_callers_with_one_key_ask_for_it_once() {
    let directory = Arc::new(OneKey::default());
    let keys = Keys::new(directory.clone(), Arc::new(Midnight));
    let good = with_key("good");
    let all = join_all((0..1_000).map(|_| keys.admit(&good, inside()))).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(directory.asked.load(Ordering::Relaxed), 1);
}

#[test]
fn tokens_are_compared_whole() {
    let token = AdminToken::new("0123456789abcdef").unwrap();
    assert!(token.is("0123456789abcdef"));
    for other in ["", "0123456789abcde", "0123456789abcdeF", "0123456789abcdef "] {
        assert!(!token.is(other));
    }
    assert!(AdminToken::new("short").is_err());
}

#[test]
fn secrets_are_long_and_never_the_same() {
    let (one, other) = (Secret::draw().unwrap(), Secret::draw().unwrap());
    assert_ne!(one.digest(), other.digest());
    assert!(one.show().len() > 64);
}
