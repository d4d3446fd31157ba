//! What a gateway writes to a stream, and makes of what it hears there.

use std::time::Duration;

use domain::{ErrorClass, org::ClaimAnswer};
use futures_util::future::join_all;
use ports::{Peers as _, orgs::OrgsError};
use prost::Message as _;
use proto::engine::v1::{self, CallKind, answer::Came};
use tokio::{sync::mpsc, time::timeout};
use tonic::Status;

use crate::{
    cluster::{Cluster, ORG, SECRET, payment},
    older::ByHand,
};

const SOON: Duration = Duration::from_secs(5);

async fn start() -> (Cluster, mpsc::UnboundedReceiver<ByHand>) {
    let mut cluster = Cluster::empty(SECRET);
    let (one, streams) = cluster.join_by_hand(1).await;
    cluster.owned_by(&[&one], Some(&one)).await;
    (cluster, streams)
}

impl ByHand {
    async fn heard(&mut self) -> v1::Calls {
        timeout(SOON, self.calls.message()).await.unwrap().unwrap().unwrap()
    }

    fn answer(&self, answers: impl IntoIterator<Item = v1::Answer>) {
        let answers = answers.into_iter().collect();
        self.answers.send(Ok(v1::Answers { answers, closing: false })).unwrap();
    }
}

fn done(id: u64) -> v1::Answer {
    v1::Answer { id, came: Some(Came::Answer(v1::Done {}.encode_to_vec().into())) }
}

/// A call that is the shortest.
async fn tell(cluster: &Cluster, number: u128) -> Result<(), OrgsError> {
    cluster.forward.answer_claim(ORG, payment(number), ClaimAnswer::Credited).await
}

#[tokio::test]
async fn what_is_asked_at_once_is_one_message_and_is_answered_in_any_order() {
    let (cluster, mut streams) = start().await;
    let pod = async {
        let mut stream = streams.recv().await.unwrap();
        let v1::Calls { calls, left } = stream.heard().await;
        assert_eq!((calls.len(), left), (10, Vec::new()));
        for (number, call) in (0..).zip(&calls) {
            assert_eq!(call.kind(), CallKind::AnswerClaim);
            let asked = v1::AnswerClaimRequest::decode(call.request.clone()).unwrap();
            assert_eq!(asked.payment_id, payment(number).uuid().as_bytes());
        }
        let (odd, even): (Vec<_>, Vec<_>) = calls.iter().partition(|call| call.id % 2 == 1);
        stream.answer(odd.iter().rev().map(|call| done(call.id)));
        even.iter().rev().for_each(|call| stream.answer([done(call.id)]));
        stream
    };
    let told = join_all((0..10).map(|number| tell(&cluster, number)));
    let (told, _stream) = tokio::join!(told, pod);
    assert_eq!(told, vec![Ok(()); 10]);
}

#[tokio::test]
async fn the_pod_is_told_who_has_gone_and_may_have_answered_them() {
    let (cluster, mut streams) = start().await;
    let call = async {
        let mut stream = streams.recv().await.unwrap();
        let id = stream.heard().await.calls[0].id;
        (stream, id)
    };
    let (mut stream, id) = tokio::select! {
        told = tell(&cluster, 1) => panic!("{told:?}"),
        called = call => called,
    };
    assert_eq!(stream.heard().await, v1::Calls { calls: Vec::new(), left: vec![id] });
    stream.answer([done(id)]);
    let next = async {
        let call = stream.heard().await.calls.pop().unwrap();
        assert_ne!(call.id, id);
        stream.answer([done(call.id)]);
    };
    let (told, ()) = tokio::join!(tell(&cluster, 2), next);
    assert_eq!(told, Ok(()));
}

/// Asked for again: on a stream of its own, with the same contents.
#[tokio::test]
async fn a_call_on_a_stream_that_ends_is_asked_for_on_the_next() {
    for last in [None, Some(Status::internal("odd")), Some(Status::resource_exhausted("odd"))] {
        let (cluster, mut streams) = start().await;
        let pod = async {
            let mut stream = streams.recv().await.unwrap();
            let first = stream.heard().await.calls.pop().unwrap();
            if let Some(status) = last {
                stream.answers.send(Err(status)).unwrap();
            }
            drop(stream);
            let mut stream = streams.recv().await.unwrap();
            let second = stream.heard().await.calls.pop().unwrap();
            assert_eq!(first.request, second.request);
            stream.answer([done(second.id)]);
            stream
        };
        let (told, _stream) = tokio::join!(tell(&cluster, 1), pod);
        assert_eq!(told, Ok(()));
    }
}

/// Whatever it ended with, it had been handed over.
#[tokio::test]
async fn a_call_on_streams_that_all_end_is_uncertain() {
    let (cluster, mut streams) = start().await;
    let pod = async {
        while let Some(mut stream) = streams.recv().await {
            if let Ok(Some(_)) = stream.calls.message().await {
                let _ = stream.answers.send(Err(Status::unimplemented("odd")));
            }
        }
    };
    let error = tokio::select! {
        told = tell(&cluster, 1) => told.unwrap_err(),
        () = pod => unreachable!("streams can come as long as there is a cluster"),
    };
    assert_eq!(error.class(), ErrorClass::Uncertain, "{error}");
}

/// What was asked before is answered on the stream that closes, and what comes then goes elsewhere.
#[tokio::test]
async fn a_pod_that_closes_a_stream_is_asked_nothing_more_on_it() {
    let (cluster, mut streams) = start().await;
    let pod = async {
        let mut first = streams.recv().await.unwrap();
        let before = first.heard().await.calls.pop().unwrap();
        first.answers.send(Ok(v1::Answers { answers: Vec::new(), closing: true })).unwrap();
        let ended = timeout(SOON, first.calls.message()).await.unwrap();
        assert_eq!(ended.unwrap(), None, "nothing more will be written");
        let then = async {
            let mut second = streams.recv().await.unwrap();
            let call = second.heard().await.calls.pop().unwrap();
            second.answer([done(call.id)]);
            second
        };
        let (told, second) = tokio::join!(tell(&cluster, 2), then);
        assert_eq!(told, Ok(()));
        first.answer([done(before.id)]);
        (first, second)
    };
    let (told, _streams) = tokio::join!(tell(&cluster, 1), pod);
    assert_eq!(told, Ok(()));
}
