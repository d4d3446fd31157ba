//! One payment is one trace, whichever processes it goes through.

use proto::v1::PaymentStatus;
use tests::{
    collector::Collector,
    process::STOPS_WITHIN,
    world::{LIMIT_MSAT, new_id},
};
use tonic::Request;

use crate::bed::Bed;

const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER_SPAN: &str = "00f067aa0ba902b7";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_goes_on_in_the_engine() {
    let collector = Collector::start().await.expect("there is a port");
    let endpoint = format!("http://{}", collector.address);
    let flags = ["--otlp-endpoint", &endpoint, "--trace-ratio", "0"].map(str::to_owned);
    let mut bed = Bed::start_with(1, &flags).await;
    let customer = bed.world.customer("acme", LIMIT_MSAT).await.expect("customers can be made");
    let invoice = bed.world.invoice("alice", 5_000, "").await;
    let mut request = Request::new(customer.send(&new_id(), &invoice));
    let parent = format!("00-{TRACE_ID}-{CALLER_SPAN}-01").parse().expect("it is ASCII");
    request.metadata_mut().insert("traceparent", parent);
    let sent = customer.payments(bed.world.connect()).send(request).await;
    assert_eq!(sent.expect("it is taken").into_inner().status(), PaymentStatus::Completed);
    // Stopping sends what has not been sent yet.
    bed.world.stop_platform().await.expect("it stops well");
    bed.signal("engine-1", "-TERM");
    assert!(bed.process("engine-1").ends_within(STOPS_WITHIN).await.is_some());

    let spans = collector.spans();
    assert!(spans.iter().all(|span| hex(&span.trace_id) == TRACE_ID), "only what is kept is made");
    let below = |parent: &str| {
        let spans = spans.iter().filter(|span| hex(&span.parent_span_id) == parent);
        spans.map(|span| (span.name.clone(), hex(&span.span_id))).collect::<Vec<_>>()
    };
    let mut parent = CALLER_SPAN.to_owned();
    for name in ["request", "request", "organisation"] {
        let below = below(&parent);
        assert_eq!(below.len(), 1, "{below:?}");
        assert_eq!(below[0].0, name);
        parent.clone_from(&below[0].1);
    }
    let mut work: Vec<String> = below(&parent).into_iter().map(|(name, _)| name).collect();
    work.sort();
    assert_eq!(work, ["commit", "node"]);
}
