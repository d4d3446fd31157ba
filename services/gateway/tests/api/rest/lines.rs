use domain::Network;
use serde_json::{Value, json};

use crate::world::{How, World, invoice, payment};

#[tokio::test]
async fn lines_are_listed_and_read() {
    let world = World::new().await;
    let rest = world.rest(&world.book);
    let list = |query: &str| world.book.of_org(&format!("/lines_of_credit/summaries{query}"));
    let listed = rest.get(&list("")).await.body;
    assert_eq!(listed.as_array().expect("a bare array").len(), 1);
    let line = &listed[0];
    for (field, value) in [
        ("id", json!(world.book.line)),
        ("organization_id", json!(world.book.org.to_string())),
        ("environment_id", json!(world.book.environment.to_string())),
        ("network", json!("regtest")),
        ("limit", json!(1_000_000_000)),
        ("allocated_limit", json!(500_000_000)),
        ("currency", json!("btc")),
        ("status", Value::Null),
        ("disabled_at", Value::Null),
        ("used", json!(0)),
    ] {
        assert_eq!(line[field], value, "{field}");
    }
    let own = world.book.of_org(&format!("/lines_of_credit/{}/summary", world.book.line));
    assert_eq!(&rest.get(&own).await.body, line);
    for (query, count) in [
        (format!("?environment_ids={}", world.book.environment), 1),
        (format!("?environment_ids%5B%5D={}", world.shop.environment), 0),
        ("?network=regtest".to_owned(), 1),
        ("?network=mainnet".to_owned(), 0),
    ] {
        let listed = rest.get(&list(&query)).await.body;
        assert_eq!(listed.as_array().unwrap().len(), count, "{query}");
    }
    for (query, kind) in [
        ("?environment_ids=seven", "invalid_filter"),
        ("?include_disabled=2", "invalid_filter"),
        ("?network=moon", "invalid_network"),
    ] {
        assert_eq!(rest.get(&list(query)).await.refusal(), (400, kind));
    }
}

#[tokio::test]
async fn a_sandbox_line_is_changed_and_disabled() {
    let world = World::new().await;
    let rest = world.rest(&world.book);
    let sandbox = |line: &str| world.book.of_env(&format!("/lines_of_credit/{line}/sandbox"));
    let own = sandbox(&world.book.line);
    let summary = world.book.of_org(&format!("/lines_of_credit/{}/summary", world.book.line));
    let changed = rest.patch(&own, &json!({ "limit": 2_000_000_000 })).await;
    assert_eq!((changed.status, changed.bytes.len()), (202, 0));
    assert_eq!(rest.get(&summary).await.body["limit"], json!(2_000_000_000));
    for (body, refusal) in [
        (json!({}), (400, "no_updates_provided")),
        (json!({ "disable": false }), (400, "no_updates_provided")),
        (json!({ "limit": 0 }), (400, "invalid_line_of_credit_limit")),
        (json!({ "limit": "5" }), (422, "invalid_data")),
        (json!({ "limit": 1.5 }), (422, "invalid_data")),
    ] {
        assert_eq!(rest.patch(&own, &body).await.refusal(), refusal, "{body}");
    }
    for foreign in [&world.shop.line, &world.stranger.line] {
        let refused = rest.patch(&sandbox(foreign), &json!({ "limit": 5 })).await;
        assert_eq!(refused.refusal(), (404, "line_of_credit_not_found"));
    }

    assert_eq!(rest.patch(&own, &json!({ "disable": true })).await.status, 202);
    assert!(rest.get(&summary).await.body["disabled_at"].is_string());
    let list = |query: &str| world.book.of_org(&format!("/lines_of_credit/summaries{query}"));
    assert_eq!(rest.get(&list("")).await.body, json!([]));
    assert_eq!(rest.get(&list("?include_disabled=true")).await.body.as_array().unwrap().len(), 1);
    let send = world.book.send_body(payment(1), &invoice(1, Some(20_000)));
    let rest = rest.preferring("return=representation");
    let failed = rest.post(&world.book.of_env("/payments"), &send).await.body;
    assert_eq!(
        (&failed["status"], &failed["error"]["type"]),
        (&json!("failed"), &json!("rejected"))
    );
    assert_eq!(failed["error"]["context"]["reason"], json!("line_of_credit_disabled"));
}

#[tokio::test]
async fn a_line_on_mainnet_is_changed_by_nobody_here() {
    let world = World::with(How { network: Network::Mainnet, ..How::default() }).await;
    let rest = world.rest(&world.book);
    let own = world.book.of_env(&format!("/lines_of_credit/{}/sandbox", world.book.line));
    let refused = rest.patch(&own, &json!({ "limit": 5 })).await;
    assert_eq!(refused.refusal(), (403, "not_allowed"));
}

/// Its invoices say signet, as every signet's do; everything else here says its own name.
#[tokio::test]
async fn mutinynet_goes_by_its_own_name() {
    let world = World::with(How { network: Network::Mutinynet, ..How::default() }).await;
    let rest = world.rest(&world.book);
    let listed = rest.get(&world.book.of_org("/lines_of_credit/summaries?network=mutinynet")).await;
    assert_eq!(listed.body[0]["network"], json!("mutinynet"));
    assert_eq!(
        rest.get(&world.book.of_org("/wallets")).await.body[0]["network"],
        json!("mutinynet")
    );
}
