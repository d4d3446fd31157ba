//! Sends that are committed as failed: kept under their id with their code, balances untouched.

use std::time::{Duration, SystemTime};

use domain::ErrorClass::Invalid;
use proto::{
    admin::v1 as admin,
    v1::{Payment, PaymentStatus, SendRequest},
};
use tests::world::{Customer, new_id};

use crate::{
    bed::{Bed, LIMIT_MSAT, failed_with, refused},
    bolt11,
};

/// Fails with this code; balances stay, the audit is clean, and the id gives the same answer however
/// and however often it is asked.
async fn fails(bed: &Bed, customer: &Customer, request: SendRequest, code: &str) -> Payment {
    let before = bed.wallet(customer).await;
    let paid = bed.settlements().await.len();
    let first = bed.sent(customer, request.clone()).await;
    failed_with(&first, code);
    assert_eq!(first.attempts, Vec::new());
    same_answer(bed, customer, &request, &first).await;
    assert_eq!(bed.wallet(customer).await, before);
    assert_eq!(bed.settlements().await.len(), paid);
    bed.books().await;
    first
}

async fn same_answer(bed: &Bed, customer: &Customer, request: &SendRequest, first: &Payment) {
    assert_eq!(&bed.sent(customer, request.clone()).await, first);
    let read = bed.payment(customer, &request.id).await.expect("it is kept").into_inner();
    assert_eq!(&read, first);

    let said = bed.cli_pay(customer, request).await;
    let why = first.failure.as_ref().map(|failure| failure.code.as_str());
    let exit = if why.is_some() { 1 } else { 0 };
    assert_eq!((said.code, said.document["failure"]["code"].as_str()), (exit, why), "{said:?}");
}

#[tokio::test]
async fn over_the_limit_by_one_msat_with_the_largest_fee_counted() {
    let bed = Bed::make().await;
    let (fee, acme) = (70_000, &bed.acme);
    let open = bed.world.invoice("alice", 0, "").await;
    let by = |amount_msat: u64, fee_limit_msat: Option<u64>| SendRequest {
        amount_msat: Some(amount_msat),
        fee_limit_msat,
        ..acme.send(&new_id(), &open)
    };
    let over = by(LIMIT_MSAT - fee + 1, Some(fee));
    fails(&bed, acme, over, "insufficient_funds").await;
    fails(&bed, acme, by(LIMIT_MSAT, Some(1)), "insufficient_funds").await;
    // The house's own cap counts as well: half a percent.
    fails(&bed, acme, by(LIMIT_MSAT / 1_005 * 1_000 + 1_000, None), "insufficient_funds").await;

    // The line's limit is its own: 1 msat below the wallet's.
    let request = admin::SetLineLimitRequest {
        organisation_id: bed.globex.org.clone(),
        line_id: bed.globex.line.clone(),
        limit_msat: LIMIT_MSAT - 1,
    };
    bed.world.organisations().set_line_limit(request).await.expect("limits may be lowered");
    let request =
        SendRequest { wallet_id: bed.globex.wallet.clone(), ..by(LIMIT_MSAT - fee, Some(fee)) };
    fails(&bed, &bed.globex, request, "insufficient_funds").await;

    let exactly = bed.sent(acme, by(LIMIT_MSAT - fee, Some(fee))).await;
    assert_eq!(exactly.status(), PaymentStatus::Completed, "{exactly:?}");
    let left = fee - exactly.fee_msat.expect("a paid payment has its fee");
    assert_eq!(bed.wallet(acme).await.available_msat.unsigned_abs(), left);
    bed.books().await;
}

#[tokio::test]
async fn a_hash_already_paid_by_another_organisation() {
    let bed = Bed::make().await;
    let invoice = bed.world.invoice("alice", 1_000, "").await;
    let paid = bed.sent(&bed.acme, bed.acme.send(&new_id(), &invoice)).await;
    assert_eq!(paid.status(), PaymentStatus::Completed, "{paid:?}");
    for customer in [&bed.globex, &bed.acme] {
        let again = customer.send(&new_id(), &invoice);
        let failed = fails(&bed, customer, again, "invoice_already_paid").await;
        assert!(!format!("{failed:?}").contains(&paid.id), "it tells nothing of who paid");
    }
}

#[tokio::test]
async fn a_hash_that_another_organisation_is_paying() {
    let bed = Bed::make().await;
    let invoice = bed.world.invoice("alice", 1_000, "sim:stuck").await;
    let request = SendRequest { wait_seconds: 0, ..bed.acme.send(&new_id(), &invoice) };
    let open = bed.sent(&bed.acme, request).await;
    assert_eq!(open.status(), PaymentStatus::Sending);
    let again = bed.globex.send(&new_id(), &invoice);
    fails(&bed, &bed.globex, again, "invoice_already_paid").await;
}

/// Stops both nodes of the pool, or lets them go on.
async fn stop_pool(bed: &Bed) {
    let nodes = bed.world.nodes().list(admin::ListNodesRequest {}).await;
    for state in nodes.expect("an operator sees all").into_inner().nodes {
        let id = state.node.expect("a state is of a node").id;
        let request = admin::StopNodeRequest { id, reason: "looked at".to_owned() };
        bed.world.nodes().stop(request).await.expect("it is registered");
    }
}

#[tokio::test]
async fn no_usable_node() {
    let bed = Bed::make().await;
    stop_pool(&bed).await;
    let invoice = bed.world.invoice("alice", 1_000, "").await;
    let request = bed.acme.send(&new_id(), &invoice);
    let first = fails(&bed, &bed.acme, request.clone(), "no_usable_node").await;

    for name in ["pool-1", "pool-2"] {
        assert_eq!(bed.world.cli("", &["node", "resume", name]).await.code, 0);
    }
    bed.world.usable(2).await;
    // What was answered stays answered; under an id of its own the invoice is paid.
    same_answer(&bed, &bed.acme, &request, &first).await;
    let paid = bed.sent(&bed.acme, bed.acme.send(&new_id(), &invoice)).await;
    assert_eq!(paid.status(), PaymentStatus::Completed, "{paid:?}");
    bed.books().await;
}

/// Waits for an instant of the system's clock, which is the platform's as well.
async fn until(at_ms: i64) {
    let at = SystemTime::UNIX_EPOCH + Duration::from_millis(at_ms.unsigned_abs());
    let left = at.duration_since(SystemTime::now()).unwrap_or_default();
    tokio::time::sleep(left).await;
}

#[tokio::test]
async fn the_id_still_gives_the_same_answer_after_the_invoice_has_expired() {
    let mut bed = Bed::make().await;
    let lasts = 4;
    let short = bed.short_invoice("alice", lasts).await;
    let paying = bed.acme.send(&new_id(), &short);
    let paid = bed.sent(&bed.acme, paying.clone()).await;
    assert_eq!(paid.status(), PaymentStatus::Completed, "{paid:?}");
    let again = bed.acme.send(&new_id(), &short);
    let taken = bed.sent(&bed.acme, again.clone()).await;
    failed_with(&taken, "invoice_already_paid");
    let dear = SendRequest {
        amount_msat: Some(LIMIT_MSAT + 1),
        ..bed.acme.send(&new_id(), &bolt11::good_for(Duration::from_secs(lasts)))
    };
    let over = bed.sent(&bed.acme, dear.clone()).await;
    failed_with(&over, "insufficient_funds");

    until(paid.expires_at_ms.max(over.expires_at_ms)).await;
    for request in [&paying, &dear] {
        let fresh = SendRequest { id: new_id(), ..request.clone() };
        refused(bed.send(&bed.acme, fresh).await, Invalid, "invoice_expired");
    }
    let before = bed.books().await;
    let told = [(&paying, &paid), (&again, &taken), (&dear, &over)];
    for (request, first) in told {
        same_answer(&bed, &bed.acme, request, first).await;
    }
    // Nor is it the memory of the process that knows.
    bed.restart().await;
    bed.world.usable(2).await;
    for (request, first) in told {
        same_answer(&bed, &bed.acme, request, first).await;
    }
    bed.unchanged(&before).await;
}
