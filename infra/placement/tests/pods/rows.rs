//! The payment in an answer, and the store where an answer has none.

use std::time::Duration;

use domain::{
    EnvironmentId, ErrorClass,
    org::{Environment, Metadata, Row, SendTerms},
};
use ports::{Orgs as _, orgs::Within};
use prost::bytes::Bytes;
use uuid::Uuid;

use crate::cluster::{Cluster, Member, ORG, SECRET, payment, receive_terms, send_terms};

const WITHIN: Within = Within { end: Duration::from_secs(5), begin: None };

/// The only engine is one of another version.
async fn older(row: Option<Bytes>) -> (Cluster, Member) {
    let mut cluster = Cluster::empty(SECRET);
    let one = cluster.join_older(1, row).await;
    cluster.owned_by(&[&one], Some(&one)).await;
    (cluster, one)
}

#[tokio::test]
async fn what_an_engine_answers_is_not_read_again() {
    let (cluster, ..) = Cluster::start().await;
    cluster.store_is_away(true);
    let sent = cluster.forward.send(ORG, payment(1), send_terms(), WITHIN).await.unwrap();
    assert_eq!((sent.payment.id, &*sent.payment.terms), (payment(1), &send_terms()));
    let asked = cluster.forward.receive(ORG, payment(2), receive_terms(), WITHIN).await.unwrap();
    assert_eq!((asked.payment.id, &asked.payment.terms), (payment(2), &receive_terms()));
    let row = cluster.forward.wait(ORG, payment(1), WITHIN.end).await.unwrap();
    assert_eq!(row, Row::Outgoing(sent.payment));
    let row = cluster.forward.cancel(ORG, payment(2), WITHIN.end).await.unwrap();
    assert_eq!(row, Row::Incoming(asked.payment));
    assert_eq!(cluster.reads(), 0);
}

/// Nothing but the rules keeps a payment small, and they are not asked again on the way back.
#[tokio::test]
async fn a_payment_too_large_for_an_answer_is_read_from_the_store() {
    let (cluster, one, _) = Cluster::start().await;
    let metadata = Metadata::from([("much".to_owned(), "x".repeat(300_000))]);
    let large = SendTerms { metadata, ..send_terms() };
    let sent = cluster.forward.send(ORG, payment(1), large.clone(), WITHIN).await.unwrap();
    assert_eq!((&*sent.payment.terms, sent.repeat), (&large, false));
    let row = cluster.forward.wait(ORG, payment(1), WITHIN.end).await.unwrap();
    assert_eq!(row, Row::Outgoing(sent.payment));
    assert_eq!(cluster.reads(), 2);
    assert_eq!(one.engine.asked(), ["send 1", "wait 1"], "nothing was asked for again");
}

/// As long as engines are replaced one by one.
#[tokio::test]
async fn without_a_row_that_can_be_read_the_store_is_asked() {
    let name = "of something else".to_owned();
    let other = Row::Environment(
        EnvironmentId::new(Uuid::from_u128(3)),
        Environment { name, first_name: None },
    );
    let other = Bytes::from(codec::row_to_bytes(&other));
    for row in
        [None, Some(Bytes::new()), Some(b"\xffof a later version".to_vec().into()), Some(other)]
    {
        let (cluster, one) = older(row).await;
        for repeat in [false, true] {
            let sent = cluster.forward.send(ORG, payment(1), send_terms(), WITHIN).await.unwrap();
            assert_eq!((&*sent.payment.terms, sent.repeat), (&send_terms(), repeat));
            let asked = cluster.forward.receive(ORG, payment(2), receive_terms(), WITHIN).await;
            let asked = asked.unwrap();
            assert_eq!((&asked.payment.terms, asked.repeat), (&receive_terms(), repeat));
        }
        let row = cluster.forward.wait(ORG, payment(1), WITHIN.end).await.unwrap();
        assert!(matches!(row, Row::Outgoing(sent) if sent.id == payment(1)));
        let row = cluster.forward.cancel(ORG, payment(2), WITHIN.end).await.unwrap();
        assert!(matches!(row, Row::Incoming(asked) if asked.id == payment(2)));
        assert_eq!(cluster.reads(), 6);
        let asked = ["send 1", "receive 2", "send 1", "receive 2", "wait 1", "cancel 2"];
        assert_eq!(one.engine.asked(), asked);
    }
}

/// A row of another payment is not taken for this one, whoever mistook it.
#[tokio::test]
async fn the_row_of_another_payment_is_not_taken_for_this_one() {
    let (other, ..) = Cluster::start().await;
    let sent = other.forward.send(ORG, payment(7), send_terms(), WITHIN).await.unwrap();
    let (cluster, _) = older(Some(codec::row_to_bytes(&Row::Outgoing(sent.payment)).into())).await;
    let sent = cluster.forward.send(ORG, payment(1), send_terms(), WITHIN).await.unwrap();
    assert_eq!((sent.payment.id, cluster.reads()), (payment(1), 1));
}

/// Committed, but it cannot be shown: nobody may take it for not done.
#[tokio::test]
async fn a_store_that_goes_away_after_the_commit_leaves_it_uncertain() {
    let (cluster, one) = older(None).await;
    cluster.store_is_away(true);
    let send = cluster.forward.send(ORG, payment(1), send_terms(), Duration::ZERO.into());
    assert_eq!(send.await.unwrap_err().class(), ErrorClass::Uncertain);
    assert_eq!(one.engine.asked(), ["send 1"]);
    cluster.store_is_away(false);
    cluster.forward.send(ORG, payment(1), send_terms(), Duration::ZERO.into()).await.unwrap();
    assert_eq!(cluster.payments(), 1);
}

/// Of older engines it is the store that shows it.
#[tokio::test]
async fn an_id_of_the_other_direction_is_not_mistaken() {
    let (newer, ..) = Cluster::start().await;
    let (older, _) = older(None).await;
    for cluster in [newer, older] {
        cluster.forward.receive(ORG, payment(1), receive_terms(), WITHIN).await.unwrap();
        let error = cluster.forward.send(ORG, payment(1), send_terms(), WITHIN).await.unwrap_err();
        assert_eq!(error.code(), "id_reused");
    }
}
