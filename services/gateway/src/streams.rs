//! Open answers: what is on its way to a reader is bounded, one that takes nothing is cut off, and the
//! last thing told is why it has ended.

use futures_util::{Stream, stream};
use proto::Problem;
use tokio::{sync::mpsc, task::JoinHandle, time::timeout};
use tracing::Instrument as _;

use crate::{limits, problem};

/// Tells what the work tells, with at most `room` on its way, and then how it has ended. When the reader is gone the work goes on until
/// it notices ([`mpsc::Sender::closed`]).
pub(crate) fn told<T, Begin, Work>(
    room: usize,
    begin: Begin,
) -> impl Stream<Item = Result<T, Problem>> + Send + use<T, Begin, Work>
where
    T: Send + 'static,
    Begin: FnOnce(mpsc::Sender<T>) -> Work,
    Work: Future<Output = Result<(), Problem>> + Send + 'static,
{
    let (tell, heard) = mpsc::channel(room);
    let working = tokio::spawn(begin(tell).in_current_span());
    stream::unfold(Some((heard, working)), async |open| {
        let (mut heard, working): (mpsc::Receiver<T>, JoinHandle<Result<(), Problem>>) = open?;
        match heard.recv().await {
            Some(item) => Some((Ok(item), Some((heard, working)))),
            None => match working.await {
                Ok(Ok(())) => None,
                Ok(Err(problem)) => Some((Err(problem), None)),
                Err(_) => Some((Err(problem::outcome_unknown()), None)),
            },
        }
    })
}

/// `false`: the reader has gone, or takes nothing for so long that it is cut off.
pub(crate) async fn is_taken<T>(tell: &mpsc::Sender<T>, item: T) -> bool {
    matches!(timeout(limits::READ_WITHIN, tell.send(item)).await, Ok(Ok(())))
}

#[cfg(test)]
mod tests {
    use domain::ErrorClass;
    use futures_util::StreamExt as _;
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_is_cut_off_and_never_buffered_without_bound() {
        let (tell, mut heard) = mpsc::channel(2);
        let began = Instant::now();
        assert!(is_taken(&tell, 1).await && is_taken(&tell, 2).await);
        assert!(!is_taken(&tell, 3).await);
        assert_eq!(began.elapsed(), limits::READ_WITHIN);
        // What it was told before it stopped reading is still in order.
        assert_eq!((heard.recv().await, heard.recv().await), (Some(1), Some(2)));
        drop(heard);
        assert!(!is_taken(&tell, 4).await);
    }

    #[tokio::test]
    async fn the_last_thing_told_is_why_it_has_ended() {
        let problem = Problem::new(ErrorClass::Unavailable, "over", "it is over");
        let end = problem.clone();
        let stream = told(1, async move |tell| {
            assert!(is_taken(&tell, 1).await);
            Err(end)
        });
        let heard: Vec<_> = stream.collect().await;
        assert_eq!(heard, [Ok(1), Err(problem)]);
        let well = told(1, async |tell| {
            assert!(is_taken(&tell, 1).await);
            Ok(())
        });
        assert_eq!(well.collect::<Vec<_>>().await, [Ok(1)]);
    }
}
