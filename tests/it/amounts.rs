//! Amounts that cannot be meant: in invoices, in sends, in receives and as limits.

use domain::ErrorClass::Invalid;
use proto::{admin::v1 as admin, v1::SendRequest};
use tests::world::new_id;

use crate::{
    bed::{Bed, refused, said_no},
    bolt11,
};

const SUPPLY_MSAT: u64 = 21_000_000 * 100_000_000 * 1_000;
const TOO_MUCH: [u64; 4] = [SUPPLY_MSAT + 1, 1 << 63, i64::MAX.unsigned_abs(), u64::MAX];

#[tokio::test]
async fn amount_given_for_a_fixed_invoice() {
    let bed = Bed::make().await;
    let before = bed.books().await;
    let fixed = bed.world.invoice("alice", 1_000, "").await;
    for amount_msat in [1_000, 999, 1_001, 0, u64::MAX].map(Some) {
        let request = SendRequest { amount_msat, ..bed.acme.send(&new_id(), &fixed) };
        bed.refuses(&bed.acme, &request, Invalid, "amount_given").await;
    }
    bed.unchanged(&before).await;
}

#[tokio::test]
async fn amount_missing_for_an_open_invoice() {
    let bed = Bed::make().await;
    let before = bed.books().await;
    let open = bed.world.invoice("alice", 0, "").await;
    bed.refuses(&bed.acme, &bed.acme.send(&new_id(), &open), Invalid, "amount_missing").await;
    bed.unchanged(&before).await;
}

#[tokio::test]
async fn amount_zero() {
    let bed = Bed::make().await;
    let before = bed.books().await;
    let open = bed.world.invoice("alice", 0, "").await;
    let request = SendRequest { amount_msat: Some(0), ..bed.acme.send(&new_id(), &open) };
    bed.refuses(&bed.acme, &request, Invalid, "amount_out_of_range").await;
    let asking_for_nothing = bed.acme.send(&new_id(), &bolt11::asking_for(0));
    bed.refuses(&bed.acme, &asking_for_nothing, Invalid, "amount_out_of_range").await;
    receive_is_refused(&bed, 0).await;
    bed.unchanged(&before).await;
}

async fn receive_is_refused(bed: &Bed, amount_msat: u64) {
    let request = bed.acme.receive(&new_id(), Some(amount_msat));
    let id = request.id.clone();
    let asked = bed.acme.payments(bed.channel.clone()).receive(request).await;
    refused(asked, Invalid, "amount_out_of_range");
    let amount = amount_msat.to_string();
    let words = ["invoice", "--id", &id, "--wallet", &bed.acme.wallet, "--amount-msat", &amount];
    said_no(&bed.cli(&bed.acme, &words).await, Invalid, "amount_out_of_range");
}

/// A gRPC amount has no sign; a word of a command line may have one, and nobody is asked.
#[tokio::test]
async fn amount_negative() {
    let bed = Bed::make().await;
    let before = bed.books().await;
    let open = bed.world.invoice("alice", 0, "").await;
    let (wallet, line, org) = (&*bed.acme.wallet, &*bed.acme.line, &*bed.acme.org);
    for words in [
        &["pay", "--wallet", wallet, &open, "--amount-msat", "-1"][..],
        &["pay", "--wallet", wallet, &open, "--amount-msat", "-9223372036854775808"],
        &["pay", "--wallet", wallet, &open, "--amount-msat", "1000", "--fee-limit-msat", "-1"],
        &["invoice", "--wallet", wallet, "--amount-msat", "-1"],
        &["wallet", "limit", wallet, "--org", org, "--limit-msat", "-1"],
        &["line", "limit", line, "--org", org, "--limit-msat", "-1"],
    ] {
        let said = bed.cli(&bed.acme, words).await;
        assert_eq!(said.code, 2, "{words:?}: {said:?}");
        assert!(said.stderr.contains("invalid value '-"), "{words:?}: {said:?}");
    }
    bed.unchanged(&before).await;
}

#[tokio::test]
async fn amount_above_supply() {
    let bed = Bed::make().await;
    let before = bed.books().await;
    let open = bed.world.invoice("alice", 0, "").await;
    for too_much in TOO_MUCH {
        let request =
            SendRequest { amount_msat: Some(too_much), ..bed.acme.send(&new_id(), &open) };
        bed.refuses(&bed.acme, &request, Invalid, "amount_out_of_range").await;
        let request = SendRequest {
            amount_msat: Some(1_000),
            fee_limit_msat: Some(too_much),
            ..bed.acme.send(&new_id(), &open)
        };
        bed.refuses(&bed.acme, &request, Invalid, "fee_limit_out_of_range").await;
        receive_is_refused(&bed, too_much).await;
    }
    for bitcoin in [21_000_001, 1 << 62, u64::MAX] {
        let request = bed.acme.send(&new_id(), &bolt11::asking_for(bitcoin));
        bed.refuses(&bed.acme, &request, Invalid, "amount_above_supply").await;
    }
    let fraction = bed.acme.send(&new_id(), &bolt11::asking_for_a_fraction());
    bed.refuses(&bed.acme, &fraction, Invalid, "amount_below_msat").await;
    bed.unchanged(&before).await;
}

#[tokio::test]
async fn limit_above_supply() {
    let bed = Bed::make().await;
    let before = bed.books().await;
    let mut organisations = bed.world.organisations();
    let (org, line, wallet) = (&bed.acme.org, &bed.acme.line, &bed.acme.wallet);
    for limit_msat in TOO_MUCH {
        let request = admin::OpenLineRequest {
            organisation_id: org.clone(),
            id: new_id(),
            environment_id: bed.acme.environment.clone(),
            limit_msat,
        };
        refused(organisations.open_line(request).await, Invalid, "amount_out_of_range");
        let limit = limit_msat.to_string();
        for words in [
            ["line", "limit", line, "--org", org, "--limit-msat", &limit],
            ["wallet", "limit", wallet, "--org", org, "--limit-msat", &limit],
        ] {
            said_no(&bed.cli(&bed.acme, &words).await, Invalid, "amount_out_of_range");
        }
    }
    bed.unchanged(&before).await;
}
