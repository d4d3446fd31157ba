//! Many sends over one stream: each is committed, followed and answered by itself.
//!
//! ```text
//! caller ──▶ a place ──▶ accept ──▶ follow ──▶ place free
//!            (reading      │          └ updated, until the end
//!             stops        └ accepted or refused
//!             without one)
//! ```
//!
//! Whatever was read is answered before the stream ends from our side, so that what was not answered was
//! not taken. Where the connection breaks nobody can tell, and the caller repeats under the same ids.
//!
//! A deadline is that of the stream, as nothing on it waits for an end: when it passes nothing more is told,
//! what was taken goes on, and what was read but not begun by then is not begun any more.

use std::{pin::Pin, sync::Arc};

use domain::{
    ErrorClass, PaymentId,
    org::{Outgoing, Row},
};
use futures_util::{Stream, StreamExt as _};
use ports::orgs::Within;
use proto::{
    Problem,
    convert::payments::{Send as Sending, has_ended},
    v1::{self, send_answer::Answer},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
    task::JoinSet,
    time::{Duration, Instant, sleep, timeout},
};
use tonic::{Status, Streaming};
use tracing::Instrument as _;

use super::{bolt11, deadline};
use crate::{
    auth::Caller,
    edge::Edge,
    limits,
    problem::{self, customer, report},
    rate::Exceeded,
    streams::{is_taken, told},
};

const CALL: &str = "Payments.SendStream";

/// Longer than any id, so that what is none is recognised.
const ID_CHARS_MAX: usize = 64;

pub(crate) type Answers = Pin<Box<dyn Stream<Item = Result<v1::SendAnswer, Status>> + Send>>;

/// What the sends of one stream share.
struct Shared {
    edge: Arc<Edge>,
    caller: Caller,
    tell: mpsc::Sender<v1::SendAnswer>,
    /// When the stream ends that its caller has given a deadline.
    until: Option<Instant>,
    /// Nobody follows any more: the stream ends, or its reader takes nothing.
    over: watch::Sender<bool>,
}

pub(super) fn begin(
    edge: Arc<Edge>,
    caller: Caller,
    sends: Streaming<v1::SendRequest>,
) -> Result<Answers, Problem> {
    let permit = edge.send_streams.clone().try_acquire_owned().map_err(|_| {
        let why = "too many streams of sends; send one by one, or elsewhere";
        Problem::new(ErrorClass::Unavailable, "too_many_streams", why)
    })?;
    // What is told is made by a task of its own, which knows no call.
    let until = deadline::until();
    let answers = told(limits::UNREAD_MAX, async move |tell| {
        let over = watch::Sender::new(false);
        let end = run(Arc::new(Shared { edge, caller, tell, until, over }), sends).await;
        drop(permit);
        end.inspect_err(|problem| report(CALL, problem))
    });
    Ok(Box::pin(answers.map(|answer| answer.map_err(Status::from))))
}

async fn run(shared: Arc<Shared>, mut sends: Streaming<v1::SendRequest>) -> Result<(), Problem> {
    let mut under_way = JoinSet::new();
    let work = async {
        take(&shared, &mut sends, &mut under_way).await?;
        while under_way.join_next().await.is_some() {}
        Ok(())
    };
    let end = tokio::select! {
        end = work => end,
        why = shared.broken_off() => Err(why),
    };
    // What was read is answered, as it stands.
    shared.over.send_replace(true);
    while under_way.join_next().await.is_some() {}
    end
}

/// Reads sends and lets each go its way, until the caller has no more.
async fn take(
    shared: &Arc<Shared>,
    sends: &mut Streaming<v1::SendRequest>,
    under_way: &mut JoinSet<()>,
) -> Result<(), Problem> {
    let places = Arc::new(Semaphore::new(limits::SENDS_PER_STREAM_MAX));
    loop {
        let place = places.clone().acquire_owned().await.expect("nobody closes it");
        match sends.message().await {
            Ok(Some(request)) => {
                let payment_id = beginning(&request.id);
                let span = tracing::error_span!("send", payment_id);
                under_way.spawn(shared.clone().one(request, payment_id, place).instrument(span));
            }
            Ok(None) => return Ok(()),
            Err(status) => return Err(unreadable(&status)),
        }
        // Those that have ended need no memory.
        while under_way.try_join_next().is_some() {}
    }
}

impl Shared {
    async fn one(self: Arc<Self>, request: v1::SendRequest, id: String, _: OwnedSemaphorePermit) {
        let asked = timeout(limits::ANSWER_WITHIN, self.accept(request)).await;
        let sent = match asked.unwrap_or_else(|_| Err(problem::outcome_unknown())) {
            Ok(sent) => sent,
            Err(problem) => {
                report(CALL, &problem);
                self.tell(&id, Answer::Refused(problem.into())).await;
                return;
            }
        };
        if let Ok(payment) = self.told(sent.clone()).await {
            let is_open = !has_ended(payment.status());
            if self.tell(&id, Answer::Accepted(payment.clone())).await && is_open {
                self.follow(&id, sent.id, payment).await;
            }
        }
    }

    /// As a call of its own would be: let in, read, committed.
    async fn accept(&self, request: v1::SendRequest) -> Result<Arc<Outgoing>, Problem> {
        let Shared { edge, caller, .. } = self;
        edge.keys.again(*caller).await?;
        edge.rates.take(caller.key).map_err(Exceeded::problem)?;
        let send = Sending::on_stream(request)?;
        edge.check_wallet(*caller, send.wallet).await?;
        let terms = send.terms(bolt11::parse(&send.invoice)?);
        let begin = self.until.map(|until| until.saturating_duration_since(Instant::now()));
        let at_once = Within { end: Duration::ZERO, begin };
        let sent = edge.gateway.orgs.send(caller.org, send.payment, terms, at_once).await;
        sent.map(|sent| sent.payment).map_err(customer::orgs)
    }

    /// Tells each change until the end, or until nobody follows any more.
    async fn follow(&self, id: &str, payment: PaymentId, mut last: v1::Payment) {
        let mut over = self.over.subscribe();
        while !has_ended(last.status()) {
            let orgs = &self.edge.gateway.orgs;
            let row = tokio::select! {
                row = orgs.wait(self.caller.org, payment, limits::SEND_EVERY) => row,
                _ = over.wait_for(|over| *over) => return,
            };
            let now = match row {
                Ok(Row::Outgoing(sent)) => self.told(sent).await.ok(),
                // Where the organisation is, or is on its way to, it can be asked again.
                Ok(_) | Err(_) => None,
            };
            match now {
                Some(now) if now != last => {
                    if !self.tell(id, Answer::Updated(now.clone())).await {
                        return;
                    }
                    last = now;
                }
                Some(_) => {}
                None => tokio::select! {
                    () = sleep(limits::WATCH_EVERY) => {}
                    _ = over.wait_for(|over| *over) => return,
                },
            }
        }
    }

    async fn told(&self, sent: Arc<Outgoing>) -> Result<v1::Payment, Problem> {
        self.edge.told(self.caller, &Row::Outgoing(sent)).await
    }

    /// `false`: nobody listens any more.
    async fn tell(&self, id: &str, answer: Answer) -> bool {
        let told = v1::SendAnswer { id: id.to_owned(), answer: Some(answer) };
        let is_taken = is_taken(&self.tell, told).await;
        if !is_taken {
            self.over.send_replace(true);
        }
        is_taken
    }

    /// Why the stream ends before its caller has ended it.
    async fn broken_off(&self) -> Problem {
        let mut over = self.over.subscribe();
        let too_long = sleep(limits::WATCH_FOR);
        let key_is_bad = async {
            loop {
                sleep(limits::KEY_EVERY).await;
                // A store that does not answer takes nobody's key away.
                match self.edge.keys.again(self.caller).await {
                    Err(problem) if problem.class == ErrorClass::Denied => return problem,
                    Ok(_) | Err(_) => {}
                }
            }
        };
        tokio::select! {
            () = self.edge.stopped() => broken_off("this server stops"),
            () = self.tell.closed() => broken_off("the caller has gone"),
            _ = over.wait_for(|over| *over) => broken_off("no answer was read for too long"),
            () = too_long => broken_off("the stream has lasted long enough"),
            problem = key_is_bad => problem,
        }
    }
}

fn broken_off(why: &str) -> Problem {
    let message = format!("{why}; what was accepted goes on, the rest was not taken");
    Problem::new(ErrorClass::Unavailable, "stream_broken_off", message)
}

/// What cannot be read ends the stream, as nobody can say where the next send would begin.
fn unreadable(status: &Status) -> Problem {
    let code = match status.code() {
        tonic::Code::OutOfRange | tonic::Code::ResourceExhausted => "request_too_large",
        tonic::Code::Ok
        | tonic::Code::Cancelled
        | tonic::Code::Unknown
        | tonic::Code::InvalidArgument
        | tonic::Code::DeadlineExceeded
        | tonic::Code::NotFound
        | tonic::Code::AlreadyExists
        | tonic::Code::PermissionDenied
        | tonic::Code::FailedPrecondition
        | tonic::Code::Aborted
        | tonic::Code::Unimplemented
        | tonic::Code::Internal
        | tonic::Code::Unavailable
        | tonic::Code::DataLoss
        | tonic::Code::Unauthenticated => "request_unreadable",
    };
    Problem::new(ErrorClass::Invalid, code, status.message())
}

fn beginning(text: &str) -> String {
    text.chars().take(ID_CHARS_MAX).collect()
}
