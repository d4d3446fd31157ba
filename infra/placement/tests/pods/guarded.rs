//! Who may call a pod, and with what.

use std::time::Duration;

use domain::ErrorClass;
use ports::Orgs as _;
use proto::{
    Problem,
    engine::v1::{self, orgs_client::OrgsClient},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tonic::{Code, Request, Status, transport::Endpoint};

use crate::{
    cluster::{Cluster, Member, ORG, SECRET, payment, send_terms},
    fake::Does,
};

/// How every connection of HTTP/2 begins.
const HELLO: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

async fn raw(
    member: &Member,
    request: v1::WaitRequest,
    metadata: &[(&'static str, &str)],
) -> Result<(), Status> {
    let endpoint = Endpoint::from_shared(format!("http://{}", member.pod.address)).unwrap();
    let mut request = Request::new(request);
    for (name, value) in metadata {
        request.metadata_mut().insert(*name, value.parse().unwrap());
    }
    let mut client = OrgsClient::new(endpoint.connect().await.unwrap());
    client.wait(request).await.map(|_| ())
}

/// A stream with one call on it.
async fn stream(
    member: &Member,
    call: v1::Call,
    metadata: &[(&'static str, &str)],
) -> Result<v1::Answer, Status> {
    let endpoint = Endpoint::from_shared(format!("http://{}", member.pod.address)).unwrap();
    let calls = v1::Calls { calls: vec![call], left: Vec::new() };
    let mut request = Request::new(futures_util::stream::iter([calls]));
    for (name, value) in metadata {
        request.metadata_mut().insert(*name, value.parse().unwrap());
    }
    let mut client = OrgsClient::new(endpoint.connect().await.unwrap());
    let mut answers = client.exchange(request).await?.into_inner();
    let mut heard = answers.message().await?.unwrap();
    assert_eq!(answers.message().await?, None, "all of it was answered");
    Ok(heard.answers.pop().unwrap())
}

#[tokio::test]
async fn nobody_is_served_without_the_secret_or_with_another_version() {
    let (_cluster, one, _) = Cluster::start().await;
    const KEY: &str = "x-switchyard-cluster";
    const VERSION: &str = "x-switchyard-engine-version";
    let other = SECRET.replace('0', "1");
    let wait = v1::WaitRequest::default;
    for metadata in [&[][..], &[(VERSION, "1")], &[(KEY, other.as_str()), (VERSION, "1")]] {
        let status = raw(&one, wait(), metadata).await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated, "{status}");
        assert!(!format!("{status:?}").contains(SECRET));
    }
    for metadata in [&[(KEY, SECRET)][..], &[(KEY, SECRET), (VERSION, "0")]] {
        let status = raw(&one, wait(), metadata).await.unwrap_err();
        assert_eq!(Problem::from_status(&status).code, "other_version");
    }
    let good = [(KEY, SECRET), (VERSION, "1")];
    let status = raw(&one, wait(), &good).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "it is let in, and says nothing: {status}");
    let large = v1::WaitRequest { payment_id: vec![0; 600_000], ..wait() };
    let status = raw(&one, large, &good).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status}");
    assert_eq!(one.engine.asked(), [""; 0]);
}

#[tokio::test]
async fn no_stream_begins_without_the_secret() {
    let (_cluster, one, _) = Cluster::start().await;
    let call = |kind: i32| v1::Call { id: 7, kind, ..v1::Call::default() };
    let wait = || call(v1::CallKind::Wait.into());
    let status = stream(&one, wait(), &[]).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated, "{status}");
    let status = stream(&one, wait(), &[("x-switchyard-cluster", SECRET)]).await.unwrap_err();
    assert_eq!(Problem::from_status(&status).code, "other_version");
    let good = [("x-switchyard-cluster", SECRET), ("x-switchyard-engine-version", "1")];
    let refused = async |call| match stream(&one, call, &good).await.unwrap() {
        v1::Answer { id: 7, came: Some(v1::answer::Came::Refused(why)) } => Code::from(why.status),
        answer => panic!("{answer:?}"),
    };
    assert_eq!(refused(wait()).await, Code::InvalidArgument, "it says nothing");
    let odd = v1::Call { request: vec![0xff].into(), ..wait() };
    assert_eq!(refused(odd).await, Code::InvalidArgument);
    assert_eq!(refused(call(99)).await, Code::Unimplemented);
    assert_eq!(one.engine.asked(), [""; 0]);
}

/// Nothing is read from one too many, whoever it is, and those that have a place keep it.
#[tokio::test]
async fn one_connection_too_many_is_closed() {
    const MOST: usize = 256;
    let (_cluster, one, _) = Cluster::start().await;
    let connect = async || TcpStream::connect(one.listens).await.unwrap();
    let mut taken = Vec::new();
    for _ in 0..MOST {
        let mut connection = connect().await;
        // What the engine says then shows that it was let in.
        connection.write_all(HELLO).await.unwrap();
        connection.read_exact(&mut [0; 9]).await.unwrap();
        taken.push(connection);
    }
    let ended = connect().await.read(&mut [0; 1]).await;
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    taken[0].write_all(b"\0\0\x08\x06\0\0\0\0\0pingpong").await.unwrap();
    let mut heard = Vec::new();
    while !heard.ends_with(b"pingpong") {
        heard.push(taken[0].read_u8().await.unwrap());
    }
    drop(taken);
    // A place is free as soon as the engine has seen that whoever had it has gone.
    let waited = async {
        loop {
            let mut connection = connect().await;
            // Written to what is closed already, it is lost.
            let _ = connection.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
            if connection.read_exact(&mut [0; 9]).await.is_ok() {
                return;
            }
        }
    };
    timeout(Duration::from_secs(10), waited).await.unwrap();
    assert_eq!(one.engine.asked(), [""; 0]);
}

/// Neither one that says nothing nor one that speaks and shows no secret. A pod's stays, whatever it waits for.
#[tokio::test]
async fn a_stranger_does_not_keep_its_place() {
    let (cluster, one, _) = Cluster::start().await;
    one.engine.next([Does::Sleeps]);
    let within = Duration::from_secs(60).into();
    let send = cluster.forward.send(ORG, payment(1), send_terms(), within);
    let strangers = async {
        while one.engine.asked().is_empty() {
            tokio::task::yield_now().await;
        }
        let closed = async |says: &[u8]| {
            let mut connection = TcpStream::connect(one.listens).await.unwrap();
            connection.write_all(says).await.unwrap();
            // To its end, however that comes.
            let _ = connection.read_to_end(&mut Vec::new()).await;
        };
        tokio::join!(closed(b""), closed(HELLO));
    };
    tokio::select! {
        sent = send => panic!("{sent:?}"),
        ended = timeout(Duration::from_secs(60), strangers) => ended.unwrap(),
    }
    assert_eq!(one.engine.asked(), ["send 1"]);
}

#[tokio::test]
async fn a_gateway_with_another_secret_is_told_that_nothing_was_done() {
    let mut cluster = Cluster::empty("another-secret-of-another-cluster");
    let one = cluster.join(1).await;
    cluster.owned_by(&[&one], Some(&one)).await;
    let send = cluster.forward.send(ORG, payment(1), send_terms(), Duration::ZERO.into());
    let error = send.await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unavailable, "{error}");
    assert_eq!(one.engine.asked(), [""; 0]);
}
