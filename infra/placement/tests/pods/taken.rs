//! Calls that find their owner at once.

use std::time::Duration;

use domain::{
    EnvironmentId, Msat, NodeId, PaymentHash, WalletId,
    org::{Backing, ClaimAnswer, ClaimRequest, Command, Metadata, Row},
};
use ports::{Orgs as _, Peers as _, orgs::Within, receipts::OpenReceipt};
use uuid::Uuid;

use crate::cluster::{Cluster, ORG, payment, receive_terms, send_terms};

const WITHIN: Within = Within { end: Duration::from_secs(5), begin: None };

#[tokio::test]
async fn payments_are_asked_of_the_owner() {
    let (cluster, one, two) = Cluster::start().await;
    for repeat in [false, true] {
        let sent = cluster.forward.send(ORG, payment(1), send_terms(), WITHIN).await.unwrap();
        assert_eq!((sent.payment.id, &*sent.payment.terms), (payment(1), &send_terms()));
        let asked = cluster.forward.receive(ORG, payment(2), receive_terms(), WITHIN).await;
        let asked = asked.unwrap();
        assert_eq!((asked.payment.id, &asked.payment.terms), (payment(2), &receive_terms()));
        assert_eq!((sent.repeat, asked.repeat), (repeat, repeat));
        let row = cluster.forward.wait(ORG, payment(1), WITHIN.end).await.unwrap();
        assert_eq!(row, Row::Outgoing(sent.payment));
    }
    let asked = cluster.forward.cancel(ORG, payment(2), WITHIN.end).await.unwrap();
    assert!(matches!(asked, Row::Incoming(asked) if asked.id == payment(2)));
    assert_eq!(one.engine.asked().last().unwrap(), "cancel 2");
    assert_eq!(one.engine.asked()[..4], ["send 1", "receive 2", "wait 1", "send 1"]);
    assert_eq!(two.engine.asked(), [""; 0]);
}

/// The owner is told until when its caller waits at all, and not what was left when the call began.
#[tokio::test]
async fn a_deadline_goes_along() {
    let (cluster, one, _) = Cluster::start().await;
    let begin = Duration::from_secs(3);
    let within = Within { begin: Some(begin), ..WITHIN };
    cluster.forward.send(ORG, payment(1), send_terms(), within).await.unwrap();
    let left = one.engine.begin.lock().unwrap().take();
    assert!(left.is_some_and(|left| left < begin), "{left:?}");
    cluster.forward.send(ORG, payment(2), send_terms(), WITHIN).await.unwrap();
    assert_eq!(*one.engine.begin.lock().unwrap(), None);
}

#[tokio::test]
async fn commands_and_what_peers_ask_arrive_whole() {
    let (cluster, one, _) = Cluster::start().await;
    let command = Command::CreateWallet {
        wallet: WalletId::new(Uuid::from_u128(2)),
        environment: EnvironmentId::new(Uuid::from_u128(3)),
        name: "till".to_owned(),
        backing: Backing::Node(NodeId::new(Uuid::from_u128(4))),
        limit_msat: Msat::SUPPLY,
        metadata: Metadata::from([("shop".to_owned(), "7".to_owned())]),
    };
    cluster.forward.administer(ORG, command.clone()).await.unwrap();
    let request = ClaimRequest {
        payer: ORG,
        payer_payment: payment(1),
        payment: payment(2),
        hash: PaymentHash([7; 32]),
        amount_msat: Msat::SUPPLY,
    };
    cluster.forward.claim(ORG, request, "lnbcrt1".to_owned()).await.unwrap();
    cluster.forward.answer_claim(ORG, payment(1), ClaimAnswer::Credited).await.unwrap();
    let receipt = OpenReceipt {
        org: ORG,
        payment: payment(2),
        node: NodeId::new(Uuid::from_u128(4)),
        hash: PaymentHash([7; 32]),
        paid_msat: Msat::SUPPLY,
    };
    cluster.forward.book_receipt(receipt).await.unwrap();
    let wanted = [
        format!("{command:?}"),
        format!("claim {request:?} lnbcrt1"),
        "Credited 1".to_owned(),
        format!("{receipt:?}"),
    ];
    assert_eq!(one.engine.asked(), wanted);
}

/// What only the owner can know does not come from elsewhere.
#[tokio::test]
async fn a_command_of_the_owner_itself_is_not_passed_on() {
    let (cluster, one, _) = Cluster::start().await;
    cluster.forward.administer(ORG, Command::Drive { payment: payment(1) }).await.unwrap_err();
    assert_eq!(one.engine.asked(), [""; 0]);
}
