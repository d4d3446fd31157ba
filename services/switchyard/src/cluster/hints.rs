//! What pods tell each other to be quicker, by Redis if there is one.

use std::sync::Arc;

use bootstrap::Config;
use placement::{Bell, Redis};
use ports::{SharedCounts, Wakes};

use crate::failure::{Failure, chain};

pub(super) struct Hints {
    pub(super) wakes: Arc<dyn Wakes>,
    pub(super) counts: Option<Arc<dyn SharedCounts>>,
}

impl Hints {
    /// A Redis that is away is connected to when it is back.
    pub(super) fn begin(config: &Config) -> Result<Hints, Failure> {
        let Some(url) = &config.redis else {
            return Ok(Hints { wakes: Arc::new(Bell::default()), counts: None });
        };
        let redis = Redis::start(url.text())
            .map_err(|error| Failure::invalid(format!("--redis: {}", chain(&error))))?;
        Ok(Hints { wakes: redis.clone(), counts: Some(redis) })
    }
}
