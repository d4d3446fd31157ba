//! What pods tell each other to be quicker, by Redis if there is one. A Redis that is away is connected to
//! when it is back.

use std::{error::Error, sync::Arc};

use bootstrap::Config;
use placement::{Bell, Redis};
use ports::{SharedCounts, Wakes};

use crate::failure::{Failure, chain};

/// What a gateway hears, and the counts that it shares with the others.
pub(super) struct Hints {
    pub(super) wakes: Arc<dyn Wakes>,
    pub(super) counts: Option<Arc<dyn SharedCounts>>,
}

pub(super) fn of_gateway(config: &Config) -> Result<Hints, Failure> {
    let Some(url) = &config.redis else {
        return Ok(Hints { wakes: Arc::new(Bell::default()), counts: None });
    };
    let redis = Redis::of_gateway(url.text()).map_err(|error| unusable(&error))?;
    Ok(Hints { wakes: redis.clone(), counts: Some(redis) })
}

pub(super) fn of_engine(config: &Config) -> Result<Arc<dyn Wakes>, Failure> {
    let Some(url) = &config.redis else { return Ok(Arc::new(Bell::default())) };
    Ok(Redis::of_engine(url.text()).map_err(|error| unusable(&error))?)
}

fn unusable(error: &(dyn Error + 'static)) -> Failure {
    Failure::invalid(format!("--redis: {}", chain(error)))
}
