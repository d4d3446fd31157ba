//! Connections over which nobody has shown the secret yet. Each is closed when its time is up: whoever does not
//! know it cannot hold the places of those who do.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};
use tonic::transport::server::Connected;

use crate::limits;

/// Whether the secret was shown over a connection; each of its calls has this with it.
#[derive(Clone, Default)]
pub(crate) struct Known(Arc<AtomicBool>);

impl Known {
    pub(crate) fn is_shown_the_secret(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

pub(super) struct Stranger<Io> {
    io: Io,
    known: Known,
    out_of_time: Pin<Box<Sleep>>,
}

impl<Io> Stranger<Io> {
    pub(super) fn new(io: Io) -> Stranger<Io> {
        let out_of_time = Box::pin(sleep(limits::SECRET_SHOWN_WITHIN));
        Stranger { io, known: Known::default(), out_of_time }
    }
}

impl<Io> Connected for Stranger<Io> {
    type ConnectInfo = Known;

    fn connect_info(&self) -> Known {
        self.known.clone()
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for Stranger<Io> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let is_known = self.known.0.load(Ordering::Relaxed);
        if !is_known && self.out_of_time.as_mut().poll(context).is_ready() {
            tracing::debug!("a connection was closed over which nobody had shown the secret");
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for Stranger<Io> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
