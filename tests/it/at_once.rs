//! The same thing a thousand times at once.

use futures_util::future::join_all;
use proto::v1::{Payment, PaymentStatus, SendRequest};
use tests::world::new_id;
use tonic::{Code, Response};

use crate::bed::{Bed, LIMIT_MSAT, failed_with};

const TIMES: usize = 1_000;
const AMOUNT_MSAT: u64 = 50_000;

async fn all_at_once(bed: &Bed, requests: Vec<SendRequest>) -> Vec<Payment> {
    join_all(requests.into_iter().map(|request| bed.sent(&bed.acme, request))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_id_a_thousand_times_at_once() {
    let bed = Bed::make().await;
    let invoice = bed.world.invoice("alice", AMOUNT_MSAT, "").await;
    let request = bed.acme.send(&new_id(), &invoice);
    let answers = all_at_once(&bed, vec![request.clone(); TIMES]).await;
    for answer in &answers {
        assert_eq!(answer, &answers[0]);
    }
    assert_eq!(answers[0].status(), PaymentStatus::Completed, "{:?}", answers[0]);

    let cost = AMOUNT_MSAT + answers[0].fee_msat.unwrap_or_default();
    let wallet = bed.wallet(&bed.acme).await;
    assert_eq!(wallet.available_msat.unsigned_abs(), LIMIT_MSAT - cost);
    assert_eq!((wallet.held_msat, bed.settlements().await.len()), (0, 1));
    bed.books().await;
}

/// One has made it, and the others are told that they repeat it. A call that was told to come back has
/// certainly done nothing, so it may come back.
#[tokio::test(flavor = "multi_thread")]
async fn all_but_one_of_a_thousand_at_once_are_repeats() {
    let bed = Bed::make().await;
    let invoice = bed.world.invoice("alice", AMOUNT_MSAT, "").await;
    let request = bed.acme.send(&new_id(), &invoice);
    let taken = async || loop {
        match bed.send(&bed.acme, request.clone()).await {
            Ok(answer) => return answer,
            Err(status) => assert_eq!(status.code(), Code::Unavailable, "{status:?}"),
        }
    };
    let answers = join_all((0..TIMES).map(|_| taken())).await;
    let is_fresh = |answer: &&Response<Payment>| answer.metadata().get("idempotency-hit").is_none();
    assert_eq!(answers.iter().filter(is_fresh).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_hash_a_thousand_times_at_once() {
    let bed = Bed::make().await;
    let invoice = bed.world.invoice("alice", AMOUNT_MSAT, "").await;
    let requests = (0..TIMES).map(|_| bed.acme.send(&new_id(), &invoice)).collect();
    let answers = all_at_once(&bed, requests).await;
    let (paid, others): (Vec<_>, Vec<_>) =
        answers.iter().partition(|payment| payment.status() == PaymentStatus::Completed);
    assert_eq!((paid.len(), others.len()), (1, TIMES - 1));
    for other in others {
        failed_with(other, "invoice_already_paid");
    }

    let cost = AMOUNT_MSAT + paid[0].fee_msat.unwrap_or_default();
    let wallet = bed.wallet(&bed.acme).await;
    assert_eq!(wallet.available_msat.unsigned_abs(), LIMIT_MSAT - cost);
    assert_eq!((wallet.held_msat, bed.settlements().await.len()), (0, 1));
    bed.books().await;
}
