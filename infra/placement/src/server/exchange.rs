//! The calls that another pod makes over one stream.
//!
//! All of it is done by whoever writes the answers: when the stream is dropped, as its connection broke, all
//! calls under way are dropped with it, and while the other pod does not read its answers, no more of its calls
//! are taken. A call for which there is no place is refused, and those that have one keep it.

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::{
    FutureExt as _, Stream, StreamExt as _,
    future::{AbortHandle, Abortable, BoxFuture},
    stream::FuturesUnordered,
};
use ports::orgs::OrgsError;
use prost::{Message, bytes::Bytes};
use proto::engine::v1::{self, CallKind, answer::Came, orgs_server::Orgs as _};
use tonic::{Request, Status, Streaming};
use tracing::Instrument as _;

use super::{Answer, Door};
use crate::{failure, limits, trace};

/// One call, until it is answered or left.
type Work = Abortable<BoxFuture<'static, v1::Answer>>;

pub(super) struct Exchange {
    door: Arc<Door>,
    calls: Streaming<v1::Calls>,
    /// The other pod may write more.
    is_open: bool,
    /// `None`: the other pod knows that this one stops.
    stops: Option<BoxFuture<'static, ()>>,
    under_way: FuturesUnordered<Work>,
    callers: HashMap<u64, AbortHandle>,
}

impl Exchange {
    pub(super) fn new(door: Door, calls: Streaming<v1::Calls>) -> Exchange {
        let (stops, door) = (Some(door.clone().stops().boxed()), Arc::new(door));
        let (under_way, callers) = (FuturesUnordered::new(), HashMap::new());
        Exchange { door, calls, is_open: true, stops, under_way, callers }
    }

    /// Ready when something has come in.
    fn poll_calls(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Status>> {
        // Whoever has no place is told before more is read, so that those are never many.
        let is_too_full = self.callers.len() > self.door.places;
        if !self.is_open || is_too_full {
            return Poll::Pending;
        }
        let Some(came) = std::task::ready!(self.calls.poll_next_unpin(context)) else {
            self.is_open = false;
            return Poll::Pending;
        };
        let v1::Calls { calls, left } = came?;
        for id in left {
            if let Some(caller) = self.callers.remove(&id) {
                caller.abort();
            }
        }
        Poll::Ready(calls.into_iter().try_for_each(|call| self.begin(call)))
    }

    fn begin(&mut self, call: v1::Call) -> Result<(), Status> {
        let v1::Call { id, kind, request, trace } = call;
        let has_place = self.callers.len() < self.door.places;
        let door = self.door.clone();
        let work = async move {
            match has_place {
                true => door.answer(kind, request).await,
                false => Err(no_place()),
            }
        };
        let work = AssertUnwindSafe(work.instrument(trace::on_a_stream(trace))).catch_unwind();
        let work = work.map(move |ended| {
            // As one that breaks off alone: whether it was done is not known, and the others go on.
            let answer = ended.unwrap_or_else(|_| Err(Status::internal("the call broke off")));
            let came =
                answer.map_or_else(|why| Came::Refused(failure::refused(&why)), Came::Answer);
            v1::Answer { id, came: Some(came) }
        });
        let (caller, registration) = AbortHandle::new_pair();
        if self.callers.insert(id, caller).is_some() {
            return Err(Status::invalid_argument("two calls with one id"));
        }
        self.under_way.push(Abortable::new(work.boxed(), registration));
        Ok(())
    }

    fn answered(&mut self, context: &mut Context<'_>) -> Vec<v1::Answer> {
        let (mut answers, mut bytes) = (Vec::new(), 0);
        while bytes < limits::BATCH_BYTES
            && let Poll::Ready(Some(ended)) = self.under_way.poll_next_unpin(context)
        {
            // One that was left has no answer.
            let Ok(answer) = ended else { continue };
            self.callers.remove(&answer.id);
            bytes += answer.encoded_len();
            answers.push(answer);
        }
        answers
    }

    /// Whether the other pod is to be told now that this one stops.
    fn is_stopping(&mut self, context: &mut Context<'_>) -> bool {
        let stops = self.stops.as_mut().is_some_and(|stops| stops.poll_unpin(context).is_ready());
        if stops {
            self.stops = None;
        }
        stops
    }
}

impl Stream for Exchange {
    type Item = Result<v1::Answers, Status>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<v1::Answers, Status>>> {
        loop {
            let came = self.poll_calls(context)?;
            let answers = self.answered(context);
            let closing = self.is_stopping(context);
            if closing || !answers.is_empty() {
                return Poll::Ready(Some(Ok(v1::Answers { answers, closing })));
            }
            if came.is_pending() {
                return match self.is_open || !self.callers.is_empty() {
                    true => Poll::Pending,
                    false => Poll::Ready(None),
                };
            }
        }
    }
}

impl Door {
    /// The same as if it came alone.
    async fn answer(&self, kind: i32, request: Bytes) -> Result<Bytes, Status> {
        match CallKind::try_from(kind) {
            Ok(CallKind::Send) => written(self.send(read(request)?).await),
            Ok(CallKind::Receive) => written(self.receive(read(request)?).await),
            Ok(CallKind::Wait) => written(self.wait(read(request)?).await),
            Ok(CallKind::Claim) => written(self.claim(read(request)?).await),
            Ok(CallKind::AnswerClaim) => written(self.answer_claim(read(request)?).await),
            Ok(CallKind::BookReceipt) => written(self.book_receipt(read(request)?).await),
            Ok(CallKind::Unspecified) | Err(_) => {
                Err(Status::unimplemented("this pod takes no such calls by stream"))
            }
        }
    }
}

/// Nothing of it was begun. No pod of this version comes to hear it, as its callers wait for a place.
fn no_place() -> Status {
    let why = "more calls on one stream than there may be".to_owned();
    failure::of_orgs(&OrgsError::Unavailable(why))
}

fn read<T: Message + Default>(request: Bytes) -> Result<Request<T>, Status> {
    let unreadable = |error| Status::invalid_argument(format!("an unreadable request: {error}"));
    T::decode(request).map(Request::new).map_err(unreadable)
}

fn written<T: Message>(answer: Answer<T>) -> Result<Bytes, Status> {
    answer.map(|answer| answer.into_inner().encode_to_vec().into())
}
