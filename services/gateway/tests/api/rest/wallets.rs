use domain::NodeId;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::{World, invoice, payment};

fn id(number: u128) -> String {
    Uuid::from_u128(number).to_string()
}

fn body(world: &World, number: u128) -> Value {
    json!({
        "id": id(number), "environment_id": world.book.environment.to_string(),
        "line_of_credit_id": world.book.line, "name": format!("wallet {number}"),
        "network": "regtest", "limit": 1_000_000, "metadata": { "floor": "2" },
    })
}

#[tokio::test]
async fn a_wallet_lives_from_its_making_to_its_deletion() {
    let world = World::new().await;
    let rest = world.rest(&world.book);
    let wallets = world.book.of_org("/wallets");
    let one = format!("{wallets}/{}", id(50));
    let made = rest.post(&wallets, &body(&world, 50)).await;
    assert_eq!((made.status, made.bytes.len()), (202, 0));
    let read = rest.get(&one).await.body;
    for (field, value) in [
        ("name", json!("wallet 50")),
        ("organization_id", json!(world.book.org.to_string())),
        ("environment_id", json!(world.book.environment.to_string())),
        ("line_of_credit_id", json!(world.book.line)),
        ("network", json!("regtest")),
        ("limit", json!(1_000_000)),
        ("active", json!(true)),
        ("deleted_at", Value::Null),
        ("metadata", json!({ "floor": "2" })),
        ("holds", json!([])),
    ] {
        assert_eq!(read[field], value, "{field}");
    }
    let available = json!({ "currency": "btc", "amount": 1_000_000, "negative": false });
    assert_eq!(read["balances"][0]["available"], available);

    let renamed = rest.patch(&one, &json!({ "name": "the till" })).await;
    assert_eq!((renamed.status, renamed.bytes.len()), (202, 0));
    assert_eq!(rest.get(&one).await.body["name"], json!("the till"));
    // The repeat of the making is still one.
    let again = rest.preferring("return=representation").post(&wallets, &body(&world, 50)).await;
    assert_eq!((again.status, again.header("idempotency-hit")), (200, "true"));

    for _ in 0..2 {
        assert_eq!(rest.delete(&one).await.status, 202);
    }
    let gone = rest.get(&one).await.body;
    assert_eq!(gone["active"], json!(false));
    assert!(gone["deleted_at"].is_string());
    let listed = |list: &Value| list.as_array().expect("a bare array").len();
    assert_eq!(listed(&rest.get(&wallets).await.body), 1);
    assert_eq!(listed(&rest.get(&format!("{wallets}?inactive=true")).await.body), 2);
}

#[tokio::test]
async fn wallets_of_the_keys_environment_are_listed() {
    let world = World::new().await;
    let rest = world.rest(&world.book);
    let listed = rest.get(&world.book.of_org("/wallets")).await.body;
    assert_eq!(listed[0]["id"], json!(world.book.wallet.to_string()));
    assert_eq!(listed.as_array().unwrap().len(), 1);
    let of =
        |environment: &str| world.book.of_org(&format!("/wallets?environment_id={environment}"));
    let own = rest.get(&of(&world.book.environment.to_string())).await.body;
    assert_eq!(own.as_array().unwrap().len(), 1);
    for other in [world.shop.environment.to_string(), id(99)] {
        assert_eq!(rest.get(&of(&other)).await.body, json!([]));
    }
    let refused = rest.get(&world.book.of_org("/wallets?inactive=yes")).await;
    assert_eq!(refused.refusal(), (400, "invalid_filter"));
}

#[tokio::test]
async fn what_a_send_holds_is_shown() {
    let world = World::new().await;
    let rest = world.rest(&world.book);
    let send = world.book.send_body(payment(1), &invoice(1, Some(20_000)));
    rest.post(&world.book.of_env("/payments"), &send).await;
    let one = world.book.of_org(&format!("/wallets/{}", world.book.wallet));
    let read = rest.get(&one).await.body;
    assert_eq!(read["holds"][0]["id"], json!(payment(1).to_string()));
    assert_eq!(read["holds"][0]["amount"]["amount"], json!(21_000));
    assert_eq!(read["balances"][0]["available"]["amount"], json!(499_979_000));
    assert_eq!(read["balances"][0]["total"]["amount"], json!(500_000_000));
    assert_eq!(rest.get(&world.book.of_org("/wallets")).await.body[0]["holds"], read["holds"]);
}

#[tokio::test]
async fn every_refusal_of_a_making_has_its_name() {
    let world = World::new().await;
    let rest = world.rest(&world.book);
    let with = |field: &str, value: Value| {
        let mut body = body(&world, 50);
        body[field] = value;
        body
    };
    for (body, refusal) in [
        (with("name", json!("ab")), (400, "invalid_request")),
        (with("name", json!("l".repeat(257))), (400, "invalid_request")),
        (with("name", json!("a\u{1b}[2J")), (400, "invalid_request")),
        (with("name", json!("   ")), (400, "invalid_request")),
        (with("name", json!("till")), (409, "name_taken")),
        (with("id", Value::Null), (422, "invalid_data")),
        (with("id", json!(world.shop.wallet.to_string())), (409, "wallet_exists")),
        (with("id", json!(world.book.wallet.to_string())), (409, "wallet_exists")),
        (
            with("environment_id", json!(world.shop.environment.to_string())),
            (404, "environment_not_found"),
        ),
        (with("environment_id", json!(id(99))), (404, "environment_not_found")),
        (with("line_of_credit_id", json!(id(99))), (404, "line_of_credit_not_found")),
        (with("line_of_credit_id", json!(world.shop.line)), (404, "line_of_credit_not_found")),
        (with("line_of_credit_id", json!(world.stranger.line)), (404, "line_of_credit_not_found")),
        (with("network", json!("mainnet")), (400, "line_of_credit_network_mismatch")),
        (with("network", json!("moon")), (400, "invalid_network")),
        (with("limit", json!(-1)), (422, "invalid_data")),
        (with("limit", json!("5")), (422, "invalid_data")),
        (with("limit", json!(500_000_001)), (400, "line_of_credit_cannot_allocate_wallet_limit")),
        (with("metadata", json!({ "k": 7 })), (422, "invalid_data")),
    ] {
        let refused = rest.post(&world.book.of_org("/wallets"), &body).await;
        assert_eq!(refused.refusal(), refusal, "{body}");
    }
    let disable = format!("/lines_of_credit/{}/sandbox", world.book.line);
    rest.patch(&world.book.of_env(&disable), &json!({ "disable": true })).await;
    let refused = rest.post(&world.book.of_org("/wallets"), &body(&world, 50)).await;
    assert_eq!(refused.refusal(), (400, "line_of_credit_disabled"));
}

#[tokio::test]
async fn every_refusal_of_a_change_has_its_name() {
    let world = World::new().await;
    let rest = world.rest(&world.book);
    let one = world.book.of_org(&format!("/wallets/{}", world.book.wallet));
    rest.post(&world.book.of_org("/wallets"), &body(&world, 50)).await;
    for (body, refusal) in [
        (json!({}), (400, "no_updates_provided")),
        (json!({ "name": null }), (400, "no_updates_provided")),
        (json!({ "name": "x" }), (400, "invalid_request")),
        (json!({ "name": "wallet 50" }), (409, "name_taken")),
    ] {
        assert_eq!(rest.patch(&one, &body).await.refusal(), refusal, "{body}");
    }
    let send = world.book.send_body(payment(1), &invoice(1, Some(20_000)));
    rest.post(&world.book.of_env("/payments"), &send).await;
    assert_eq!(rest.delete(&one).await.refusal(), (400, "wallet_not_empty"));
    for foreign in [&world.shop.wallet, &world.stranger.wallet] {
        let foreign = world.book.of_org(&format!("/wallets/{foreign}"));
        assert_eq!(rest.delete(&foreign).await.refusal(), (404, "wallet_not_found"));
        let renamed = rest.patch(&foreign, &json!({ "name": "mine" })).await;
        assert_eq!(renamed.refusal(), (404, "wallet_not_found"));
    }
}

#[tokio::test]
async fn a_deleted_wallet_pays_nothing_new() {
    let world = World::new().await;
    let rest = world.rest(&world.book);
    rest.delete(&world.book.of_org(&format!("/wallets/{}", world.book.wallet))).await;
    let send = world.book.send_body(payment(1), &invoice(1, Some(20_000)));
    for body in [send, world.book.receive_body(payment(2))] {
        let refused = rest.post(&world.book.of_env("/payments"), &body).await;
        assert_eq!(refused.refusal(), (404, "wallet_not_found"));
    }
}

#[tokio::test]
async fn a_wallet_on_an_own_node_hangs_on_the_node() {
    let world = World::new().await;
    let node = NodeId::new(Uuid::from_u128(60));
    world.fake.add_node_of(node, Some(world.book.org));
    let funds = proto::admin::v1::SetNodeFundsRequest {
        organisation_id: world.book.org.to_string(),
        node_id: node.to_string(),
        funds_msat: 1_000_000,
    };
    world.organisations().set_node_funds(funds).await.unwrap();
    let rest = world.rest(&world.book).preferring("return=representation");
    let mut own = body(&world, 50);
    own["line_of_credit_id"] = json!(node.to_string());
    let made = rest.post(&world.book.of_org("/wallets"), &own).await;
    assert_eq!((made.status, &made.body["line_of_credit_id"]), (201, &json!(node.to_string())));
    let line = rest.get(&world.book.of_org(&format!("/lines_of_credit/{node}/summary"))).await.body;
    let host = json!({ "type": "lnd_node", "host": "lnd:10009" });
    assert_eq!((&line["infrastructure"], &line["allocated_limit"]), (&host, &json!(1_000_000)));
}
