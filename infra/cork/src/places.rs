//! Connections of one listener have a bound: one too many is closed before anything is read from it.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{Stream, StreamExt as _};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::sleep,
};
use tonic::transport::server::{Connected, TcpConnectInfo};

use crate::Corked;

/// A connection that could not be taken leaves the system so long to find room for the next.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// A connection with its place, which is free again when it is gone.
#[derive(Debug)]
pub struct Placed {
    io: Corked,
    _place: OwnedSemaphorePermit,
}

/// At most so many of the connections at once. Nobody waits: whoever is closed certainly has done nothing,
/// and may be let in elsewhere.
pub fn bounded(
    incoming: impl Stream<Item = io::Result<TcpStream>>,
    most: usize,
) -> impl Stream<Item = io::Result<Placed>> {
    let places = Arc::new(Semaphore::new(most));
    incoming.filter_map(move |tcp| {
        let place = places.clone().try_acquire_owned().ok();
        async move {
            match (tcp, place) {
                (Ok(tcp), Some(place)) => Some(Ok(Placed { io: Corked::new(tcp), _place: place })),
                (Ok(_), None) => {
                    tracing::debug!(most, "a connection too many was closed");
                    None
                }
                // Out of file descriptors, as a rule: the next one would fail as well.
                (Err(error), _) => {
                    tracing::warn!(%error, "a connection could not be taken");
                    sleep(ACCEPT_PAUSE).await;
                    Some(Err(error))
                }
            }
        }
    })
}

impl Connected for Placed {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.io.connect_info()
    }
}

impl AsyncRead for Placed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl AsyncWrite for Placed {
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

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
        sync::mpsc,
    };
    use tonic::transport::server::TcpIncoming;

    use super::*;

    #[tokio::test]
    async fn one_too_many_is_closed_and_a_place_that_is_left_is_taken_again() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let (tell, mut served) = mpsc::channel(8);
        tokio::spawn(async move {
            let mut placed = std::pin::pin!(bounded(TcpIncoming::from(listener), 2));
            while let Some(Ok(one)) = placed.next().await {
                tell.send(one).await.unwrap();
            }
        });
        let connect = async || TcpStream::connect(at).await.unwrap();
        let (_one, _two) = (connect().await, connect().await);
        let (first, _second) = (served.recv().await.unwrap(), served.recv().await.unwrap());
        let ended = connect().await.read(&mut [0; 1]).await;
        assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
        drop(first);
        let mut again = connect().await;
        let mut third = served.recv().await.unwrap();
        third.write_all(b"!").await.unwrap();
        third.flush().await.unwrap();
        let mut answer = [0; 1];
        again.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"!");
    }
}
