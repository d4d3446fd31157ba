//! Every way of asking wrongly is refused with its type, nothing changes, and it is never a 500.

use axum::{body::Body, http::Method};
use serde_json::{Value, json};

use crate::world::{World, invoice, payment};

/// What the body of a send becomes when one place in it is otherwise.
fn with(mut body: Value, pointer: &str, value: Value) -> Value {
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    body.pointer_mut(parent).unwrap()[field] = value;
    body
}

#[tokio::test]
async fn sends_that_say_nothing_sensible_are_refused_by_name() {
    let world = World::new().await;
    let rest = world.rest(&world.book);
    let open = world.book.send_body(payment(1), &invoice(1, None));
    let fixed = world.book.send_body(payment(1), &invoice(1, Some(20_000)));
    let amount = |value: Value| with(open.clone(), "/data/amount_msats", value);
    let long = "k".repeat(257);
    let many: serde_json::Map<_, _> = (0..51).map(|n| (n.to_string(), json!("v"))).collect();
    for (body, refusal) in [
        (amount(json!("20000")), (422, "invalid_data")),
        (amount(json!(20000.5)), (422, "invalid_data")),
        (amount(json!(20000.0)), (422, "invalid_data")),
        (amount(json!(-1)), (422, "invalid_data")),
        (amount(json!(9_007_199_254_740_993_u64)), (422, "invalid_data")),
        (amount(json!(9_223_372_036_854_775_808_u64)), (422, "invalid_data")),
        (amount(json!(0)), (400, "invalid_amount")),
        (amount(Value::Null), (400, "amount_required")),
        (
            with(open.clone(), "/data/amount_sats", json!(9_007_199_254_740_991_u64)),
            (400, "invalid_amount"),
        ),
        (with(amount(json!(1_000)), "/data/amount_sats", json!(2)), (400, "invalid_amount")),
        (with(fixed.clone(), "/data/amount_msats", json!(1)), (400, "amount_match_failed")),
        (
            with(open.clone(), "/data/amount", json!({ "currency": "usd", "amount": 5 })),
            (400, "invalid_currency"),
        ),
        (with(fixed.clone(), "/currency", json!("usd")), (400, "invalid_currency")),
        (with(fixed.clone(), "/type", json!("carrier_pigeon")), (422, "invalid_data")),
        (with(fixed.clone(), "/type", json!("onchain")), (400, "feature_flag_disabled")),
        (with(fixed.clone(), "/type", Value::Null), (422, "invalid_data")),
        (with(fixed.clone(), "/payment_kind", json!("bolt11")), (422, "invalid_data")),
        (with(fixed.clone(), "/id", json!("seven")), (422, "invalid_data")),
        (with(fixed.clone(), "/id", Value::Null), (422, "invalid_data")),
        (with(fixed.clone(), "/id", json!(uuid::Uuid::nil())), (400, "invalid_request")),
        (with(fixed.clone(), "/wallet_id", json!(7)), (422, "invalid_data")),
        (with(fixed.clone(), "/data", Value::Null), (422, "invalid_data")),
        (
            with(fixed.clone(), "/data/payment_request", Value::Null),
            (400, "missing_payment_request"),
        ),
        (
            with(fixed.clone(), "/data/payment_request", json!("lnbcrt1nonsense")),
            (400, "invalid_bolt11_payment_request"),
        ),
        (with(fixed.clone(), "/data/description", json!("")), (400, "invalid_description")),
        (with(fixed.clone(), "/data/description", json!("\u{0}")), (400, "invalid_description")),
        (with(fixed.clone(), "/quote_id", json!(payment(9).to_string())), (400, "invalid_quote")),
        (with(fixed.clone(), "/metadata", json!({ "key": 7 })), (422, "invalid_data")),
        (with(fixed.clone(), "/metadata", json!({ "key": long })), (400, "invalid_request")),
        (with(fixed.clone(), "/metadata", Value::Object(many)), (400, "invalid_request")),
        (json!([fixed.clone()]), (422, "invalid_data")),
        (json!("send"), (422, "invalid_data")),
    ] {
        let refused = rest.post(&world.book.of_env("/payments"), &body).await;
        assert_eq!(refused.refusal(), refusal, "{body}");
        assert_eq!(refused.body["retryable"], json!("no"));
    }
    assert!(!world.fake.has_payment(world.book.org, payment(1)));
}

#[tokio::test]
async fn an_amount_is_not_too_small_because_it_is_too_large() {
    let world = World::new().await;
    let rest = world.rest(&world.book);
    let send = world.book.send_body(payment(1), &invoice(1, None));
    let paying = with(send, "/data/amount_sats", json!(20));
    let receive = world.book.receive_body(payment(1));
    let receive = with(receive, "/amount_msats", Value::Null);
    for sats in [2_100_000_000_000_001_u64, 9_007_199_254_740_991] {
        for (body, pointer, kind) in [
            (&paying, "/data/amount_sats", "invalid_amount"),
            (&paying, "/data/max_fee_sats", "invalid_max_fee"),
            (&receive, "/amount_sats", "invalid_amount"),
        ] {
            let body = with(body.clone(), pointer, json!(sats));
            let refused = rest.post(&world.book.of_env("/payments"), &body).await;
            assert_eq!(refused.refusal(), (400, kind), "{body}");
            assert_eq!(refused.body["error"]["code"], json!("validation_failed"), "{body}");
        }
    }
    let nothing = with(receive, "/amount_sats", json!(0));
    let refused = rest.post(&world.book.of_env("/payments"), &nothing).await;
    assert_eq!(refused.body["error"]["code"], json!("below_minimum"));
    assert!(!world.fake.has_payment(world.book.org, payment(1)));
}

/// A limit that is misspelt is no limit: it is refused, and the field is named.
#[tokio::test]
async fn fields_that_nobody_knows_or_that_are_there_twice_are_refused_by_name() {
    let world = World::new().await;
    let rest = world.rest(&world.book);
    let send = world.book.send_body(payment(1), &invoice(1, Some(20_000)));
    let receive = world.book.receive_body(payment(1));
    let wallet = json!({
        "id": payment(2).to_string(), "environment_id": world.book.environment.to_string(),
        "line_of_credit_id": world.book.line, "name": "tills", "network": "regtest", "limit": 0,
    });
    let own = |path: &str| (world.book.of_org(path), world.book.of_env(path));
    let sandbox = own(&format!("/lines_of_credit/{}/sandbox", world.book.line)).1;
    let decode = json!({ "payment_request": invoice(1, None) });
    for (method, path, body, pointer) in [
        ("POST", own("/payments").1, &send, "/data/max_fee_msat"),
        ("POST", own("/payments").1, &send, "/max_fee_msats"),
        ("POST", own("/payments").1, &receive, "/expires"),
        ("POST", own("/payments/estimate").1, &send, "/data/fee"),
        ("POST", own("/payments/decode").1, &decode, "/invoice"),
        ("POST", own("/wallets").0, &wallet, "/limit_msat"),
        ("PATCH", own(&format!("/wallets/{}", world.book.wallet)).0, &json!({}), "/nmae"),
        ("PATCH", sandbox, &json!({}), "/limits"),
    ] {
        let request = rest.request(method.parse().unwrap(), &path);
        let request = request.header("content-type", "application/json");
        let body = with(body.clone(), pointer, json!(1)).to_string();
        let refused = rest.ask(request.body(Body::from(body)).unwrap()).await;
        assert_eq!(refused.refusal(), (422, "invalid_data"), "{path} {pointer}");
        let field = pointer[1..].replace('/', ".");
        assert_eq!(refused.body["error"]["context"]["fields"], json!([field]), "{}", refused.body);
    }
    let amount = with(send.clone(), "/data/amount", json!({ "currency": "btc", "amount": 20_000 }));
    for (body, written, twice, field) in [
        (&send, "\"currency\":\"btc\"", "\"currency\":\"btc\",\"currency\":\"usd\"", "currency"),
        (&amount, "\"amount\":20000", "\"amount\":20000,\"amount\":1", "data.amount.amount"),
    ] {
        let text = body.to_string();
        assert!(text.contains(written));
        let text = text.replace(written, twice);
        let refused = rest.post_text(&own("/payments").1, text).await;
        assert_eq!(refused.refusal(), (422, "invalid_data"));
        assert_eq!(refused.body["error"]["context"]["fields"], json!([field]));
    }
    assert!(!world.fake.has_payment(world.book.org, payment(1)));
}

/// A filter that is misspelt is no filter, and a list without it shows more than was asked for.
#[tokio::test]
async fn filters_that_nobody_knows_are_refused_by_name() {
    let world = World::new().await;
    let rest = world.rest(&world.book);
    let wallet = world.book.of_org(&format!("/wallets/{}", world.book.wallet));
    for (path, filter) in [
        (world.book.of_env("/payments"), "walet_id"),
        (world.book.of_env("/payments"), "wallet_id[]"),
        (world.book.of_env("/payments"), "metadata"),
        (world.book.of_env("/payments/summary"), "sort_key"),
        (world.book.of_env("/events"), "cursor"),
        (world.book.of_org("/wallets"), "name"),
        (wallet, "wallet_id"),
    ] {
        let refused = rest.get(&format!("{path}?{filter}=1")).await;
        assert_eq!(refused.refusal(), (400, "invalid_filter"), "{path} {filter}");
        assert_eq!(refused.body["error"]["context"]["fields"], json!([filter]));
    }
    for known in ["statuses[]=failed&statuses=sending", "metadata[order]=7", "limit=1&limit="] {
        let list = world.book.of_env(&format!("/payments?{known}"));
        assert_eq!(rest.get(&list).await.status, 200, "{known}");
    }
}

#[tokio::test]
async fn a_field_that_is_missing_is_named() {
    let world = World::new().await;
    let rest = world.rest(&world.book);
    let send = world.book.send_body(payment(1), &invoice(1, Some(20_000)));
    let send = with(send, "/data/amount", json!({ "currency": "btc", "amount": 20_000 }));
    for pointer in ["/id", "/wallet_id", "/data/amount/amount"] {
        let mut body = send.clone();
        let (inside, name) = pointer.rsplit_once('/').unwrap();
        body.pointer_mut(inside).unwrap().as_object_mut().unwrap().remove(name).unwrap();
        let refused = rest.post(&world.book.of_env("/payments"), &body).await;
        assert_eq!(refused.refusal(), (422, "invalid_data"), "{pointer}: {}", refused.body);
        let field = pointer[1..].replace('/', ".");
        assert_eq!(refused.body["error"]["context"]["fields"], json!([field]), "{}", refused.body);
    }
}

/// Every field of the contract, also those that say nothing here, and nulls for what is not given.
#[tokio::test]
async fn every_field_of_the_contract_is_taken() {
    let world = World::new().await;
    let rest = world.rest(&world.book);
    let id = |number| payment(number).to_string();
    let wallet_id = world.book.wallet.to_string();
    let amount = json!({ "currency": "btc", "amount": 20_000, "unit": "base units" });
    let send = json!({
        "id": id(1), "wallet_id": wallet_id, "currency": "btc", "type": "bolt11",
        "payment_kind": null, "metadata": null, "quote_id": null, "auto_quote": null,
        "flow_preference": { "type": "swap", "rail": "lightning" },
        "data": {
            "payment_request": invoice(1, None), "address": null, "amount": amount,
            "max_fee": { "currency": "btc", "amount": 1_000 }, "description": "tea",
            "amount_msats": 20_000, "amount_sats": 20, "max_fee_msats": 1_000, "max_fee_sats": 1,
        },
    });
    let receive = json!({
        "id": id(2), "wallet_id": wallet_id, "currency": "btc", "type": null,
        "payment_kind": "bolt11", "amount": amount, "amount_msats": 20_000, "amount_sats": 20,
        "description": "tea", "expiration": 60, "quote_id": null, "metadata": { "order": "7" },
    });
    for body in [&send, &receive] {
        let taken = rest.post(&world.book.of_env("/payments"), body).await;
        assert_eq!(taken.status, 202, "{}", taken.body);
        let estimated = rest.post(&world.book.of_env("/payments/estimate"), body).await;
        assert_eq!(estimated.status, 200, "{}", estimated.body);
    }
}

#[tokio::test]
async fn receives_that_say_nothing_sensible_are_refused_by_name() {
    let world = World::new().await;
    let rest = world.rest(&world.book);
    let good = world.book.receive_body(payment(1));
    for (body, refusal) in [
        (with(good.clone(), "/expiration", json!(0)), (400, "invalid_receive_payment")),
        (with(good.clone(), "/expiration", json!(86_401)), (400, "invalid_receive_payment")),
        (with(good.clone(), "/expiration", json!(-1)), (422, "invalid_data")),
        (with(good.clone(), "/amount_msats", json!(0)), (400, "invalid_amount")),
        (with(good.clone(), "/payment_kind", json!("bip21")), (400, "feature_flag_disabled")),
        (with(good.clone(), "/description", json!("")), (400, "invalid_description")),
        (with(good.clone(), "/currency", json!("usd")), (400, "invalid_currency")),
        (
            with(good.clone(), "/amount", json!({ "currency": "btc", "amount": 4_000 })),
            (400, "invalid_amount"),
        ),
    ] {
        let refused = rest.post(&world.book.of_env("/payments"), &body).await;
        assert_eq!(refused.refusal(), refusal, "{body}");
    }
}

#[tokio::test]
async fn what_is_no_json_or_not_said_to_be_is_refused_in_the_one_envelope() {
    let world = World::new().await;
    let rest = world.rest(&world.book);
    let path = world.book.of_env("/payments");
    let nested = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    for text in ["", "{", "nothing", "{\"a\":1}x", &nested] {
        let refused = rest.post_text(&path, text.to_owned()).await;
        assert_eq!(refused.refusal(), (400, "invalid_json"), "{:.20}", text);
    }
    let large = format!("{{\"a\":\"{}\"}}", "l".repeat(300 * 1_024));
    let refused = rest.post_text(&path, large).await;
    assert_eq!(refused.refusal(), (413, "payload_too_large"));

    let typed = |content_type: Option<&str>, encoding: Option<&str>| {
        let mut request = rest.request(Method::POST, &path);
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        if let Some(encoding) = encoding {
            request = request.header("content-encoding", encoding);
        }
        request.body(Body::from("{}")).unwrap()
    };
    for (content_type, encoding, kind) in [
        (None, None, "missing_content_type"),
        (Some("text/plain"), None, "unsupported_content_type"),
        (Some("application/json, text/plain"), None, "unsupported_content_type"),
        (Some("application/json"), Some("gzip"), "unsupported_content_encoding"),
    ] {
        let refused = rest.ask(typed(content_type, encoding)).await;
        assert_eq!(refused.refusal(), (415, kind));
    }
    let plain = typed(Some("application/json"), Some("identity"));
    assert_eq!(rest.ask(plain).await.refusal(), (422, "invalid_data"));
    // Some clients append their own to a default.
    let doubled = typed(Some("application/json; charset=utf-8, application/json"), None);
    assert_eq!(rest.ask(doubled).await.refusal(), (422, "invalid_data"));
}

#[tokio::test]
async fn unknown_paths_and_methods_are_refused_in_the_one_envelope() {
    let world = World::new().await;
    let rest = world.rest(&world.book);
    for path in ["/", "/v1", "/v2/organizations", "/v1/nothing", "/v1/organizations/"] {
        assert_eq!(rest.get(path).await.refusal(), (404, "route_not_found"), "{path}");
    }
    let refused = rest.delete(&world.book.of_env("/payments")).await;
    assert_eq!(refused.refusal(), (405, "method_not_allowed"));
    assert!(refused.header("allow").contains("POST"));
    let alias = world.book.of_org("/wallets").replacen("/v1", "/api/v1", 1);
    assert_eq!(rest.get(&alias).await.status, 200);
}

#[tokio::test]
async fn headers_that_are_too_long_are_refused() {
    let world = World::new().await;
    let rest = world.rest(&world.book).with("x-long", &"l".repeat(17 * 1_024));
    let refused = rest.get(&world.book.of_org("/wallets")).await;
    assert_eq!(refused.refusal(), (431, "headers_too_large"));
}

/// The same body, but for the request's id, whether a thing is somebody else's or never was.
#[tokio::test]
async fn other_peoples_things_are_not_found_like_things_that_never_were() {
    let world = World::new().await;
    let stranger = &world.stranger;
    let body = stranger.send_body(payment(1), &invoice(1, Some(20_000)));
    world.rest(stranger).post(&stranger.of_env("/payments"), &body).await;
    let body = world.shop.send_body(payment(2), &invoice(2, Some(20_000)));
    world.rest(&world.shop).post(&world.shop.of_env("/payments"), &body).await;
    let rest = world.rest(&world.book);
    let unknown = payment(0x00ff_ffff).to_string();
    let own = |path: &str| (world.book.of_org(path), world.book.of_env(path));
    for (foreign, template) in [
        (payment(1).to_string(), own("/payments/{}").1),
        (payment(2).to_string(), own("/payments/{}").1),
        (stranger.wallet.to_string(), own("/wallets/{}").0),
        (world.shop.wallet.to_string(), own("/wallets/{}").0),
        (world.shop.wallet.to_string(), own("/wallets/{}/ledger").0),
        (world.shop.wallet.to_string(), own("/wallets/{}/payments/summary").0),
        (stranger.line.clone(), own("/lines_of_credit/{}/summary").0),
        (world.shop.line.clone(), own("/lines_of_credit/{}/summary").0),
        (stranger.org.to_string(), "/v1/organizations/{}/wallets".to_owned()),
        (
            world.shop.environment.to_string(),
            format!("/v1/organizations/{}/environments/{{}}/payments", world.book.org),
        ),
    ] {
        let refused = rest.get(&template.replace("{}", &foreign)).await;
        let never_was = rest.get(&template.replace("{}", &unknown)).await;
        assert_eq!(refused.refusal().0, 404, "{template}");
        let as_unknown = refused.without_request_id().to_string().replace(&foreign, &unknown);
        assert_eq!(as_unknown, never_was.without_request_id().to_string());
    }
}

/// So do writes, whether the path or the body names it, and nothing changes.
#[tokio::test]
async fn nobody_changes_other_peoples_things() {
    let world = World::new().await;
    let rest = world.rest(&world.book);
    let (shop, stranger) = (&world.shop, &world.stranger);
    let unknown = payment(0x00ff_ffff).to_string();
    let send = world.book.send_body(payment(1), &invoice(1, Some(20_000)));
    let receive = world.book.receive_body(payment(1));
    let wallet = json!({
        "id": payment(2).to_string(), "environment_id": world.book.environment.to_string(),
        "line_of_credit_id": world.book.line, "name": "tills", "network": "regtest", "limit": 0,
    });
    let own = |path: &str| (world.book.of_org(path), world.book.of_env(path));
    let wallets = [shop.wallet.to_string(), stranger.wallet.to_string()];
    let lines = [shop.line.clone(), stranger.line.clone()];
    let environments = [shop.environment.to_string(), stranger.environment.to_string()];
    let rename = json!({ "name": "theirs" });
    for (method, path, body, foreign) in [
        ("PATCH", own("/wallets/{}").0, rename, &wallets),
        ("DELETE", own("/wallets/{}").0, Value::Null, &wallets),
        ("PATCH", own("/lines_of_credit/{}/sandbox").1, json!({ "limit": 1 }), &lines),
        ("POST", own("/payments").1, with(send.clone(), "/wallet_id", json!("{}")), &wallets),
        ("POST", own("/payments").1, with(receive, "/wallet_id", json!("{}")), &wallets),
        ("POST", own("/payments/estimate").1, with(send, "/wallet_id", json!("{}")), &wallets),
        (
            "POST",
            own("/wallets").0,
            with(wallet.clone(), "/environment_id", json!("{}")),
            &environments,
        ),
        ("POST", own("/wallets").0, with(wallet, "/line_of_credit_id", json!("{}")), &lines),
    ] {
        let ask = async |id: &str| {
            let request = rest.request(method.parse().unwrap(), &path.replace("{}", id));
            let request = request.header("content-type", "application/json");
            let body = body.to_string().replace("{}", id);
            rest.ask(request.body(Body::from(body)).unwrap()).await
        };
        let never_was = ask(&unknown).await;
        for id in foreign {
            let refused = ask(id).await;
            assert_eq!(refused.refusal().0, 404, "{method} {path}: {}", refused.body);
            let as_unknown = refused.without_request_id().to_string().replace(id, &unknown);
            assert_eq!(as_unknown, never_was.without_request_id().to_string());
        }
    }
    assert!(!world.fake.has_payment(world.book.org, payment(1)));
    let theirs = world.rest(stranger).get(&stranger.of_org("/wallets")).await;
    assert_eq!(
        (theirs.body.as_array().unwrap().len(), &theirs.body[0]["name"]),
        (1, &json!("till"))
    );
}

#[tokio::test]
async fn headers_that_may_be_given_once_are_refused_twice() {
    let world = World::new().await;
    let rest = world.rest(&world.book);
    let twice = |name, value| rest.clone().with(name, value).with(name, value);
    let body = world.book.receive_body(payment(1)).to_string();
    for rest in [
        twice("content-type", "application/json"),
        twice("host", "switchyard.example"),
        twice("idempotency-key", "one"),
        rest.clone().with("x-api-key", &world.book.key),
        twice("authorization", "Bearer one"),
    ] {
        let request = rest.request(Method::POST, &world.book.of_env("/payments"));
        let request = request.header("content-type", "application/json");
        let refused = rest.ask(request.body(Body::from(body.clone())).unwrap()).await;
        assert_eq!(refused.refusal(), (400, "invalid_request"), "{}", refused.body);
    }
    let stream = twice("last-event-id", "1").with("accept", "text/event-stream");
    assert_eq!(stream.get(&world.book.of_env("/events")).await.refusal(), (400, "invalid_request"));
    assert!(!world.fake.has_payment(world.book.org, payment(1)));
}

#[tokio::test]
async fn ids_that_are_no_uuids_are_refused() {
    let world = World::new().await;
    let rest = world.rest(&world.book);
    for path in [
        "/v1/organizations/seven/wallets".to_owned(),
        world.book.of_org("/wallets/seven"),
        world.book.of_org("/wallets/%00"),
        world.book.of_env("/payments/seven"),
        world.book.of_env("/payments/seven/history"),
        world.book.of_org("/lines_of_credit/seven/summary"),
    ] {
        assert_eq!(rest.get(&path).await.refusal(), (400, "invalid_request"), "{path}");
    }
}

/// A browser asks first, without a key, and reads refusals too.
#[tokio::test]
async fn a_browser_is_told_that_it_may_call() {
    let world = World::new().await;
    let rest = world.anybody().with("origin", "https://shop.example");
    let asks_first = rest
        .clone()
        .with("access-control-request-method", "POST")
        .with("access-control-request-headers", "content-type,x-api-key");
    let request = asks_first.request(Method::OPTIONS, &world.book.of_env("/payments"));
    let told = rest.open(request.body(Body::empty()).unwrap()).await;
    assert!(told.status().is_success());
    let allowed = told.headers()["access-control-allow-headers"].to_str().unwrap();
    assert!(allowed.contains("x-api-key") && allowed.contains("content-type"));
    let refused = rest.get(&world.book.of_env("/payments")).await;
    assert_eq!(refused.refusal(), (400, "missing_credentials"));
    assert_eq!(refused.header("access-control-allow-origin"), "*");
}
