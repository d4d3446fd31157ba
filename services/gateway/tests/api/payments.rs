use std::time::Duration;

use domain::{ErrorClass, Msat};
use ports::orgs::OrgsError;
use proto::{Problem, status::Retryable, v1};
use tokio_stream::StreamExt;
use tonic::Code;

use crate::world::{BEGIN_MS, World, invoice, payment, preimage, refusal};

#[tokio::test]
async fn a_send_is_answered_as_it_stands_and_the_same_when_repeated() {
    let world = World::new().await;
    let mut payments = world.book.payments(&world);
    let request = world.book.send(payment(1), &invoice(1, Some(20_000)));
    let sent = payments.send(request.clone()).await.unwrap().into_inner();
    assert_eq!(sent.status(), v1::PaymentStatus::Sending);
    assert_eq!((sent.amount_msat, sent.fee_limit_msat), (Some(20_000), Some(1_000)));
    assert_eq!(sent.rail(), v1::Rail::CreditPool);
    assert_eq!(sent.attempts[0].node_name, "node-78");

    // The invoice has expired long ago; the answer stands.
    world.fake.set_now(BEGIN_MS + 86_400_000);
    let upper = v1::SendRequest { invoice: request.invoice.to_uppercase(), ..request.clone() };
    for again in [request.clone(), upper] {
        assert_eq!(payments.send(again).await.unwrap().into_inner(), sent);
    }
    world.fake.prove(world.book.org, payment(1), preimage(1));
    let ended = payments.send(request.clone()).await.unwrap().into_inner();
    assert_eq!(ended.status(), v1::PaymentStatus::Completed);
    assert_eq!(ended.preimage, "01".repeat(32));

    let other = v1::SendRequest { fee_limit_msat: Some(7), ..request };
    let other = refusal(payments.send(other).await);
    assert_eq!(other, (Code::AlreadyExists, "id_reused".to_owned()));
    let late = refusal(payments.send(world.book.send(payment(2), &invoice(2, Some(1)))).await);
    assert_eq!(late, (Code::InvalidArgument, "invoice_expired".to_owned()));
}

#[tokio::test]
async fn amounts_that_make_no_sense_are_refused_by_name() {
    let world = World::new().await;
    let mut payments = world.book.payments(&world);
    let supply = Msat::SUPPLY.get();
    let refused = |code: &str| (Code::InvalidArgument, code.to_owned());
    for amount_msat in [0, supply + 1, 1 << 63, u64::MAX] {
        let send = world.book.send(payment(1), &invoice(1, None));
        let send = v1::SendRequest { amount_msat: Some(amount_msat), ..send };
        assert_eq!(refusal(payments.send(send).await), refused("amount_out_of_range"));
        let receive = v1::ReceiveRequest {
            id: payment(1).to_string(),
            wallet_id: world.book.wallet.to_string(),
            amount_msat: Some(amount_msat),
            ..Default::default()
        };
        assert_eq!(refusal(payments.receive(receive).await), refused("amount_out_of_range"));
    }
    for fee_limit_msat in [supply + 1, 1 << 63, u64::MAX] {
        let send = world.book.send(payment(1), &invoice(1, Some(1_000)));
        let send = v1::SendRequest { fee_limit_msat: Some(fee_limit_msat), ..send };
        assert_eq!(refusal(payments.send(send).await), refused("fee_limit_out_of_range"));
    }
    let none = payments.send(world.book.send(payment(1), &invoice(1, None))).await;
    assert_eq!(refusal(none), refused("amount_missing"));
    let both = v1::SendRequest {
        amount_msat: Some(5),
        ..world.book.send(payment(1), &invoice(1, Some(5)))
    };
    assert_eq!(refusal(payments.send(both).await), refused("amount_given"));
    let no_invoice = payments.send(world.book.send(payment(1), "hello")).await;
    assert_eq!(refusal(no_invoice), refused("not_bolt11"));
    let no_id = v1::SendRequest { id: "1".to_owned(), ..world.book.send(payment(1), "") };
    assert_eq!(refusal(payments.send(no_id).await), refused("id_invalid"));
    assert!(!world.fake.has_payment(world.book.org, payment(1)));

    // Free routes only, and the whole supply, are amounts like any other; the rules judge them.
    let send = world.book.send(payment(1), &invoice(1, None));
    let send = v1::SendRequest { amount_msat: Some(supply), fee_limit_msat: Some(0), ..send };
    let sent = payments.send(send).await.unwrap().into_inner();
    assert_eq!(sent.failure.unwrap().code, "insufficient_funds");
}

#[tokio::test]
async fn a_wait_ends_with_the_payment() {
    let world = World::new().await;
    let mut payments = world.book.payments(&world);
    let send = world.book.send(payment(1), &invoice(1, Some(20_000)));
    let send = v1::SendRequest { wait_seconds: 60, ..send };
    let waiting = tokio::spawn(async move { payments.send(send).await });
    while !world.fake.has_payment(world.book.org, payment(1)) {
        tokio::task::yield_now().await;
    }
    world.fake.prove(world.book.org, payment(1), preimage(1));
    let sent = waiting.await.unwrap().unwrap().into_inner();
    assert_eq!(sent.status(), v1::PaymentStatus::Completed);
}

#[tokio::test]
async fn a_caller_that_hangs_up_cancels_nothing() {
    let world = World::new().await;
    let mut payments = world.book.payments(&world);
    let send = world.book.send(payment(1), &invoice(1, Some(20_000)));
    let send = v1::SendRequest { wait_seconds: 60, ..send };
    let waiting = tokio::spawn(async move { payments.send(send).await });
    while !world.fake.has_payment(world.book.org, payment(1)) {
        tokio::task::yield_now().await;
    }
    waiting.abort();
    let get = v1::GetPaymentRequest { id: payment(1).to_string() };
    let sent = world.book.payments(&world).get_payment(get).await.unwrap().into_inner();
    assert_eq!(sent.status(), v1::PaymentStatus::Sending);
}

#[tokio::test]
async fn errors_say_what_may_be_done() {
    let world = World::new().await;
    let mut payments = world.book.payments(&world);
    let send = world.book.send(payment(1), &invoice(1, Some(20_000)));
    for (error, class, code) in [
        (OrgsError::Unavailable("10.0.0.3".to_owned()), ErrorClass::Unavailable, "unavailable"),
        (OrgsError::Uncertain("10.0.0.3".to_owned()), ErrorClass::Uncertain, "outcome_unknown"),
        (OrgsError::Frozen("10.0.0.3".to_owned()), ErrorClass::Unavailable, "sends_frozen"),
        (OrgsError::OlderPods("10.0.0.3".to_owned()), ErrorClass::Unavailable, "older_pods"),
    ] {
        world.fake.refuse(error);
        let problem = Problem::from_status(&payments.send(send.clone()).await.unwrap_err());
        assert_eq!((problem.class, problem.code.as_ref()), (class, code));
        assert_eq!(problem.retryable(), Retryable::SameId);
        assert!(!problem.message.contains("10.0.0.3"), "what is inside stays inside");
    }
    for (error, wanted) in [
        (OrgsError::Busy { retry_after: Duration::from_millis(2_500) }, ["busy", "2500", "2500"]),
        (OrgsError::Frozen("restored".to_owned()), ["sends_frozen", "30000", "30000"]),
    ] {
        world.fake.refuse(error);
        let refused = payments.send(send.clone()).await.unwrap_err();
        let told = ["switchyard-code", "retry-after-ms", "grpc-retry-pushback-ms"];
        let told = told.map(|key| refused.metadata().get(key).unwrap().to_str().unwrap());
        assert_eq!((refused.code(), told), (tonic::Code::Unavailable, wanted));
    }
}

#[tokio::test]
async fn a_watch_tells_each_change_until_the_end() {
    let world = World::new().await;
    let mut payments = world.book.payments(&world);
    let send = world.book.send(payment(1), &invoice(1, Some(20_000)));
    payments.send(send).await.unwrap();
    let watch = v1::WatchPaymentRequest { id: payment(1).to_string() };
    let mut told = payments.watch_payment(watch).await.unwrap().into_inner();
    let first = told.next().await.unwrap().unwrap();
    assert_eq!(first.status(), v1::PaymentStatus::Sending);
    world.fake.prove(world.book.org, payment(1), preimage(1));
    let last = told.next().await.unwrap().unwrap();
    assert_eq!(last.status(), v1::PaymentStatus::Completed);
    assert!(told.next().await.is_none());
}

#[tokio::test]
async fn stopping_ends_waits_and_watches_and_loses_nothing() {
    let world = World::new().await;
    let mut payments = world.book.payments(&world);
    let send = world.book.send(payment(1), &invoice(1, Some(20_000)));
    let send = v1::SendRequest { wait_seconds: 60, ..send };
    let mut others = payments.clone();
    let waiting = tokio::spawn(async move { payments.send(send).await });
    while !world.fake.has_payment(world.book.org, payment(1)) {
        tokio::task::yield_now().await;
    }
    let watch = v1::WatchPaymentRequest { id: payment(1).to_string() };
    let mut told = others.watch_payment(watch).await.unwrap().into_inner();
    told.next().await.unwrap().unwrap();

    let served = world.stop();
    let sent = waiting.await.unwrap().unwrap().into_inner();
    assert_eq!(sent.status(), v1::PaymentStatus::Sending);
    let problem = Problem::from_status(&told.next().await.unwrap().unwrap_err());
    assert_eq!(problem.code, "watch_broken_off");
    tokio::time::timeout(Duration::from_secs(5), served).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_receive_is_repeatable_and_bounded() {
    let world = World::new().await;
    let mut payments = world.book.payments(&world);
    let receive = v1::ReceiveRequest {
        id: payment(1).to_string(),
        wallet_id: world.book.wallet.to_string(),
        amount_msat: Some(5_000),
        description: "a book".to_owned(),
        expiry_seconds: None,
        wait_seconds: Some(0),
        ..Default::default()
    };
    let made = payments.receive(receive.clone()).await.unwrap().into_inner();
    assert_eq!(made.status(), v1::PaymentStatus::Generating);
    assert_eq!(made.expires_at_ms, BEGIN_MS + 3_600_000);
    assert_eq!(payments.receive(receive.clone()).await.unwrap().into_inner(), made);
    for (change, code) in [
        (v1::ReceiveRequest { wait_seconds: Some(61), ..receive.clone() }, "wait_out_of_range"),
        (v1::ReceiveRequest { description: "\0".to_owned(), ..receive.clone() }, "text_invalid"),
    ] {
        let refused = refusal(payments.receive(change).await);
        assert_eq!(refused, (Code::InvalidArgument, code.to_owned()));
    }
    let other = v1::ReceiveRequest { amount_msat: None, ..receive };
    assert_eq!(refusal(payments.receive(other).await).0, Code::AlreadyExists);
}

#[tokio::test]
async fn an_invoice_is_read_for_whoever_has_a_key() {
    let world = World::new().await;
    let text = invoice(1, Some(5_000));
    let decode = v1::DecodeRequest { invoice: format!("lightning:{}", text.to_uppercase()) };
    let read = world.book.payments(&world).decode(decode).await.unwrap().into_inner();
    assert_eq!((read.invoice, read.network), (text, "regtest".to_owned()));
    assert_eq!(read.payment_hash, preimage(1).hash().to_string());
    assert_eq!((read.amount_msat, read.expires_at_ms), (Some(5_000), BEGIN_MS + 3_600_000));
}

/// The limits of the wire hold, and the connection survives.
#[tokio::test]
async fn what_is_too_large_is_refused() {
    let world = World::new().await;
    let mut payments = world.book.payments(&world);
    let large = v1::DecodeRequest { invoice: "l".repeat(300 * 1_024) };
    let refused = refusal(payments.decode(large).await);
    assert_eq!(refused, (Code::InvalidArgument, "request_too_large".to_owned()));
    let long = v1::DecodeRequest { invoice: "l".repeat(200 * 1_024) };
    assert_eq!(refusal(payments.decode(long).await).1, "too_long");
}
