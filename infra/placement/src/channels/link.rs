//! One stream to a pod, for all the calls to it that are made often.
//!
//! | a call is | its caller goes | the pod stops taking calls | the stream breaks |
//! |---|---|---|---|
//! | in line | it is never written | not taken | not taken |
//! | written | the pod is told to leave it | answered yet | lost |
//! | answered | nothing | nothing | nothing |
//!
//! What gathered in line while the last was being written leaves as one message. A caller holds its place until
//! it has its answer or goes, and the pod is told of those who went before it gets calls of others, so that it
//! never has more than there are places.

use std::{
    collections::HashMap,
    mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use futures_util::Stream;
use ports::orgs::OrgsError;
use prost::{Message as _, bytes::Bytes};
use proto::engine::v1::{self, CallKind, answer::Came};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tonic::{Code, Status, Streaming};

use crate::{
    failure::{self, Failed},
    limits, trace,
};

/// Why a call has no answer.
#[derive(Debug)]
pub(crate) enum Unanswered {
    /// The pod is of a version that takes no such calls by stream: nothing was done.
    NotByStream,
    Failed(Failed<OrgsError>),
}

type Answered = Result<Bytes, Unanswered>;

/// Where callers come to. The stream ends when nobody has it any more.
pub(crate) struct Link {
    places: Semaphore,
    line: mpsc::Sender<v1::Call>,
    calls: Arc<Calls>,
}

impl Link {
    pub(super) fn new() -> (Link, Writer) {
        let places = limits::places_on_a_stream();
        let (line, ahead) = mpsc::channel(limits::CALLS_QUEUED);
        let calls = Arc::<Calls>::default();
        let writer = Writer { line: ahead, calls: calls.clone() };
        (Link { places: Semaphore::new(places), line, calls }, writer)
    }

    pub(super) fn calls(&self) -> &Arc<Calls> {
        &self.calls
    }

    /// Whoever drops this goes.
    pub(crate) async fn ask(&self, kind: CallKind, request: Bytes) -> Answered {
        let _place = self.places.acquire().await.map_err(|_| not_written())?;
        let line = self.line.reserve().await.map_err(|_| not_written())?;
        let caller = self.calls.enter()?;
        let trace = trace::carried();
        line.send(v1::Call { id: caller.id, kind: kind.into(), request, trace });
        caller.hear().await
    }
}

fn not_written() -> Unanswered {
    Unanswered::Failed(Failed::NotTaken("the stream to the pod ended first".to_owned()))
}

/// The calls of a stream that have no answer yet.
#[derive(Default)]
pub(super) struct Calls(Mutex<Open>);

#[derive(Default)]
struct Open {
    next: u64,
    waiting: HashMap<u64, Waiting>,
    /// Written, and their callers have gone since.
    left: Vec<u64>,
    /// Nothing more is written.
    closed: bool,
    writer: Option<Waker>,
}

struct Waiting {
    written: bool,
    answer: oneshot::Sender<Answered>,
}

/// How a stream was before it ended.
pub(super) enum Ended {
    /// The pod has refused the whole of it before it took any call.
    Refused(Status),
    Broken(String),
}

impl Ended {
    /// What it is to a call that was written.
    fn to_written(&self) -> Unanswered {
        match self {
            Ended::Refused(status) if is_unknown(status) => Unanswered::NotByStream,
            Ended::Refused(status) => Unanswered::Failed(failure::orgs(status)),
            Ended::Broken(why) => Unanswered::Failed(Failed::Lost(why.clone())),
        }
    }

    fn to_unwritten(&self) -> Unanswered {
        match self {
            Ended::Refused(status) if is_unknown(status) => Unanswered::NotByStream,
            Ended::Refused(status) => {
                Unanswered::Failed(Failed::NotTaken(status.message().to_owned()))
            }
            Ended::Broken(why) => Unanswered::Failed(Failed::NotTaken(why.clone())),
        }
    }
}

/// Whether the pod has never heard of what it was asked.
pub(super) fn is_unknown(status: &Status) -> bool {
    status.code() == Code::Unimplemented
}

impl Calls {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self) -> Result<Caller<'_>, Unanswered> {
        let (answer, heard) = oneshot::channel();
        let mut open = self.open();
        if open.closed {
            return Err(not_written());
        }
        let id = open.next;
        open.next += 1;
        open.waiting.insert(id, Waiting { written: false, answer });
        Ok(Caller { calls: self, id, heard })
    }

    /// Until the stream ends.
    pub(super) async fn listen(
        &self,
        mut answers: Streaming<v1::Answers>,
        is_closing: impl Fn(),
    ) -> Result<(), Status> {
        while let Some(v1::Answers { answers, closing }) = answers.message().await? {
            for v1::Answer { id, came } in answers {
                // Nobody waits any more for one that was left meanwhile.
                if let Some(waiting) = self.heard(id) {
                    let _ = waiting.answer.send(read(came));
                }
            }
            if closing {
                is_closing();
                self.close();
            }
        }
        Ok(())
    }

    fn heard(&self, id: u64) -> Option<Waiting> {
        self.open().waiting.remove(&id)
    }

    /// What is in line now is not written any more; what was written may be answered yet.
    fn close(&self) {
        let mut open = self.open();
        open.closed = true;
        let in_line: Vec<_> =
            open.waiting.extract_if(|_, waiting| !waiting.written).map(|(_, it)| it).collect();
        let writer = open.writer.take();
        drop(open);
        for waiting in in_line {
            let _ = waiting.answer.send(Err(not_written()));
        }
        writer.into_iter().for_each(Waker::wake);
    }

    pub(super) fn end(&self, ended: &Ended) {
        let mut open = self.open();
        open.closed = true;
        let all = mem::take(&mut open.waiting);
        drop(open);
        for Waiting { written, answer } in all.into_values() {
            let _ = answer.send(Err(match written {
                true => ended.to_written(),
                false => ended.to_unwritten(),
            }));
        }
    }
}

fn read(came: Option<Came>) -> Answered {
    match came {
        Some(Came::Answer(bytes)) => Ok(bytes),
        Some(Came::Refused(refused)) => {
            let status = failure::status(refused);
            Err(match is_unknown(&status) {
                true => Unanswered::NotByStream,
                false => Unanswered::Failed(failure::orgs(&status)),
            })
        }
        None => Err(Unanswered::Failed(Failed::Lost("an answer that says nothing".to_owned()))),
    }
}

/// Who waits for the answer to one call.
struct Caller<'a> {
    calls: &'a Calls,
    id: u64,
    heard: oneshot::Receiver<Answered>,
}

impl Caller<'_> {
    async fn hear(mut self) -> Answered {
        let lost = |_| Err(Unanswered::Failed(Failed::Lost("the stream is gone".to_owned())));
        (&mut self.heard).await.unwrap_or_else(lost)
    }
}

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        let mut open = self.calls.open();
        if let Some(Waiting { written: true, .. }) = open.waiting.remove(&self.id) {
            open.left.push(self.id);
            let writer = open.writer.take();
            drop(open);
            writer.into_iter().for_each(Waker::wake);
        }
    }
}

/// What is written to the stream, whenever there is room for more.
pub(super) struct Writer {
    line: mpsc::Receiver<v1::Call>,
    calls: Arc<Calls>,
}

impl Stream for Writer {
    type Item = v1::Calls;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<v1::Calls>> {
        let Writer { line, calls } = &mut *self;
        loop {
            let (mut batch, mut bytes, mut more) = (Vec::new(), 0, Poll::Ready(true));
            while bytes < limits::BATCH_BYTES && more == Poll::Ready(true) {
                more = line.poll_recv(context).map(|call| match call {
                    Some(call) => {
                        bytes += call.encoded_len();
                        batch.push(call);
                        true
                    }
                    None => false,
                });
            }
            let mut open = calls.open();
            // Whose caller has gone is nobody's.
            batch.retain(|call| match open.waiting.get_mut(&call.id) {
                Some(waiting) => {
                    waiting.written = true;
                    true
                }
                None => false,
            });
            let left = mem::take(&mut open.left);
            if !batch.is_empty() || !left.is_empty() {
                return Poll::Ready(Some(v1::Calls { calls: batch, left }));
            }
            if open.closed || more == Poll::Ready(false) {
                return Poll::Ready(None);
            }
            if more.is_pending() {
                open.writer = Some(context.waker().clone());
                return Poll::Pending;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt as _, future::join_all};
    use tokio::task::unconstrained;

    use super::*;

    /// Those that a pod is to do next.
    async fn written(writer: &mut Writer) -> Vec<u64> {
        let v1::Calls { calls, left } = writer.next().await.unwrap();
        assert!(left.is_empty());
        calls.iter().map(|call| call.id).collect()
    }

    /// A pod refuses what a stream carries beyond them.
    #[tokio::test]
    async fn a_stream_carries_as_many_calls_as_it_has_places_and_the_rest_wait_for_one() {
        const PLACES: usize = 50_000;
        const LATER: usize = 300;
        let (link, mut writer) = Link::new();
        let answer = |id: &u64| link.calls.heard(*id).unwrap().answer.send(Ok(Bytes::new()));
        let pod = async {
            let mut ids = Vec::new();
            while ids.len() < PLACES {
                ids.extend(written(&mut writer).await);
            }
            assert_eq!(ids.len(), PLACES);
            answer(&ids[0]).unwrap();
            let next = written(&mut writer).await;
            assert_eq!(next.len(), 1, "one place, one call");
            ids[1..].iter().chain(&next).for_each(|id| answer(id).unwrap());
            for _ in 1..LATER {
                written(&mut writer).await.iter().for_each(|id| answer(id).unwrap());
            }
        };
        let calls = (0..PLACES + LATER).map(|_| link.ask(CallKind::AnswerClaim, Bytes::new()));
        let answers = tokio::select! {
            answers = unconstrained(join_all(calls)) => answers,
            () = pod => panic!("it is not told of callers that there are not"),
        };
        assert!(answers.iter().all(Result::is_ok));
    }
}
