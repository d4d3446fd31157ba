//! Payments that their callers want no more.

use domain::ErrorClass::NotFound;
use futures_util::future::{join, join_all};
use lightning_sim::control_proto as sim;
use proto::v1::{CancelRequest, Payment, PaymentStatus, SendRequest};
use tests::world::{Customer, new_id};

use crate::bed::{Bed, LIMIT_MSAT, failed_with, refused, said_no};

const AMOUNT_MSAT: u64 = 50_000;

async fn cancel(bed: &Bed, customer: &Customer, id: &str, wait_seconds: u32) -> Payment {
    let request = CancelRequest { id: id.to_owned(), wait_seconds: Some(wait_seconds) };
    let answer = customer.payments(bed.channel.clone()).cancel(request).await;
    answer.expect("a payment of ours can be cancelled").into_inner()
}

async fn invoice(bed: &Bed, customer: &Customer) -> Payment {
    let request = customer.receive(&new_id(), Some(AMOUNT_MSAT));
    let asked = customer.payments(bed.channel.clone()).receive(request).await;
    let asked = asked.expect("an invoice is made").into_inner();
    assert_eq!(asked.status(), PaymentStatus::Receiving, "{asked:?}");
    asked
}

/// Whether somebody outside can pay it.
async fn is_paid_from_outside(bed: &Bed, invoice: &str) -> bool {
    let request = sim::PayRequest {
        node: "bob".to_owned(),
        payment_request: invoice.to_owned(),
        fee_limit_msat: AMOUNT_MSAT,
        wait_ms: 10_000,
        ..Default::default()
    };
    let paid = bed.world.outside().pay(request).await;
    paid.is_ok_and(|paid| paid.into_inner().status == "SUCCEEDED")
}

/// Rule 20: the node is told, and then nobody can pay it.
#[tokio::test]
async fn an_open_invoice() {
    let bed = Bed::make().await;
    let asked = invoice(&bed, &bed.acme).await;
    let said = bed.cli(&bed.acme, &["payment", "cancel", &asked.id]).await;
    assert_eq!((said.code, said.document["status"].as_str()), (0, Some("expired")), "{said:?}");
    assert!(!is_paid_from_outside(&bed, &asked.invoice).await);
    let inside = bed.sent(&bed.globex, bed.globex.send(&new_id(), &asked.invoice)).await;
    failed_with(&inside, "payee_refused");
    let again = cancel(&bed, &bed.acme, &asked.id, 0).await;
    assert_eq!((again.status(), again.cancel_requested), (PaymentStatus::Expired, false));
    assert_eq!(bed.wallet(&bed.acme).await.available_msat.unsigned_abs(), LIMIT_MSAT);
    bed.books().await;
}

/// Rule 21.
#[tokio::test]
async fn an_invoice_that_was_paid_before() {
    let bed = Bed::make().await;
    let asked = invoice(&bed, &bed.acme).await;
    assert!(is_paid_from_outside(&bed, &asked.invoice).await);
    let said = bed.cli(&bed.acme, &["payment", "cancel", "--wait-seconds", "30", &asked.id]).await;
    assert_eq!((said.code, said.document["status"].as_str()), (1, Some("completed")), "{said:?}");
    let wallet = bed.wallet(&bed.acme).await;
    assert_eq!(wallet.available_msat.unsigned_abs(), LIMIT_MSAT + AMOUNT_MSAT);
    bed.books().await;
}

/// Rule 20: whoever is first has it, and both sides agree who that was.
#[tokio::test(flavor = "multi_thread")]
async fn a_claim_and_a_cancel_at_once() {
    const TIMES: usize = 100;
    let bed = Bed::make().await;
    let asked = join_all((0..TIMES).map(|_| invoice(&bed, &bed.globex))).await;
    let both = asked.iter().enumerate().map(|(number, asked)| {
        let send = bed.acme.send(&new_id(), &asked.invoice);
        let bed = &bed;
        // Every second cancel has a start, so that each side wins now and then.
        join(
            async move {
                if number % 2 == 0 {
                    bed.wallet(&bed.acme).await;
                }
                bed.sent(&bed.acme, send).await
            },
            async move { cancel(bed, &bed.globex, &asked.id, 30).await },
        )
    });
    let ended = join_all(both).await;
    let mut paid = 0;
    for (sent, received) in &ended {
        if received.status() == PaymentStatus::Completed {
            assert_eq!(sent.status(), PaymentStatus::Completed, "{sent:?}");
            paid += AMOUNT_MSAT;
        } else {
            assert_eq!(received.status(), PaymentStatus::Expired, "{received:?}");
            failed_with(sent, "payee_refused");
        }
    }
    let left = bed.wallet(&bed.acme).await.available_msat.unsigned_abs();
    let there = bed.wallet(&bed.globex).await.available_msat.unsigned_abs();
    assert_eq!((LIMIT_MSAT - left, there - LIMIT_MSAT), (paid, paid));
    bed.books().await;
}

/// Rules 9 and 10: it goes on, its hold stays, and it is paid.
#[tokio::test]
async fn a_send_in_flight() {
    let bed = Bed::make().await;
    let invoice = bed.world.invoice("alice", AMOUNT_MSAT, "sim:slow:3000").await;
    let request = SendRequest { wait_seconds: 0, ..bed.acme.send(&new_id(), &invoice) };
    bed.sent(&bed.acme, request.clone()).await;
    let said = bed.cli(&bed.acme, &["payment", "cancel", "--wait-seconds", "0", &request.id]).await;
    assert_eq!((said.code, said.document["status"].as_str()), (3, Some("sending")), "{said:?}");
    assert_eq!(said.document["cancel_requested"], true);
    assert!(bed.wallet(&bed.acme).await.held_msat >= AMOUNT_MSAT);
    let ended = cancel(&bed, &bed.acme, &request.id, 30).await;
    assert_eq!(ended.status(), PaymentStatus::Completed, "{ended:?}");
    assert_eq!(bed.settlements().await.len(), 1);
    bed.books().await;
}

/// Two nodes could pay it; after the first has failed it, the second is not asked.
#[tokio::test]
async fn a_send_that_its_node_fails() {
    let bed = Bed::make().await;
    let invoice = bed.world.invoice("alice", AMOUNT_MSAT, "sim:timeout:1500").await;
    let request = SendRequest { wait_seconds: 0, ..bed.acme.send(&new_id(), &invoice) };
    bed.sent(&bed.acme, request.clone()).await;
    let ended = cancel(&bed, &bed.acme, &request.id, 30).await;
    failed_with(&ended, "cancelled");
    assert_eq!(ended.attempts.len(), 1, "{ended:?}");
    let wallet = bed.wallet(&bed.acme).await;
    assert_eq!((wallet.held_msat, wallet.available_msat.unsigned_abs()), (0, LIMIT_MSAT));
    bed.books().await;
}

#[tokio::test]
async fn what_is_not_there() {
    let bed = Bed::make().await;
    let asked = invoice(&bed, &bed.acme).await;
    for id in [asked.id, new_id()] {
        let request = CancelRequest { id: id.clone(), wait_seconds: None };
        let answer = bed.globex.payments(bed.channel.clone()).cancel(request).await;
        refused(answer, NotFound, "payment_not_found");
        let said = bed.cli(&bed.globex, &["payment", "cancel", &id]).await;
        said_no(&said, NotFound, "payment_not_found");
    }
}
