use std::convert::Infallible;

use axum::{
    body::Bytes,
    http::{Request, Version},
};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_stream::{StreamExt, wrappers::ReceiverStream};
use tonic::body::Body;
use tower::ServiceExt;

use crate::world::World;

/// curl that is still sending takes a reset for a failure, and never reads why it was refused.
#[tokio::test]
async fn whoever_is_refused_may_still_send_the_whole_body() {
    let world = World::new().await;
    let (send, sent) = mpsc::channel::<Bytes>(1);
    let frames = ReceiverStream::new(sent).map(|bytes| Ok::<_, Infallible>(Frame::data(bytes)));
    let request = Request::post(world.book.of_env("/payments"))
        .header("content-type", "application/json")
        .body(Body::new(StreamBody::new(frames)));
    let refused = world.public.clone().oneshot(request.unwrap()).await.unwrap();
    assert_eq!((refused.version(), refused.status().as_u16()), (Version::HTTP_2, 400));
    let why = refused.into_body().collect().await.unwrap().to_bytes();
    let why: Value = serde_json::from_slice(&why).unwrap();
    assert_eq!(why["error"]["type"], json!("missing_credentials"));
    for _ in 0..64 {
        send.send(Bytes::from_static(&[b' '; 1_024])).await.expect("the stream was not reset");
    }
}
