//! Look-ups before decisions, batched like commits: what gathers while one runs is asked together, in turn
//! by organisation.

use std::{pin::pin, sync::Arc};

use ports::{
    Journal, StoreError,
    journal::{Known, Question},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use crate::{
    admission::Paced,
    fair_queue::FairQueue,
    limits,
    meters::{LookUpMeters, counted},
    turns::{Turn, Turns},
};

type Asked = (Question, oneshot::Sender<Result<Known, StoreError>>);

pub(crate) struct LookUps {
    asked: mpsc::UnboundedSender<Asked>,
    pub(crate) pace: Paced,
}

impl LookUps {
    /// One asker: a second one would not answer sooner, as each would ask for fewer at a time.
    pub(crate) fn start(journal: &Arc<dyn Journal>, turns: Turns) -> LookUps {
        // Those who ask have been let in at the door, or must not be refused.
        let (asked, questions) = mpsc::unbounded_channel();
        let pace = Paced::default();
        tokio::spawn(ask(journal.clone(), turns, pace.clone(), questions));
        LookUps { asked, pace }
    }

    pub(crate) async fn ask(&self, question: Question) -> Result<Known, StoreError> {
        let gone = || StoreError::Unavailable("stopping".to_owned());
        let (reply, answer) = oneshot::channel();
        self.asked.send((question, reply)).map_err(|_| gone())?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }
}

/// Gathers until it is our turn, or enough have gathered to go without one.
async fn turn(
    turns: &Turns,
    waiting: &mut FairQueue<Asked>,
    questions: &mut mpsc::UnboundedReceiver<Asked>,
) -> Option<Turn> {
    let mut next = pin!(turns.next());
    loop {
        while let Ok(asked) = questions.try_recv() {
            waiting.push(asked.0.org, asked);
        }
        if let Some(turn) = turns.begin(waiting.len(), limits::LOOK_UP_CROWD) {
            return turn;
        }
        tokio::select! {
            biased;
            turn = &mut next => return turn,
            Some(asked) = questions.recv() => waiting.push(asked.0.org, asked),
        }
    }
}

async fn ask(
    journal: Arc<dyn Journal>,
    turns: Turns,
    pace: Paced,
    mut questions: mpsc::UnboundedReceiver<Asked>,
) {
    let meters = LookUpMeters::default();
    let mut waiting = FairQueue::default();
    loop {
        if waiting.is_empty() {
            let Some(asked) = questions.recv().await else { return };
            waiting.push(asked.0.org, asked);
        }
        let turn = turn(&turns, &mut waiting, &mut questions).await;
        let began = Instant::now();
        let asked = waiting.draw(limits::LOOK_UP_BATCH_MAX, pace.share(), began);
        let asked: Vec<Asked> = asked.into_iter().map(|(_, asked)| asked).collect();
        let batch: Vec<Question> = asked.iter().map(|(question, _)| *question).collect();
        meters.batch.record(counted(batch.len()));
        pace.begins();
        let answer = journal.look_up(&batch).await;
        pace.ends(batch.len());
        meters.took.record(began.elapsed());
        drop(turn);
        match answer {
            Ok(known) => {
                // Those who have hung up are not told.
                for ((_, reply), known) in asked.into_iter().zip(known) {
                    let _ = reply.send(Ok(known));
                }
            }
            Err(error) => {
                meters.failed.increment(1);
                for (_, reply) in asked {
                    let _ = reply.send(Err(error.clone()));
                }
            }
        }
    }
}
