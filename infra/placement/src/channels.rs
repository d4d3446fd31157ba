//! One connection to each pod, over which all calls go, and one stream over that for those that are made often.
//!
//! A pod whose connection broke is lost until it answers again. One task finds out when that is, so that
//! neither thousands of callers ask in vain, nor the next one waits as long as the first until a pod that
//! has fallen silent is noticed.

mod link;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use domain::SessionId;
use ports::placement::{PlacementMap, Pod};
use proto::engine::v1::{
    GreetRequest, operations_client::OperationsClient, orgs_client::OrgsClient,
};
use tokio::time::{sleep, timeout};
use tonic::{
    Status,
    service::interceptor::InterceptedService,
    transport::{Channel, Endpoint},
};
use tower::service_fn;

pub(crate) use self::link::Unanswered;
use self::link::{Calls, Ended, Link, Writer, is_unknown};
use crate::{
    Owners, limits,
    secret::{ClusterSecret, Shown},
};

pub(crate) type Line = InterceptedService<Channel, Shown>;

#[derive(Clone)]
pub(crate) struct Channels {
    secret: ClusterSecret,
    open: Arc<Open>,
}

/// By the addresses of the pods.
#[derive(Default)]
struct Open(Mutex<HashMap<String, Arc<Way>>>);

pub(crate) struct Way {
    channel: Channel,
    lost: AtomicBool,
    linked: Mutex<Linked>,
}

enum Linked {
    /// The next call that is made often begins a stream.
    Not,
    By(Arc<Link>),
    /// The pod is of a version that has no streams, as long as this life of it lasts.
    Never(SessionId),
}

impl Channels {
    pub(crate) fn new(secret: ClusterSecret) -> Channels {
        Channels { secret, open: Arc::default() }
    }

    /// To a pod that is not lost.
    pub(crate) fn orgs(&self, pod: &Pod, map: &PlacementMap) -> Result<Arc<Way>, String> {
        let way = self.way(pod, map)?;
        match way.lost.load(Ordering::Relaxed) {
            true => Err(format!("{} has just not answered", pod.name)),
            false => Ok(way),
        }
    }

    /// For calls that go by themselves.
    pub(crate) fn alone(&self, way: &Way) -> OrgsClient<Line> {
        OrgsClient::new(self.line(way)).max_decoding_message_size(limits::REQUEST_BYTES_MAX)
    }

    /// The stream to the pod, which begins if there is none. `None`: the pod has no streams.
    pub(crate) fn link(
        &self,
        way: &Arc<Way>,
        pod: &Pod,
        owners: &Arc<Owners>,
    ) -> Option<Arc<Link>> {
        let mut linked = way.linked();
        match &*linked {
            Linked::By(link) => return Some(link.clone()),
            Linked::Never(session) if *session == pod.session => return None,
            Linked::Never(_) | Linked::Not => {}
        }
        let (link, writer) = Link::new();
        let keeper = Keeper {
            channels: self.clone(),
            owners: Arc::downgrade(owners),
            pod: pod.clone(),
            way: Arc::downgrade(way),
            calls: link.calls().clone(),
        };
        tokio::spawn(keeper.keep(self.alone(way), writer));
        let link = Arc::new(link);
        *linked = Linked::By(link.clone());
        Some(link)
    }

    /// What a call to this pod came to, if it was not what the pod has answered.
    pub(crate) fn failed(&self, pod: &Pod, status: &Status, owners: &Arc<Owners>) {
        if is_of_pod(status) || !self.open.is_lost(&pod.address) {
            return;
        }
        tracing::info!(pod = pod.name, why = status.message(), "a pod is lost");
        let Ok(way) = self.way(pod, &owners.map()) else { return };
        let (open, owners) = (self.open.clone(), Arc::downgrade(owners));
        tokio::spawn(find(self.line(&way), pod.clone(), open, owners));
    }

    pub(crate) fn operations(
        &self,
        pod: &Pod,
        map: &PlacementMap,
    ) -> Result<OperationsClient<Line>, String> {
        let way = self.way(pod, map)?;
        let client = OperationsClient::new(self.line(&way));
        Ok(client.max_decoding_message_size(limits::ANSWER_BYTES_MAX))
    }

    /// Whoever moves into a pod's address speaks for itself: it answers that it does not own what another
    /// owned there before.
    fn way(&self, pod: &Pod, map: &PlacementMap) -> Result<Arc<Way>, String> {
        let mut open = self.open.lock();
        if let Some(way) = open.get(&pod.address) {
            return Ok(way.clone());
        }
        let (channel, linked) = (lazy(&pod.address)?, Mutex::new(Linked::Not));
        let way = Arc::new(Way { channel, lost: AtomicBool::new(false), linked });
        open.retain(|address, _| map.pods.iter().any(|pod| pod.address == *address));
        open.insert(pod.address.clone(), way.clone());
        Ok(way)
    }

    fn line(&self, way: &Way) -> Line {
        InterceptedService::new(way.channel.clone(), Shown(self.secret.clone()))
    }
}

impl Way {
    fn linked(&self) -> MutexGuard<'_, Linked> {
        self.linked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Way>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether that is news.
    fn is_lost(&self, address: &str) -> bool {
        self.lock().get(address).is_some_and(|way| !way.lost.swap(true, Ordering::Relaxed))
    }

    fn is_found(&self, address: &str) {
        if let Some(way) = self.lock().get(address) {
            way.lost.store(false, Ordering::Relaxed);
        }
    }
}

/// Keeps one stream until it ends.
struct Keeper {
    channels: Channels,
    owners: Weak<Owners>,
    pod: Pod,
    way: Weak<Way>,
    calls: Arc<Calls>,
}

impl Keeper {
    async fn keep(self, mut client: OrgsClient<Line>, writer: Writer) {
        let ended = match client.exchange(writer).await {
            Ok(answers) => {
                let heard = self.calls.listen(answers.into_inner(), || self.leave(Linked::Not));
                match heard.await {
                    Ok(()) => Ended::Broken(format!("{} has ended the stream", self.pod.name)),
                    Err(status) => {
                        self.failed(&status);
                        Ended::Broken(status.message().to_owned())
                    }
                }
            }
            Err(status) => {
                self.failed(&status);
                Ended::Refused(status)
            }
        };
        // Before anybody hears of it, so that whoever calls again finds it so.
        self.leave(match &ended {
            Ended::Refused(status) if is_unknown(status) => Linked::Never(self.pod.session),
            Ended::Refused(_) | Ended::Broken(_) => Linked::Not,
        });
        self.calls.end(&ended);
    }

    fn failed(&self, status: &Status) {
        if let Some(owners) = self.owners.upgrade() {
            self.channels.failed(&self.pod, status, &owners);
        }
    }

    /// Nobody else begins with this stream; there may be another one already.
    fn leave(&self, to: Linked) {
        let Some(way) = self.way.upgrade() else { return };
        let mut linked = way.linked();
        if let Linked::By(link) = &*linked
            && Arc::ptr_eq(link.calls(), &self.calls)
        {
            *linked = to;
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
        .initial_stream_window_size(limits::STREAM_WINDOW)
        .http2_max_concurrent_reset_streams(limits::STREAMS_LEFT)
        .http2_max_local_error_reset_streams(None)
        .buffer_size(limits::CALLS_QUEUED);
    // What many callers ask at once leaves together.
    Ok(endpoint.connect_with_connector_lazy(service_fn(cork::connect)))
}
