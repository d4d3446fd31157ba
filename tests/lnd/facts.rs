//! What we rely on in lnd, asked of lnd itself (`lightning.md` 1). If a new version breaks one of
//! these, the rules of payment and recovery have to be read again.

use std::time::{Duration, SystemTime};

use bitcoin::hashes::{Hash, sha256};
use tonic::Code;
use tonic_lnd::lnrpc::invoice::InvoiceState;
use tonic_lnd::lnrpc::payment::PaymentStatus;
use tonic_lnd::lnrpc::{GetInfoRequest, Payment, PaymentFailureReason};
use tonic_lnd::routerrpc::SendPaymentRequest;

use crate::harness::{Node, follow, good_until, hex, payment_of, secret, story, unhex, until};

const HOUR: Duration = Duration::from_secs(3_600);

#[track_caller]
fn assert_paid(payment: &Payment, hash: [u8; 32]) {
    assert_eq!(payment.status(), PaymentStatus::Succeeded, "{:?}", payment.failure_reason());
    let preimage = unhex(&payment.payment_preimage);
    assert_eq!(sha256::Hash::hash(&preimage).to_byte_array(), hash);
    assert_eq!(payment.payment_hash, hex(&hash));
}

#[test]
fn money_flows_both_ways() {
    story(async |net| {
        let invoice = net.far.add_invoice(Some(25_000_000), "there", HOUR).await;
        let payment = net.pool.pay(&invoice.bolt11).await;
        assert_paid(&payment, invoice.hash);
        assert_eq!(payment.value_msat, 25_000_000);
        assert!(payment.fee_msat > 0, "the hop takes a fee");
        assert_eq!(net.far.invoice(invoice.hash).await.amt_paid_msat, 25_000_000);

        let invoice = net.pool.add_invoice(None, "and back", HOUR).await;
        let request = SendPaymentRequest { amt_msat: 7_000_123, ..payment_of(&invoice.bolt11) };
        let payment = net.far.send(request).await.unwrap();
        assert_paid(&payment, invoice.hash);
        assert_eq!(net.pool.invoice(invoice.hash).await.amt_paid_msat, 7_000_123);
    });
}

#[test]
fn a_second_send_of_a_paid_hash_already_exists() {
    story(async |net| {
        let invoice = net.far.add_invoice(Some(1_000_000), "once", HOUR).await;
        assert_paid(&net.pool.pay(&invoice.bolt11).await, invoice.hash);

        let refused = net.pool.send(payment_of(&invoice.bolt11)).await.unwrap_err();
        assert_eq!(refused.code(), Code::AlreadyExists);
        assert!(refused.message().contains("invoice is already paid"), "{refused}");
    });
}

#[test]
fn a_second_send_of_an_open_hash_already_exists() {
    story(async |net| {
        let (_, hash) = secret("cancelled in the end");
        let invoice = net.far.add_hold_invoice(hash, 2_000_000).await;
        let updates = net.pool.begin(payment_of(&invoice.bolt11)).await.unwrap();
        net.far.wait_invoice(hash, InvoiceState::Accepted).await;

        let refused = net.pool.send(payment_of(&invoice.bolt11)).await.unwrap_err();
        assert_eq!(refused.code(), Code::AlreadyExists);
        assert!(refused.message().contains("payment is in transition"), "{refused}");

        net.far.cancel(hash).await;
        let payment = follow(updates).await.unwrap();
        assert_eq!(payment.status(), PaymentStatus::Failed);
        assert_eq!(
            payment.failure_reason(),
            PaymentFailureReason::FailureReasonIncorrectPaymentDetails
        );
    });
}

#[test]
fn a_failed_hash_runs_again() {
    story(async |net| {
        let invoice = net.far.add_invoice(Some(3_000_000), "second time lucky", HOUR).await;
        let free = SendPaymentRequest { fee_limit_msat: 0, ..payment_of(&invoice.bolt11) };
        let failed = net.pool.send(free).await.unwrap();
        assert_eq!(failed.status(), PaymentStatus::Failed);
        assert_eq!(failed.failure_reason(), PaymentFailureReason::FailureReasonNoRoute);
        assert!(failed.htlcs.is_empty(), "a fee limit too small sends nothing");

        let paid = net.pool.pay(&invoice.bolt11).await;
        assert_paid(&paid, invoice.hash);
        assert_ne!(paid.payment_index, failed.payment_index);
        let listed = net.pool.list_payments().await;
        let rows = listed.iter().filter(|payment| payment.payment_hash == hex(&invoice.hash));
        assert_eq!(rows.count(), 1, "the failed row is gone");
    });
}

#[test]
fn an_unknown_hash_is_not_found() {
    story(async |net| {
        let (_, hash) = secret("never sent");
        assert_eq!(net.pool.payment(hash).await.unwrap_err().code(), Code::NotFound);
    });
}

#[test]
fn keysend_is_recognised_by_its_preimage() {
    story(async |net| {
        let (preimage, hash) = secret("keysend");
        let payment = net.pool.keysend(&net.far, 4_000_000, preimage).await.unwrap();
        assert_paid(&payment, hash);
        let refused = net.pool.keysend(&net.far, 4_000_000, preimage).await.unwrap_err();
        assert_eq!(refused.code(), Code::AlreadyExists);
    });
}

#[test]
fn a_caveat_added_offline_expires() {
    story(async |net| {
        let macaroon = net.pool.bake(&["/lnrpc.Lightning/GetInfo"]).await;
        let deadline = SystemTime::now() + Duration::from_secs(2);
        let bounded = net.pool.client().with_macaroon(&good_until(&macaroon, deadline));
        bounded.lightning().get_info(GetInfoRequest {}).await.unwrap();

        let refused = until("the macaroon to expire", Duration::from_secs(20), async || {
            match bounded.lightning().get_info(GetInfoRequest {}).await {
                Ok(_) => Err("it still works".to_owned()),
                Err(status) => Ok(status),
            }
        })
        .await;
        assert!(SystemTime::now() >= deadline, "expired before its time");
        assert_eq!(refused.code(), Code::Unknown);
        assert!(refused.message().contains("macaroon has expired"), "{refused}");

        // The caveat bounds one copy only.
        let unbounded = net.pool.client().with_macaroon(&macaroon);
        unbounded.lightning().get_info(GetInfoRequest {}).await.unwrap();
    });
}

#[test]
fn a_macaroon_allows_what_was_baked_into_it() {
    story(async |net| {
        let macaroon = net.pool.bake(&["/lnrpc.Lightning/GetInfo"]).await;
        let weak = net.pool.client().with_macaroon(&macaroon);
        weak.lightning().get_info(GetInfoRequest {}).await.unwrap();
        let refused = weak.router().send_payment_v2(payment_of("")).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unknown);
        assert!(refused.message().contains("permission denied"), "{refused}");

        let mut forged = unhex(&macaroon);
        *forged.last_mut().unwrap() ^= 1;
        let forged = net.pool.client().with_macaroon(&hex(&forged));
        let refused = forged.lightning().get_info(GetInfoRequest {}).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unknown);
        assert!(refused.message().contains("verification failed"), "{refused}");
    });
}

#[test]
fn a_held_payment_outlives_kill_9() {
    story(async |net| {
        let (preimage, hash) = secret("held over a crash");
        let invoice = net.far.add_hold_invoice(hash, 5_000_000).await;
        let updates = net.pool.begin(payment_of(&invoice.bolt11)).await.unwrap();
        net.far.wait_invoice(hash, InvoiceState::Accepted).await;

        net.pool.kill9();
        let cut = follow(updates).await.unwrap_err();
        assert!(matches!(cut.code(), Code::Unavailable | Code::Unknown), "{cut}");

        net.pool.restart().await;
        let payment = net.pool.payment(hash).await.unwrap();
        assert_eq!(payment.status(), PaymentStatus::InFlight);
        net.far.settle(preimage).await;
        let payment = follow(net.pool.track(hash).await.unwrap()).await.unwrap();
        assert_paid(&payment, hash);
    });
}

#[test]
fn payments_flow_again_after_a_night_of_crashes() {
    story(async |net| {
        net.hop.kill9();
        net.hop.restart().await;
        net.far.kill9();
        net.hop.kill9();
        net.pool.stop().await;
        net.mend().await;
        for (from, to) in [(&net.pool, &net.far), (&net.far, &net.pool)] {
            let invoice = to.add_invoice(Some(6_000_000), "after the night", HOUR).await;
            assert_paid(&from.pay(&invoice.bolt11).await, invoice.hash);
        }
    });
}

#[test]
fn get_info_tells_other_nodes_apart() {
    story(async |net| {
        let (stranger, foreigner) = tokio::join!(net.stranger(), net.foreigner());
        let names = async |node: &Node| {
            let told = node.get_info().await;
            (told.identity_pubkey, told.chains[0].network.clone())
        };
        assert_eq!(names(&net.pool).await, (net.pool.identity().to_owned(), "regtest".to_owned()));
        assert_ne!(stranger.identity(), net.pool.identity());
        // It never syncs, as it has no peers, and says so.
        assert_eq!(names(&foreigner).await.1, "simnet");
        assert!(!foreigner.get_info().await.synced_to_chain);

        // Address, certificate and macaroon say nothing about who answers.
        stranger.lose_identity().await;
        let (identity, network) = names(&stranger).await;
        assert_ne!(identity, stranger.identity());
        assert_eq!(network, "regtest");
    });
}
