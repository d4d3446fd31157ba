//! Bodies that are too large, and secrets that are not valid.

use domain::ErrorClass::{Denied, Invalid};
use proto::{admin::v1 as admin, v1};
use tests::world::new_id;
use tonic::{Code, Request, Response, Status, client::Grpc, codegen::http::uri::PathAndQuery};
use tonic_prost::ProstCodec;

use crate::bed::{Bed, refused, refused_as, said_no};

#[tokio::test]
async fn huge_bodies() {
    let bed = Bed::make().await;
    let before = bed.books().await;
    let mut payments = bed.acme.payments(bed.channel.clone());
    for size in [300 * 1_024, 8 * 1_024 * 1_024] {
        let huge = "l".repeat(size);
        let request = bed.acme.send(&new_id(), &huge);
        refused(payments.send(request).await, Invalid, "request_too_large");
        let mut request = bed.acme.receive(&new_id(), Some(1_000));
        request.description = huge.clone();
        refused(payments.receive(request).await, Invalid, "request_too_large");
        let request = admin::CreateOrganisationRequest { id: new_id(), name: huge };
        let answer = bed.world.organisations().create(request).await;
        refused(answer, Invalid, "request_too_large");
    }
    bed.unchanged(&before).await;
}

/// What the bytes of a message become when they are sent to this call.
async fn call(bed: &Bed, path: &'static str) -> Result<Response<v1::Payment>, Status> {
    let mut raw = Grpc::new(bed.channel.clone());
    raw.ready().await.expect("the platform serves");
    // Its first field is a number, where a send has a text.
    let mut message = Request::new(v1::ListWalletsRequest { limit: 5, ..Default::default() });
    // The guard comes first: whoever has no key learns nothing about bodies and calls.
    let key = bed.acme.key.parse().expect("a key is ASCII");
    message.metadata_mut().insert("x-api-key", key);
    let codec = ProstCodec::<v1::ListWalletsRequest, v1::Payment>::default();
    raw.unary(message, PathAndQuery::from_static(path), codec).await
}

#[tokio::test]
async fn unreadable_bodies_and_unknown_calls() {
    let bed = Bed::make().await;
    let before = bed.books().await;
    let unreadable = call(&bed, "/switchyard.v1.Payments/Send").await;
    refused(unreadable, Invalid, "request_unreadable");
    let unknown = call(&bed, "/switchyard.v1.Payments/Refund").await;
    refused_as(Code::Unimplemented, unknown, Invalid, "unknown_call");
    bed.unchanged(&before).await;
}

#[tokio::test]
async fn long_texts() {
    let bed = Bed::make().await;
    let before = bed.books().await;
    let mut payments = bed.acme.payments(bed.channel.clone());
    let long = "l".repeat(100 * 1_024);
    let request = bed.acme.send(&new_id(), &long);
    refused(payments.send(request).await, Invalid, "too_long");
    let mut request = bed.acme.receive(&new_id(), Some(1_000));
    request.description = long.clone();
    refused(payments.receive(request).await, Invalid, "text_too_long");
    let request = admin::CreateOrganisationRequest { id: new_id(), name: long.clone() };
    refused(bed.world.organisations().create(request).await, Invalid, "text_too_long");
    said_no(&bed.world.cli("", &["org", "create", &long]).await, Invalid, "text_too_long");
    bed.unchanged(&before).await;
}

#[tokio::test]
async fn wrong_key() {
    let bed = Bed::make().await;
    let before = bed.books().await;
    let mut stranger = bed.acme.clone();
    stranger.key = format!("switchyard_{}", "0".repeat(64));
    let list = stranger.wallets(bed.channel.clone()).list(v1::ListWalletsRequest::default()).await;
    refused(list, Denied, "wrong_credentials");
    let invoice = bed.world.invoice("alice", 1_000, "").await;
    let sent = bed.send(&stranger, stranger.send(&new_id(), &invoice)).await;
    refused(sent, Denied, "wrong_credentials");
    said_no(&bed.cli(&stranger, &["wallet", "list"]).await, Denied, "wrong_credentials");
    let words = ["org", "list", "--admin-token", &bed.acme.key];
    said_no(&bed.cli(&bed.acme, &words).await, Denied, "wrong_credentials");
    bed.unchanged(&before).await;
}
