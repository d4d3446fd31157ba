//! One connection to each pod, over which all calls go.
//!
//! A pod whose connection broke is lost until it answers again. One task finds out when that is, so that
//! neither thousands of callers ask in vain, nor the next one waits as long as the first until a pod that
//! has fallen silent is noticed.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use cork::Corked;
use hyper_util::rt::TokioIo;
use ports::placement::{PlacementMap, Pod};
use proto::engine::v1::{
    GreetRequest, operations_client::OperationsClient, orgs_client::OrgsClient,
};
use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};
use tonic::{
    Status,
    service::interceptor::InterceptedService,
    transport::{Channel, Endpoint, Uri},
};
use tower::service_fn;

use crate::{
    Owners, limits,
    secret::{ClusterSecret, Shown},
};

pub(crate) type Line = InterceptedService<Channel, Shown>;

pub(crate) struct Channels {
    secret: ClusterSecret,
    open: Arc<Open>,
}

/// By the addresses of the pods.
#[derive(Default)]
struct Open(Mutex<HashMap<String, Way>>);

struct Way {
    channel: Channel,
    lost: bool,
}

impl Channels {
    pub(crate) fn new(secret: ClusterSecret) -> Channels {
        Channels { secret, open: Arc::default() }
    }

    /// Of a pod that is not lost.
    pub(crate) fn orgs(&self, pod: &Pod, map: &PlacementMap) -> Result<OrgsClient<Line>, String> {
        let (line, lost) = self.line(pod, map)?;
        match lost {
            true => Err(format!("{} has just not answered", pod.name)),
            false => Ok(OrgsClient::new(line).max_decoding_message_size(limits::REQUEST_BYTES_MAX)),
        }
    }

    /// What a call to this pod came to, if it was not what the pod has answered.
    pub(crate) fn failed(&self, pod: &Pod, status: &Status, owners: &Arc<Owners>) {
        if is_of_pod(status) || !self.open.is_lost(&pod.address) {
            return;
        }
        tracing::info!(pod = pod.name, why = status.message(), "a pod is lost");
        let Ok((line, _)) = self.line(pod, &owners.map()) else { return };
        let (open, owners) = (self.open.clone(), Arc::downgrade(owners));
        tokio::spawn(find(line, pod.clone(), open, owners));
    }

    pub(crate) fn operations(
        &self,
        pod: &Pod,
        map: &PlacementMap,
    ) -> Result<OperationsClient<Line>, String> {
        let client = OperationsClient::new(self.line(pod, map)?.0);
        Ok(client.max_decoding_message_size(limits::ANSWER_BYTES_MAX))
    }

    /// Whoever moves into a pod's address speaks for itself: it answers that it does not own what another
    /// owned there before. With whether it is lost.
    fn line(&self, pod: &Pod, map: &PlacementMap) -> Result<(Line, bool), String> {
        let shown = Shown(self.secret.clone());
        let mut open = self.open.lock();
        if let Some(way) = open.get(&pod.address) {
            return Ok((InterceptedService::new(way.channel.clone(), shown), way.lost));
        }
        let channel = lazy(&pod.address)?;
        open.retain(|address, _| map.pods.iter().any(|pod| pod.address == *address));
        open.insert(pod.address.clone(), Way { channel: channel.clone(), lost: false });
        Ok((InterceptedService::new(channel, shown), false))
    }
}

impl Open {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Way>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether that is news.
    fn is_lost(&self, address: &str) -> bool {
        let mut open = self.lock();
        open.get_mut(address).is_some_and(|way| !std::mem::replace(&mut way.lost, true))
    }

    fn is_found(&self, address: &str) {
        if let Some(way) = self.lock().get_mut(address) {
            way.lost = false;
        }
    }
}

/// Greets a pod until it answers, or is none any more.
async fn find(line: Line, pod: Pod, open: Arc<Open>, owners: Weak<Owners>) {
    let mut client = OrgsClient::new(line);
    loop {
        match timeout(limits::GREETED_WITHIN, client.greet(GreetRequest {})).await {
            Ok(Ok(_)) => break,
            Ok(Err(status)) if is_of_pod(&status) => break,
            Ok(Err(_)) | Err(_) => {}
        }
        if owners.upgrade().is_none_or(|owners| owners.pod(pod.session).is_none()) {
            break;
        }
        sleep(limits::GREET_EVERY).await;
    }
    open.is_found(&pod.address);
}

/// What the pod itself has said; everything else comes from the connection, and has a source.
fn is_of_pod(status: &Status) -> bool {
    std::error::Error::source(status).is_none()
}

/// Connects on the first call, and again on the first call after it broke.
fn lazy(address: &str) -> Result<Channel, String> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .map_err(|error| format!("{address} is no address: {error}"))?
        .connect_timeout(limits::CONNECT_WITHIN)
        .http2_keep_alive_interval(limits::PING_EVERY)
        .keep_alive_timeout(limits::PONG_WITHIN)
        .keep_alive_while_idle(true)
        .http2_max_header_list_size(limits::HEADER_LIST_BYTES_MAX)
        .initial_connection_window_size(limits::CONNECTION_WINDOW)
        .http2_max_concurrent_reset_streams(limits::STREAMS_LEFT)
        .http2_max_local_error_reset_streams(None)
        .buffer_size(limits::CALLS_QUEUED);
    Ok(endpoint.connect_with_connector_lazy(service_fn(connect)))
}

/// What many callers ask at once leaves together.
async fn connect(to: Uri) -> io::Result<TokioIo<Corked>> {
    let address = to.authority().ok_or(io::ErrorKind::InvalidInput)?;
    let tcp = TcpStream::connect(address.as_str()).await?;
    tcp.set_nodelay(true)?;
    Ok(TokioIo::new(Corked::new(tcp)))
}
