//! What every gRPC program may expect: reflection, health, compression, deadlines.

use std::{sync::atomic::Ordering, time::Duration};

use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, Value};
use proto::{Problem, status::Retryable, v1};
use tokio_stream::StreamExt;
use tonic::{
    Code, Request, Status,
    body::Body,
    client::Grpc,
    codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::http::{self, uri::PathAndQuery},
};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};
use tower::ServiceExt as _;

use crate::world::{World, invoice, payment, refusal};

/// Messages of which only the descriptors are known.
#[derive(Clone)]
struct Dynamic(MessageDescriptor);

impl Codec for Dynamic {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = Dynamic;
    type Decoder = Dynamic;

    fn encoder(&mut self) -> Dynamic {
        self.clone()
    }

    fn decoder(&mut self) -> Dynamic {
        self.clone()
    }
}

impl Encoder for Dynamic {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(&mut self, item: DynamicMessage, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        prost::Message::encode(&item, into).unwrap();
        Ok(())
    }
}

impl Decoder for Dynamic {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        Ok(Some(DynamicMessage::decode(self.0.clone(), from).unwrap()))
    }
}

async fn ask(world: &World, question: MessageRequest) -> Result<MessageResponse, Status> {
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(question) };
    let mut client = ServerReflectionClient::new(world.public.clone());
    let mut answers =
        client.server_reflection_info(tokio_stream::once(request)).await.unwrap().into_inner();
    let answer = answers.next().await.unwrap()?;
    Ok(answer.message_response.unwrap())
}

#[tokio::test]
async fn a_program_that_knows_nothing_learns_the_api_and_calls_it() {
    let world = World::new().await;
    let listed = ask(&world, MessageRequest::ListServices(String::new())).await.unwrap();
    let MessageResponse::ListServicesResponse(listed) = listed else { panic!("{listed:?}") };
    let names: Vec<_> = listed.service.into_iter().map(|service| service.name).collect();
    for wanted in proto::public_services() {
        assert!(names.contains(&wanted), "{wanted} is not in {names:?}");
    }
    assert!(names.contains(&"grpc.health.v1.Health".to_owned()));
    assert!(!names.iter().any(|name| name.contains("admin")), "{names:?}");
    let hidden = MessageRequest::FileContainingSymbol("switchyard.admin.v1.Keys".to_owned());
    assert_eq!(ask(&world, hidden).await.unwrap_err().code(), Code::NotFound);

    let symbol = MessageRequest::FileContainingSymbol("switchyard.v1.Wallets".to_owned());
    let files = ask(&world, symbol).await.unwrap();
    let MessageResponse::FileDescriptorResponse(files) = files else { panic!("{files:?}") };
    let mut pool = DescriptorPool::new();
    for file in files.file_descriptor_proto {
        pool.decode_file_descriptor_proto(file.as_slice()).unwrap();
    }
    let service = pool.get_service_by_name("switchyard.v1.Wallets").unwrap();
    let method = service.methods().find(|method| method.name() == "Get").unwrap();
    let mut get = DynamicMessage::new(method.input());
    get.set_field_by_name("id", Value::String(world.book.wallet.to_string()));
    let mut request = Request::new(get);
    request.metadata_mut().insert("x-api-key", world.book.key.parse().unwrap());
    let mut client = Grpc::new(world.public.clone());
    client.ready().await.unwrap();
    let path = format!("/{}/{}", service.full_name(), method.name());
    let path = PathAndQuery::try_from(path).unwrap();
    let told = client.unary(request, path, Dynamic(method.output())).await.unwrap().into_inner();
    let name = told.get_field_by_name("name").unwrap();
    assert_eq!(name.as_str(), Some("till"));
}

fn of(service: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: service.to_owned() }
}

#[tokio::test]
async fn health_is_told_to_anybody_and_follows_the_store() {
    let world = World::new().await;
    let mut health = HealthClient::new(world.public.clone());
    for service in ["", "switchyard.v1.Payments", "switchyard.v1.Events"] {
        let told = health.check(of(service)).await.unwrap().into_inner();
        assert_eq!(told.status(), ServingStatus::Serving, "{service}");
    }
    let unknown = refusal(health.check(of("switchyard.v1.Nobody")).await);
    assert_eq!(unknown, (Code::NotFound, "service_not_found".to_owned()));
    let mut watch = health.watch(of("")).await.unwrap().into_inner();
    let mut unknown = health.watch(of("nobody")).await.unwrap().into_inner();
    let first = unknown.next().await.unwrap().unwrap();
    assert_eq!(first.status(), ServingStatus::ServiceUnknown);
    for (is_ill, status) in [
        (false, ServingStatus::Serving),
        (true, ServingStatus::NotServing),
        (false, ServingStatus::Serving),
    ] {
        world.fake.ill.store(is_ill, Ordering::Relaxed);
        assert_eq!(watch.next().await.unwrap().unwrap().status(), status);
    }
    let served = world.stop();
    assert_eq!(watch.next().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    assert!(watch.next().await.is_none() && unknown.next().await.is_none());
    tokio::time::timeout(Duration::from_secs(5), served).await.unwrap().unwrap();
}

/// Libraries look for UNIMPLEMENTED, and programs of ours for the code.
#[tokio::test]
async fn a_service_that_there_is_not_is_refused_like_a_call_that_there_is_not() {
    let world = World::new().await;
    for (channel, path) in [
        (&world.public, "/switchyard.v1.Payments/Refund"),
        (&world.public, "/switchyard.v1.Refunds/Make"),
        (&world.public, "/elsewhere.v1.Payments/Send"),
        (&world.public, "/grpc.reflection.v1.ServerReflection/Reflect"),
        (&world.private, "/elsewhere.v1.Payments/Send"),
    ] {
        let request = http::Request::post(path)
            .header("content-type", "application/grpc")
            .header("x-api-key", &world.book.key);
        let answer = channel.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let status = Status::from_header_map(answer.headers()).unwrap();
        let told = ["switchyard-code", "switchyard-retryable"];
        let told = told.map(|key| status.metadata().get(key).map(|it| it.to_str().unwrap()));
        assert_eq!(told, [Some("unknown_call"), Some("no")], "{path}");
        assert_eq!(status.code(), Code::Unimplemented, "{path}");
    }
}

#[tokio::test]
async fn answers_are_compressed_for_whoever_asks_and_requests_may_be() {
    let world = World::new().await;
    let decode = v1::DecodeRequest { invoice: invoice(1, Some(20_000)) };
    let plain = world.book.payments(&world).decode(decode.clone()).await.unwrap();
    assert_eq!(plain.metadata().get("grpc-encoding"), None);
    let gzip = CompressionEncoding::Gzip;
    let mut packed = world.book.payments(&world).send_compressed(gzip).accept_compressed(gzip);
    let told = packed.decode(decode).await.unwrap();
    assert_eq!(told.metadata().get("grpc-encoding").unwrap(), "gzip");
    assert_eq!(told.into_inner(), plain.into_inner());

    // A few hundred bytes on the way, and megabytes when they are unpacked.
    let bomb = v1::DecodeRequest { invoice: "l".repeat(8 * 1_024 * 1_024) };
    let refused = refusal(packed.decode(bomb).await);
    assert_eq!(refused, (Code::InvalidArgument, "request_too_large".to_owned()));
}

#[tokio::test]
async fn a_deadline_is_kept_and_what_was_taken_goes_on() {
    let world = World::new().await;
    let send = world.book.send(payment(1), &invoice(1, Some(20_000)));
    let mut request = Request::new(v1::SendRequest { wait_seconds: 60, ..send });
    request.set_timeout(Duration::from_secs(1));
    let status = world.book.payments(&world).send(request).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    let problem = Problem::from_status(&status);
    assert_eq!(
        (problem.code.as_ref(), problem.retryable()),
        ("outcome_unknown", Retryable::SameId)
    );
    assert!(world.fake.has_payment(world.book.org, payment(1)));
    // The organisation does not begin it later than that.
    let begin = world.fake.state().begin;
    assert!(begin.is_some_and(|left| left < Duration::from_secs(1)), "{begin:?}");
    let other = world.book.send(payment(2), &invoice(2, Some(20_000)));
    world.book.payments(&world).send(other).await.unwrap();
    assert_eq!(world.fake.state().begin, None);

    for text in ["soon", "1", "-1S", "123456789S", "1s"] {
        let mut request = Request::new(v1::ListLinesRequest::default());
        request.metadata_mut().insert("grpc-timeout", text.parse().unwrap());
        let refused = refusal(world.book.lines(&world).list(request).await);
        assert_eq!(refused, (Code::InvalidArgument, "deadline_invalid".to_owned()), "{text}");
    }
    let mut request = Request::new(v1::ListLinesRequest::default());
    request.metadata_mut().insert("grpc-timeout", "99999999H".parse().unwrap());
    assert_eq!(world.book.lines(&world).list(request).await.unwrap().into_inner().lines.len(), 1);
}

#[tokio::test]
async fn an_estimate_says_what_it_would_come_to() {
    use v1::estimate_request::Payment;

    let world = World::new().await;
    let mut payments = world.book.payments(&world);
    let ask = |payment| v1::EstimateRequest {
        wallet_id: world.book.wallet.to_string(),
        payment: Some(payment),
    };
    let send = |amount, named| v1::EstimateSend {
        invoice: invoice(1, amount),
        amount_msat: named,
        fee_limit_msat: None,
    };
    let told = payments.estimate(ask(Payment::Send(send(Some(20_000), None)))).await;
    let told = told.unwrap().into_inner();
    assert_eq!((told.fee_limit_msat, told.total_msat), (1_000, Some(21_000)));
    assert!(told.allowed && told.reasons.is_empty());
    assert_eq!(told.spendable_msat, 500_000_000);
    let dear = payments.estimate(ask(Payment::Send(send(None, Some(600_000_000))))).await;
    let dear = dear.unwrap().into_inner();
    assert_eq!((dear.allowed, dear.reasons), (false, vec!["insufficient_funds".to_owned()]));
    let receive = v1::EstimateReceive { amount_msat: None };
    let told = payments.estimate(ask(Payment::Receive(receive))).await.unwrap().into_inner();
    assert_eq!((told.amount_msat, told.allowed), (None, true));

    for (payment, name) in [
        (Payment::Send(send(None, None)), "amount_missing"),
        (Payment::Send(send(Some(5), Some(5))), "amount_given"),
        (Payment::Receive(v1::EstimateReceive { amount_msat: Some(0) }), "amount_out_of_range"),
    ] {
        let refused = refusal(payments.estimate(ask(payment)).await);
        assert_eq!(refused, (Code::InvalidArgument, name.to_owned()));
    }
    let nothing = v1::EstimateRequest { payment: None, ..ask(Payment::Receive(receive)) };
    assert_eq!(refusal(payments.estimate(nothing).await).1, "field_missing");
    // Who may only receive has no business with what a send costs.
    let permissions = [domain::Permission::Receive].into();
    world.fake.change_key(&world.shop.key_id, |key| key.permissions = permissions);
    let foreign = v1::EstimateRequest {
        wallet_id: world.shop.wallet.to_string(),
        ..ask(Payment::Send(send(Some(20_000), None)))
    };
    let refused = refusal(world.shop.payments(&world).estimate(foreign).await);
    assert_eq!(refused, (Code::PermissionDenied, "access_rights".to_owned()));
}
