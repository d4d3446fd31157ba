use serde_json::{Value, json};

use crate::world::{World, invoice, payment, preimage};

#[tokio::test]
async fn a_ledger_tells_what_moved_a_wallet() {
    let world = World::new().await;
    let rest = world.rest(&world.book);
    let payments = world.book.of_env("/payments");
    for number in [1, 2] {
        let id = payment(u128::from(number));
        rest.post(&payments, &world.book.send_body(id, &invoice(number, Some(20_000)))).await;
    }
    world.fake.prove(world.book.org, payment(1), preimage(1));
    rest.post(&payments, &world.book.receive_body(payment(3))).await;
    world.fake.make_invoice(world.book.org, payment(3), &invoice(9, Some(5_000)));
    world.fake.pay_in(world.book.org, payment(3), 5_000);

    let ledger =
        |query: &str| world.book.of_org(&format!("/wallets/{}/ledger{query}", world.book.wallet));
    let page = rest.get(&ledger("?sort_order=ASC&sort_key=effective_time")).await.body;
    assert_eq!(
        (&page["total"], &page["offset"], &page["limit"]),
        (&json!(4), &json!(0), &json!(100))
    );
    let items = page["items"].as_array().unwrap();
    let told: Vec<_> = items
        .iter()
        .map(|it| (it["type"].as_str().unwrap(), it["amount_msats"].as_u64()))
        .collect();
    assert_eq!(
        told,
        [
            ("held", Some(21_000)),
            ("held", Some(21_000)),
            ("captured", Some(20_000)),
            ("credited", Some(5_000)),
        ]
    );
    let captured = &items[2];
    assert_eq!(captured["hold_id"], json!(payment(1).to_string()));
    assert_eq!(captured["payment_id"], json!(payment(1).to_string()));
    assert_eq!(captured["amount"], json!({ "currency": "btc", "amount": 20_000 }));
    assert_eq!(captured["payment_breakdown"]["network_fee"]["amount"], json!(0));
    assert_eq!(captured["currency"], json!("btc"));
    assert!(captured["effective_time"].is_string());
    assert!(items[3]["credit_id"].is_string() && items[3].get("hold_id").is_none());

    let count = |page: &Value| page["items"].as_array().unwrap().len();
    let of_one = rest.get(&ledger(&format!("?payment_id={}", payment(1)))).await.body;
    assert_eq!((count(&of_one), &of_one["total"]), (2, &json!(2)));
    let part = rest.get(&ledger("?offset=1&limit=2")).await.body;
    assert_eq!((count(&part), &part["items"][0]["type"]), (2, &json!("captured")));
    let later = rest.get(&ledger("?start_date=2030-01-01T00:00:00Z")).await.body;
    assert_eq!((count(&later), &later["total"]), (0, &json!(0)));
    for query in ["?sort_key=amount", "?sort_order=up", "?payment_id=7", "?limit=0", "?end_date=x"]
    {
        assert_eq!(rest.get(&ledger(query)).await.refusal(), (400, "invalid_filter"), "{query}");
    }
}
