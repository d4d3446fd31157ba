//! Calls that are made often, over the one stream that carries them.

use std::{sync::atomic::Ordering, time::Duration};

use domain::{ErrorClass, SessionId};
use futures_util::future::join_all;
use ports::{
    Orgs as _,
    orgs::{OrgsError, Within},
    placement::Pod,
};
use tokio::time::timeout;
use uuid::Uuid;

use crate::{
    cluster::{Cluster, Member, ORG, SECRET, payment, send_terms},
    fake::Does,
};

const WITHIN: Within = Within { end: Duration::from_secs(5), begin: None };
const SOON: Duration = Duration::from_secs(5);

#[tokio::test]
async fn each_answer_comes_to_its_caller() {
    const CALLERS: u128 = 500;
    let (cluster, one, _) = Cluster::start().await;
    let sends = (0..CALLERS).map(|number| {
        let sent = cluster.forward.send(ORG, payment(number), send_terms(), WITHIN);
        async move { assert_eq!(sent.await.unwrap().payment.id, payment(number)) }
    });
    join_all(sends).await;
    assert_eq!(one.engine.asked().len(), usize::try_from(CALLERS).unwrap());
    assert_eq!(cluster.reads(), 0);
}

/// Rule 9 between pods: all that was on the stream is asked for again, under the same ids.
#[tokio::test]
async fn a_broken_stream_loses_nothing_that_was_on_it() {
    const CALLERS: u128 = 50;
    let (cluster, one, _) = Cluster::start().await;
    one.engine.next((1..CALLERS).map(|_| Does::FallsSilent).chain([Does::HangsUp]));
    let sends = (0..CALLERS).map(|number| {
        let sent = cluster.forward.send(ORG, payment(number), send_terms(), WITHIN);
        async move {
            let sent = sent.await.unwrap();
            assert_eq!((sent.payment.id, sent.repeat), (payment(number), true));
        }
    });
    join_all(sends).await;
    assert_eq!(one.engine.asked().len(), 2 * usize::try_from(CALLERS).unwrap());
    assert_eq!(cluster.payments(), usize::try_from(CALLERS).unwrap());
}

/// As a call of its own is dropped by the engine when its caller hangs up.
#[tokio::test]
async fn a_caller_who_goes_is_left_by_the_engine() {
    let (cluster, one, _) = Cluster::start().await;
    one.engine.next([Does::Waits, Does::Sleeps]);
    let stays = cluster.forward.send(ORG, payment(1), send_terms(), WITHIN);
    let goes = async {
        one.engine.asleep.notified().await;
        let send = cluster.forward.send(ORG, payment(2), send_terms(), WITHIN);
        tokio::select! {
            sent = send => panic!("{sent:?}"),
            () = one.engine.asleep.notified() => {}
        }
        timeout(SOON, one.engine.left.notified()).await.unwrap();
        one.engine.awake.notify_one();
    };
    let (sent, ()) = tokio::join!(stays, goes);
    assert!(!sent.unwrap().repeat, "nobody else has noticed");
    assert_eq!(one.engine.asked(), ["send 1", "send 2"]);
    assert_eq!(cluster.payments(), 1);
}

/// Its gateway counts with more places than there are.
#[tokio::test]
async fn a_call_without_a_place_is_refused_and_takes_no_other_with_it() {
    let mut cluster = Cluster::empty(SECRET);
    let one = cluster.join_with_places(2, 1).await;
    cluster.owned_by(&[&one], Some(&one)).await;
    one.engine.next([Does::Waits, Does::Waits]);
    let send = |number| cluster.forward.send(ORG, payment(number), send_terms(), WITHIN);
    let third = async {
        while one.engine.asked().len() < 2 {
            tokio::task::yield_now().await;
        }
        let error = send(3).await.unwrap_err();
        assert!(matches!(error, OrgsError::Unavailable(_)), "{error}");
        assert_eq!(one.engine.asked().len(), 2);
        (0..2).for_each(|_| one.engine.awake.notify_one());
    };
    let (first, second, ()) = tokio::join!(send(1), send(2), third);
    for sent in [first, second, send(3).await] {
        assert!(!sent.unwrap().repeat, "it was asked for once");
    }
}

#[tokio::test]
async fn a_call_that_breaks_off_takes_no_other_with_it() {
    let (cluster, one, _) = Cluster::start().await;
    one.engine.next([Does::Waits, Does::Panics]);
    let waits = cluster.forward.send(ORG, payment(1), send_terms(), WITHIN);
    let breaks_off = async {
        one.engine.asleep.notified().await;
        let sent = cluster.forward.send(ORG, payment(2), send_terms(), WITHIN).await.unwrap();
        assert!(sent.repeat, "whether it had been done was not known");
        one.engine.awake.notify_one();
    };
    let (sent, ()) = tokio::join!(waits, breaks_off);
    assert!(!sent.unwrap().repeat);
    assert_eq!(one.engine.asked(), ["send 1", "send 2", "send 2"]);
}

/// At the address where it listens itself, where nobody is when it has stopped.
async fn alone(cluster: &Cluster, one: &Member) -> Member {
    let alone = one.at(one.listens.to_string());
    cluster.owned_by(&[&alone], Some(&alone)).await;
    alone
}

#[tokio::test]
async fn an_engine_that_stops_answers_what_is_under_way_and_takes_nothing_more() {
    let (cluster, one, _) = Cluster::start().await;
    let one = alone(&cluster, &one).await;
    one.engine.next([Does::Waits]);
    let under_way = cluster.forward.send(ORG, payment(1), send_terms(), WITHIN);
    let stops = async {
        one.engine.asleep.notified().await;
        one.door.closes.notify_one();
        let late = cluster.forward.send(ORG, payment(2), send_terms(), Duration::ZERO.into());
        let error = late.await.map(|sent| sent.repeat);
        one.engine.awake.notify_one();
        error
    };
    let (sent, late) = tokio::join!(under_way, stops);
    assert!(!sent.unwrap().repeat, "it had its answer from the first that was asked");
    timeout(SOON, one.door.closed.notified()).await.expect("nothing keeps it");
    // One that was already on its way there when it stopped is answered as well.
    if let Err(error) = late {
        assert_eq!(error.class(), ErrorClass::Unavailable, "{error}");
    }
    let asked = one.engine.asked();
    let after = cluster.forward.send(ORG, payment(3), send_terms(), Duration::ZERO.into());
    assert_eq!(after.await.unwrap_err().class(), ErrorClass::Unavailable);
    assert_eq!(one.engine.asked(), asked);
}

/// A stream that nobody uses keeps no engine from stopping.
#[tokio::test]
async fn an_engine_that_nobody_asks_stops_at_once() {
    let (cluster, one, _) = Cluster::start().await;
    let one = alone(&cluster, &one).await;
    cluster.forward.send(ORG, payment(1), send_terms(), WITHIN).await.unwrap();
    one.door.closes.notify_one();
    timeout(SOON, one.door.closed.notified()).await.expect("nothing keeps it");
}

/// An engine of a version without streams is asked for one in each of its lives.
#[tokio::test]
async fn an_older_engine_is_called_as_it_knows_it() {
    let mut cluster = Cluster::empty(SECRET);
    let one = cluster.join_older(1, None).await;
    cluster.owned_by(&[&one], Some(&one)).await;
    let next_life = Pod { session: SessionId::new(Uuid::from_u128(9)), ..one.pod.clone() };
    let next_life = Member { pod: next_life, ..one.clone() };
    for (life, streams) in [(&one, 1), (&next_life, 2)] {
        cluster.owned_by(&[life], Some(life)).await;
        let sends = (0..20).map(|number| {
            let sent = cluster.forward.send(ORG, payment(number), send_terms(), WITHIN);
            async { sent.await.unwrap() }
        });
        join_all(sends).await;
        assert_eq!(one.engine.streams.load(Ordering::Relaxed), streams);
    }
    assert_eq!((one.engine.asked().len(), cluster.payments()), (40, 20));
}
