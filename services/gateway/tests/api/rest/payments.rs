use std::{collections::BTreeSet, time::Duration};

use domain::OrgId;
use ports::orgs::OrgsError;
use serde_json::{Value, json};

use crate::world::{World, invoice, payment, preimage};

#[tokio::test]
async fn a_write_answers_202_with_an_empty_body_and_is_read_at_once() {
    let world = World::new().await;
    let rest = world.rest(&world.book);
    let body = world.book.send_body(payment(1), &invoice(1, Some(20_000)));
    let taken = rest.post(&world.book.of_env("/payments"), &body).await;
    assert_eq!((taken.status, taken.bytes.len()), (202, 0));
    assert!(taken.headers.get("idempotency-hit").is_none());

    let read = rest.get(&world.book.of_env(&format!("/payments/{}", payment(1)))).await;
    assert_eq!(read.status, 200);
    let sent = &read.body;
    for (field, value) in [
        ("id", json!(payment(1).to_string())),
        ("wallet_id", json!(world.book.wallet.to_string())),
        ("organization_id", json!(world.book.org.to_string())),
        ("environment_id", json!(world.book.environment.to_string())),
        ("direction", json!("send")),
        ("type", json!("bolt11")),
        ("status", json!("sending")),
        ("currency", json!("btc")),
        ("error", Value::Null),
        ("created_at", json!("2023-11-14T22:13:20Z")),
    ] {
        assert_eq!(sent[field], value, "{field}");
    }
    // Both spellings, side by side.
    assert_eq!(sent["data"]["amount"], json!({ "currency": "btc", "amount": 20_000 }));
    assert_eq!(sent["data"]["amount_msats"], json!(20_000));
    assert_eq!(sent["data"]["max_fee"]["amount"], json!(1_000));
    assert_eq!(sent["data"]["max_fee_msats"], json!(1_000));
    assert_eq!(sent["data"]["payment_request"], json!(invoice(1, Some(20_000))));
    assert_eq!(sent["data"]["outflows"], json!([]));
    assert_eq!(sent["attempts"][0]["status"], json!("in_flight"));
}

#[tokio::test]
async fn a_repeat_is_a_hit_and_another_body_names_the_first_object() {
    let world = World::new().await;
    let rest = world.rest(&world.book).preferring("return=representation");
    let path = world.book.of_env("/payments");
    let body = world.book.send_body(payment(1), &invoice(1, Some(20_000)));
    let first = rest.post(&path, &body).await;
    assert_eq!((first.status, first.header("idempotency-hit")), (201, ""));
    assert_eq!(first.header("preference-applied"), "return=representation");
    // The same amount said again, and nulls, are the same body.
    let mut again = body.clone();
    again["data"]["amount_msats"] = json!(20_000);
    again["data"]["max_fee_msats"] = Value::Null;
    again["metadata"] = Value::Null;
    for body in [&body, &again] {
        let repeat = rest.post(&path, body).await;
        assert_eq!((repeat.status, repeat.header("idempotency-hit")), (200, "true"));
        assert_eq!(repeat.body, first.body);
    }
    let mut other = body.clone();
    other["data"]["max_fee_msats"] = json!(5);
    let refused = rest.post(&path, &other).await;
    assert_eq!(refused.refusal(), (409, "payment_exists"));
    assert_eq!(refused.body["error"]["context"]["payment_id"], json!(payment(1).to_string()));
    assert_eq!(refused.body["retryable"], json!("no"));
}

#[tokio::test]
async fn prefer_wait_holds_the_answer_until_the_payment_has_ended() {
    let world = World::new().await;
    let rest = world.rest(&world.book).preferring("return=representation, wait=60");
    let body = world.book.send_body(payment(1), &invoice(1, Some(20_000)));
    let path = world.book.of_env("/payments");
    let waiting = tokio::spawn(async move { rest.post(&path, &body).await });
    while !world.fake.has_payment(world.book.org, payment(1)) {
        tokio::task::yield_now().await;
    }
    world.fake.prove(world.book.org, payment(1), preimage(1));
    let sent = waiting.await.unwrap();
    assert_eq!((sent.status, &sent.body["status"]), (201, &json!("completed")));
    let outflow = &sent.body["data"]["outflows"][0];
    assert_eq!(outflow["type"], json!("lightning"));
    assert_eq!(outflow["preimage"], json!("01".repeat(32)));
    assert_eq!(sent.body["payment_breakdown"]["principal"]["amount"], json!(20_000));
    assert_eq!(sent.body["data"]["fee_msats"], json!(0));
}

#[tokio::test]
async fn a_client_that_hangs_up_after_posting_finds_its_payment_by_repeating() {
    let world = World::new().await;
    let rest = world.rest(&world.book).preferring("wait=60").with("idempotency-key", "till 7");
    let body = world.book.send_body(payment(1), &invoice(1, Some(20_000)));
    let path = world.book.of_env("/payments");
    let (patient, (posted, to)) = (rest.clone(), (body.clone(), path.clone()));
    let waiting = tokio::spawn(async move { patient.post(&to, &posted).await });
    while !world.fake.has_payment(world.book.org, payment(1)) {
        tokio::task::yield_now().await;
    }
    waiting.abort();
    let refused = rest.post(&path, &body).await;
    assert_eq!(refused.refusal(), (409, "idempotency_key_running"));
    let without_key = world.rest(&world.book).post(&path, &body).await;
    assert_eq!((without_key.status, without_key.header("idempotency-hit")), (202, "true"));
}

#[tokio::test]
async fn a_refused_send_is_taken_and_ends_as_failed_with_its_code() {
    let world = World::new().await;
    let rest = world.rest(&world.book).preferring("return=representation");
    let body = world.book.send_body(payment(1), &invoice(1, Some(500_000_000)));
    let failed = rest.post(&world.book.of_env("/payments"), &body).await;
    assert_eq!((failed.status, &failed.body["status"]), (201, &json!("failed")));
    let error = &failed.body["error"];
    assert_eq!(
        (&error["type"], &error["code"]),
        (&json!("hold_failed"), &json!("insufficient_funds"))
    );
    assert!(!error["detail"].as_str().unwrap().is_empty());
}

#[tokio::test]
async fn a_receive_in_the_words_of_the_sdk() {
    let world = World::new().await;
    let rest = world.rest(&world.book);
    let path = world.book.of_env("/payments");
    // `currency` beside a fixed amount, and an explicit null for any amount.
    let fixed = world.book.receive_body(payment(1));
    let mut open = world.book.receive_body(payment(2));
    open["amount_msats"] = Value::Null;
    open["description"] = Value::Null;
    let maker = world.fake.clone();
    let org = world.book.org;
    let making = tokio::spawn(async move { make_invoices(&maker, org).await });
    for body in [&fixed, &open] {
        let taken = rest.post(&path, body).await;
        assert_eq!((taken.status, taken.bytes.len()), (202, 0));
    }
    making.await.unwrap();
    let read = rest.get(&format!("{path}/{}", payment(1))).await.body;
    assert_eq!((&read["status"], &read["direction"]), (&json!("receiving"), &json!("receive")));
    assert_eq!(read["data"]["amount_msats"], json!(5_000));
    assert_eq!(read["requested_amount"]["amount"], json!(5_000));
    assert!(read["data"]["payment_request"].as_str().unwrap().starts_with("lnbcrt"));
    let read = rest.get(&format!("{path}/{}", payment(2))).await.body;
    assert_eq!((&read["data"]["amount_msats"], &read["data"]["amount"]), (&json!(0), &Value::Null));

    world.fake.pay_in(org, payment(1), 5_000);
    let read = rest.get(&format!("{path}/{}", payment(1))).await.body;
    assert_eq!(read["status"], json!("completed"));
    assert_eq!(read["data"]["receipts"][0]["amount_msats"], json!(5_000));
}

async fn make_invoices(fake: &crate::fake::Fake, org: OrgId) {
    for number in [1, 2] {
        while !fake.state().orgs[&org].incoming.contains_key(&payment(number)) {
            tokio::task::yield_now().await;
        }
        let amount = (number == 1).then_some(5_000);
        fake.make_invoice(org, payment(number), &invoice(9, amount));
    }
}

#[tokio::test]
async fn metadata_and_description_come_back() {
    let world = World::new().await;
    let rest = world.rest(&world.book).preferring("return=representation");
    let mut body = world.book.send_body(payment(1), &invoice(1, Some(20_000)));
    body["metadata"] = json!({ "order": "7", "shop": "ü" });
    body["data"]["description"] = json!("for the book");
    let sent = rest.post(&world.book.of_env("/payments"), &body).await;
    assert_eq!(sent.body["metadata"], body["metadata"]);
    assert_eq!(sent.body["data"]["description"], json!("for the book"));
    body["metadata"]["order"] = json!("8");
    let other = rest.post(&world.book.of_env("/payments"), &body).await;
    assert_eq!(other.refusal(), (409, "payment_exists"));
}

#[tokio::test]
async fn what_happened_to_a_payment_is_told_in_order() {
    let world = World::new().await;
    let rest = world.rest(&world.book);
    let body = world.book.send_body(payment(1), &invoice(1, Some(20_000)));
    rest.post(&world.book.of_env("/payments"), &body).await;
    world.fake.prove(world.book.org, payment(1), preimage(1));
    let history = |id| world.book.of_env(&format!("/payments/{id}/history"));
    let told = rest.get(&history(payment(1))).await;
    let events = told.body["events"].as_array().unwrap();
    let kinds: Vec<_> = events.iter().map(|event| event["event_type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["send_held", "send_attempt_started", "send_succeeded"]);
    let positions: BTreeSet<_> = events.iter().map(|it| it["position"].as_u64().unwrap()).collect();
    assert_eq!(positions.len(), events.len());
    assert_eq!(events[0]["error"], Value::Null);

    // Neither one that never was nor one of somebody else is anything.
    let foreign = world.shop.send_body(payment(2), &invoice(2, Some(20_000)));
    world.rest(&world.shop).post(&world.shop.of_env("/payments"), &foreign).await;
    for id in [payment(2), payment(3)] {
        let told = rest.get(&history(id)).await;
        assert_eq!((told.status, told.body), (200, json!({ "events": [] })));
    }
}

/// However many ask at once, one payment is made and everybody hears of the same one.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_posts_of_one_id_make_one_payment() {
    let world = World::new().await;
    let rest = world.rest(&world.book).preferring("return=representation");
    let path = world.book.of_env("/payments");
    let same = world.book.send_body(payment(1), &invoice(1, Some(20_000)));
    let mut posts = tokio::task::JoinSet::new();
    for number in 0..1_000_u64 {
        let (rest, path, mut body) = (rest.clone(), path.clone(), same.clone());
        if number % 2 == 1 {
            body["data"]["max_fee_msats"] = json!(7);
        }
        posts.spawn(async move { rest.post(&path, &body).await });
    }
    let answers = posts.join_all().await;
    let taken: Vec<_> = answers.iter().filter(|answer| answer.status < 300).collect();
    let refused = answers.iter().filter(|answer| answer.status == 409);
    assert_eq!((taken.len(), refused.count()), (500, 500));
    assert!(taken.iter().all(|answer| answer.body == taken[0].body));
    let held = world.fake.state().orgs[&world.book.org].outgoing.len();
    assert_eq!(held, 1);
}

#[tokio::test]
async fn errors_say_what_a_repeat_may_do() {
    let world = World::new().await;
    let rest = world.rest(&world.book);
    let body = world.book.send_body(payment(1), &invoice(1, Some(20_000)));
    for (error, refusal) in [
        (OrgsError::Unavailable("10.0.0.3".to_owned()), (503, "unavailable")),
        (OrgsError::Uncertain("10.0.0.3".to_owned()), (504, "outcome_unknown")),
        (OrgsError::Frozen("10.0.0.3".to_owned()), (503, "sends_frozen")),
        (OrgsError::OlderPods("10.0.0.3".to_owned()), (503, "older_pods")),
    ] {
        world.fake.refuse(error);
        let refused = rest.post(&world.book.of_env("/payments"), &body).await;
        assert_eq!(refused.refusal(), refusal);
        assert_eq!(refused.body["retryable"], json!("same_id"));
        assert!(!refused.body.to_string().contains("10.0.0.3"), "what is inside stays inside");
    }
}

#[tokio::test]
async fn what_is_not_taken_now_says_when_to_come_back() {
    let world = World::new().await;
    let rest = world.rest(&world.book);
    let body = world.book.send_body(payment(1), &invoice(1, Some(20_000)));
    for (error, code, told) in [
        (OrgsError::Busy { retry_after: Duration::from_millis(2_500) }, "busy", ("3", "2500")),
        (OrgsError::Busy { retry_after: Duration::from_millis(100) }, "busy", ("1", "100")),
        (OrgsError::Unavailable("away".to_owned()), "unavailable", ("1", "1000")),
        // For a person.
        (OrgsError::Frozen("restored".to_owned()), "sends_frozen", ("30", "30000")),
    ] {
        world.fake.refuse(error);
        let refused = rest.post(&world.book.of_env("/payments"), &body).await;
        assert_eq!(refused.refusal(), (503, code));
        assert_eq!((refused.header("retry-after"), refused.header("x-retry-after-ms")), told);
    }
}
