//! Configuration: built-in values, under a file, under the environment, under flags.
//!
//! Every source has the same keys; `admin_listen` is `admin_listen = "…"` in the file,
//! `SWITCHYARD_ADMIN_LISTEN` in the environment and `--admin-listen` as a flag. A key that nobody
//! knows is refused: a misspelt limit must not silently be no limit.

use std::{
    fmt, fs, io,
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroU32,
    path::{Path, PathBuf},
    str::FromStr,
};

use domain::Network;
use ports::placement::LeaseLength;
use serde::{Deserialize, Deserializer, de::Error as _};

use crate::{
    log,
    pod::{Advertised, PodName, RedisUrl},
    traces,
};

/// What one source says. It may leave out anything.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub data: Option<PathBuf>,
    pub listen: Option<SocketAddr>,
    pub admin_listen: Option<SocketAddr>,
    pub engine_listen: Option<SocketAddr>,
    pub advertise: Option<Advertised>,
    pub redis: Option<RedisUrl>,
    pub name: Option<PodName>,
    pub ready_file: Option<PathBuf>,
    pub store: Option<StoreChoice>,
    #[serde(default, deserialize_with = "network")]
    pub network: Option<Network>,
    #[serde(default, deserialize_with = "rate")]
    pub calls_per_second: Option<NonZeroU32>,
    #[serde(default, deserialize_with = "lease")]
    pub lease_ms: Option<LeaseLength>,
    pub log: Option<String>,
    pub log_format: Option<log::Format>,
    pub metrics_listen: Option<SocketAddr>,
    pub otlp_endpoint: Option<traces::Endpoint>,
    pub trace_ratio: Option<traces::Ratio>,
}

/// The configuration in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Everything that this process keeps is in here.
    pub data: PathBuf,
    /// For customers' calls.
    pub listen: Listen,
    /// For the operator's calls.
    pub admin_listen: Listen,
    /// For the calls of other pods, where this is an engine of a cluster.
    pub engine_listen: Listen,
    /// Where other pods reach this one; `None`: where it listens.
    pub advertise: Option<Advertised>,
    /// For hints between pods; `None`: they do without.
    pub redis: Option<RedisUrl>,
    /// The same in this pod's next life, and of no other; `None`: where other pods reach it.
    pub name: Option<PodName>,
    pub ready_file: PathBuf,
    pub store: StoreChoice,
    pub network: Network,
    /// What one API key may call in the long run.
    pub calls_per_second: NonZeroU32,
    /// How long a pod may be silent before others take over, and what it permits its nodes lasts.
    pub lease_ms: LeaseLength,
    pub log: String,
    pub log_format: log::Format,
    /// For whoever watches the process; `None`: nobody does.
    pub metrics_listen: Option<SocketAddr>,
    /// The collector of traces; `None`: there are none.
    pub otlp_endpoint: Option<traces::Endpoint>,
    pub trace_ratio: traces::Ratio,
}

/// Where to listen. A place that somebody asked for is never exchanged for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    Asked(SocketAddr),
    /// Nobody said anything.
    Usual(SocketAddr),
}

#[derive(Clone, PartialEq, Eq)]
pub enum StoreChoice {
    /// In the data folder.
    Sqlite,
    /// `postgres://…`, which may hold a password.
    Postgres(String),
}

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("the configuration file {} cannot be read: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{}{}: {why}", path.display(), at(*line))]
    File { path: PathBuf, line: Option<usize>, why: String },
    #[error("the environment variable {name}: {why}")]
    Environment { name: String, why: String },
    #[error("no data folder: give --data, SWITCHYARD_DATA, or data in the configuration file")]
    NoData,
}

const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 7400);
const ADMIN_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 7401);
const ENGINE_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 7402);
/// Far above what a busy merchant needs, far below what one organisation can decide.
const CALLS_PER_SECOND: NonZeroU32 = NonZeroU32::new(5_000).expect("not zero");
const READY_FILE: &str = "ready.json";
const PREFIX: &str = "SWITCHYARD_";

/// Read elsewhere: by the commands that are clients, by the store, by the tests.
const NOT_SETTINGS: &[&str] = &[
    "ADDRESS",
    "ADMIN_ADDRESS",
    "ADMIN_TOKEN",
    "ADMIN_TOKEN_FILE",
    "BIN",
    "CLUSTER_SECRET",
    "CONFIG",
    "KEY",
    "KEY_FILE",
    "LND_KEEP",
    "SEAL_KEYS",
    "SIM",
    "SIM_SEED",
    "SIM_SEEDS",
];

impl Config {
    /// Lays flags over the environment over the file over the command's own defaults.
    pub fn load(
        flags: Settings,
        environment: impl Iterator<Item = (String, String)>,
        file: Option<&Path>,
        defaults: Settings,
    ) -> Result<Config, ConfigError> {
        let under = match file {
            Some(path) => Settings::from_file(path)?.over(defaults),
            None => defaults,
        };
        flags.over(Settings::from_environment(environment)?).over(under).complete()
    }
}

impl Settings {
    fn from_file(path: &Path) -> Result<Settings, ConfigError> {
        let text = fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        toml::from_str(&text).map_err(|error| ConfigError::File {
            path: path.to_owned(),
            line: error.span().map(|span| line_of(&text, span.start)),
            why: one_line(error.message()),
        })
    }

    fn from_environment(
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Settings, ConfigError> {
        let mut all = Settings::default();
        for (name, value) in environment {
            let Some(key) = name.strip_prefix(PREFIX) else { continue };
            if NOT_SETTINGS.contains(&key) || is_of_kubernetes(key) {
                continue;
            }
            let key = key.to_ascii_lowercase();
            let alone = toml::Table::from_iter([(key, toml::Value::String(value))]);
            let one: Settings = alone.try_into().map_err(|error: toml::de::Error| {
                ConfigError::Environment { name, why: one_line(error.message()) }
            })?;
            all = one.over(all);
        }
        Ok(all)
    }

    /// `self` where it says something, else `under`.
    fn over(self, under: Settings) -> Settings {
        Settings {
            data: self.data.or(under.data),
            listen: self.listen.or(under.listen),
            admin_listen: self.admin_listen.or(under.admin_listen),
            engine_listen: self.engine_listen.or(under.engine_listen),
            advertise: self.advertise.or(under.advertise),
            redis: self.redis.or(under.redis),
            name: self.name.or(under.name),
            ready_file: self.ready_file.or(under.ready_file),
            store: self.store.or(under.store),
            network: self.network.or(under.network),
            calls_per_second: self.calls_per_second.or(under.calls_per_second),
            lease_ms: self.lease_ms.or(under.lease_ms),
            log: self.log.or(under.log),
            log_format: self.log_format.or(under.log_format),
            metrics_listen: self.metrics_listen.or(under.metrics_listen),
            otlp_endpoint: self.otlp_endpoint.or(under.otlp_endpoint),
            trace_ratio: self.trace_ratio.or(under.trace_ratio),
        }
    }

    fn complete(self) -> Result<Config, ConfigError> {
        let data = self.data.ok_or(ConfigError::NoData)?;
        Ok(Config {
            ready_file: self.ready_file.unwrap_or_else(|| data.join(READY_FILE)),
            data,
            listen: self.listen.map_or(Listen::Usual(LISTEN), Listen::Asked),
            admin_listen: self.admin_listen.map_or(Listen::Usual(ADMIN_LISTEN), Listen::Asked),
            engine_listen: self.engine_listen.map_or(Listen::Usual(ENGINE_LISTEN), Listen::Asked),
            advertise: self.advertise,
            redis: self.redis,
            name: self.name,
            store: self.store.unwrap_or(StoreChoice::Sqlite),
            network: self.network.unwrap_or(Network::Regtest),
            calls_per_second: self.calls_per_second.unwrap_or(CALLS_PER_SECOND),
            lease_ms: self.lease_ms.unwrap_or_default(),
            log: self.log.unwrap_or_else(|| log::FOR_SERVERS.to_owned()),
            log_format: self.log_format.unwrap_or_default(),
            metrics_listen: self.metrics_listen,
            otlp_endpoint: self.otlp_endpoint,
            trace_ratio: self.trace_ratio.unwrap_or_default(),
        })
    }
}

impl Listen {
    pub fn address(self) -> SocketAddr {
        match self {
            Listen::Asked(address) | Listen::Usual(address) => address,
        }
    }
}

impl FromStr for StoreChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<StoreChoice, String> {
        if text == "sqlite" {
            Ok(StoreChoice::Sqlite)
        } else if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            Ok(StoreChoice::Postgres(text.to_owned()))
        } else {
            // Not repeated: it may hold a password.
            Err("must be sqlite or postgres://…".to_owned())
        }
    }
}

impl<'de> Deserialize<'de> for StoreChoice {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<StoreChoice, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

impl fmt::Debug for StoreChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreChoice::Sqlite => f.write_str("Sqlite"),
            StoreChoice::Postgres(_) => f.write_str("Postgres(redacted)"),
        }
    }
}

/// A network by its name, for flags.
pub fn parse_network(name: &str) -> Result<Network, String> {
    Network::from_name(name)
        .ok_or_else(|| "must be mainnet, testnet, signet, mutinynet or regtest".to_owned())
}

fn network<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Network>, D::Error> {
    parse_network(&String::deserialize(from)?).map(Some).map_err(D::Error::custom)
}

fn rate<'de, D: Deserializer<'de>>(from: D) -> Result<Option<NonZeroU32>, D::Error> {
    let rate = number(from)?.parse().map(Some);
    rate.map_err(|_| D::Error::custom("must be a whole number of calls, at least 1"))
}

fn lease<'de, D: Deserializer<'de>>(from: D) -> Result<Option<LeaseLength>, D::Error> {
    number(from)?.parse().map(Some).map_err(D::Error::custom)
}

/// A number in the file is a text in the environment, and as a flag.
fn number<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Given {
        Number(i64),
        Text(String),
    }

    Ok(match Given::deserialize(from)? {
        Given::Number(number) => number.to_string(),
        Given::Text(text) => text,
    })
}

/// Kubernetes puts the addresses of services named `switchyard…` into the environment of pods.
fn is_of_kubernetes(key: &str) -> bool {
    key.ends_with("SERVICE_HOST")
        || key.contains("SERVICE_PORT")
        || key == "PORT"
        || key.ends_with("_PORT")
        || key.starts_with("PORT_")
        || key.contains("_PORT_")
}

fn at(line: Option<usize>) -> String {
    line.map(|line| format!(" line {line}")).unwrap_or_default()
}

fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|&byte| byte == b'\n').count() + 1
}

fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect::<Vec<_>>()
            .into_iter()
    }

    fn load(file: &str, pairs: &[(&str, &str)], flags: Settings) -> Result<Config, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("switchyard.toml");
        fs::write(&path, file).unwrap();
        let loaded = Config::load(flags, environment(pairs), Some(&path), Settings::default());
        loaded.map_err(|error| {
            error.to_string().replace(&format!("{}/", folder.path().display()), "")
        })
    }

    #[test]
    fn flags_win_over_the_environment_over_the_file() {
        let file = "data = 'from-file'\nlisten = '127.0.0.1:1'\nnetwork = 'signet'\n";
        let pairs = [("SWITCHYARD_LISTEN", "127.0.0.1:2"), ("SWITCHYARD_DATA", "from-env")];
        let flags = Settings { data: Some("from-flag".into()), ..Settings::default() };
        let config = load(file, &pairs, flags).unwrap();
        assert_eq!(config.data, PathBuf::from("from-flag"));
        assert_eq!(config.ready_file, PathBuf::from("from-flag/ready.json"));
        assert_eq!(config.listen, Listen::Asked("127.0.0.1:2".parse().unwrap()));
        assert_eq!(config.admin_listen, Listen::Usual(ADMIN_LISTEN));
        assert_eq!(config.network, Network::Signet);
        assert_eq!(config.store, StoreChoice::Sqlite);
        assert_eq!(config.calls_per_second, CALLS_PER_SECOND);
    }

    #[test]
    fn a_rate_is_a_number_in_the_file_and_a_text_in_the_environment() {
        let file = "data = 'd'\ncalls_per_second = 7\n";
        assert_eq!(load(file, &[], Settings::default()).unwrap().calls_per_second.get(), 7);
        let pairs = [("SWITCHYARD_CALLS_PER_SECOND", "8")];
        assert_eq!(load(file, &pairs, Settings::default()).unwrap().calls_per_second.get(), 8);
        for wrong in ["0", "-1", "4294967296", "'many'"] {
            let file = format!("data = 'd'\ncalls_per_second = {wrong}\n");
            let error = load(&file, &[], Settings::default()).unwrap_err();
            assert!(error.contains("at least 1"), "{error}");
        }
    }

    #[test]
    fn a_lease_is_as_long_as_it_may_be() {
        let none = load("data = 'd'", &[], Settings::default()).unwrap();
        assert_eq!(none.lease_ms, LeaseLength::USUAL);
        let file = "data = 'd'\nlease_ms = 2000\n";
        let config = load(file, &[], Settings::default()).unwrap();
        assert_eq!(config.lease_ms, LeaseLength::SHORTEST);
        let pairs = [("SWITCHYARD_LEASE_MS", "10000")];
        let config = load(file, &pairs, Settings::default()).unwrap();
        assert_eq!(config.lease_ms, LeaseLength::LONGEST);
        let wrong = [("SWITCHYARD_LEASE_MS", "10001")];
        let error = load(file, &wrong, Settings::default()).unwrap_err();
        let says = "the environment variable SWITCHYARD_LEASE_MS: \
                    must be a whole number of milliseconds from 2000 to 10000";
        assert_eq!(error, says);
        let error = load("data = 'd'\nlease_ms = 1", &[], Settings::default()).unwrap_err();
        assert!(error.starts_with("switchyard.toml line 2: must be a whole number"), "{error}");
    }

    #[test]
    fn unknown_keys_are_refused_in_one_line() {
        let error = load("data = 'd'\nlisen = 'x'\n", &[], Settings::default()).unwrap_err();
        assert!(error.starts_with("switchyard.toml line 2: unknown field `lisen`"), "{error}");
        let error = load("", &[("SWITCHYARD_DATE", "d")], Settings::default()).unwrap_err();
        let says = "the environment variable SWITCHYARD_DATE: unknown field `date`";
        assert!(error.starts_with(says), "{error}");
        assert!(!error.contains('\n'));
    }

    #[test]
    fn what_is_not_a_setting_is_left_alone() {
        let pairs = [
            ("SWITCHYARD_DATA", "d"),
            ("SWITCHYARD_SEAL_KEYS", "1:ff"),
            ("SWITCHYARD_SIM_SEEDS", "200"),
            ("SWITCHYARD_SERVICE_HOST", "10.0.0.1"),
            ("SWITCHYARD_PORT_7400_TCP", "tcp://10.0.0.1:7400"),
            ("SWITCHYARD_PORT", "tcp://10.0.0.1:7400"),
            ("PATH", "/bin"),
        ];
        load("", &pairs, Settings::default()).unwrap();
    }

    #[test]
    fn wrong_values_say_where_they_are() {
        let error = load("data = 'd'\nnetwork = 'moon'", &[], Settings::default()).unwrap_err();
        assert!(error.contains("line 2") && error.contains("must be mainnet"), "{error}");
        let pairs = [("SWITCHYARD_STORE", "mysql://me:secret@there")];
        let error = load("data = 'd'", &pairs, Settings::default()).unwrap_err();
        assert!(error.contains("SWITCHYARD_STORE") && !error.contains("secret"), "{error}");
        assert_eq!(load("", &[], Settings::default()).unwrap_err()[..14], *"no data folder");
    }

    #[test]
    fn nobody_watches_unless_somebody_asks_for_it() {
        let config = load("data = 'd'", &[], Settings::default()).unwrap();
        assert_eq!((config.metrics_listen, config.otlp_endpoint), (None, None));
        let pairs = [
            ("SWITCHYARD_METRICS_LISTEN", "127.0.0.1:9400"),
            ("SWITCHYARD_OTLP_ENDPOINT", "http://127.0.0.1:4317"),
            ("SWITCHYARD_TRACE_RATIO", "0.1"),
        ];
        let config = load("data = 'd'\ntrace_ratio = 0.5", &pairs, Settings::default()).unwrap();
        assert_eq!(config.metrics_listen, Some("127.0.0.1:9400".parse().unwrap()));
        assert_eq!(config.otlp_endpoint, Some("http://127.0.0.1:4317".parse().unwrap()));
        assert_eq!(config.trace_ratio, "0.1".parse().unwrap());
        for file in ["data = 'd'\ntrace_ratio = 2", "data = 'd'\notlp_endpoint = 'x'"] {
            load(file, &[], Settings::default()).unwrap_err();
        }
    }

    #[test]
    fn a_pod_has_a_name_and_an_address_for_the_others() {
        let config = load("data = 'd'", &[], Settings::default()).unwrap();
        assert_eq!(config.engine_listen, Listen::Usual(ENGINE_LISTEN));
        assert_eq!((config.advertise, config.name), (None, None));
        let pairs = [
            ("SWITCHYARD_ENGINE_LISTEN", "0.0.0.0:7402"),
            ("SWITCHYARD_ADVERTISE", "engine-0.engines:7402"),
            ("SWITCHYARD_CLUSTER_SECRET", "not a setting"),
        ];
        let file = "data = 'd'\nname = 'engine-0'\nadvertise = '[::1]:1'";
        let config = load(file, &pairs, Settings::default()).unwrap();
        assert_eq!(config.engine_listen, Listen::Asked("0.0.0.0:7402".parse().unwrap()));
        assert_eq!(config.advertise, Some("engine-0.engines:7402".parse().unwrap()));
        assert_eq!(config.name, Some("engine-0".parse().unwrap()));
    }

    #[test]
    fn a_password_is_not_shown() {
        let choice: StoreChoice = "postgres://me:secret@there/db".parse().unwrap();
        assert_eq!(format!("{choice:?}"), "Postgres(redacted)");
    }
}
