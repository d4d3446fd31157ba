//! Who may do what: every route with every set of permissions, expiry, addresses, use and rate.

use std::num::NonZeroU32;

use axum::{body::Body, http::Method};
use domain::{KeyId, Permission, Timestamp};
use gateway::RateLimit;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::{BEGIN_MS, How, World, invoice, payment, refusal};

const PERMISSIONS: [(&str, Permission); 4] = [
    ("Read", Permission::Read),
    ("Receive", Permission::Receive),
    ("Write", Permission::Write),
    ("Billing", Permission::Billing),
];

/// Every operation of the document: method, path with ids of this world, and what it needs.
async fn operations(world: &World) -> Vec<(Method, String, Vec<String>)> {
    let document = world.anybody().get("/openapi.json").await.body;
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let path = path
            .replace("{organization_id}", &world.book.org.to_string())
            .replace("{environment_id}", &world.book.environment.to_string())
            .replace("{wallet_id}", &world.book.wallet.to_string())
            .replace("{line_id}", &world.book.line)
            .replace("{payment_id}", &payment(1).to_string());
        assert!(!path.contains('{'), "{path}");
        for (method, operation) in item.as_object().unwrap() {
            let needs = operation["x-permissions"].as_array().expect("each says what it needs");
            let needs = needs.iter().map(|word| word.as_str().unwrap().to_owned()).collect();
            let method = method.to_uppercase().parse().unwrap();
            operations.push((method, path.clone(), needs));
        }
    }
    operations
}

/// The matrix: all routes, all sets of permissions, generated from the document.
#[tokio::test]
async fn every_route_asks_for_its_permission_and_for_no_other() {
    let world = World::new().await;
    let operations = operations(&world).await;
    assert!(operations.len() >= 18, "{}", operations.len());
    let rest = world.rest(&world.book);
    for set in 0..16_u8 {
        let has = |at: usize| set & (1 << at) != 0;
        let given = PERMISSIONS.iter().enumerate().filter(|(at, _)| has(*at)).map(|(_, it)| *it);
        let given: Vec<(&str, Permission)> = given.collect();
        // A key of its own for each set: what a key may do is remembered for a moment.
        let secret = format!("key {set}");
        world.fake.add_copy_of_key(&world.book.key_id, u128::from(set) + 0x1000, &secret, |key| {
            key.permissions = given.iter().map(|(_, permission)| *permission).collect();
        });
        for (method, path, needs) in &operations {
            let request = world.anybody().with("x-api-key", &secret);
            let request = request.request(method.clone(), path);
            let request = request.header("content-type", "application/json");
            let answer = rest.ask(request.body(Body::from("[]")).unwrap()).await;
            let may = given.iter().any(|(word, _)| needs.iter().any(|need| need == word));
            assert_eq!(answer.status != 403, may, "{method} {path} with {given:?}: {answer:?}");
            if !may {
                assert_eq!(answer.refusal(), (403, "access_rights"));
            }
        }
    }
}

/// One route serves both directions; its body decides what is needed.
#[tokio::test]
async fn a_key_that_may_only_receive_sends_nothing() {
    let world = World::new().await;
    world.fake.change_key(&world.book.key_id, |key| key.permissions = [Permission::Receive].into());
    let rest = world.rest(&world.book);
    let send = world.book.send_body(payment(1), &invoice(1, Some(20_000)));
    let refused = rest.post(&world.book.of_env("/payments"), &send).await;
    assert_eq!(refused.refusal(), (403, "access_rights"));
    let refused = rest.post(&world.book.of_env("/payments/estimate"), &send).await;
    assert_eq!(refused.refusal(), (403, "access_rights"));
    let taken =
        rest.post(&world.book.of_env("/payments"), &world.book.receive_body(payment(2))).await;
    assert_eq!(taken.status, 202);
    assert!(!world.fake.has_payment(world.book.org, payment(1)));

    // The same over gRPC.
    let mut payments = world.book.payments(&world);
    let send = world.book.send(payment(1), &invoice(1, Some(20_000)));
    assert_eq!(refusal(payments.send(send).await).1, "access_rights");
}

#[tokio::test]
async fn credentials_are_told_apart() {
    let world = World::new().await;
    let path = world.book.of_org("/wallets");
    let key = &world.book.key;
    for (rest, refusal) in [
        (world.anybody(), (400, "missing_credentials")),
        (world.anybody().with("authorization", "Basic abc"), (400, "missing_credentials")),
        (world.anybody().with("x-api-key", "nonsense"), (401, "wrong_credentials")),
        (world.anybody().with("x-api-key", ""), (401, "wrong_credentials")),
        (world.anybody().with("x-api-key", &"k".repeat(300)), (401, "wrong_credentials")),
        (world.anybody().with("authorization", "Bearer nonsense"), (401, "wrong_credentials")),
        (
            world.anybody().with("x-api-key", key).with("x-api-key", "other"),
            (400, "invalid_request"),
        ),
        (world.rest(&world.stranger), (404, "organization_not_found")),
    ] {
        assert_eq!(rest.get(&path).await.refusal(), refusal);
    }
    let environment = world.book.of_env("/payments");
    let refused = world.rest(&world.shop).get(&environment).await;
    assert_eq!(refused.refusal(), (404, "environment_not_found"));
    for good in [
        world.anybody().with("X-Api-Key", key),
        world.anybody().with("authorization", &format!("bearer {key}")),
    ] {
        assert_eq!(good.get(&path).await.status, 200);
    }
}

#[tokio::test]
async fn a_key_ends_when_it_expires() {
    let world = World::new().await;
    world.fake.change_key(&world.book.key_id, |key| {
        key.expires_at = Some(Timestamp::from_millis(BEGIN_MS + 1_000));
    });
    let rest = world.rest(&world.book);
    let path = world.book.of_org("/wallets");
    world.fake.set_now(BEGIN_MS + 999);
    assert_eq!(rest.get(&path).await.status, 200);
    world.fake.set_now(BEGIN_MS + 1_000);
    let refused = rest.get(&path).await;
    assert_eq!(refused.refusal(), (401, "wrong_credentials"));
    assert_eq!(refused.body["error"]["code"], json!("key_expired"));
}

#[tokio::test]
async fn a_key_works_from_its_addresses_only() {
    for (nets, may) in [
        (vec![], true),
        (vec!["127.0.0.1/32"], true),
        (vec!["10.0.0.0/8", "127.0.0.0/8"], true),
        (vec!["::1/128", "10.0.0.0/8"], false),
    ] {
        let world = World::new().await;
        world.fake.change_key(&world.book.key_id, |key| {
            key.valid_ips = nets.iter().map(|net| net.parse().unwrap()).collect();
        });
        let answer = world.rest(&world.book).get(&world.book.of_org("/wallets")).await;
        assert_eq!(answer.status == 200, may, "{nets:?}");
        let list = proto::v1::ListWalletsRequest::default();
        let over_grpc = world.book.wallets(&world).list(list).await;
        assert_eq!(over_grpc.is_ok(), may, "{nets:?}");
        if !may {
            assert_eq!(answer.refusal(), (403, "access_rights"));
            assert_eq!(answer.body["error"]["code"], json!("address_not_allowed"));
        }
    }
}

#[tokio::test]
async fn when_a_key_was_last_used_is_written_down_by_the_end() {
    let world = World::new().await;
    world.fake.set_now(BEGIN_MS + 7);
    world.rest(&world.book).get(&world.book.of_org("/wallets")).await;
    let (fake, key) = (world.fake.clone(), world.book.key_id.clone());
    world.stop().await.unwrap();
    assert_eq!(fake.key_of(&key).last_used_at, Some(Timestamp::from_millis(BEGIN_MS + 7)));
}

#[tokio::test]
async fn a_key_that_calls_too_often_is_told_when_to_come_back() {
    let limit = |number| NonZeroU32::new(number).unwrap();
    let rate_limit = RateLimit { per_second: limit(1), burst: limit(3) };
    let world = World::with(How { rate_limit, ..How::default() }).await;
    let rest = world.rest(&world.book);
    let path = world.book.of_org("/wallets");
    for left in [2, 1, 0] {
        let answer = rest.get(&path).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("ratelimit-policy"), "\"key\";q=3;w=3");
        assert!(answer.header("ratelimit").starts_with(&format!("\"key\";r={left};t=")));
    }
    let refused = rest.get(&path).await;
    assert_eq!(refused.refusal(), (429, "rate_limited"));
    assert_eq!(
        (refused.header("retry-after"), refused.header("ratelimit")),
        ("1", "\"key\";r=0;t=1")
    );
    assert_eq!(refused.body["retryable"], json!("yes"));
    let list = proto::v1::ListWalletsRequest::default();
    let over_grpc = world.book.wallets(&world).list(list).await.unwrap_err();
    assert_eq!(over_grpc.code(), tonic::Code::ResourceExhausted);
    // Another key has its own.
    assert_eq!(world.rest(&world.shop).get(&world.shop.of_org("/wallets")).await.status, 200);
}

#[tokio::test]
async fn every_answer_has_an_id_of_its_own() {
    let world = World::new().await;
    let rest = world.rest(&world.book);
    let (one, other) = (rest.get("/nowhere").await, rest.get("/nowhere").await);
    for answer in [&one, &other] {
        assert!(answer.header("x-request-id").parse::<Uuid>().is_ok());
        assert_eq!(answer.body["request_id"], Value::from(answer.header("x-request-id")));
    }
    assert_ne!(one.header("x-request-id"), other.header("x-request-id"));
    let _: KeyId = world.book.key_id.parse().unwrap();
}
