//! Redis between pods: word of what was committed, and counts of calls. Hints only, so nothing here waits
//! for it or fails without it: while it is away readers look by themselves, and each gateway counts alone.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use ::redis::{
    Client, RedisError,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use async_trait::async_trait;
use domain::{KeyId, OrgId};
use futures_util::StreamExt as _;
use ports::{SharedCounts, Wakes};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};
use uuid::Uuid;

use crate::Bell;

/// Organisations whose journal has grown, 16 bytes each.
const CHANNEL: &str = "switchyard:grown";
const COUNTS: &str = "switchyard:calls:";

/// Beyond that an answer is of no more use.
const ANSWERS_WITHIN: Duration = Duration::from_millis(100);
const CONNECTS_WITHIN: Duration = Duration::from_secs(1);
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Words that gather while one is on its way go together; this long at the least, so that a busy engine
/// does not publish thousands of times a second.
const GATHERED_FOR: Duration = Duration::from_millis(5);
const WORDS_AT_ONCE: usize = 4_096;

/// Sums that nobody adds to are forgotten.
const COUNTS_KEPT_S: i64 = 60;

pub struct Redis {
    connection: ConnectionManager,
    grown: Mutex<BTreeSet<OrgId>>,
    more: Notify,
    /// For readers in this process.
    bell: Bell,
}

impl Redis {
    /// For an engine, which tells and does not listen. Connects in the background, again and again: one that
    /// is away is no error.
    ///
    /// # Errors
    ///
    /// `url` is not `redis://host:port`.
    pub fn of_engine(url: &str) -> Result<Arc<Redis>, RedisError> {
        let redis = Redis::at(&Client::open(url)?)?;
        tokio::spawn(publish(Arc::downgrade(&redis)));
        Ok(redis)
    }

    /// For a gateway, which listens and counts, and has nothing to tell. Otherwise as [`Redis::of_engine`].
    ///
    /// # Errors
    ///
    /// `url` is not `redis://host:port`.
    pub fn of_gateway(url: &str) -> Result<Arc<Redis>, RedisError> {
        let client = Client::open(url)?;
        let redis = Redis::at(&client)?;
        tokio::spawn(listen(Arc::downgrade(&redis), client));
        Ok(redis)
    }

    fn at(client: &Client) -> Result<Arc<Redis>, RedisError> {
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(ANSWERS_WITHIN))
            .set_connection_timeout(Some(CONNECTS_WITHIN))
            .set_number_of_retries(1);
        let connection = ConnectionManager::new_lazy_with_config(client.clone(), config)?;
        let (grown, more, bell) = (Mutex::default(), Notify::new(), Bell::default());
        Ok(Arc::new(Redis { connection, grown, more, bell }))
    }

    fn gathered(&self) -> Vec<u8> {
        let mut grown = self.grown.lock().unwrap_or_else(PoisonError::into_inner);
        let orgs = std::mem::take(&mut *grown);
        orgs.iter().flat_map(|org| *org.uuid().as_bytes()).collect()
    }
}

async fn publish(redis: Weak<Redis>) {
    while let Some(redis) = redis.upgrade() {
        // Looks now and then whether anybody is left.
        if timeout(RETRY_AFTER, redis.more.notified()).await.is_err() {
            continue;
        }
        sleep(GATHERED_FOR).await;
        let words = redis.gathered();
        let mut connection = redis.connection.clone();
        let told: Result<(), RedisError> =
            ::redis::cmd("PUBLISH").arg(CHANNEL).arg(words).query_async(&mut connection).await;
        if let Err(error) = told {
            // Readers look by themselves as well.
            tracing::debug!(%error, "Redis was not told");
        }
    }
}

async fn listen(redis: Weak<Redis>, client: Client) {
    while redis.strong_count() > 0 {
        if let Err(error) = listen_once(&redis, &client).await {
            tracing::debug!(%error, "Redis tells nothing");
        }
        sleep(RETRY_AFTER).await;
    }
}

async fn listen_once(redis: &Weak<Redis>, client: &Client) -> Result<(), RedisError> {
    let connecting = timeout(CONNECTS_WITHIN, client.get_async_pubsub()).await;
    let Ok(connected) = connecting else { return Ok(()) };
    let mut words = connected?;
    words.subscribe(CHANNEL).await?;
    let mut words = words.into_on_message();
    while let Some(word) = words.next().await {
        let Some(redis) = redis.upgrade() else { return Ok(()) };
        // What is no id is no word: whoever can publish here can say anything.
        for id in word.get_payload_bytes().chunks_exact(16).take(WORDS_AT_ONCE) {
            if let Ok(id) = Uuid::from_slice(id) {
                redis.bell.tell(OrgId::new(id));
            }
        }
    }
    Ok(())
}

#[async_trait]
impl Wakes for Redis {
    fn tell(&self, org: OrgId) {
        let mut grown = self.grown.lock().unwrap_or_else(PoisonError::into_inner);
        if grown.len() < WORDS_AT_ONCE && grown.insert(org) && grown.len() == 1 {
            self.more.notify_one();
        }
    }

    async fn woken(&self, org: OrgId) {
        self.bell.woken(org).await;
    }
}

#[async_trait]
impl SharedCounts for Redis {
    async fn add(&self, calls: &[(KeyId, u32)]) -> Option<Vec<u64>> {
        if calls.is_empty() {
            return Some(Vec::new());
        }
        let mut all = ::redis::pipe();
        for (key, count) in calls {
            let name = format!("{COUNTS}{key}");
            all.cmd("INCRBY").arg(&name).arg(*count);
            all.cmd("EXPIRE").arg(&name).arg(COUNTS_KEPT_S).ignore();
        }
        let mut connection = self.connection.clone();
        let sums: Result<Vec<i64>, RedisError> = all.query_async(&mut connection).await;
        match sums {
            Ok(sums) => Some(sums.into_iter().map(|sum| u64::try_from(sum).unwrap_or(0)).collect()),
            Err(error) => {
                tracing::debug!(%error, "Redis does not count");
                None
            }
        }
    }
}
