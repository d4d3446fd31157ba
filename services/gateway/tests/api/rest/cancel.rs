//! A payment that its caller wants no more, on both faces.

use domain::{PaymentId, Permission};
use proto::v1;
use serde_json::json;
use tonic::Code;

use super::client::{Answer, Rest};
use crate::world::{Part, World, invoice, payment, preimage, refusal};

fn cancel(part: &Part, id: PaymentId) -> String {
    part.of_env(&format!("/payments/{id}/cancel"))
}

/// Posts without a body, as a cancel has nothing more to say.
async fn post(rest: &Rest, path: &str) -> Answer {
    let request = rest.request(axum::http::Method::POST, path);
    rest.ask(request.body(axum::body::Body::empty()).unwrap()).await
}

async fn received(world: &World, id: PaymentId) {
    let rest = world.rest(&world.book);
    let receive = world.book.receive_body(id);
    let (path, org) = (world.book.of_env("/payments"), world.book.org);
    let waiting = tokio::spawn(async move { rest.post(&path, &receive).await });
    while world.fake.row(org, id).is_none() {
        tokio::task::yield_now().await;
    }
    world.fake.make_invoice(org, id, &invoice(1, Some(5_000)));
    assert_eq!(waiting.await.unwrap().status, 202);
}

#[tokio::test]
async fn an_open_invoice_is_withdrawn_and_a_repeat_finds_it_so() {
    let world = World::new().await;
    received(&world, payment(1)).await;
    let rest = world.rest(&world.book).preferring("wait=30");
    let path = cancel(&world.book, payment(1));
    let (asking, to) = (rest.clone(), path.clone());
    let waiting = tokio::spawn(async move { post(&asking, &to).await });
    let read = world.book.of_env(&format!("/payments/{}", payment(1)));
    while rest.get(&read).await.body["cancel_requested"] != json!(true) {
        tokio::task::yield_now().await;
    }
    world.fake.cancel_invoice(world.book.org, payment(1));
    let cancelled = waiting.await.unwrap();
    assert_eq!((cancelled.status, &cancelled.body["status"]), (200, &json!("expired")));
    assert_eq!(cancelled.header("preference-applied"), "wait=30");
    let again = post(&rest, &path).await;
    assert_eq!((again.status, &again.body), (200, &cancelled.body));
    let history = rest.get(&world.book.of_env(&format!("/payments/{}/history", payment(1)))).await;
    let events = history.body["events"].as_array().unwrap();
    let kinds: Vec<_> = events.iter().map(|event| event["event_type"].as_str().unwrap()).collect();
    let last = &kinds[kinds.len() - 2..];
    assert_eq!(last, ["cancel_requested", "receive_expired"]);
}

/// Rule 21: what the node was paid before is credited, and the caller learns it.
#[tokio::test]
async fn an_invoice_that_was_paid_before_is_completed() {
    let world = World::new().await;
    received(&world, payment(1)).await;
    let mut payments = world.book.payments(&world);
    let request = v1::CancelRequest { id: payment(1).to_string(), wait_seconds: Some(0) };
    let goes_on = payments.cancel(request.clone()).await.unwrap().into_inner();
    assert_eq!(goes_on.status(), v1::PaymentStatus::Receiving);
    assert!(goes_on.cancel_requested);
    world.fake.pay_in(world.book.org, payment(1), 5_000);
    let paid = payments.cancel(request).await.unwrap().into_inner();
    assert_eq!((paid.status(), paid.received_msat), (v1::PaymentStatus::Completed, Some(5_000)));
    assert!(!paid.cancel_requested);
}

/// Rules 9 and 10: a hint; the hold stays until there is proof.
#[tokio::test]
async fn a_send_in_flight_goes_on_and_says_so() {
    let world = World::new().await;
    let rest = world.rest(&world.book).preferring("wait=1");
    let body = world.book.send_body(payment(1), &invoice(1, Some(20_000)));
    assert_eq!(
        world.rest(&world.book).post(&world.book.of_env("/payments"), &body).await.status,
        202
    );
    let goes_on = post(&rest, &cancel(&world.book, payment(1))).await;
    assert_eq!((goes_on.status, &goes_on.body["status"]), (202, &json!("sending")));
    assert_eq!(goes_on.body["cancel_requested"], json!(true));
    let wallet = rest.get(&world.book.of_org(&format!("/wallets/{}", world.book.wallet))).await;
    assert_eq!(wallet.body["holds"][0]["amount"]["amount"], json!(21_000));
    world.fake.prove(world.book.org, payment(1), preimage(1));
    let paid = post(&rest, &cancel(&world.book, payment(1))).await;
    assert_eq!((paid.status, &paid.body["status"]), (200, &json!("completed")));
}

#[tokio::test]
async fn a_send_that_never_left_is_failed() {
    let world = World::new().await;
    let rest = world.rest(&world.book).preferring("wait=1");
    let body = world.book.send_body(payment(1), &invoice(1, Some(20_000)));
    assert_eq!(
        world.rest(&world.book).post(&world.book.of_env("/payments"), &body).await.status,
        202
    );
    assert_eq!(post(&rest, &cancel(&world.book, payment(1))).await.status, 202);
    world.fake.drop_request(world.book.org, payment(1));
    let failed = post(&rest, &cancel(&world.book, payment(1))).await;
    assert_eq!((failed.status, &failed.body["status"]), (200, &json!("failed")));
    let error = &failed.body["error"];
    assert_eq!(
        (&error["code"], &error["context"]["reason"]),
        (&json!("send_failed"), &json!("cancelled"))
    );
}

#[tokio::test]
async fn nobody_cancels_what_is_not_theirs_or_not_theirs_to_send() {
    let world = World::new().await;
    let body = world.book.send_body(payment(1), &invoice(1, Some(20_000)));
    let path = world.book.of_env("/payments");
    assert_eq!(world.rest(&world.book).post(&path, &body).await.status, 202);
    received(&world, payment(2)).await;
    let shop = world.rest(&world.shop);
    for id in [payment(1), payment(9)] {
        let refused = post(&shop, &cancel(&world.shop, id)).await;
        assert_eq!(refused.refusal(), (404, "payment_not_found"));
    }
    let mut payments = world.shop.payments(&world);
    let request = v1::CancelRequest { id: payment(1).to_string(), wait_seconds: None };
    let refused = refusal(payments.cancel(request.clone()).await);
    assert_eq!(refused, (Code::NotFound, "payment_not_found".to_owned()));
    let long = v1::CancelRequest { wait_seconds: Some(61), ..request };
    assert_eq!(refusal(payments.cancel(long).await).0, Code::InvalidArgument);

    // Another key: what a key may do is remembered for a moment.
    world.fake.add_copy_of_key(&world.book.key_id, 0x1000, "receives", |key| {
        key.permissions = [Permission::Receive].into();
    });
    let rest = world.anybody().with("x-api-key", "receives").preferring("wait=1");
    let refused = post(&rest, &cancel(&world.book, payment(1))).await;
    assert_eq!(refused.refusal(), (403, "access_rights"));
    assert_eq!(post(&rest, &cancel(&world.book, payment(2))).await.status, 202);
}

#[tokio::test]
async fn a_cancel_has_nothing_to_say_in_its_body() {
    let world = World::new().await;
    received(&world, payment(1)).await;
    let rest = world.rest(&world.book).preferring("wait=1");
    let path = cancel(&world.book, payment(1));
    let refused = rest.post(&path, &json!({ "reason": "late" })).await;
    assert_eq!(refused.refusal(), (422, "invalid_data"));
    assert_eq!(refused.body["error"]["context"]["fields"], json!(["reason"]));
    let read = rest.get(&world.book.of_env(&format!("/payments/{}", payment(1)))).await;
    assert!(read.body.get("cancel_requested").is_none());
    assert_eq!(rest.post(&path, &json!({})).await.status, 202);
}
