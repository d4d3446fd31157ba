use serde_json::{Value, json};

use crate::world::{BEGIN_MS, World, invoice, payment};

#[tokio::test]
async fn an_invoice_is_read_without_paying_it() {
    let world = World::new().await;
    let rest = world.rest(&world.book);
    let path = world.book.of_env("/payments/decode");
    let text = invoice(1, Some(5_000));
    for given in [
        text.clone(),
        text.to_uppercase(),
        format!("lightning:{text}"),
        format!("bitcoin:bcrt1q?amount=1&lightning={}", text.to_uppercase()),
    ] {
        let read = rest.post(&path, &json!({ "payment_request": given })).await;
        assert_eq!((read.status, &read.body["payment_request"]), (200, &json!(text)));
        assert_eq!(read.body["amount"]["amount"], json!(5_000));
        assert_eq!(read.body["network"], json!("regtest"));
        assert_eq!(read.body["is_expired"], json!(false));
        assert_eq!(read.body["description"], json!("a book"));
    }
    for (given, code) in [
        ("bc1qaddress", "not_bolt11"),
        ("lnurl1abc", "not_bolt11"),
        ("lnbcrt1nonsense", "not_bolt11"),
        (&"l".repeat(8_000), "too_long"),
    ] {
        let refused = rest.post(&path, &json!({ "payment_request": given })).await;
        assert_eq!(refused.refusal(), (400, "invalid_bolt11_payment_request"), "{given:.20}");
        assert_eq!(refused.body["error"]["code"], json!(code), "{given:.20}");
    }
    let refused = rest.post(&path, &json!({})).await;
    assert_eq!(refused.refusal(), (422, "invalid_data"));
}

#[tokio::test]
async fn an_estimate_says_what_would_be_held_and_whether_it_fits() {
    let world = World::new().await;
    let rest = world.rest(&world.book);
    let path = world.book.of_env("/payments/estimate");
    let ask = |invoice: String, data: Value| {
        let mut body = json!({
            "wallet_id": world.book.wallet.to_string(), "currency": "btc", "type": "bolt11",
            "data": { "payment_request": invoice },
        });
        body["data"].as_object_mut().unwrap().extend(data.as_object().unwrap().clone());
        body
    };
    let told = rest.post(&path, &ask(invoice(1, Some(20_000)), json!({}))).await;
    assert_eq!((told.status, &told.body["allowed"]), (200, &json!(true)));
    assert_eq!(told.body["max_fee"]["amount"], json!(1_000));
    assert_eq!(told.body["total"]["amount"], json!(21_000));
    assert_eq!(told.body["spendable"]["amount"], json!(500_000_000));
    assert_eq!(told.body["largest_sendable"]["amount"], json!(495_049_504));

    // Its own largest sendable is let through, and one more is not.
    for (amount, allowed) in [(495_049_504, true), (495_049_505, false)] {
        let told =
            rest.post(&path, &ask(invoice(1, None), json!({ "amount_msats": amount }))).await;
        assert_eq!(told.body["allowed"], json!(allowed), "{amount}");
    }
    let capped = json!({ "max_fee": { "currency": "btc", "amount": 0 } });
    let told = rest.post(&path, &ask(invoice(1, Some(500_000_000)), capped)).await.body;
    assert_eq!((&told["allowed"], &told["reasons"]), (&json!(true), &json!([])));
    world.fake.set_now(BEGIN_MS + 4_000_000);
    let told = rest.post(&path, &ask(invoice(1, Some(20_000)), json!({}))).await.body;
    assert_eq!(told["reasons"], json!(["invoice_expired"]));

    for (body, refusal) in [
        (ask(invoice(1, None), json!({})), (400, "amount_required")),
        (ask(invoice(1, None), json!({ "amount_msats": 0 })), (400, "invalid_amount")),
        (ask(invoice(1, Some(5)), json!({ "amount_msats": 6 })), (400, "amount_match_failed")),
        (
            json!({ "wallet_id": payment(9).to_string(), "type": "bolt11" }),
            (404, "wallet_not_found"),
        ),
        (json!({ "wallet_id": world.book.wallet.to_string() }), (422, "invalid_data")),
        (
            json!({ "wallet_id": world.book.wallet.to_string(), "type": "bolt11" }),
            (400, "invalid_request"),
        ),
    ] {
        assert_eq!(rest.post(&path, &body).await.refusal(), refusal, "{body}");
    }
    assert!(world.fake.state().orgs[&world.book.org].outgoing.is_empty(), "nothing changes");
}
