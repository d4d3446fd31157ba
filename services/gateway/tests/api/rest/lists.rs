use serde_json::{Value, json};

use super::client::Rest;
use crate::world::{BEGIN_MS, World, invoice, payment, preimage};

/// Five sends, a second apart, and one receive; the first two sends are proven.
async fn busy() -> (World, Rest) {
    let world = World::new().await;
    let rest = world.rest(&world.book);
    let path = world.book.of_env("/payments");
    for number in 1..=5_u8 {
        world.fake.set_now(BEGIN_MS + i64::from(number) * 1_000);
        let id = payment(u128::from(number));
        let mut body = world.book.send_body(id, &invoice(number, Some(20_000)));
        body["metadata"] = json!({ "till": (number % 2).to_string(), "shop": "a&b" });
        assert_eq!(rest.post(&path, &body).await.status, 202);
    }
    world.fake.set_now(BEGIN_MS + 6_000);
    assert_eq!(rest.post(&path, &world.book.receive_body(payment(6))).await.status, 202);
    for number in [2, 1] {
        world.fake.prove(world.book.org, payment(u128::from(number)), preimage(number));
    }
    let other = world.shop.send_body(payment(7), &invoice(7, Some(20_000)));
    world.rest(&world.shop).post(&world.shop.of_env("/payments"), &other).await;
    (world, rest)
}

#[track_caller]
fn numbers(page: &Value) -> Vec<u64> {
    let number = |item: &Value| {
        let id = item["id"].as_str().unwrap();
        u64::from_str_radix(id.rsplit_once('-').unwrap().1, 16).unwrap()
    };
    page["items"].as_array().expect("a page").iter().map(number).collect()
}

#[tokio::test]
async fn lists_are_filtered_and_sorted() {
    let (world, rest) = busy().await;
    let line = &world.book.line;
    for (query, wanted) in [
        ("", vec![6, 5, 4, 3, 2, 1]),
        ("sort_order=ASC", vec![1, 2, 3, 4, 5, 6]),
        ("sort_key=updated_at", vec![1, 2, 6, 5, 4, 3]),
        ("limit=2&offset=1", vec![5, 4]),
        ("direction=receive", vec![6]),
        ("statuses=completed&statuses=generating", vec![6, 2, 1]),
        ("statuses%5B%5D=completed", vec![2, 1]),
        ("statuses[]=approved", vec![]),
        ("statuses=approved&statuses=completed", vec![2, 1]),
        ("kind=onchain", vec![]),
        ("kind=bolt11&direction=send&statuses=sending", vec![5, 4, 3]),
        ("payment_category=treasury", vec![]),
        ("metadata[till]=1", vec![5, 3, 1]),
        ("metadata%5Btill%5D=1&metadata[shop]=a%26b&statuses=sending", vec![5, 3]),
        ("metadata[till]=1&metadata[shop]=other", vec![]),
        ("start_date=2023-11-14T22%3A13%3A22Z&end_date=2023-11-14T23:13:24%2B01:00", vec![4, 3, 2]),
        (&format!("wallet_id={}", world.book.wallet), vec![6, 5, 4, 3, 2, 1]),
        (&format!("wallet_id={}", world.shop.wallet), vec![]),
        (&format!("line_of_credit_id={line}&limit=1"), vec![6]),
        (&format!("line_of_credit_id={}", world.shop.line), vec![]),
        ("wallet_id=&direction=", vec![6, 5, 4, 3, 2, 1]),
    ] {
        let page = rest.get(&world.book.of_env(&format!("/payments?{query}"))).await;
        assert_eq!((page.status, numbers(&page.body)), (200, wanted), "{query}");
    }
    let page = rest.get(&world.book.of_env("/payments?limit=2&offset=1")).await.body;
    assert_eq!(
        (&page["offset"], &page["limit"], &page["total"]),
        (&json!(1), &json!(2), &json!(6))
    );
}

#[tokio::test]
async fn a_cursor_walks_the_whole_list_once() {
    let (world, rest) = busy().await;
    for sort in
        ["", "&sort_order=ASC", "&sort_key=updated_at", "&sort_key=updated_at&sort_order=ASC"]
    {
        let whole = rest.get(&world.book.of_env(&format!("/payments?{}", &sort))).await;
        let first = format!("/payments?pagination=cursor&limit=2{sort}");
        let (mut walked, mut next) = (Vec::new(), first.clone());
        loop {
            let page = rest.get(&world.book.of_env(&next)).await.body;
            walked.extend(numbers(&page));
            assert!(page.get("total").is_none());
            match page["next_cursor"].as_str() {
                Some(cursor) => next = format!("{first}&cursor={cursor}"),
                None => break assert_eq!(page["has_more"], json!(false)),
            }
        }
        assert_eq!(walked, numbers(&whole.body), "{sort}");
    }
}

#[tokio::test]
async fn a_cursor_of_another_list_is_refused() {
    let (world, rest) = busy().await;
    let list =
        |query: &str| world.book.of_env(&format!("/payments?pagination=cursor&limit=2{query}"));
    let page = rest.get(&list("&direction=send&statuses=sending")).await.body;
    let cursor = page["next_cursor"].as_str().unwrap();
    let going_on =
        rest.get(&list(&format!("&statuses[]=sending&direction=send&cursor={cursor}"))).await;
    assert_eq!(numbers(&going_on.body), [3]);
    for other in [
        format!("&direction=send&cursor={cursor}"),
        format!("&direction=send&statuses=sending&sort_order=ASC&cursor={cursor}"),
        "&direction=send&statuses=sending&cursor=nonsense".to_owned(),
        format!("&direction=send&statuses=sending&cursor={cursor}0"),
    ] {
        let refused = rest.get(&list(&other)).await;
        assert_eq!(refused.refusal(), (400, "invalid_cursor"), "{other}");
    }
}

#[tokio::test]
async fn what_was_last_changed_is_found_by_its_position() {
    let (world, rest) = busy().await;
    let page = rest.get(&world.book.of_env("/payments?sort_key=updated_at&limit=3")).await.body;
    let seq = page["items"][2]["updated_seq"].as_u64().unwrap();
    let changed = rest.get(&world.book.of_env(&format!("/payments?updated_after_seq={seq}"))).await;
    assert_eq!(numbers(&changed.body), [2, 1]);
    let page = rest.get(&world.book.of_env("/events?limit=1000")).await.body;
    let newest = page["next_after"].as_u64().unwrap();
    let after = |seq| world.book.of_env(&format!("/payments?updated_after_seq={seq}"));
    assert_eq!(rest.get(&after(newest)).await.body["total"], 0);
    assert_eq!(rest.get(&after(newest + 1)).await.refusal(), (404, "unknown_position"));
    for mistake in ["limit=0", "pagination=pages", "start_date=soon"] {
        let both = format!("{}&{mistake}", after(newest + 1));
        assert_eq!(rest.get(&both).await.refusal().0, 400, "{mistake}");
    }
}

#[tokio::test]
async fn filters_that_say_nothing_sensible_are_refused() {
    let (world, rest) = busy().await;
    for query in [
        "statuses=paid",
        "direction=up",
        "kind=pigeon",
        "sort_key=amount",
        "sort_order=desc",
        "pagination=pages",
        "limit=0",
        "limit=1001",
        "limit=-1",
        "limit=9999999999",
        "offset=-1",
        "offset=9223372036854775808",
        "wallet_id=seven",
        "line_of_credit_id=7",
        "start_date=yesterday",
        "end_date=2023-11-14",
        "updated_after_seq=x",
        "direction=send&direction=receive",
        "metadata[a]=1&metadata[a]=2",
        "payment_category=gift",
        "metadata[a]=%00",
    ] {
        let refused = rest.get(&world.book.of_env(&format!("/payments?{query}"))).await;
        assert_eq!(refused.refusal(), (400, "invalid_filter"), "{query}");
    }
}

#[tokio::test]
async fn payments_are_counted_by_direction_and_status() {
    let (world, rest) = busy().await;
    let bucket = |direction, status, count, oldest: &str, newest: &str| {
        json!({
            "direction": direction, "status": status, "count": count, "currency": "btc",
            "kind": "bolt11", "oldest_at": oldest, "newest_at": newest,
        })
    };
    let buckets = json!([
        bucket("send", "sending", 3, "2023-11-14T22:13:23Z", "2023-11-14T22:13:25Z"),
        bucket("send", "completed", 2, "2023-11-14T22:13:21Z", "2023-11-14T22:13:22Z"),
        bucket("receive", "generating", 1, "2023-11-14T22:13:26Z", "2023-11-14T22:13:26Z"),
    ]);
    let wallet = format!("/wallets/{}/payments/summary", world.book.wallet);
    for path in [world.book.of_env("/payments/summary"), world.book.of_org(&wallet)] {
        let counted = rest.get(&path).await.body;
        assert_eq!((&counted["total"], &counted["buckets"]), (&json!(6), &buckets));
    }
    let none =
        world.book.of_env(&format!("/payments/summary?line_of_credit_id={}", world.shop.line));
    assert_eq!(rest.get(&none).await.body["total"], json!(0));
}
