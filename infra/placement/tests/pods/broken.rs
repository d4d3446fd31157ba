//! Connections that are never made, or break under a call.

use std::time::Duration;

use domain::{ErrorClass, org::Row};
use futures_util::future::join_all;
use ports::{Orgs as _, orgs::Within};
use tokio::{
    net::TcpListener,
    time::{Instant, timeout_at},
};

use crate::{
    cluster::{Cluster, ORG, payment, send_terms},
    fake::Does,
};

const WITHIN: Within = Within { end: Duration::from_secs(5), begin: None };

/// Rule 9 between pods: what was handed over is asked for again, under the same id.
#[tokio::test]
async fn a_send_that_is_cut_off_is_repeated_and_made_once() {
    let (cluster, one, _) = Cluster::start().await;
    one.engine.next([Does::HangsUp, Does::HangsUp]);
    let sent = cluster.forward.send(ORG, payment(1), send_terms(), WITHIN).await.unwrap();
    assert_eq!((sent.payment.id, sent.repeat), (payment(1), true));
    assert_eq!(one.engine.asked(), ["send 1", "send 1", "send 1"]);
    assert_eq!(cluster.payments(), 1);
}

#[tokio::test]
async fn a_send_that_is_cut_off_every_time_is_uncertain() {
    let (cluster, one, _) = Cluster::start().await;
    one.engine.next((0..100).map(|_| Does::HangsUp));
    let send = cluster.forward.send(ORG, payment(1), send_terms(), Duration::ZERO.into());
    let error = send.await.unwrap_err();
    assert_eq!((error.class(), error.code()), (ErrorClass::Uncertain, "outcome_unknown"));
    assert!(one.engine.asked().len() > 1, "it was repeated");
}

/// Where nobody listens nothing was handed over.
#[tokio::test]
async fn a_pod_that_is_not_there_certainly_took_nothing() {
    let (cluster, one, two) = Cluster::start().await;
    let gone = one.gone().await;
    cluster.owned_by(&[&gone], Some(&gone)).await;
    let send = cluster.forward.send(ORG, payment(1), send_terms(), Duration::ZERO.into());
    let error = send.await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unavailable, "{error}");

    // Its lease ends, and another takes over while the caller waits.
    let send = cluster.forward.send(ORG, payment(1), send_terms(), WITHIN);
    let takes_over = async { cluster.store_says(&[&two], Some(&two)) };
    let (sent, ()) = tokio::join!(send, takes_over);
    sent.unwrap();
    assert_eq!(two.engine.asked(), ["send 1"]);
}

/// However many wait for a pod that has died, it is asked as if by one.
#[tokio::test]
async fn a_pod_that_is_lost_is_asked_by_one() {
    const CALLERS: u128 = 200;
    let (cluster, one, two) = Cluster::start().await;
    let dying = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dead = one.at(dying.local_addr().unwrap().to_string());
    cluster.owned_by(&[&dead], Some(&dead)).await;
    let sends = (0..CALLERS).map(|number| {
        let sent = cluster.forward.send(ORG, payment(number), send_terms(), WITHIN);
        async { sent.await.unwrap() }
    });
    let taken_over = async {
        let (until, mut asked) = (Instant::now() + Duration::from_secs(1), 0_u128);
        while let Ok(Ok((connection, _))) = timeout_at(until, dying.accept()).await {
            drop(connection);
            asked += 1;
        }
        cluster.store_says(&[&two], Some(&two));
        asked
    };
    let (_, asked) = tokio::join!(join_all(sends), taken_over);
    // All of them at once at first, over one connection; without a bound each, every tenth of a second.
    assert!((2..CALLERS / 2).contains(&asked), "{asked}");
    assert_eq!(two.engine.asked().len(), usize::try_from(CALLERS).unwrap());
}

#[tokio::test]
async fn an_address_that_is_none_is_said_so() {
    let (cluster, one, _) = Cluster::start().await;
    let odd = one.at("not an address".to_owned());
    cluster.owned_by(&[&odd], Some(&odd)).await;
    let send = cluster.forward.send(ORG, payment(1), send_terms(), Duration::ZERO.into());
    let error = send.await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unavailable);
    assert!(error.to_string().contains("not an address"), "{error}");
}

#[tokio::test]
async fn a_payment_can_be_looked_at_while_its_owner_is_away() {
    let (cluster, one, two) = Cluster::start().await;
    let sent = cluster.forward.send(ORG, payment(1), send_terms(), WITHIN).await.unwrap();
    cluster.owned_by(&[&one, &two], None).await;
    let row = cluster.forward.wait(ORG, payment(1), Duration::ZERO).await.unwrap();
    assert_eq!(row, Row::Outgoing(sent.payment));
    let error = cluster.forward.wait(ORG, payment(2), Duration::ZERO).await.unwrap_err();
    assert_eq!(error.code(), "payment_not_found");
    cluster.store_is_away(true);
    let error = cluster.forward.wait(ORG, payment(1), Duration::ZERO).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unavailable);
}
