//! One connection to each pod, over which all calls go.

use std::{
    collections::HashMap,
    io,
    sync::{Mutex, PoisonError},
};

use cork::Corked;
use hyper_util::rt::TokioIo;
use ports::placement::{PlacementMap, Pod};
use proto::engine::v1::{operations_client::OperationsClient, orgs_client::OrgsClient};
use tokio::net::TcpStream;
use tonic::{
    service::interceptor::InterceptedService,
    transport::{Channel, Endpoint, Uri},
};
use tower::service_fn;

use crate::{
    limits,
    secret::{ClusterSecret, Shown},
};

pub(crate) type Line = InterceptedService<Channel, Shown>;

pub(crate) struct Channels {
    secret: ClusterSecret,
    open: Mutex<HashMap<String, Channel>>,
}

impl Channels {
    pub(crate) fn new(secret: ClusterSecret) -> Channels {
        Channels { secret, open: Mutex::default() }
    }

    pub(crate) fn orgs(&self, pod: &Pod, map: &PlacementMap) -> Result<OrgsClient<Line>, String> {
        let client = OrgsClient::new(self.line(pod, map)?);
        Ok(client.max_decoding_message_size(limits::REQUEST_BYTES_MAX))
    }

    pub(crate) fn operations(
        &self,
        pod: &Pod,
        map: &PlacementMap,
    ) -> Result<OperationsClient<Line>, String> {
        let client = OperationsClient::new(self.line(pod, map)?);
        Ok(client.max_decoding_message_size(limits::ANSWER_BYTES_MAX))
    }

    /// Whoever moves into a pod's address speaks for itself: it answers that it does not own what another
    /// owned there before.
    fn line(&self, pod: &Pod, map: &PlacementMap) -> Result<Line, String> {
        let shown = Shown(self.secret.clone());
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(channel) = open.get(&pod.address) {
            return Ok(InterceptedService::new(channel.clone(), shown));
        }
        let channel = lazy(&pod.address)?;
        open.retain(|address, _| map.pods.iter().any(|pod| pod.address == *address));
        open.insert(pod.address.clone(), channel.clone());
        Ok(InterceptedService::new(channel, shown))
    }
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
