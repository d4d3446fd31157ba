//! A payment that has stopped is resolved by a person, on evidence that stays with it.

use std::time::Duration;

use proto::v1::Payment;
use tests::world::new_id;

use crate::bed::{Bed, operator};

/// A permission lasts for five seconds, and the grace after it is as long.
const OVER_WITHIN: Duration = Duration::from_secs(30);

const EVIDENCE: &str = "the payee's statement of Monday";

/// Says how a payment of acme's has ended: with this exit, and this status or code of the refusal.
pub(crate) async fn resolve(bed: &Bed, payment: &Payment, end: &[&str], exit: i32, word: &str) {
    let words =
        ["payment", "resolve", &payment.id, "--org", "acme", "--evidence", EVIDENCE, "--as"];
    let said = operator(bed, &[&words[..], end].concat(), exit).await;
    let told = if exit == 0 { &said["status"] } else { &said["error"]["code"] };
    assert_eq!(told, word, "{said}");
}

/// Says that a payment of acme's has failed. As long as a node may still be asked to pay it that is refused,
/// and it says so.
pub(crate) async fn found_unpaid(bed: &Bed, payment: &Payment) {
    let words = ["payment", "resolve", &payment.id, "--org", "acme", "--as", "failed"];
    let words = [&words[..], &["--evidence", EVIDENCE]].concat();
    let over = async {
        loop {
            let said = bed.world.cli("", &words).await;
            if said.code != 4 {
                assert_eq!(
                    (said.code, &said.document["status"]),
                    (0, &"failed".into()),
                    "{said:?}"
                );
                return;
            }
            assert_eq!(said.document["error"]["code"], "node_still_permitted", "{said:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(OVER_WITHIN, over).await.expect("a permission ends");
}

/// The audit has nothing to say of it any more, and whoever asks sees why.
pub(crate) async fn is_explained(bed: &Bed, payment: &str) {
    let report = operator(bed, &["audit"], 0).await;
    assert_eq!(report["clean"], true, "{report}");
    let shown = bed.cli(&bed.acme, &["payment", "show", payment]).await;
    let resolved = &shown.document["resolved"];
    let told = (&resolved["evidence"], &resolved["status"]);
    assert_eq!(told, (&EVIDENCE.into(), &shown.document["status"]), "{shown:?}");
}

#[tokio::test]
async fn what_has_not_stopped_is_left_alone() {
    let bed = Bed::make().await;
    let paid = bed.pay(&bed.acme, 50_000).await;
    let before = bed.books().await;
    let fee = paid.fee_msat.expect("it was paid").to_string();
    let words = ["paid", "--preimage", &paid.preimage, "--fee-msat", &fee];
    resolve(&bed, &paid, &words, 1, "payment_not_stopped").await;
    resolve(&bed, &paid, &["failed"], 1, "payment_not_stopped").await;
    resolve(&bed, &paid, &["failed", "--fee-msat", "1"], 2, "invalid_argument").await;
    resolve(&bed, &paid, &["paid", "--fee-msat", "1"], 2, "invalid_argument").await;
    let words = ["paid", "--preimage", "ab", "--fee-msat", "1"];
    resolve(&bed, &paid, &words, 2, "preimage_invalid").await;
    let unknown = Payment { id: new_id(), ..paid };
    resolve(&bed, &unknown, &["failed"], 5, "payment_not_found").await;
    bed.unchanged(&before).await;
}
