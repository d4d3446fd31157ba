use domain::Permission;
use serde_json::json;

use crate::world::{World, invoice, payment};

#[tokio::test]
async fn a_key_is_answered_once_and_for_all() {
    let world = World::new().await;
    let rest = world.rest(&world.book).preferring("return=representation");
    let keyed = rest.clone().with("idempotency-key", "\"order 7\"");
    let path = world.book.of_env("/payments");
    let body = world.book.send_body(payment(1), &invoice(1, Some(20_000)));
    let first = keyed.post(&path, &body).await;
    assert_eq!((first.status, first.header("idempotency-hit")), (201, ""));
    world.fake.prove(world.book.org, payment(1), crate::world::preimage(1));
    // What was answered, not what would be answered now.
    let again = keyed.post(&path, &body).await;
    assert_eq!((again.status, again.header("idempotency-hit")), (201, "true"));
    assert_eq!(again.body, first.body);
    let now = rest.post(&path, &body).await;
    assert_eq!((now.status, &now.body["status"]), (200, &json!("completed")));

    let other = world.book.send_body(payment(2), &invoice(2, Some(20_000)));
    let refused = keyed.post(&path, &other).await;
    assert_eq!(refused.refusal(), (422, "idempotency_conflict"));
    let elsewhere = keyed.post(&world.book.of_env("/payments/decode"), &body).await;
    assert_eq!(elsewhere.refusal(), (422, "idempotency_conflict"));
    assert!(!world.fake.has_payment(world.book.org, payment(2)));

    // Another environment's key of the same name is another key.
    let shop = world.rest(&world.shop).with("idempotency-key", "\"order 7\"");
    let body = world.shop.send_body(payment(3), &invoice(3, Some(20_000)));
    assert_eq!(shop.post(&world.shop.of_env("/payments"), &body).await.status, 202);
}

/// It has the preimage of a send, say.
#[tokio::test]
async fn what_a_key_that_may_send_was_answered_is_not_for_one_that_may_only_receive() {
    let world = World::new().await;
    world.fake.add_copy_of_key(&world.book.key_id, 0x1000, "receives", |key| {
        key.permissions = [Permission::Receive].into();
    });
    let (may_send, receives) = (
        world.rest(&world.book).preferring("wait=1"),
        world.anybody().with("x-api-key", "receives"),
    );
    let send = world.book.send_body(payment(1), &invoice(1, Some(20_000)));
    let (payments, id) = (world.book.of_env("/payments"), payment(1));
    let cancel = world.book.of_env(&format!("/payments/{id}/cancel"));
    for (key, path, body) in [("1", payments.clone(), send), ("2", cancel, json!({}))] {
        let [first, again] = [(); 2].map(|()| may_send.clone().with("idempotency-key", key));
        let first = first.post(&path, &body).await;
        assert_eq!(first.status, 202, "{first:?}");
        assert_eq!(again.post(&path, &body).await.header("idempotency-hit"), "true");
        let refused = receives.clone().with("idempotency-key", key).post(&path, &body).await;
        assert_eq!(refused.refusal(), (422, "idempotency_conflict"));
    }
    // Its own are kept for it.
    let receives = receives.with("idempotency-key", "3").preferring("return=representation");
    let receive = world.book.receive_body(payment(2));
    let first = receives.post(&payments, &receive).await;
    let again = receives.post(&payments, &receive).await;
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!((again.header("idempotency-hit"), &again.body), ("true", &first.body));
}

/// One pair of quotes is how the key is written; more of them make another key.
#[tokio::test]
async fn a_key_in_quotes_is_the_key_without_them() {
    let world = World::new().await;
    let path = world.book.of_env("/payments");
    let body = world.book.send_body(payment(1), &invoice(1, Some(20_000)));
    let rest = world.rest(&world.book);
    let ask = async |key| rest.clone().with("idempotency-key", key).post(&path, &body).await;
    assert_eq!(ask("\"7\"").await.status, 202);
    let other = world.book.send_body(payment(2), &invoice(2, Some(20_000)));
    for (key, refusal) in [("7", Some((422, "idempotency_conflict"))), ("\"\"7\"\"", None)] {
        let answer = rest.clone().with("idempotency-key", key).post(&path, &other).await;
        assert_eq!((answer.status != 202).then(|| answer.refusal()), refusal, "{key}");
    }
}

#[tokio::test]
async fn a_refused_request_leaves_its_key_free() {
    let world = World::new().await;
    let keyed = world.rest(&world.book).with("idempotency-key", "7");
    let path = world.book.of_env("/payments");
    let mut body = world.book.send_body(payment(1), &invoice(1, None));
    assert_eq!(keyed.post(&path, &body).await.refusal(), (400, "amount_required"));
    body["data"]["amount_msats"] = json!(20_000);
    assert_eq!(keyed.post(&path, &body).await.status, 202);
}

#[tokio::test]
async fn keys_that_are_none_are_refused() {
    let world = World::new().await;
    let rest = world.rest(&world.book);
    let body = world.book.send_body(payment(1), &invoice(1, Some(20_000)));
    let (long, quotes) = ("k".repeat(256), "\"".repeat(256));
    for bad in [
        rest.clone().with("idempotency-key", ""),
        rest.clone().with("idempotency-key", "\"\""),
        rest.clone().with("idempotency-key", &long),
        rest.clone().with("idempotency-key", &quotes),
        rest.clone().with("idempotency-key", "a").with("idempotency-key", "b"),
    ] {
        let refused = bad.post(&world.book.of_env("/payments"), &body).await;
        assert_eq!(refused.refusal(), (400, "invalid_request"));
    }
    assert!(!world.fake.has_payment(world.book.org, payment(1)));
}

/// One is taken; the others hear that it runs, or what it was answered.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_posts_under_one_key_are_done_once() {
    let world = World::new().await;
    let rest = world.rest(&world.book).with("idempotency-key", "one");
    let path = world.book.of_env("/payments");
    let mut posts = tokio::task::JoinSet::new();
    let body = world.book.send_body(payment(1), &invoice(1, Some(20_000)));
    for _ in 0..1_000 {
        let (rest, path, body) = (rest.clone(), path.clone(), body.clone());
        posts.spawn(async move { rest.post(&path, &body).await });
    }
    let answers = posts.join_all().await;
    let fresh = |answer: &&super::client::Answer| {
        answer.status == 202 && answer.headers.get("idempotency-hit").is_none()
    };
    assert_eq!(answers.iter().filter(fresh).count(), 1);
    for answer in answers.iter().filter(|answer| answer.status != 202) {
        assert_eq!(answer.refusal(), (409, "idempotency_key_running"));
    }
}

/// Saying that nothing was done would be a lie, and make somebody pay twice under another id.
#[tokio::test]
async fn an_answer_that_cannot_be_kept_is_given_all_the_same() {
    let world = World::new().await;
    world.fake.forgets.store(true, std::sync::atomic::Ordering::Relaxed);
    let keyed = world.rest(&world.book).with("idempotency-key", "7");
    let path = world.book.of_env("/payments");
    let body = world.book.send_body(payment(1), &invoice(1, Some(20_000)));
    assert_eq!(keyed.post(&path, &body).await.status, 202);
    assert!(world.fake.has_payment(world.book.org, payment(1)));
    let running = keyed.post(&path, &body).await;
    assert_eq!(running.refusal(), (409, "idempotency_key_running"));
    assert_eq!(
        (&running.body["retryable"], running.header("retry-after")),
        (&json!("same_id"), "1")
    );
    // Whoever took it is given up for lost, and the repeat finds the payment.
    world.fake.set_now(crate::world::BEGIN_MS + 91_000);
    let taken_over = keyed.post(&path, &body).await;
    assert_eq!((taken_over.status, taken_over.header("idempotency-hit")), (202, "true"));
}
