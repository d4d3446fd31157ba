//! A node that says something else than it may: its payment is for a person to look at.

use std::time::Duration;

use proto::v1::PaymentStatus;
use tests::world::new_id;

use crate::{
    bed::{Bed, operator},
    resolved::{is_explained, resolve},
};

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

    // A person has spoken with the node's owner: what was taken too much is given back.
    resolve(&bed, &paid, &["failed"], 1, "payment_proven_paid").await;
    let words = ["paid", "--fee-msat", "7", "--preimage"];
    let wrong = "ab".repeat(32);
    resolve(&bed, &paid, &[&words[..], &[&wrong]].concat(), 2, "wrong_preimage").await;
    let before = bed.wallet(&bed.acme).await.total_msat;
    let words = [&words[..], &[&paid.preimage]].concat();
    for _ in 0..2 {
        resolve(&bed, &paid, &words, 0, "completed").await;
        let given_back = i64::try_from(paid.fee_msat.expect("it was paid") - 7).expect("it fits");
        assert_eq!(bed.wallet(&bed.acme).await.total_msat, before + given_back);
    }
    resolve(&bed, &paid, &["failed"], 7, "payment_already_resolved").await;
    is_explained(&bed, &paid.id).await;
    bed.restart().await;
    is_explained(&bed, &paid.id).await;
}

async fn is_the_finding(bed: &Bed, payment: &str) {
    let report = operator(bed, &["audit"], 8).await;
    let findings = report["findings"].as_array().expect("findings are a list");
    let told: Vec<_> = findings.iter().map(|it| (&it["code"], &it["payment_id"])).collect();
    assert_eq!(told, [(&"payment_contradicted".into(), &payment.into())], "{report}");
    assert!(findings[0]["node_id"].is_string(), "{report}");
}

/// Nobody asks for an audit: the house looks once more by itself, books what was paid and stops the node.
#[tokio::test]
async fn rule_6_a_node_pays_what_it_had_failed() {
    let bed = Bed::make().await;
    operator(&bed, &["node", "stop", "pool-2"], 0).await;
    operator(&bed, &["sim", "fault", "pool-1", "fail_then_success:500"], 0).await;
    let invoice = bed.world.invoice("alice", 50_000, "").await;
    let send = bed.acme.send(&new_id(), &invoice);
    let failed = bed.sent(&bed.acme, send.clone()).await;
    assert_eq!(failed.status(), PaymentStatus::Failed, "{failed:?}");
    let found = async {
        loop {
            let read = bed.payment(&bed.acme, &send.id).await;
            let payment = read.expect("it is there").into_inner();
            if payment.contradicted {
                return payment;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(60), found).await.expect("it is found");
    assert_eq!(found.status(), PaymentStatus::Completed, "{found:?}");
    let nodes = operator(&bed, &["node", "list"], 0).await.to_string();
    assert!(nodes.contains("\"stopped\":\""), "the node gets nothing more: {nodes}");
    is_the_finding(&bed, &send.id).await;
    let fee = found.fee_msat.expect("it was paid").to_string();
    let words = ["paid", "--preimage", &found.preimage, "--fee-msat", &fee, "--node", "pool-1"];
    resolve(&bed, &found, &words, 0, "completed").await;
    is_explained(&bed, &send.id).await;
}
