//! Invoices that cannot be paid, whoever asks.

use std::time::Duration;

use domain::ErrorClass::Invalid;
use lightning_invoice::Currency;
use tests::world::new_id;

use crate::{
    bed::{Bed, refused, said_no},
    bolt11,
};

/// Refused with this code when it is to be paid, and when it is only to be read.
async fn is_no_invoice(bed: &Bed, text: &str, code: &str) {
    bed.refuses(&bed.acme, &bed.acme.send(&new_id(), text), Invalid, code).await;
    let request = proto::v1::DecodeRequest { invoice: text.to_owned() };
    let read = bed.acme.payments(bed.channel.clone()).decode(request).await;
    refused(read, Invalid, code);
    said_no(&bed.cli(&bed.acme, &["decode", "--", text]).await, Invalid, code);
}

#[tokio::test]
async fn not_bolt11() {
    let bed = Bed::make().await;
    let before = bed.books().await;
    let good = bed.world.invoice("alice", 1_000, "").await;
    let half_shouted = format!("{}{}", &good[..40], good[40..].to_uppercase());
    let with_a_space = format!("{} {}", &good[..40], &good[40..]);
    for text in [
        "",
        "hello",
        "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080",
        "lno1pgx37enxv4jsxqzpuqs",
        "lnurl1dp68gurn8ghj7um9wfmxjcm99e3k7mf0v9cxj0m385ekvcenxc6r2c35xvukxefcv5mk",
        "alice@example.com",
        &half_shouted,
        &with_a_space,
    ] {
        is_no_invoice(&bed, text, "not_bolt11").await;
    }
    is_no_invoice(&bed, &"lnbcrt1".repeat(1_013), "too_long").await;
    bed.unchanged(&before).await;
}

#[tokio::test]
async fn bad_checksum() {
    let bed = Bed::make().await;
    let before = bed.books().await;
    let good = bed.world.invoice("alice", 1_000, "").await;
    is_no_invoice(&bed, &bolt11::garbled(&good), "bad_checksum").await;
    for cut in [20, good.len() - 1] {
        is_no_invoice(&bed, &good[..cut], "bad_checksum").await;
    }
    bed.unchanged(&before).await;
}

#[tokio::test]
async fn other_network() {
    let bed = Bed::make().await;
    let before = bed.books().await;
    for currency in [Currency::Bitcoin, Currency::BitcoinTestnet, Currency::Signet] {
        let mut request = bed.acme.send(&new_id(), &bolt11::of_network(currency));
        request.amount_msat = Some(1_000);
        bed.refuses(&bed.acme, &request, Invalid, "wrong_network").await;
    }
    is_no_invoice(&bed, &bolt11::of_network(Currency::Simnet), "unknown_network").await;
    bed.unchanged(&before).await;
}

#[tokio::test]
async fn expired() {
    let bed = Bed::make().await;
    let before = bed.books().await;
    let hour = Duration::from_secs(3_600);
    for (ago, good_for) in [(2 * hour, hour), (hour, hour), (10_000 * hour, Duration::ZERO)] {
        let mut request = bed.acme.send(&new_id(), &bolt11::made(ago, good_for));
        request.amount_msat = Some(1_000);
        bed.refuses(&bed.acme, &request, Invalid, "invoice_expired").await;
    }
    bed.unchanged(&before).await;
}

#[tokio::test]
async fn amp() {
    let bed = Bed::make().await;
    let before = bed.books().await;
    is_no_invoice(&bed, &bolt11::amp(), "amp").await;
    bed.unchanged(&before).await;
}
