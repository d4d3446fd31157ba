//! A caller's key outlives the gateway that had its request.

use std::time::{Duration, Instant};

use proto::v1::GetPaymentRequest;
use serde_json::json;
use tests::{
    plain_http::post,
    world::{Customer, LIMIT_MSAT, new_id},
};
use tokio::time::sleep;

use crate::bed::{Bed, How};

/// Longer than the gateway lives.
const LATENCY_MS: u64 = 20_000;
/// A lease is five seconds; without asking who lives it was ninety.
const FREE_WITHIN: Duration = Duration::from_secs(8);

struct Request {
    path: String,
    body: String,
    key: String,
}

impl Request {
    async fn status(&self, address: &str, prefer: &str) -> Result<u16, std::io::Error> {
        let headers =
            [("x-api-key", &*self.key), ("idempotency-key", "order 7"), ("prefer", prefer)];
        post(address, &self.path, &headers, &self.body).await.map(|(status, _)| status)
    }
}

fn send(customer: &Customer, id: &str, invoice: &str) -> Request {
    let Customer { org, environment, key, .. } = customer;
    let body = json!({
        "id": id, "wallet_id": customer.wallet, "currency": "btc", "type": "bolt11",
        "data": { "payment_request": invoice },
    });
    Request {
        path: format!("/v1/organizations/{org}/environments/{environment}/payments"),
        body: body.to_string(),
        key: key.clone(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_free_soon_after_the_gateway_that_had_it_is_dead() {
    let bed = Bed::start(1).await;
    let customer = bed.world.customer("acme", LIMIT_MSAT).await.expect("customers can be made");
    let there = bed.world.ready["address"].as_str().expect("a gateway has one").to_owned();
    for node in ["pool-1", "pool-2"] {
        bed.world.set_latency(node, LATENCY_MS).await.expect("the network listens");
    }
    let (mut dies, here) = bed.gateway("dies", &How::default()).await;
    let invoice = bed.world.invoice("alice", 1_000_000, "").await;
    let id = new_id();
    let request = send(&customer, &id, &invoice);

    let waits = request.status(&here, "wait=60");
    let is_taken = async {
        let mut payments = customer.payments(bed.world.connect());
        while payments.get_payment(GetPaymentRequest { id: id.clone() }).await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(request.status(&there, "wait=0").await.expect("it is well"), 409);
        dies.kill();
        Instant::now()
    };
    let (waited, died) = tokio::join!(waits, is_taken);
    assert!(waited.is_err(), "{waited:?}");

    // Long before the payment has an end.
    let mut status = 409;
    while status == 409 {
        assert!(died.elapsed() < FREE_WITHIN, "it is still said to run");
        sleep(Duration::from_millis(100)).await;
        status = request.status(&there, "wait=0").await.expect("it is well");
    }
    assert_eq!(status, 202);
    bed.is_sound().await;
}
