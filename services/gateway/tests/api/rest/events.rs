use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    http::Method,
};
use http_body_util::BodyExt;
use serde_json::{Value, json};

use super::client::Rest;
use crate::world::{World, invoice, payment, preimage};

async fn send(world: &World, number: u8) {
    let body = world.book.send_body(payment(u128::from(number)), &invoice(number, Some(20_000)));
    let taken = world.rest(&world.book).post(&world.book.of_env("/payments"), &body).await;
    assert_eq!(taken.status, 202);
}

#[tokio::test]
async fn the_feed_is_ordered_and_replayable_from_anywhere() {
    let world = World::new().await;
    let rest = world.rest(&world.book);
    send(&world, 1).await;
    world.fake.prove(world.book.org, payment(1), preimage(1));
    let page =
        |after: u64, limit: u64| world.book.of_env(&format!("/events?after={after}&limit={limit}"));
    let whole = rest.get(&world.book.of_env("/events?limit=1000")).await.body;
    let events = whole["events"].as_array().unwrap().clone();
    let kinds: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "environment_created",
            "line_of_credit_opened",
            "wallet_created",
            "send_held",
            "send_attempt_started",
            "send_succeeded",
        ]
    );
    assert_eq!(events[2]["wallet_id"], json!(world.book.wallet.to_string()));
    assert_eq!(events[5]["payment_id"], json!(payment(1).to_string()));
    // In small steps it is the same, and its end is nothing new.
    let (mut stepped, mut after) = (Vec::new(), 0);
    loop {
        let part = rest.get(&page(after, 2)).await.body;
        stepped.extend(part["events"].as_array().unwrap().clone());
        let next = part["next_after"].as_u64().unwrap();
        if next == after {
            break;
        }
        after = next;
    }
    assert_eq!(stepped, events);
    assert_eq!(rest.get(&page(after, 2)).await.body, json!({ "events": [], "next_after": after }));
    for query in ["after=x", "after=-1", "limit=0", "limit=1001"] {
        let refused = rest.get(&world.book.of_env(&format!("/events?{query}"))).await;
        assert_eq!(refused.refusal(), (400, "invalid_filter"), "{query}");
    }
}

/// As of a history that a restored database has lost: waiting there would miss what is written until then.
#[tokio::test]
async fn a_position_that_there_is_not_yet_is_refused() {
    let world = World::new().await;
    let rest = world.rest(&world.book);
    let whole = rest.get(&world.book.of_env("/events")).await.body;
    let ahead = whole["next_after"].as_u64().unwrap() + 1;
    let path = world.book.of_env(&format!("/events?after={ahead}"));
    assert_eq!(rest.get(&path).await.refusal(), (404, "unknown_position"));
    send(&world, 1).await;
    assert_eq!(rest.get(&path).await.status, 200);
}

/// What a stream has told so far.
struct Told {
    body: Body,
    text: String,
}

impl Told {
    async fn open(rest: &Rest, path: &str, last: Option<&str>) -> Told {
        let mut request = rest.request(Method::GET, path).header("accept", "text/event-stream");
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = rest.open(request.body(Body::empty()).unwrap()).await;
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Told { body: response.into_body(), text: String::new() }
    }

    async fn chunk(&mut self) -> Option<Bytes> {
        let frame = tokio::time::timeout(Duration::from_secs(10), self.body.frame());
        frame.await.expect("it tells or ends").map(|frame| frame.unwrap().into_data().unwrap())
    }

    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let event = event.to_owned();
                self.text = rest.to_owned();
                let field = |name: &str| {
                    event.lines().find_map(|line| Some(line.strip_prefix(name)?.trim().to_owned()))
                };
                let Some(data) = field("data:") else { continue };
                return Some((field("id:").unwrap(), serde_json::from_str(&data).unwrap()));
            }
            let chunk = self.chunk().await?;
            self.text += std::str::from_utf8(&chunk).unwrap();
        }
    }
}

#[tokio::test]
async fn a_stream_tells_what_happens_and_goes_on_where_it_was_cut_off() {
    let world = World::new().await;
    let rest = world.rest(&world.book);
    let path = world.book.of_env("/events");
    let mut told = Told::open(&rest, &path, None).await;
    for kind in ["environment_created", "line_of_credit_opened", "wallet_created"] {
        assert_eq!(told.next().await.unwrap().1["type"], json!(kind));
    }
    send(&world, 1).await;
    let (held, event) = told.next().await.unwrap();
    assert_eq!((&event["type"], event["seq"].to_string()), (&json!("send_held"), held.clone()));
    drop(told);
    let mut told = Told::open(&rest, &path, Some(&held)).await;
    assert_eq!(told.next().await.unwrap().1["type"], json!("send_attempt_started"));

    // A browser that reconnects repeats the address that it began with.
    let begun = world.book.of_env("/events?after=0");
    let mut told = Told::open(&rest, &begun, Some(&held)).await;
    assert_eq!(told.next().await.unwrap().1["type"], json!("send_attempt_started"));
    let page = rest.clone().with("last-event-id", &held).get(&begun).await.body;
    assert_eq!(page["events"][0]["type"], json!("environment_created"));

    let bad = rest.clone().with("accept", "text/event-stream").with("last-event-id", "yesterday");
    assert_eq!(bad.get(&path).await.refusal(), (400, "invalid_filter"));
}

#[tokio::test]
async fn a_stop_ends_streams() {
    let world = World::new().await;
    let rest = world.rest(&world.book);
    let mut told = Told::open(&rest, &world.book.of_env("/events"), None).await;
    for _ in 0..3 {
        told.next().await.unwrap();
    }
    let served = world.stop();
    assert!(told.next().await.is_none());
    tokio::time::timeout(Duration::from_secs(5), served).await.unwrap().unwrap();
}
