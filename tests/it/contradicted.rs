//! A node that says something else than it may: its payment is for a person to look at.

use proto::v1::PaymentStatus;
use serde_json::Value;
use tests::world::new_id;

use crate::bed::Bed;

async fn operator(bed: &Bed, words: &[&str], exit: i32) -> Value {
    let said = bed.world.cli("", words).await;
    assert_eq!(said.code, exit, "{words:?}: {said:?}");
    said.document
}

/// Both books agree on what was paid, but it is more than was allowed.
#[tokio::test]
async fn a_node_takes_a_larger_fee_than_it_may() {
    let mut bed = Bed::make().await;
    bed.pay(&bed.acme, 50_000).await;
    bed.books().await;
    operator(&bed, &["sim", "fault", "all", "fee_above_limit"], 0).await;
    let invoice = bed.world.invoice("alice", 50_000, "").await;
    let paid = bed.sent(&bed.acme, bed.acme.send(&new_id(), &invoice)).await;
    assert_eq!((paid.status(), paid.contradicted), (PaymentStatus::Completed, true), "{paid:?}");
    is_the_finding(&bed, &paid.id).await;

    // It is on record, not in memory.
    bed.restart().await;
    is_the_finding(&bed, &paid.id).await;
}

async fn is_the_finding(bed: &Bed, payment: &str) {
    let report = operator(bed, &["audit"], 8).await;
    let findings = report["findings"].as_array().expect("findings are a list");
    let told: Vec<_> = findings.iter().map(|it| (&it["code"], &it["payment_id"])).collect();
    assert_eq!(told, [(&"payment_contradicted".into(), &payment.into())], "{report}");
    assert!(findings[0]["node_id"].is_string(), "{report}");
}
