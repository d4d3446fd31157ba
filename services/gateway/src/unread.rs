//! The rest of a body over HTTP/2 whose answer was known before it had come.
//!
//! Let go, it has its stream reset with NO_ERROR. RFC 9113, 8.1, allows that, but a sender that is still at it may
//! take it for a failure and never read its answer: curl 7.88 does. So what is left is taken in and forgotten
//! beside the answer, as long as it ends soon.

use std::{
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::body::{Body, Bytes};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::{BodyExt as _, Limited};
use tokio::{runtime::Handle, time::timeout};
use tonic::Status;

use crate::limits;

/// The body, of which nothing is left unread.
pub(crate) fn heard_out(body: tonic::body::Body) -> Body {
    if body.is_end_stream() { Body::empty() } else { Body::new(HeardOut(body)) }
}

/// Kept in the one place that a body needs anyway. Once it has been read it is empty.
struct HeardOut(tonic::body::Body);

impl http_body::Body for HeardOut {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.0).poll_frame(context));
        if !matches!(frame, Some(Ok(_))) {
            self.0 = tonic::body::Body::empty();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

impl Drop for HeardOut {
    fn drop(&mut self) {
        if self.0.is_end_stream() {
            return;
        }
        // Without a runtime the connection is gone as well.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(hear_out(mem::take(&mut self.0)));
        }
    }
}

async fn hear_out(rest: tonic::body::Body) {
    let mut rest = Limited::new(rest, limits::REST_OF_BODY_BYTES_MAX);
    let heard = async { while let Some(Ok(_)) = rest.frame().await {} };
    // Of one that is longer, or slower, the stream is reset after all.
    let _ = timeout(limits::REST_OF_BODY_WITHIN, heard).await;
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;
    use http_body_util::StreamBody;
    use tokio::{sync::mpsc, time::Instant};

    use super::*;

    /// A body, and who sends it.
    fn sent() -> (mpsc::Sender<Bytes>, Body) {
        let (send, heard) = mpsc::channel(1);
        let frames = stream::unfold(heard, async |mut heard: mpsc::Receiver<Bytes>| {
            let bytes = heard.recv().await?;
            Some((Ok::<_, Infallible>(Frame::data(bytes)), heard))
        });
        (send, heard_out(tonic::body::Body::new(StreamBody::new(frames))))
    }

    fn kib() -> Bytes {
        Bytes::from_static(&[b' '; 1_024])
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_left_is_taken_in_as_long_as_it_comes_soon() {
        let (send, mut body) = sent();
        send.send(kib()).await.unwrap();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), kib());
        drop(body);
        let began = Instant::now();
        for _ in 0..10 {
            send.send(kib()).await.unwrap();
        }
        send.closed().await;
        assert_eq!(began.elapsed(), limits::REST_OF_BODY_WITHIN);
    }

    #[tokio::test(start_paused = true)]
    async fn of_a_longer_one_no_more_is_taken_in() {
        let (send, body) = sent();
        drop(body);
        let (began, mut taken) = (Instant::now(), 0);
        while send.send(kib()).await.is_ok() {
            taken += kib().len();
        }
        assert_eq!((taken / limits::REST_OF_BODY_BYTES_MAX, began.elapsed().as_millis()), (1, 0));
    }

    #[tokio::test]
    async fn of_a_body_that_was_read_nothing_is_left() {
        let (send, mut body) = sent();
        drop(send);
        assert!(body.frame().await.is_none());
        assert!(body.is_end_stream());
    }

    #[test]
    fn without_a_runtime_it_is_just_gone() {
        let (send, body) = sent();
        drop(body);
        assert!(send.is_closed());
    }
}
