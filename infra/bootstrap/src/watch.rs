//! The listener for whoever watches the process: `/metrics`, `/healthz`, `/readyz`. It tells nothing of
//! customers and takes nothing in, and asks for no token.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use serde_json::{Map, Value, json};
use tokio::{
    net::TcpListener,
    sync::{Mutex, watch},
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval},
};

use crate::metrics::Metrics;

/// Looking around costs a walk over everything in memory: once a second is enough for anybody.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Measurements of so long are a few megabytes at the highest rate.
const TIDY_UP_EVERY: Duration = Duration::from_secs(2);

/// What is watched.
#[async_trait]
pub trait Watched: Send + Sync {
    /// Sets the gauges that need a look around. Called once a second at the most.
    async fn observe(&self);

    /// Everything that must hold before requests should come here.
    async fn checks(&self) -> Vec<Check>;
}

/// One thing that must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    pub name: &'static str,
    /// Why it does not hold.
    pub failure: Option<String>,
}

/// The running listener.
pub struct Watching {
    watch: Arc<Watch>,
    server: JoinHandle<()>,
    stop: watch::Sender<bool>,
}

struct Watch {
    metrics: Metrics,
    /// Empty while the process starts.
    watched: OnceLock<Arc<dyn Watched>>,
    stopping: AtomicBool,
    looked: Mutex<Option<Instant>>,
}

impl Watching {
    /// Begins to serve; nothing is ready yet.
    pub fn begin(listener: TcpListener, metrics: Metrics) -> Watching {
        let watch = Arc::new(Watch {
            metrics: metrics.clone(),
            watched: OnceLock::new(),
            stopping: AtomicBool::new(false),
            looked: Mutex::default(),
        });
        let router = Router::new()
            .route("/metrics", get(show_metrics))
            .route("/healthz", get(async || "ok\n"))
            .route("/readyz", get(show_readiness))
            .with_state(watch.clone());
        let stop = watch::Sender::new(false);
        let mut stopping = stop.subscribe();
        let server = async move {
            let stopped = async {
                // Without a sender nobody is there to be served for.
                let _ = stopping.wait_for(|stop| *stop).await;
            };
            tokio::select! {
                served = axum::serve(listener, router) => match served {
                    Ok(()) => {}
                    Err(error) => tracing::error!(%error, "nobody can watch this process any more"),
                },
                never = tidy_up(metrics) => match never {},
                () = stopped => {}
            }
        };
        Watching { watch, server: tokio::spawn(server), stop }
    }

    /// What there is to be watched has started. Called once.
    pub fn of(&self, watched: Arc<dyn Watched>) {
        let _ = self.watch.watched.set(watched);
    }

    /// No more requests should come here; those under way are finished.
    pub fn is_stopping(&self) {
        self.watch.stopping.store(true, Ordering::Release);
    }

    /// Closes the listener.
    pub async fn end(self) {
        self.stop.send_replace(true);
        let _ = self.server.await;
    }
}

enum Never {}

async fn tidy_up(metrics: Metrics) -> Never {
    let mut ticks = interval(TIDY_UP_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        metrics.tidy_up();
    }
}

async fn show_metrics(State(watch): State<Arc<Watch>>) -> impl IntoResponse {
    let mut looked = watch.looked.lock().await;
    if looked.is_none_or(|looked| looked.elapsed() >= LOOK_EVERY) {
        if let Some(watched) = watch.watched.get() {
            watched.observe().await;
        }
        *looked = Some(Instant::now());
    }
    drop(looked);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], watch.metrics.text())
}

impl Watch {
    async fn checks(&self) -> Vec<Check> {
        let running =
            |failure: Option<&str>| Check { name: "running", failure: failure.map(str::to_owned) };
        match (self.stopping.load(Ordering::Acquire), self.watched.get()) {
            (true, _) => vec![running(Some("it is stopping"))],
            (false, None) => vec![running(Some("it is starting"))],
            (false, Some(watched)) => {
                let mut checks = vec![running(None)];
                checks.append(&mut watched.checks().await);
                checks
            }
        }
    }
}

async fn show_readiness(State(watch): State<Arc<Watch>>) -> impl IntoResponse {
    let checks = watch.checks().await;
    let ready = checks.iter().all(|check| check.failure.is_none());
    let told = checks.into_iter().map(|check| {
        let told = check.failure.unwrap_or_else(|| "ok".to_owned());
        (check.name.to_owned(), Value::from(told))
    });
    let document = json!({ "ready": ready, "checks": told.collect::<Map<_, _>>() });
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(header::CONTENT_TYPE, "application/json")], format!("{document}\n"))
}
