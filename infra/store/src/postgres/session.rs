//! How a connection is set up and made.

use std::{str::FromStr, time::Duration};

use codec::READS;
use ports::StoreError;
use tokio::time::sleep;
use tokio_postgres::{Client, Config, NoTls, error::Severity};

use super::OpenError;

/// A server that is being started again is back within this, as a rule. Whoever asked is told that
/// nothing was done, and may ask again.
const CONNECT_TRIES: u32 = 5;
const CONNECT_PAUSE: Duration = Duration::from_millis(20);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// After this a server that acknowledges no packet is as good as gone; while an answer is awaited,
/// packets are made for it to acknowledge.
const SILENCE_MAX: Duration = Duration::from_secs(4);
const KEEPALIVE: Duration = Duration::from_secs(1);

/// What connections are called of a version that does not say what it reads. Ours do.
pub(super) const SAYS_NOTHING: &str = "switchyard";

/// The statements are known by heart and found by key, so they are planned once, and by key: plans
/// that look at statistics are bad ones when they were made while the tables were empty. Which side of a
/// join is read first still follows the statistics: where a table may be empty now and full a moment later, a
/// lateral select with `offset 0` keeps the order. A session
/// that stops in the middle must not hold rows that others wait for (`money-safety` rule 30).
const SETTINGS: [(&str, &str); 13] = [
    ("plan_cache_mode", "force_generic_plan"),
    ("random_page_cost", "0.1"),
    ("seq_page_cost", "0.1"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("jit", "off"),
    ("synchronous_commit", "on"),
    ("idle_in_transaction_session_timeout", "2s"),
    ("lock_timeout", "1s"),
    ("statement_timeout", "5s"),
    ("tcp_user_timeout", "4s"),
    ("client_min_messages", "error"),
];

/// A journal lane writes only inside a transaction that it began: should BEGIN fail, the statements
/// sent behind it must fail too, and not commit each by itself.
const LANE_SETTINGS: [(&str, &str); 1] = [("default_transaction_read_only", "on")];

pub(super) const BEGIN: &str = "begin isolation level read committed read write";

/// Reads the address and adds what every session needs.
pub(super) fn config(url: &str) -> Result<Config, OpenError> {
    let mut config = Config::from_str(url).map_err(|error| OpenError::BadUrl(cause(&error)))?;
    let given = config.get_options().map(str::to_owned);
    config.options(options(given.as_deref(), &SETTINGS));
    config.connect_timeout(CONNECT_TIMEOUT);
    config.tcp_user_timeout(SILENCE_MAX);
    config.keepalives_idle(KEEPALIVE).keepalives_interval(KEEPALIVE).keepalives_retries(3);
    config.application_name(format!("{SAYS_NOTHING}/{}", READS.number()));
    Ok(config)
}

pub(super) fn lane_config(config: &Config) -> Config {
    let mut config = config.clone();
    let given = config.get_options().map(str::to_owned);
    config.options(options(given.as_deref(), &LANE_SETTINGS));
    config
}

fn options(given: Option<&str>, settings: &[(&str, &str)]) -> String {
    let mut text = given.unwrap_or_default().to_owned();
    for (name, value) in settings {
        text.push_str(&format!(" -c {name}={value}"));
    }
    text
}

/// Connects, with a few tries: the server may be starting.
pub(super) async fn connect(config: &Config) -> Result<Client, tokio_postgres::Error> {
    let mut pause = CONNECT_PAUSE;
    for _ in 1..CONNECT_TRIES {
        match connect_once(config).await {
            Ok(client) => return Ok(client),
            Err(error) => tracing::warn!(error = cause(&error), "the database does not answer"),
        }
        sleep(pause).await;
        pause *= 2;
    }
    connect_once(config).await
}

async fn connect_once(config: &Config) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::warn!(error = cause(&error), "a connection to the database was lost");
        }
    });
    Ok(client)
}

/// Whether the server itself said, over a connection that goes on, that it did not do it.
pub(super) fn is_refusal(error: &tokio_postgres::Error) -> bool {
    let severity = error.as_db_error().and_then(|error| error.parsed_severity());
    matches!(severity, Some(Severity::Error))
}

/// What went wrong, without any value of a row.
pub(super) fn cause(error: &tokio_postgres::Error) -> String {
    use std::error::Error as _;

    match (error.as_db_error(), error.source()) {
        (Some(refused), _) => format!("{} ({})", refused.message(), refused.code().code()),
        (None, Some(source)) => format!("{error}: {source}"),
        (None, None) => error.to_string(),
    }
}

pub(super) fn unavailable(error: tokio_postgres::Error) -> StoreError {
    StoreError::Unavailable(cause(&error))
}

/// What a failed COMMIT means.
pub(super) fn not_committed(error: tokio_postgres::Error) -> StoreError {
    match is_refusal(&error) {
        true => StoreError::Unavailable(cause(&error)),
        false => StoreError::Unknown(cause(&error)),
    }
}

pub(super) fn no_connection(error: deadpool_postgres::PoolError) -> StoreError {
    StoreError::Unavailable(match error {
        deadpool_postgres::PoolError::Backend(error) => cause(&error),
        deadpool_postgres::PoolError::Timeout(_) => {
            "every connection to the database is busy".to_owned()
        }
        deadpool_postgres::PoolError::Closed
        | deadpool_postgres::PoolError::NoRuntimeSpecified
        | deadpool_postgres::PoolError::PostCreateHook(_) => error.to_string(),
    })
}
