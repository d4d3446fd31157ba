//! A node's door: a port that can be closed, with every connection through it torn down.

use std::{
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Mutex,
    task::{Context, Poll},
    time::Duration,
};

use cork::Corked;
use futures_util::StreamExt;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpListener,
    sync::watch,
    task::JoinHandle,
};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::server::{Connected, TcpConnectInfo};

/// How far a door is open. Only ever grows for one opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Closing {
    Open,
    /// No new connections; calls under way may end.
    Gently,
    /// Connections break.
    Now,
}

/// Serves what comes in until the future given with it is ready.
pub(crate) type Serve = Box<dyn Fn(Incoming, Shut) -> Serving + Send + Sync>;
pub(crate) type Serving = Pin<Box<dyn Future<Output = ()> + Send>>;
pub(crate) type Shut = Pin<Box<dyn Future<Output = ()> + Send>>;
pub(crate) type Incoming = Pin<Box<dyn futures_util::Stream<Item = io::Result<Connection>> + Send>>;

pub(crate) struct Door {
    serve: Serve,
    open: Mutex<Option<Opening>>,
}

struct Opening {
    closing: watch::Sender<Closing>,
    task: JoinHandle<()>,
}

const GENTLY: Duration = Duration::from_secs(1);

impl Door {
    pub(crate) fn new(serve: Serve) -> Door {
        Door { serve, open: Mutex::new(None) }
    }

    /// Opens the door; the address says which port it became.
    pub(crate) async fn open(&self, address: SocketAddr) -> io::Result<SocketAddr> {
        let listener = match address.port() {
            0 => bind_anywhere(address.ip()).await?,
            _ => bind(address).await?,
        };
        let address = listener.local_addr()?;
        let (closing, seen) = watch::channel(Closing::Open);
        let connections = seen.clone();
        let incoming = TcpListenerStream::new(listener).map(move |tcp| {
            let tcp = tcp?;
            tcp.set_nodelay(true)?;
            let tcp = Corked::new(tcp);
            Ok(Connection { tcp, broken: Box::pin(reaches(connections.clone(), Closing::Now)) })
        });
        let shut = Box::pin(reaches(seen, Closing::Gently));
        let task = tokio::spawn((self.serve)(Box::pin(incoming), shut));
        let mut open = self.open.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *open = Some(Opening { closing, task });
        Ok(address)
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open.lock().unwrap_or_else(std::sync::PoisonError::into_inner).is_some()
    }

    fn take(&self) -> Option<Opening> {
        self.open.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()
    }

    /// Lets calls under way end, for a moment.
    pub(crate) async fn close(&self) {
        if let Some(mut opening) = self.take() {
            opening.closing.send_replace(Closing::Gently);
            if tokio::time::timeout(GENTLY, &mut opening.task).await.is_err() {
                opening.closing.send_replace(Closing::Now);
                drop(opening.task.await);
            }
        }
    }

    /// Breaks every connection without a word.
    pub(crate) async fn slam(&self) {
        if let Some(opening) = self.take() {
            opening.closing.send_replace(Closing::Now);
            drop(opening.task.await);
        }
    }
}

/// A free port that is still free when this network is started again: outside of what systems give to
/// whoever asks for any.
async fn bind_anywhere(ip: IpAddr) -> io::Result<TcpListener> {
    const FIRST: u16 = 20_000;
    const PORTS: u16 = 12_000;
    const TRIES: u32 = 100;
    for _ in 0..TRIES {
        let mut dice = [0; 2];
        getrandom::fill(&mut dice)?;
        let port = FIRST + u16::from_ne_bytes(dice) % PORTS;
        if let Ok(listener) = TcpListener::bind((ip, port)).await {
            return Ok(listener);
        }
    }
    TcpListener::bind((ip, 0)).await
}

/// A port that was ours a moment ago may still be letting go.
async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    const TRIES: u32 = 50;
    let mut tries = 0;
    loop {
        match TcpListener::bind(address).await {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries < TRIES => {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            bound => return bound,
        }
    }
}

async fn reaches(mut closing: watch::Receiver<Closing>, degree: Closing) {
    // An error means that the door itself is gone.
    drop(closing.wait_for(|now| *now >= degree).await);
}

pub(crate) struct Connection {
    tcp: Corked,
    broken: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.tcp.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // A connection always has a read pending, so this is where it learns of its end.
        if self.broken.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut self.tcp).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
