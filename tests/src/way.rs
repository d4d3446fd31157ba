//! A way to a server that can be cut: what two processes notice of a partition.

use std::{net::SocketAddr, sync::Arc};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// What becomes of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// They are accepted and nothing is carried, as across a cut wire.
    Silent,
}

#[derive(Clone)]
pub struct Way {
    address: SocketAddr,
    state: Arc<watch::Sender<State>>,
    cuts: Arc<watch::Sender<u64>>,
}

impl Way {
    /// To a server on this machine.
    pub async fn to(port: u16) -> Way {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("there is a free port");
        let address = listener.local_addr().expect("it listens");
        let state = Arc::new(watch::Sender::new(State::Open));
        let way = Way { address, state, cuts: Arc::new(watch::Sender::new(0)) };
        let carrying = way.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(carrying.clone().carry(near, port));
            }
        });
        way
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Every connection breaks now; new ones are carried.
    pub fn cut_once(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// From now on nothing comes through, and nobody is told.
    pub fn fall_silent(&self) {
        self.state.send_replace(State::Silent);
    }

    /// What is connected from now on is carried; what was silent breaks.
    pub fn open(&self) {
        self.cut_once();
        self.state.send_replace(State::Open);
    }

    async fn carry(self, mut near: TcpStream, port: u16) {
        let (mut cuts, mut state) = (self.cuts.subscribe(), self.state.subscribe());
        let cut = async move {
            // The sender lives in the way.
            let _ = cuts.changed().await;
        };
        let carried = async {
            // One that begins in silence never arrives.
            if *state.borrow_and_update() == State::Silent {
                return std::future::pending().await;
            }
            let Ok(mut far) = TcpStream::connect(("127.0.0.1", port)).await else { return };
            let silence = async {
                let _ = state.wait_for(|state| *state == State::Silent).await;
            };
            tokio::select! {
                _ = copy_bidirectional(&mut near, &mut far) => return,
                () = silence => {}
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
