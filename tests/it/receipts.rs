//! Rule 24: what the house was paid without the ledger's knowing means that a database was put back.

use proto::admin::v1::{CreditPool, register_node_request::Owner};

use crate::{
    bed::{Bed, operator},
    restored::{
        AMOUNT_MSAT, finding, frozen, is_paid_from_outside, pay_from, put_back,
        sends_wait_for_a_person,
    },
};

/// Somebody outside pays an invoice that was made on the node by hand.
async fn is_paid_by_hand(bed: &Bed, node: &str) {
    let invoice = bed.world.invoice(node, AMOUNT_MSAT, "").await;
    assert_eq!(pay_from(bed, "bob", invoice).await.status, "SUCCEEDED");
}

/// The number beside the database is put back with it: only the nodes know better.
#[tokio::test]
async fn a_database_put_back_has_lost_a_receipt() {
    let mut bed = Bed::make().await;
    let kept = bed.pay(&bed.acme, AMOUNT_MSAT).await;
    is_paid_from_outside(&bed).await;
    put_back(&mut bed, |_| true, is_paid_from_outside).await;
    let why = frozen(&bed).await;
    assert!(why.contains("was paid 50000 msat for "), "{why}");
    assert!(why.contains("which the ledger does not know"), "{why}");
    let report = operator(&bed, &["audit"], 8).await;
    assert_eq!(report["findings_total"], 1, "once, however often it is read: {report}");
    let says = finding(&bed, "unknown_receipt_on_node").await;
    assert!(says.contains("50000 msat paid for"), "{says}");

    // Found once, it is on record.
    bed.restart().await;
    bed.world.usable(2).await;
    assert_eq!(frozen(&bed).await, why);
    sends_wait_for_a_person(&bed, &kept).await;
    bed.books().await;
    bed.restart().await;
    bed.world.usable(2).await;
    bed.books().await;
    bed.pay(&bed.acme, AMOUNT_MSAT).await;
}

/// A life that ended between the two has taken it in and not frozen: the next one does, before any send.
#[tokio::test]
async fn what_is_on_record_freezes_at_the_start() {
    let mut bed = Bed::make().await;
    is_paid_by_hand(&bed, "pool-1").await;
    let why = frozen(&bed).await;
    bed.world.kill_platform();
    let database = bed.left_behind();
    database.execute("update installation set frozen = null", []).expect("it is ours");
    drop(database);
    bed.begin_again().await;
    assert_eq!(frozen(&bed).await, why);
}

#[tokio::test]
async fn what_a_node_was_paid_before_its_books_began_is_not_ours() {
    let mut bed = Bed::make().await;
    is_paid_by_hand(&bed, "customer").await;
    bed.world.register("customer", Owner::CreditPool(CreditPool {})).await;
    bed.world.usable(3).await;
    bed.books().await;
    bed.restart().await;
    bed.world.usable(3).await;
    is_paid_from_outside(&bed).await;
    bed.books().await;

    is_paid_by_hand(&bed, "customer").await;
    frozen(&bed).await;
    finding(&bed, "unknown_receipt_on_node").await;
}

/// A customer may be paid on their own node by other means: that freezes nobody.
#[tokio::test]
async fn an_own_node_may_be_paid_by_other_means() {
    let mut bed = Bed::make().await;
    bed.world.register("customer", Owner::OrganisationId(bed.acme.org.clone())).await;
    bed.world.usable(3).await;
    is_paid_by_hand(&bed, "customer").await;
    bed.restart().await;
    bed.world.usable(3).await;
    is_paid_from_outside(&bed).await;
    operator(&bed, &["frozen"], 0).await;
    bed.books().await;
}
