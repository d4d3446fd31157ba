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

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpStream,
    };

    use super::*;

    struct Ill;

    #[async_trait]
    impl Watched for Ill {
        async fn observe(&self) {
            metrics::gauge!("switchyard_looked").increment(1.0);
        }

        async fn checks(&self) -> Vec<Check> {
            let failure = Some("it does not answer".to_owned());
            vec![Check { name: "lease", failure: None }, Check { name: "store", failure }]
        }
    }

    async fn get(address: std::net::SocketAddr, path: &str) -> (String, String) {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().to_owned(), body.trim_end().to_owned())
    }

    #[tokio::test]
    async fn readiness_says_which_check_fails_from_the_first_moment_to_the_last() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let watching = Watching::begin(listener, Metrics::keep().unwrap());
        let not_ready = |checks: Value| {
            ("503".to_owned(), json!({ "checks": checks, "ready": false }).to_string())
        };
        let starting = not_ready(json!({ "running": "it is starting" }));
        assert_eq!(get(address, "/readyz").await, starting);
        assert_eq!(get(address, "/healthz").await, ("200".to_owned(), "ok".to_owned()));
        assert_eq!(get(address, "/metrics").await.0, "200");

        watching.of(Arc::new(Ill));
        let checks = json!({ "lease": "ok", "running": "ok", "store": "it does not answer" });
        assert_eq!(get(address, "/readyz").await, not_ready(checks));

        watching.is_stopping();
        let stopping = not_ready(json!({ "running": "it is stopping" }));
        assert_eq!(get(address, "/readyz").await, stopping);
        assert_eq!(get(address, "/healthz").await.0, "200");
        watching.end().await;
        TcpStream::connect(address).await.unwrap_err();
    }

    /// Whoever asks again and again costs one look a second.
    #[tokio::test(start_paused = true)]
    async fn nobody_can_make_it_look_more_than_once_a_second() {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let watch = Arc::new(Watch {
            metrics: Metrics::of(recorder.handle()),
            watched: OnceLock::new(),
            stopping: AtomicBool::new(false),
            looked: Mutex::default(),
        });
        assert!(watch.watched.set(Arc::new(Ill)).is_ok());
        let _here = metrics::set_default_local_recorder(&recorder);
        for _ in 0..10 {
            let _ = show_metrics(State(watch.clone())).await;
        }
        assert!(watch.metrics.text().contains("switchyard_looked 1\n"));
        tokio::time::advance(LOOK_EVERY).await;
        let _ = show_metrics(State(watch.clone())).await;
        assert!(watch.metrics.text().contains("switchyard_looked 2\n"));
    }
}
