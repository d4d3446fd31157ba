//! A way to a server that can be cut: what two processes notice of a partition.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    time::sleep,
};

/// Somebody else may have the port for a moment.
const LISTEN_AGAIN: Duration = Duration::from_millis(20);

/// What becomes of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// They are accepted and nothing is carried, as across a cut wire.
    Silent,
    /// Nobody listens, as where a process has ended.
    Shut,
}

#[derive(Clone, Debug)]
pub struct Way {
    address: SocketAddr,
    port: Arc<AtomicU16>,
    state: Arc<watch::Sender<State>>,
    cuts: Arc<watch::Sender<u64>>,
}

impl Way {
    /// To a server on this machine.
    pub async fn to(port: u16) -> Way {
        let way = Way::nowhere().await;
        way.leads_to(port);
        way
    }

    /// To a server that has yet to say where it is. Until then every connection breaks.
    pub async fn nowhere() -> Way {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("there is a free port");
        let way = Way {
            address: listener.local_addr().expect("it listens"),
            port: Arc::default(),
            state: Arc::new(watch::Sender::new(State::Open)),
            cuts: Arc::new(watch::Sender::new(0)),
        };
        tokio::spawn(way.clone().listen(listener));
        way
    }

    pub fn leads_to(&self, port: u16) {
        self.port.store(port, Ordering::Release);
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Every connection breaks now; new ones are carried.
    pub fn cut_once(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// From now on nothing comes through, and nobody is told.
    pub fn fall_silent(&self) {
        self.state.send_replace(State::Silent);
    }

    /// From now on nothing comes through, and everybody is told.
    pub fn shut(&self) {
        self.state.send_replace(State::Shut);
        self.cut_once();
    }

    /// What is connected from now on is carried; what was silent breaks.
    pub fn open(&self) {
        self.cut_once();
        self.state.send_replace(State::Open);
    }

    async fn listen(self, mut listener: TcpListener) {
        loop {
            tokio::select! {
                taken = listener.accept() => {
                    let Ok((near, _)) = taken else { return };
                    tokio::spawn(self.clone().carry(near));
                    continue;
                }
                () = self.is(|state| state == State::Shut) => {}
            }
            drop(listener);
            self.is(|state| state != State::Shut).await;
            listener = loop {
                match TcpListener::bind(self.address).await {
                    Ok(listener) => break listener,
                    Err(_) => sleep(LISTEN_AGAIN).await,
                }
            };
        }
    }

    async fn is(&self, wanted: impl Fn(State) -> bool) {
        // The sender lives in the way.
        let _ = self.state.subscribe().wait_for(|state| wanted(*state)).await;
    }

    async fn carry(self, mut near: TcpStream) {
        let mut cuts = self.cuts.subscribe();
        let cut = async move {
            // The sender lives in the way.
            let _ = cuts.changed().await;
        };
        let port = self.port.load(Ordering::Acquire);
        let carried = async {
            let now = *self.state.borrow();
            match now {
                State::Open => {}
                // One that begins in silence never arrives.
                State::Silent => return std::future::pending().await,
                State::Shut => return,
            }
            let Ok(mut far) = TcpStream::connect(("127.0.0.1", port)).await else { return };
            tokio::select! {
                _ = copy_bidirectional(&mut near, &mut far) => return,
                () = self.is(|state| state == State::Silent) => {}
            }
            // Both ends stay open, and hear nothing.
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = carried => {}
            () = cut => {}
        }
    }
}
