//! Gathers what many tasks write to one connection into one system call.
//!
//! Over HTTP/2 thousands of calls share a connection, and its task writes as soon as one of them has
//! something to say: a commit that answers a hundred callers made a hundred small writes, and each
//! costs more than everything else that is done for its call. A corked connection keeps what is
//! written, and a task of its own sends it once every task that is ready has had its say. Where
//! nobody else is ready nothing is delayed.
//!
//! A connection whose peer begins with HTTP/1 carries one call at a time. There is nothing to gather, and
//! the way through the task would be its dearest part: it writes by itself.
//!
//! A listener takes so many of them and no more: [`bounded`].

mod places;

use std::{
    io::{self, IoSlice},
    mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
};

use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::yield_now,
};
use tonic::transport::{
    Uri,
    server::{Connected, TcpConnectInfo},
};

pub use places::{Placed, bounded};

/// What is kept at the most: more than one socket takes at once, and little beside the windows of the
/// streams above.
const KEPT_BYTES_MAX: usize = 128 * 1_024;

/// A connection whose writes leave together. Flushing it changes nothing; shutting it down waits until
/// everything has been handed to the system.
#[derive(Debug)]
pub struct Corked {
    read: OwnedReadHalf,
    peer: TcpConnectInfo,
    /// Until the task has it. It gets it when this side speaks first, as HTTP/2 does, or the peer begins
    /// like HTTP/2.
    write: Option<OwnedWriteHalf>,
    is_http1: bool,
    out: Arc<Out>,
}

/// How every connection of HTTP/2 begins (RFC 9113, 3.4), and none of HTTP/1.
const PREFACE: &[u8] = b"PRI * HTTP/2.0";

/// What is on its way from the connection to its writing task.
#[derive(Debug, Default)]
struct Out(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    kept: Vec<u8>,
    end: Option<End>,
    /// Nothing can be sent any more: the peer was told so, or the connection broke.
    over: Option<Result<(), io::ErrorKind>>,
    /// The connection, waiting for room or for the end.
    connection: Option<Waker>,
    /// The task, waiting for something to do.
    task: Option<Waker>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Everything was written: once it is sent, the peer is told.
    Shut,
    /// Nobody waits any more, so no peer who does not read may hold the task up.
    Dropped,
}

impl Corked {
    /// Needs a runtime, in which its task lives.
    pub fn new(tcp: TcpStream) -> Corked {
        let peer = tcp.connect_info();
        let (read, write) = tcp.into_split();
        Corked { read, peer, write: Some(write), is_http1: false, out: Arc::default() }
    }

    fn gather(&mut self) {
        if let Some(write) = self.write.take() {
            tokio::spawn(send_all(write, self.out.clone()));
        }
    }

    /// What writes by itself.
    fn direct(&mut self) -> Option<Pin<&mut OwnedWriteHalf>> {
        self.write.as_mut().filter(|_| self.is_http1).map(Pin::new)
    }

    fn hear(&mut self, first: &[u8]) {
        let is_known = self.is_http1 || self.write.is_none();
        if is_known || first.is_empty() {
            return;
        }
        // Less than that may still become either, and both can be gathered.
        match first.starts_with(PREFACE) || PREFACE.starts_with(first) {
            true => self.gather(),
            false => self.is_http1 = true,
        }
    }
}

/// Connects a client of HTTP/2 to the authority of an address.
pub async fn connect(to: Uri) -> io::Result<TokioIo<Corked>> {
    let address = to.authority().ok_or(io::ErrorKind::InvalidInput)?;
    let tcp = TcpStream::connect(address.as_str()).await?;
    tcp.set_nodelay(true)?;
    Ok(TokioIo::new(Corked::new(tcp)))
}

impl Drop for Corked {
    fn drop(&mut self) {
        self.out.lock().end_as(End::Dropped);
    }
}

/// Sends what is kept, again and again, until the connection has ended.
async fn send_all(mut write: OwnedWriteHalf, out: Arc<Out>) {
    // Taken and given back, so that a busy connection does not reach for memory each time.
    let mut bytes = Vec::new();
    let over = loop {
        out.work().await;
        yield_now().await;
        let end = out.take(&mut bytes);
        if bytes.is_empty() {
            break write.shutdown().await;
        }
        if end == Some(End::Dropped) {
            break write.try_write(&bytes).map(|_| ());
        }
        let sent = tokio::select! {
            biased;
            sent = write.write_all(&bytes) => sent,
            () = out.dropped() => Err(io::ErrorKind::ConnectionAborted.into()),
        };
        if sent.is_err() {
            break sent;
        }
        bytes.clear();
        out.lock().wake_connection();
    };
    let mut state = out.lock();
    state.over = Some(over.map_err(|error| error.kind()));
    state.wake_connection();
}

impl Out {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is something to send, or nothing will come any more.
    async fn work(&self) {
        self.until(|state| !state.kept.is_empty() || state.end.is_some()).await;
    }

    async fn dropped(&self) {
        self.until(|state| state.end == Some(End::Dropped)).await;
    }

    async fn until(&self, holds: impl Fn(&State) -> bool) {
        std::future::poll_fn(|cx| {
            let mut state = self.lock();
            if holds(&state) {
                return Poll::Ready(());
            }
            state.task = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// What was kept, in exchange for an empty place to keep more.
    fn take(&self, bytes: &mut Vec<u8>) -> Option<End> {
        let mut state = self.lock();
        mem::swap(&mut state.kept, bytes);
        state.end
    }
}

impl State {
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.over {
            Some(over) => Poll::Ready(Err(over.err().unwrap_or(io::ErrorKind::BrokenPipe).into())),
            None if self.kept.len() < KEPT_BYTES_MAX => Poll::Ready(Ok(())),
            None => self.wait(cx),
        }
    }

    fn wait<T>(&mut self, cx: &mut Context<'_>) -> Poll<T> {
        self.connection = Some(cx.waker().clone());
        Poll::Pending
    }

    fn wake_task(&mut self) {
        if let Some(task) = self.task.take() {
            task.wake();
        }
    }

    fn wake_connection(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.wake();
        }
    }

    fn end_as(&mut self, end: End) {
        self.end = Some(end);
        self.wake_task();
    }
}

impl AsyncWrite for Corked {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(direct) = self.direct() {
            return direct.poll_write_vectored(cx, slices);
        }
        self.gather();
        let mut state = self.out.lock();
        ready!(state.poll_room(cx))?;
        slices.iter().for_each(|slice| state.kept.extend_from_slice(slice));
        state.wake_task();
        Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(direct) = self.direct() {
            return direct.poll_flush(cx);
        }
        let over = self.out.lock().over.unwrap_or(Ok(()));
        Poll::Ready(over.map_err(io::Error::from))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(direct) = self.direct() {
            return direct.poll_shutdown(cx);
        }
        self.gather();
        let mut state = self.out.lock();
        if let Some(over) = state.over {
            return Poll::Ready(over.map_err(io::Error::from));
        }
        if state.end.is_none() {
            state.end_as(End::Shut);
        }
        state.wait(cx)
    }
}

impl AsyncRead for Corked {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.read).poll_read(cx, buffer))?;
        self.hear(&buffer.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl Connected for Corked {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.peer.clone()
    }
}

#[cfg(test)]
mod tests;
