//! Calling a running platform: where it is, who calls, and what an answer or a silence means.

use std::{path::PathBuf, time::Duration};

use bootstrap::{Exit, files};
use clap::Args;
use proto::{
    Problem,
    admin::v1::{
        installation_client::InstallationClient, keys_client::KeysClient,
        nodes_client::NodesClient, organisations_client::OrganisationsClient,
    },
    v1::{
        events_client::EventsClient, lines_client::LinesClient, payments_client::PaymentsClient,
        wallets_client::WalletsClient,
    },
};
use tonic::{
    Request, Response, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};

use crate::{
    failure::{Failure, chain},
    ready,
};

/// The code of a send that waits for a person, not for a better moment.
const SENDS_FROZEN: &str = "sends_frozen";
/// A restore has something due: no repeat helps before a person has looked.
const THAW_NOT_SAFE: &str = "thaw_not_safe";
const CONNECTS_WITHIN: Duration = Duration::from_secs(5);
pub(crate) const ANSWERS_WITHIN: Duration = Duration::from_secs(30);

/// How to reach the platform. A data folder on this machine answers everything but the key.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Connection {
    /// Data folder of a platform on this machine.
    #[arg(
        long,
        global = true,
        help_heading = "Connection",
        env = "SWITCHYARD_DATA",
        value_name = "DIR"
    )]
    pub(crate) data: Option<PathBuf>,
    /// Where customers call: host:port.
    #[arg(
        long,
        global = true,
        help_heading = "Connection",
        env = "SWITCHYARD_ADDRESS",
        value_name = "ADDRESS"
    )]
    address: Option<String>,
    /// API key; better in a file or in the environment, where other users do not see it.
    #[arg(
        long,
        global = true,
        help_heading = "Connection",
        env = "SWITCHYARD_KEY",
        hide_env_values = true
    )]
    key: Option<String>,
    /// File with the API key [default: demo.key in --data].
    #[arg(
        long,
        global = true,
        help_heading = "Connection",
        env = "SWITCHYARD_KEY_FILE",
        value_name = "FILE"
    )]
    key_file: Option<PathBuf>,
    /// Where the operator calls: host:port.
    #[arg(
        long,
        global = true,
        help_heading = "Connection",
        env = "SWITCHYARD_ADMIN_ADDRESS",
        value_name = "ADDRESS"
    )]
    admin_address: Option<String>,
    /// The operator's token; better in a file or in the environment.
    #[arg(
        long,
        global = true,
        help_heading = "Connection",
        env = "SWITCHYARD_ADMIN_TOKEN",
        hide_env_values = true
    )]
    #[arg(value_name = "TOKEN")]
    admin_token: Option<String>,
    /// File with the operator's token [default: admin.token in --data].
    #[arg(
        long,
        global = true,
        help_heading = "Connection",
        env = "SWITCHYARD_ADMIN_TOKEN_FILE",
        value_name = "FILE"
    )]
    admin_token_file: Option<PathBuf>,
}

/// Puts the caller's secret into each call.
#[derive(Clone)]
pub(crate) struct Bearer(MetadataValue<Ascii>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

pub(crate) type Wire = InterceptedService<Channel, Bearer>;

/// What a customer may call.
pub(crate) struct Customer {
    pub(crate) payments: PaymentsClient<Wire>,
    pub(crate) wallets: WalletsClient<Wire>,
    pub(crate) lines: LinesClient<Wire>,
    pub(crate) events: EventsClient<Wire>,
}

/// What an operator may call.
pub(crate) struct Operator {
    pub(crate) organisations: OrganisationsClient<Wire>,
    pub(crate) keys: KeysClient<Wire>,
    pub(crate) nodes: NodesClient<Wire>,
    pub(crate) installation: InstallationClient<Wire>,
}

impl Connection {
    /// To a platform whose data folder is on this machine.
    pub(crate) fn of(data: PathBuf) -> Connection {
        Connection { data: Some(data), ..Connection::default() }
    }

    pub(crate) async fn customer(&self) -> Result<Customer, Failure> {
        let key = match (&self.key, &self.key_file, &self.data) {
            (Some(key), _, _) => key.clone(),
            (None, Some(file), _) => files::read_secret(file)?,
            (None, None, Some(data)) if data.join(ready::DEMO_KEY_FILE).exists() => {
                files::read_secret(&data.join(ready::DEMO_KEY_FILE))?
            }
            (None, None, _) => {
                let message = "no API key: give --key-file or --key, or set SWITCHYARD_KEY";
                return Err(Failure::new(Exit::Denied, "no_key", message));
            }
        };
        let address = match &self.address {
            Some(address) => address.clone(),
            None => self.ready()?.address.to_string(),
        };
        let wire = connect(&address, &key).await?;
        Ok(Customer {
            payments: PaymentsClient::new(wire.clone()),
            wallets: WalletsClient::new(wire.clone()),
            lines: LinesClient::new(wire.clone()),
            events: EventsClient::new(wire),
        })
    }

    pub(crate) async fn operator(&self) -> Result<Operator, Failure> {
        let token = match (&self.admin_token, &self.admin_token_file) {
            (Some(token), _) => token.clone(),
            (None, Some(file)) => files::read_secret(file)?,
            (None, None) => files::read_secret(&self.ready()?.admin_token_file)?,
        };
        let address = match &self.admin_address {
            Some(address) => address.clone(),
            None => self.ready()?.admin_address.to_string(),
        };
        let wire = connect(&address, &token).await?;
        Ok(Operator {
            organisations: OrganisationsClient::new(wire.clone()),
            keys: KeysClient::new(wire.clone()),
            nodes: NodesClient::new(wire.clone()),
            installation: InstallationClient::new(wire),
        })
    }

    fn ready(&self) -> Result<ready::Platform, Failure> {
        let data = self.data.as_ref().ok_or_else(|| {
            Failure::invalid("which platform? Give --data or the addresses, or set SWITCHYARD_DATA")
        })?;
        ready::read(&data.join(ready::FILE), "the platform")
    }
}

/// Connects before the first call, so that a platform that is not there is told from a lost answer.
async fn connect(address: &str, secret: &str) -> Result<Wire, Failure> {
    if address.contains("://") {
        return Err(Failure::invalid(format!("the address must be host:port, not {address}")));
    }
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .map_err(|_| Failure::invalid(format!("the address must be host:port, not {address}")))?
        .connect_timeout(CONNECTS_WITHIN)
        .tcp_nodelay(true);
    let bearer = format!("Bearer {secret}").parse().map_err(|_| {
        Failure::new(Exit::Denied, "denied", "a key or token has letters and digits only")
    })?;
    let channel = endpoint.connect().await.map_err(|error| {
        let message = format!("nobody answers at {address}: {}", chain(&error));
        Failure::new(Exit::Unavailable, "unreachable", message)
    })?;
    Ok(InterceptedService::new(channel, Bearer(bearer)))
}

/// A call that changes nothing: when its answer is lost, nothing is.
pub(crate) async fn read<T>(
    call: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, Failure> {
    answer(call, ANSWERS_WITHIN).await.map_err(of_a_read)
}

/// A call that changes something: when its answer is lost, it may have been done.
pub(crate) async fn change<T>(
    call: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, Failure> {
    answer(call, ANSWERS_WITHIN).await
}

/// The same for a call that waits at the other end.
pub(crate) async fn change_within<T>(
    call: impl Future<Output = Result<Response<T>, Status>>,
    within: Duration,
) -> Result<T, Failure> {
    answer(call, within).await
}

async fn answer<T>(
    call: impl Future<Output = Result<Response<T>, Status>>,
    within: Duration,
) -> Result<T, Failure> {
    match tokio::time::timeout(within, call).await {
        Ok(answer) => Ok(answer.map_err(|status| refused(&status))?.into_inner()),
        Err(_) => {
            let message = format!("no answer within {} seconds", within.as_secs());
            Err(Failure::new(Exit::OutcomeUnknown, "outcome_unknown", message))
        }
    }
}

pub(crate) fn refused(status: &Status) -> Failure {
    let problem = Problem::from_status(status);
    if problem.code == SENDS_FROZEN {
        return Failure::frozen(&problem.code, &problem.message);
    }
    if problem.code == THAW_NOT_SAFE {
        return Failure::new(Exit::AuditFindings, &problem.code, problem.message);
    }
    Failure::new(problem.class.into(), &problem.code, problem.message)
}

pub(crate) fn of_a_read(failure: Failure) -> Failure {
    match failure.exit {
        Exit::OutcomeUnknown => Failure::new(Exit::Unavailable, "unavailable", failure.message),
        Exit::Done
        | Exit::Failed
        | Exit::Invalid
        | Exit::Unavailable
        | Exit::NotFound
        | Exit::Denied
        | Exit::Conflict
        | Exit::AuditFindings
        | Exit::AlreadyRunning
        | Exit::Bug
        | Exit::Interrupted => failure,
    }
}
