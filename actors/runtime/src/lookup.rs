//! Look-ups before decisions, batched like commits: what gathers while one runs is asked together.

use std::sync::Arc;

use ports::{
    Journal, StoreError,
    journal::{Known, Question},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use crate::{
    limits,
    meters::{LookUpMeters, counted},
    turns::Turns,
};

type Asked = (Question, oneshot::Sender<Result<Known, StoreError>>);

pub(crate) struct LookUps {
    asked: mpsc::Sender<Asked>,
}

impl LookUps {
    /// One asker: a second one would not answer sooner, as each would ask for fewer at a time.
    pub(crate) fn start(journal: &Arc<dyn Journal>, turns: Turns) -> LookUps {
        let (asked, questions) = mpsc::channel(limits::ORG_QUEUE_MAX);
        tokio::spawn(ask(journal.clone(), turns, questions));
        LookUps { asked }
    }

    pub(crate) async fn ask(&self, question: Question) -> Result<Known, StoreError> {
        let gone = || StoreError::Unavailable("stopping".to_owned());
        let (reply, answer) = oneshot::channel();
        self.asked
            .try_send((question, reply))
            .map_err(|_| StoreError::Unavailable("too much work is waiting".to_owned()))?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }
}

async fn ask(journal: Arc<dyn Journal>, turns: Turns, mut questions: mpsc::Receiver<Asked>) {
    let meters = LookUpMeters::default();
    let mut asked = Vec::new();
    while questions.recv_many(&mut asked, limits::LOOK_UP_BATCH_MAX).await > 0 {
        let turn = match turns.begin(asked.len()) {
            Some(turn) => turn,
            None => turns.next().await,
        };
        while asked.len() < limits::LOOK_UP_BATCH_MAX
            && let Ok(more) = questions.try_recv()
        {
            asked.push(more);
        }
        let batch: Vec<Question> = asked.iter().map(|(question, _)| *question).collect();
        meters.batch.record(counted(batch.len()));
        let began = Instant::now();
        let answer = journal.look_up(&batch).await;
        meters.took.record(began.elapsed());
        drop(turn);
        match answer {
            Ok(known) => {
                // Those who have hung up are not told.
                for ((_, reply), known) in asked.drain(..).zip(known) {
                    let _ = reply.send(Ok(known));
                }
            }
            Err(error) => {
                meters.failed.increment(1);
                for (_, reply) in asked.drain(..) {
                    let _ = reply.send(Err(error.clone()));
                }
            }
        }
    }
}
