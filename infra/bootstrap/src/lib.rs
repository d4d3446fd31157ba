//! What every process of the house begins with: configuration, log, metrics, traces, clock, randomness, secret
//! files, a graceful stop and the way it ends.

pub mod clock;
pub mod config;
pub mod exit;
pub mod files;
pub mod log;
pub mod metrics;
mod pod;
pub mod random;
pub mod stop;
pub mod telemetry;
pub mod traces;
pub mod watch;

pub use clock::{AgreedClock, SystemClock};
pub use config::{Config, ConfigError, Listen, Settings, StoreChoice};
pub use exit::Exit;
pub use pod::{Advertised, PodName, RedisUrl};
pub use stop::Signals;
pub use telemetry::{Telemetry, TelemetryError};
