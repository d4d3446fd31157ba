//! The standard health service, for balancers and probes: no key, and no more than good or bad.

use std::{pin::Pin, sync::Arc};

use domain::ErrorClass;
use futures_util::{Stream, stream};
use proto::Problem;
use tokio::{
    sync::{Mutex, OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep},
};
use tonic::{Request, Response, Status};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus, health_server,
};

use crate::{edge::Edge, limits};

pub(crate) struct Health {
    edge: Arc<Edge>,
    /// Full names of what is served.
    services: Vec<String>,
    looked: Mutex<Option<(Instant, bool)>>,
    watches: Arc<Semaphore>,
}

type Watching = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

/// Lives in its stream.
struct Watch {
    health: Arc<Health>,
    service: String,
    told: Option<ServingStatus>,
    _permit: OwnedSemaphorePermit,
}

/// As streams can hold on to it.
pub(crate) struct Shared(pub(crate) Arc<Health>);

impl Health {
    pub(crate) fn new(edge: Arc<Edge>) -> Health {
        let services = proto::public_services();
        let watches = Arc::new(Semaphore::new(limits::HEALTH_WATCHES_MAX));
        Health { edge, services, looked: Mutex::default(), watches }
    }

    async fn status_of(&self, service: &str) -> ServingStatus {
        let is_known = service.is_empty() || self.services.iter().any(|known| known == service);
        match (is_known, self.edge.is_stopping()) {
            (false, _) => ServingStatus::ServiceUnknown,
            (true, true) => ServingStatus::NotServing,
            (true, false) if self.is_ready().await => ServingStatus::Serving,
            (true, false) => ServingStatus::NotServing,
        }
    }

    /// However often anybody asks, the store is looked at once in a while.
    async fn is_ready(&self) -> bool {
        let mut looked = self.looked.lock().await;
        match *looked {
            Some((at, is_ready)) if at.elapsed() < limits::HEALTH_TRUSTED_FOR => is_ready,
            Some(_) | None => {
                let is_ready = self.edge.gateway.operations.is_ready().await;
                *looked = Some((Instant::now(), is_ready));
                is_ready
            }
        }
    }
}

impl Watch {
    /// The status once it is other than was told; `None` when we stop and that has been told.
    async fn news(&mut self) -> Option<ServingStatus> {
        loop {
            let now = self.health.status_of(&self.service).await;
            if self.told.replace(now) != Some(now) {
                return Some(now);
            }
            if self.health.edge.is_stopping() {
                return None;
            }
            tokio::select! {
                () = sleep(limits::HEALTH_TRUSTED_FOR) => {}
                () = self.health.edge.stopped() => {}
            }
        }
    }
}

#[tonic::async_trait]
impl health_server::Health for Shared {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        match self.0.status_of(&request.get_ref().service).await {
            ServingStatus::ServiceUnknown => {
                let why = "no such service";
                Err(Problem::new(ErrorClass::NotFound, "service_not_found", why).into())
            }
            status @ (ServingStatus::Serving
            | ServingStatus::NotServing
            | ServingStatus::Unknown) => Ok(Response::new(answer(status))),
        }
    }

    type WatchStream = Watching;

    /// Ends when we stop, once that has been told.
    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Watching>, Status> {
        let health = self.0.clone();
        let permit = health.watches.clone().try_acquire_owned().map_err(|_| {
            Problem::new(ErrorClass::Unavailable, "too_many_watches", "too many watches; check")
        })?;
        let service = request.into_inner().service;
        let watch = Watch { health, service, told: None, _permit: permit };
        Ok(Response::new(Box::pin(stream::unfold(watch, async |mut watch| {
            let status = watch.news().await?;
            Some((Ok(answer(status)), watch))
        }))))
    }
}

fn answer(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}
