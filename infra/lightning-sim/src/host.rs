//! Drives the model: one lock around it, one task that writes the log and delivers, one that keeps
//! time.
//!
//! Nothing leaves before the log has been written: an answer, even one that only reads, waits
//! behind what
//! it may have seen. While one write is under way the next ones gather, so that many answers share
//! a write.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures_util::Stream;
use tokio::{
    sync::{Notify, mpsc, oneshot, watch},
    task::JoinHandle,
};

use crate::{
    clock,
    journal::{self, Journal},
    model::{Item, Network, StreamId, Time},
};

pub(crate) struct Host {
    inner: Mutex<Inner>,
    /// Something waits to be written or delivered.
    work: Notify,
    /// Something is due earlier than the time-keeper thinks.
    earlier: Notify,
    next_stream: AtomicU64,
    /// True once the log could not be written: nothing may be answered any more.
    failed: watch::Sender<bool>,
    stopping: AtomicBool,
}

struct Inner {
    network: Network,
    streams: HashMap<StreamId, mpsc::UnboundedSender<Item>>,
    frames: Vec<u8>,
    deliveries: Vec<Delivery>,
    /// A write is under way, or waits to be.
    unwritten: bool,
    armed: Option<Time>,
    last: Time,
}

enum Delivery {
    Item(mpsc::UnboundedSender<Item>, Item),
    Answer(oneshot::Sender<()>),
}

/// The log can no longer be written.
#[derive(Debug, thiserror::Error)]
#[error("the simulated node is shutting down")]
pub(crate) struct Stopped;

impl Host {
    /// Takes over a network whose log has been replayed, and begins its life.
    pub(crate) fn start(network: Network, journal: Journal) -> (Arc<Host>, JoinHandle<()>) {
        let inner = Inner {
            network,
            streams: HashMap::new(),
            frames: Vec::new(),
            deliveries: Vec::new(),
            unwritten: false,
            armed: None,
            last: Time::default(),
        };
        let host = Arc::new(Host {
            inner: Mutex::new(inner),
            work: Notify::new(),
            earlier: Notify::new(),
            next_stream: AtomicU64::new(1),
            failed: watch::Sender::new(false),
            stopping: AtomicBool::new(false),
        });
        tokio::spawn(keep_time(host.clone()));
        let writer = tokio::spawn(write(host.clone(), journal));
        (host, writer)
    }

    /// Ends both tasks; the writer writes what is left and lets go of the log.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.work.notify_one();
        self.earlier.notify_one();
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a command. Its answer may be given once the log is written: use `answer` unless the
    /// answer
    /// goes over a stream.
    pub(crate) fn act<R>(&self, command: impl FnOnce(&mut Network, Time) -> R) -> R {
        let mut inner = self.lock();
        let answer = inner.run(command);
        self.wake(&mut inner);
        answer
    }

    /// Runs a command and waits until everything it did and saw is in the log.
    pub(crate) async fn answer<R>(
        &self,
        command: impl FnOnce(&mut Network, Time) -> R,
    ) -> Result<R, Stopped> {
        let (answer, written) = {
            let mut inner = self.lock();
            let answer = inner.run(command);
            let written = inner.unwritten.then(|| {
                let (tell, written) = oneshot::channel();
                inner.deliveries.push(Delivery::Answer(tell));
                written
            });
            self.wake(&mut inner);
            (answer, written)
        };
        match written {
            Some(written) => written.await.map(|()| answer).map_err(|_| Stopped),
            None if *self.failed.borrow() => Err(Stopped),
            None => Ok(answer),
        }
    }

    fn wake(&self, inner: &mut Inner) {
        if !inner.frames.is_empty() || !inner.deliveries.is_empty() {
            self.work.notify_one();
        }
        let due = inner.network.next_due();
        if due.is_some_and(|due| inner.armed.is_none_or(|armed| due < armed)) {
            inner.armed = due;
            self.earlier.notify_one();
        }
    }

    /// A new stream to which the model may speak.
    pub(crate) fn open_stream(self: &Arc<Host>) -> (StreamId, Updates) {
        let id = StreamId(self.next_stream.fetch_add(1, Ordering::Relaxed));
        let (tell, items) = mpsc::unbounded_channel();
        self.lock().streams.insert(id, tell);
        (id, Updates { id, items, host: self.clone(), ended: false })
    }

    fn close_stream(&self, id: StreamId) {
        let mut inner = self.lock();
        if inner.streams.remove(&id).is_some() {
            inner.network.close(id);
        }
    }

    /// Becomes true when nothing may be answered any more.
    pub(crate) fn failure(&self) -> watch::Receiver<bool> {
        self.failed.subscribe()
    }
}

impl Inner {
    fn run<R>(&mut self, command: impl FnOnce(&mut Network, Time) -> R) -> R {
        let now = clock::now().max(self.last);
        self.last = now;
        self.network.advance(now);
        let answer = command(&mut self.network, now);
        let output = self.network.take_output();
        if !output.events.is_empty() {
            self.frames = journal::frame(&output.events, std::mem::take(&mut self.frames));
            self.unwritten = true;
        }
        for notice in output.notices {
            let last = matches!(notice.item, Item::End | Item::Broken(_));
            let stream = if last {
                self.streams.remove(&notice.stream)
            } else {
                self.streams.get(&notice.stream).cloned()
            };
            if let Some(stream) = stream {
                self.deliveries.push(Delivery::Item(stream, notice.item));
            }
        }
        answer
    }
}

/// The only writer of the log.
async fn write(host: Arc<Host>, mut journal: Journal) {
    let mut spare = (Vec::new(), Vec::new());
    loop {
        let (mut frames, mut deliveries) = {
            let mut inner = host.lock();
            let (frames, deliveries) = std::mem::take(&mut spare);
            inner.unwritten = !inner.frames.is_empty();
            (
                std::mem::replace(&mut inner.frames, frames),
                std::mem::replace(&mut inner.deliveries, deliveries),
            )
        };
        if frames.is_empty() && deliveries.is_empty() {
            if host.is_stopping() {
                return;
            }
            spare = (frames, deliveries);
            host.work.notified().await;
            continue;
        }
        if let Err(error) = journal.append(&frames) {
            tracing::error!(%error, "the log cannot be written: no more answers");
            host.failed.send_replace(true);
            return;
        }
        for delivery in deliveries.drain(..) {
            match delivery {
                // A caller that has hung up is told by its stream's drop.
                Delivery::Item(stream, item) => drop(stream.send(item)),
                Delivery::Answer(tell) => drop(tell.send(())),
            }
        }
        frames.clear();
        spare = (frames, deliveries);
        tokio::task::yield_now().await;
    }
}

/// Wakes the model when something is due.
async fn keep_time(host: Arc<Host>) {
    const IDLE: Duration = Duration::from_secs(1);
    while !host.is_stopping() {
        let wait = {
            let mut inner = host.lock();
            inner.run(|_, _| ());
            let due = inner.network.next_due();
            inner.armed = due;
            host.wake(&mut inner);
            let nanos = due.map(|due| due.nanos().saturating_sub(clock::now().nanos()));
            nanos.map_or(IDLE, |nanos| Duration::from_nanos(nanos).min(IDLE))
        };
        tokio::select! {
            () = host.earlier.notified() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// What the model says to one caller.
pub(crate) struct Updates {
    id: StreamId,
    items: mpsc::UnboundedReceiver<Item>,
    host: Arc<Host>,
    ended: bool,
}

impl Stream for Updates {
    type Item = Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        let item = self.items.poll_recv(cx);
        if let Poll::Ready(None | Some(Item::End | Item::Broken(_))) = item {
            self.ended = true;
        }
        item
    }
}

impl Drop for Updates {
    fn drop(&mut self) {
        if !self.ended {
            self.host.close_stream(self.id);
        }
    }
}
