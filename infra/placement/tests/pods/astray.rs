//! Calls that go to a pod that does not own the organisation, or no longer.

use std::time::Duration;

use domain::{ErrorClass, Rejection, SessionId, WalletId};
use ports::{
    Orgs as _,
    orgs::{OrgsError, Within},
};
use uuid::Uuid;

use crate::{
    cluster::{Cluster, ORG, payment, send_terms},
    fake::Does,
};

const WITHIN: Within = Within { end: Duration::from_secs(5), begin: None };

fn not_owner(owner: Option<SessionId>) -> Does {
    Does::Answers(OrgsError::NotOwner { owner })
}

#[tokio::test]
async fn a_wrong_owner_says_whom_to_ask() {
    let (cluster, one, two) = Cluster::start().await;
    one.engine.next([not_owner(Some(two.pod.session))]);
    cluster.forward.send(ORG, payment(1), send_terms(), WITHIN).await.unwrap();
    assert_eq!(one.engine.asked(), ["send 1"]);
    assert_eq!(two.engine.asked(), ["send 1"]);
}

#[tokio::test]
async fn an_organisation_on_the_move_is_waited_for() {
    let (cluster, one, two) = Cluster::start().await;
    one.engine.next([not_owner(None), not_owner(None), not_owner(None)]);
    cluster.store_says(&[&one, &two], Some(&two));
    // A caller who does not wait at all is held, too.
    cluster.forward.send(ORG, payment(1), send_terms(), Duration::ZERO.into()).await.unwrap();
    assert_eq!(two.engine.asked(), ["send 1"]);
    assert!((1..=3).contains(&one.engine.asked().len()), "{:?}", one.engine.asked());
}

#[tokio::test]
async fn two_that_name_each_other_are_not_asked_for_ever() {
    let (cluster, one, two) = Cluster::start().await;
    for _ in 0..100 {
        one.engine.next([not_owner(Some(two.pod.session))]);
        two.engine.next([not_owner(Some(one.pod.session))]);
    }
    let send = cluster.forward.send(ORG, payment(1), send_terms(), Duration::ZERO.into());
    let error = send.await.unwrap_err();
    assert_eq!((error.class(), error.code()), (ErrorClass::Unavailable, "owner_moving"));
    let asked = one.engine.asked().len() + two.engine.asked().len();
    assert!(asked < 40, "{asked}");
    assert_eq!(cluster.payments(), 0);
}

#[tokio::test]
async fn nobody_owns_it() {
    let (cluster, one, two) = Cluster::start().await;
    cluster.owned_by(&[&one, &two], None).await;
    let send = cluster.forward.send(ORG, payment(1), send_terms(), Duration::ZERO.into());
    assert_eq!(send.await, Err(OrgsError::NotOwner { owner: None }));

    let send = cluster.forward.send(ORG, payment(1), send_terms(), WITHIN);
    let claimed = async {
        // It has begun to wait by then, or finds the owner at once: the answer is the same.
        tokio::task::yield_now().await;
        cluster.store_says(&[&one, &two], Some(&two));
    };
    let (sent, ()) = tokio::join!(send, claimed);
    sent.unwrap();
    assert_eq!(two.engine.asked(), ["send 1"]);
}

#[tokio::test]
async fn a_refusal_comes_back_with_its_values_and_is_not_asked_for_again() {
    let (cluster, one, two) = Cluster::start().await;
    for error in [
        OrgsError::Rejected(Rejection::WalletNotFound(WalletId::new(Uuid::from_u128(5)))),
        OrgsError::Rejected(Rejection::TooManyOpen(7)),
        OrgsError::NotFound(ORG),
        OrgsError::Unavailable("the store is away".to_owned()),
        OrgsError::Busy { retry_after: Duration::from_millis(1_250) },
        OrgsError::Frozen("a restored node".to_owned()),
        OrgsError::OlderPods("engine-1".to_owned()),
    ] {
        one.engine.next([Does::Answers(error.clone())]);
        let send = cluster.forward.send(ORG, payment(1), send_terms(), WITHIN);
        assert_eq!(send.await, Err(error));
    }
    assert_eq!(one.engine.asked().len(), 7);
    assert_eq!(two.engine.asked(), [""; 0]);
}

/// A process that is paused does not say that it has lost its organisations: the map does.
#[tokio::test]
async fn a_call_is_left_when_its_organisation_moves_meanwhile() {
    let (cluster, one, two) = Cluster::start().await;
    one.engine.next([Does::Sleeps]);
    let send = cluster.forward.send(ORG, payment(1), send_terms(), WITHIN);
    let moves = async {
        one.engine.asleep.notified().await;
        cluster.store_says(&[&two], Some(&two));
    };
    let (sent, ()) = tokio::join!(send, moves);
    sent.unwrap();
    assert_eq!(two.engine.asked(), ["send 1"]);
}

/// A pod whose lease was over begins again: until it has, it owns nothing.
#[tokio::test]
async fn a_pod_between_two_lives_owns_nothing() {
    let (cluster, one, _) = Cluster::start().await;
    let life = one.life.send_replace(None);
    let send = cluster.forward.send(ORG, payment(1), send_terms(), Duration::ZERO.into());
    assert_eq!(send.await, Err(OrgsError::NotOwner { owner: None }));
    assert_eq!(cluster.payments(), 0);
    one.life.send_replace(life);
    cluster.forward.send(ORG, payment(1), send_terms(), Duration::ZERO.into()).await.unwrap();
}
