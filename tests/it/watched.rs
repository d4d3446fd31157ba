//! What whoever watches the platform sees of it: metrics, health, traces and the log; never a secret.

use std::collections::{BTreeMap, BTreeSet};

use lightning_sim::control_proto as sim;
use opentelemetry_proto::tonic::{common::v1::any_value, trace::v1::Span};
use proto::v1;
use serde_json::{Map, Value, json};
use tests::{
    collector::Collector,
    plain_http,
    world::{Customer, Setup, World, new_id},
};
use tonic::{Request, client::Grpc, codegen::http::uri::PathAndQuery};
use tonic_prost::ProstCodec;

const AMOUNT_MSAT: u64 = 5_000;

/// Everything that our own crates can say.
const TRACE_OURS: &str = "warn,bootstrap=trace,domain=trace,engine=trace,gateway=trace,\
                          lightning_node=trace,ports=trace,proto=trace,runtime=trace,store=trace,\
                          switchyard=trace";

/// A trace of the caller's own.
const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER_SPAN: &str = "00f067aa0ba902b7";

/// Starts a world that is watched in every way, and a customer in it.
async fn watched(collector: &Collector) -> (World, Customer) {
    let endpoint = format!("http://{}", collector.address);
    let flags = [
        ["--metrics-listen", "127.0.0.1:0"],
        ["--otlp-endpoint", &endpoint],
        ["--trace-ratio", "1"],
        ["--log-format", "json"],
        ["--log", TRACE_OURS],
    ];
    let flags = flags.concat().into_iter().map(str::to_owned).collect();
    let setup = Setup { flags, ..Setup::default() };
    let world = World::start(setup).await.expect("the world starts");
    let customer = world.customer("acme", 1_000_000_000).await.expect("customers can be made");
    (world, customer)
}

/// Pays an invoice from outside; `traced` says that the caller has a trace of its own.
async fn pay(world: &World, customer: &Customer, traced: bool) -> v1::Payment {
    let invoice = world.invoice("alice", AMOUNT_MSAT, "").await;
    let mut request = Request::new(customer.send(&new_id(), &invoice));
    if traced {
        let parent = format!("00-{TRACE_ID}-{CALLER_SPAN}-01").parse().expect("it is ASCII");
        request.metadata_mut().insert("traceparent", parent);
    }
    let sent = customer.payments(world.connect()).send(request).await;
    let payment = sent.expect("the send is taken").into_inner();
    assert_eq!(payment.status(), v1::PaymentStatus::Completed, "{payment:?}");
    payment
}

async fn page(world: &World, path: &str) -> (u16, String) {
    let address = world.ready["metrics_address"].as_str().expect("somebody watches");
    plain_http::get(address, path).await.expect("it answers")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn one_payment_is_one_trace_from_the_edge_through_organisation_and_commit_to_the_node() {
    let collector = Collector::start().await.expect("there is a port");
    let (mut world, customer) = watched(&collector).await;
    let payment = pay(&world, &customer, true).await;
    let alone = pay(&world, &customer, false).await;
    // Stopping sends what has not been sent yet.
    world.stop_platform().await.expect("it stops well");

    let spans = collector.spans();
    let story = Story::of(&spans, &payment.id);
    assert_eq!(story.trace_ids, [TRACE_ID], "the caller's trace goes on");
    assert_eq!(
        story.tree,
        "\
        request /switchyard.v1.Payments/Send ok\n\
        . organisation send\n\
        . . commit\n\
        . . node pay pool\n\
        . . . organisation report\n\
        . . . . commit\n",
    );
    let root = spans.iter().find(|span| hex(&span.parent_span_id) == CALLER_SPAN);
    assert_eq!(root.expect("the caller's span is its parent").name, "request");
    for span in &story.spans {
        assert!(span.start_time_unix_nano <= span.end_time_unix_nano, "{span:?}");
    }

    let story = Story::of(&spans, &alone.id);
    assert_eq!(story.trace_ids.len(), 1);
    assert_ne!(story.trace_ids, [TRACE_ID]);
    assert_eq!(story.spans.len(), 6, "{}", story.tree);
}

#[tokio::test]
async fn a_receipt_that_no_request_began_has_a_trace_of_its_own() {
    let collector = Collector::start().await.expect("there is a port");
    let (mut world, customer) = watched(&collector).await;
    let request = customer.receive(&new_id(), Some(AMOUNT_MSAT));
    let mut payments = customer.payments(world.connect());
    let asked = payments.receive(request).await.expect("an invoice is made").into_inner();
    let request = sim::PayRequest {
        node: "bob".to_owned(),
        payment_request: asked.invoice,
        fee_limit_msat: AMOUNT_MSAT,
        wait_ms: 10_000,
        ..Default::default()
    };
    world.outside().pay(request).await.expect("it can be paid from outside");
    let watch = payments.watch_payment(v1::WatchPaymentRequest { id: asked.id.clone() }).await;
    let mut watch = watch.expect("it is ours").into_inner();
    while watch.message().await.expect("it ends well").is_some() {}
    world.stop_platform().await.expect("it stops well");

    let story = Story::of(&collector.spans(), &asked.id);
    assert_eq!(story.trace_ids.len(), 2, "that of its invoice, and this one: {}", story.tree);
    let receipt = "work receipt\n. organisation receipt\n. . commit\n";
    assert!(story.tree.contains(receipt), "{}", story.tree);
}

#[tokio::test]
async fn of_traces_that_are_not_kept_nothing_is_made() {
    let collector = Collector::start().await.expect("there is a port");
    let endpoint = format!("http://{}", collector.address);
    let flags = ["--otlp-endpoint", &endpoint, "--trace-ratio", "0"].map(str::to_owned).into();
    let setup = Setup { flags, ..Setup::default() };
    let mut world = World::start(setup).await.expect("the world starts");
    let customer = world.customer("acme", 1_000_000_000).await.expect("customers can be made");
    pay(&world, &customer, false).await;
    // The caller keeps its own, and ours is a part of it.
    let kept = pay(&world, &customer, true).await;
    world.stop_platform().await.expect("it stops well");
    let spans = collector.spans();
    assert_eq!(Story::of(&spans, &kept.id).spans.len(), 6);
    assert_eq!(spans.len(), 6, "{spans:?}");
}

/// The value of a metric, by its name and labels as they are shown.
fn value(metrics: &str, series: &str) -> Option<String> {
    let line = metrics.lines().find(|line| line.rsplit_once(' ').is_some_and(|it| it.0 == series));
    line.and_then(|line| line.rsplit_once(' ')).map(|(_, value)| value.to_owned())
}

#[tokio::test]
async fn metrics_count_what_was_done_and_show_what_is() {
    let collector = Collector::start().await.expect("there is a port");
    let (mut world, customer) = watched(&collector).await;
    pay(&world, &customer, false).await;
    let slow = world.invoice("alice", AMOUNT_MSAT, "sim:slow:60000").await;
    let mut open = customer.send(&new_id(), &slow);
    open.wait_seconds = 0;
    let mut client = customer.payments(world.connect());
    client.send(open.clone()).await.expect("the send is taken");
    client.send(v1::SendRequest { wallet_id: "?".to_owned(), ..open }).await.expect_err("invalid");
    for call in ["/switchyard.v1.Payments/MadeUp", "/made.up.Service/Call"] {
        let mut raw = Grpc::new(world.connect());
        raw.ready().await.expect("it is there");
        let codec = ProstCodec::<v1::ListWalletsRequest, v1::Payment>::default();
        let mut request = Request::new(v1::ListWalletsRequest::default());
        let key = customer.key.parse().expect("a key is ASCII");
        request.metadata_mut().insert("x-api-key", key);
        let answer = raw.unary(request, PathAndQuery::from_static(call), codec).await;
        answer.expect_err("it is none of ours");
    }

    let (status, metrics) = page(&world, "/metrics").await;
    assert_eq!(status, 200);
    let send = r#"route="/switchyard.v1.Payments/Send""#;
    for (series, wanted) in [
        (format!("switchyard_requests_total{{{send},class=\"ok\"}}"), "2"),
        (format!("switchyard_requests_total{{{send},class=\"invalid\"}}"), "1"),
        (series("requests_total", r#"{route="none",class="invalid"}"#), "2"),
        (format!("switchyard_request_seconds_count{{{send}}}"), "3"),
        (series("attempts_total", r#"{outcome="paid",rail="credit_pool"}"#), "1"),
        (series("payments_total", r#"{outcome="completed",rail="credit_pool"}"#), "1"),
        (series("in_flight", ""), "1"),
        (series("in_flight_msat", ""), "5000"),
        (series("organisations_live", ""), "1"),
        (series("organisations_quarantined", ""), "0"),
        (series("organisation_loads_total", ""), "1"),
        (series("node_usable", r#"{node="pool-1"}"#), "1"),
        (series("inbox_open", ""), "0"),
        (series("frozen", ""), "0"),
        (series("lane_queue", r#"{lane="0"}"#), "0"),
    ] {
        assert_eq!(value(&metrics, &series).as_deref(), Some(wanted), "{series}\n{metrics}");
    }
    let positive = |name: &str| {
        let value = value(&metrics, name).and_then(|value| value.parse().ok());
        assert!(value.is_some_and(|value: f64| value > 0.0), "{name}\n{metrics}");
    };
    positive("switchyard_lane_commit_seconds_sum{lane=\"0\"}");
    positive("switchyard_lane_batch_size_count{lane=\"0\"}");
    positive("switchyard_look_up_seconds_count");
    positive("switchyard_oldest_in_flight_seconds");
    positive("switchyard_lease_seconds_left");
    positive("switchyard_node_outbound_msat{node=\"pool-1\"}");
    for id in [&customer.org, &customer.wallet, &"MadeUp".to_owned(), &"made.up".to_owned()] {
        assert!(!metrics.contains(id), "nobody makes labels up: {metrics}");
    }
    for line in metrics.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let name = line.split(['{', ' ']).next().unwrap_or_default();
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        let described = [Some(name), base].into_iter().flatten();
        let described = described.map(|name| format!("# HELP {name} "));
        assert!(described.into_iter().any(|help| metrics.contains(&help)), "{name}: what is it?");
    }

    assert_eq!(page(&world, "/healthz").await, (200, "ok\n".to_owned()));
    let (status, ready) = page(&world, "/readyz").await;
    let ready: Value = serde_json::from_str(&ready).expect("it is JSON");
    let all = json!({ "lease": "ok", "running": "ok", "store": "ok" });
    assert_eq!((status, ready), (200, json!({ "checks": all, "ready": true })));
    assert_eq!(page(&world, "/").await.0, 404);
    world.kill_platform();
}

fn series(name: &str, labels: &str) -> String {
    format!("switchyard_{name}{labels}")
}

fn text(value: &Value) -> String {
    value.as_str().expect("it is text").to_owned()
}

/// Every line of the log that is JSON, all of them but what the process says to people.
fn lines(log: &str) -> Vec<Map<String, Value>> {
    let lines = log.lines().filter(|line| line.starts_with('{'));
    lines.filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[tokio::test]
async fn lines_of_a_request_have_its_id_and_that_of_its_payment() {
    let collector = Collector::start().await.expect("there is a port");
    let (mut world, customer) = watched(&collector).await;
    let payment = pay(&world, &customer, true).await;
    let other = pay(&world, &customer, false).await;
    let lines = lines(&world.stop_platform().await.expect("it stops well"));

    let of = |payment: &v1::Payment| -> Vec<&Map<String, Value>> {
        lines.iter().filter(|line| line.get("payment_id") == Some(&json!(payment.id))).collect()
    };
    let ids = |payment: &v1::Payment| -> BTreeSet<String> {
        of(payment).iter().map(|line| text(&line["request_id"])).collect()
    };
    for payment in [&payment, &other] {
        assert_eq!(ids(payment).len(), 1, "{:?}", of(payment));
        let said: BTreeSet<String> =
            of(payment).iter().map(|line| text(&line["message"])).collect();
        for message in ["answered", "there is news of an attempt"] {
            assert!(said.contains(message), "{said:?}");
        }
    }
    assert_ne!(ids(&payment), ids(&other));
    let traced = of(&payment);
    let traced = traced.iter().all(|line| line["openTelemetry"]["traceId"] == TRACE_ID);
    assert!(traced, "{:?}", of(&payment));
}

/// Everything that nobody may read in what is watched, by what it is.
async fn secrets(world: &World, customer: &Customer) -> BTreeMap<String, Vec<u8>> {
    let mut secrets = BTreeMap::new();
    secrets.insert("API key".to_owned(), customer.key.clone().into_bytes());
    let token = std::fs::read(text(&world.ready["admin_token_file"])).expect("it is there");
    secrets.insert("admin token".to_owned(), token.trim_ascii().to_vec());
    let data = text(&world.ready["data"]);
    let seal = std::fs::read_to_string(format!("{data}/seal.keys")).expect("it is there");
    let key = seal.trim().rsplit(':').next().unwrap_or_default();
    secrets.insert("seal key".to_owned(), bytes(key));
    for name in ["pool-1", "pool-2"] {
        let macaroon = std::fs::read(text(&world.node(name)["macaroon_file"]));
        let macaroon = macaroon.expect("it is there");
        // Its end is the signature, which alone makes it worth anything. A caveat changes that end.
        secrets.insert(format!("macaroon of {name}"), macaroon[macaroon.len() - 32..].to_vec());
    }
    let sent = pay(world, customer, true).await;
    secrets.insert("preimage of a send".to_owned(), bytes(&sent.preimage));
    let request =
        v1::ReceiveRequest { wait_seconds: Some(30), ..customer.receive(&new_id(), Some(7_000)) };
    let ours = customer.payments(world.connect()).receive(request).await;
    let payment_request = ours.expect("invoices can be made").into_inner().invoice;
    let (node, wait_ms) = ("bob".to_owned(), 30_000);
    let pay = sim::PayRequest { node, payment_request, wait_ms, ..Default::default() };
    let paid = world.outside().pay(pay).await.expect("outside can pay").into_inner();
    secrets.insert("preimage of a receive".to_owned(), paid.preimage);
    secrets
}

fn bytes(hex: &str) -> Vec<u8> {
    let pairs = hex.as_bytes().chunks(2).filter_map(|pair| std::str::from_utf8(pair).ok());
    pairs.filter_map(|pair| u8::from_str_radix(pair, 16).ok()).collect()
}

/// Whether a text tells a secret, in any way in which bytes are written down.
fn tells(text: &[u8], secret: &[u8]) -> bool {
    assert!(secret.len() >= 32, "too short to be one: {secret:?}");
    let debug = format!("{secret:?}");
    let ways = [
        secret.to_vec(),
        hex(secret).into_bytes(),
        hex(secret).to_uppercase().into_bytes(),
        debug.trim_matches(['[', ']']).as_bytes().to_vec(),
    ];
    ways.iter().any(|way| text.windows(way.len()).any(|part| part == way))
}

#[tokio::test]
async fn secrets_are_in_nothing_that_is_watched() {
    let collector = Collector::start().await.expect("there is a port");
    let (mut world, customer) = watched(&collector).await;
    let secrets = secrets(&world, &customer).await;
    let (_, metrics) = page(&world, "/metrics").await;
    let ready = page(&world, "/readyz").await.1;
    let log = world.stop_platform().await.expect("it stops well");
    let spans = format!("{:?}", collector.sent());

    assert!(log.contains("there is news of an attempt"), "it has said everything: {log}");
    assert!(spans.contains("node_name") && metrics.contains("switchyard_attempts_total"));
    for (what, secret) in &secrets {
        for (place, text) in
            [("log", &log), ("metrics", &metrics), ("spans", &spans), ("readiness", &ready)]
        {
            assert!(!tells(text.as_bytes(), secret), "the {what} is in the {place}");
            // Whoever searches must be able to find.
            for planted in [hex(secret), hex(secret).to_uppercase(), format!("{secret:?}")] {
                assert!(tells(format!("{text}{planted}").as_bytes(), secret), "{what}");
            }
        }
    }
    assert_eq!(secrets.len(), 7);
}

/// The spans of a payment and of what belongs to them, with the tree that they make.
struct Story {
    spans: Vec<Span>,
    trace_ids: Vec<String>,
    tree: String,
}

impl Story {
    fn of(all: &[Span], payment: &str) -> Story {
        let of_payment = all.iter().filter(|span| attribute(span, "payment_id") == payment);
        let mut trace_ids: Vec<String> = of_payment.map(|span| hex(&span.trace_id)).collect();
        trace_ids.sort();
        trace_ids.dedup();
        let spans = all.iter().filter(|span| trace_ids.contains(&hex(&span.trace_id)));
        let mut spans: Vec<Span> = spans.cloned().collect();
        spans.sort_by_key(|span| span.start_time_unix_nano);
        let ids: Vec<&[u8]> = spans.iter().map(|span| span.span_id.as_slice()).collect();
        let is_root = |span: &&Span| !ids.contains(&span.parent_span_id.as_slice());
        let mut tree = String::new();
        spans.iter().filter(is_root).for_each(|root| draw(&spans, root, 0, &mut tree));
        Story { tree, trace_ids, spans }
    }
}

fn draw(spans: &[Span], span: &Span, depth: usize, tree: &mut String) {
    let which = ["route", "command", "call", "class", "kind"].map(|key| attribute(span, key));
    // Either node of the pool may be chosen.
    let node = attribute(span, "node_name");
    let node = node.split('-').next().unwrap_or_default().to_owned();
    let words = [span.name.clone()].into_iter().chain(which).chain([node]);
    let words: Vec<String> = words.filter(|word| !word.is_empty()).collect();
    *tree += &format!("{}{}\n", ". ".repeat(depth), words.join(" "));
    let children = spans.iter().filter(|child| child.parent_span_id == span.span_id);
    children.for_each(|child| draw(spans, child, depth + 1, tree));
}

/// Empty if the span has none of this name.
fn attribute(span: &Span, key: &str) -> String {
    let found = span.attributes.iter().find(|attribute| attribute.key == key);
    match found.and_then(|attribute| attribute.value.as_ref()?.value.as_ref()) {
        Some(any_value::Value::StringValue(text)) => text.clone(),
        Some(_) | None => String::new(),
    }
}
