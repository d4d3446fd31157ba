//! One merchant's stream of sends, shared by callers who each wait for the end of their own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::stream;
use proto::v1::{SendAnswer, SendRequest, send_answer};
use tests::world::Customer;
use tokio::sync::{mpsc, oneshot};
use tonic::Streaming;
use tonic::transport::Channel;

use crate::Outcome;
use crate::loadgen::Answer;
use crate::payments::paid;

/// More than callers of one pipe.
const UNSENT_MAX: usize = 1_000;

pub(crate) struct Pipe {
    customer: Customer,
    sends: mpsc::Sender<SendRequest>,
    waiting: Waiting,
}

/// Whoever waits, by the id of the payment.
type Waiting = Arc<Mutex<HashMap<String, oneshot::Sender<Answer>>>>;

impl Pipe {
    pub(crate) async fn open(customer: &Customer, channel: Channel) -> Outcome<Arc<Pipe>> {
        let (sends, unsent) = mpsc::channel(UNSENT_MAX);
        let requests = stream::unfold(unsent, async |mut unsent| {
            let request = unsent.recv().await?;
            Some((request, unsent))
        });
        let answers = customer.payments(channel).send_stream(requests).await?.into_inner();
        let waiting = Waiting::default();
        tokio::spawn(hear(answers, waiting.clone()));
        Ok(Arc::new(Pipe { customer: customer.clone(), sends, waiting }))
    }

    pub(crate) async fn pay(&self, id: &str, invoice: &str) -> Answer {
        let (tell, told) = oneshot::channel();
        lock(&self.waiting).insert(id.to_owned(), tell);
        let request = SendRequest { wait_seconds: 0, ..self.customer.send(id, invoice) };
        let broken = || Answer::Failed("the stream broke off".to_owned());
        match self.sends.send(request).await {
            Ok(()) => told.await.unwrap_or_else(|_| broken()),
            Err(_) => broken(),
        }
    }
}

async fn hear(mut answers: Streaming<SendAnswer>, waiting: Waiting) {
    while let Ok(Some(SendAnswer { id, answer: Some(answer) })) = answers.message().await {
        let end = match answer {
            send_answer::Answer::Accepted(payment) | send_answer::Answer::Updated(payment) => {
                let is_open = payment.status() == proto::v1::PaymentStatus::Sending;
                if is_open { None } else { Some(paid(&payment)) }
            }
            send_answer::Answer::Refused(refusal) => {
                Some(Answer::Failed(format!("{} ({})", refusal.message, refusal.code)))
            }
        };
        let Some(end) = end else { continue };
        let tell = lock(&waiting).remove(&id);
        // Whoever has stopped waiting hears nothing.
        let _ = tell.map(|tell| tell.send(end));
    }
    // Nobody hears anything any more.
    lock(&waiting).clear();
}

fn lock(waiting: &Waiting) -> MutexGuard<'_, HashMap<String, oneshot::Sender<Answer>>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}
