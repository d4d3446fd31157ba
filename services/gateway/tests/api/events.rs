//! The feed by gRPC.

use std::time::Duration;

use proto::v1;
use tokio_stream::StreamExt;
use tonic::{Code, Request};

use crate::world::{World, invoice, payment, preimage, refusal};

#[tokio::test]
async fn pages_go_on_where_the_last_one_ended_and_show_one_environment() {
    let world = World::new().await;
    let send = world.book.send(payment(1), &invoice(1, Some(20_000)));
    world.book.payments(&world).send(send).await.unwrap();
    let foreign = world.shop.send(payment(2), &invoice(2, Some(20_000)));
    world.shop.payments(&world).send(foreign).await.unwrap();
    world.fake.prove(world.book.org, payment(1), preimage(1));
    let mut events = world.book.events(&world);
    let (mut after_seq, mut told) = (0, Vec::new());
    loop {
        let request = v1::ListEventsRequest { after_seq, limit: 2 };
        let page = events.list(request).await.unwrap().into_inner();
        told.extend(page.events);
        if page.next_after_seq == after_seq {
            break;
        }
        after_seq = page.next_after_seq;
    }
    let types: Vec<_> = told.iter().map(|event| event.r#type.as_str()).collect();
    let wanted = [
        "environment_created",
        "line_of_credit_opened",
        "wallet_created",
        "send_held",
        "send_attempt_started",
        "send_succeeded",
    ];
    assert_eq!(types, wanted);
    assert!(told.is_sorted_by_key(|event| event.seq));
    assert_eq!(told[1].line_id, world.book.line);
    assert_eq!(told[2].wallet_id, world.book.wallet.to_string());
    assert!(told[3..].iter().all(|event| event.payment_id == payment(1).to_string()));
    let request = v1::ListEventsRequest { after_seq: u64::MAX, limit: 0 };
    let refused = refusal(events.list(request).await);
    assert_eq!(refused, (Code::NotFound, "unknown_position".to_owned()));
    let request = v1::ListEventsRequest { after_seq: 0, limit: 1_001 };
    let refused = refusal(events.list(request).await);
    assert_eq!(refused, (Code::InvalidArgument, "limit_out_of_range".to_owned()));
}

#[tokio::test]
async fn a_follower_hears_what_was_and_what_happens_and_where_to_go_on() {
    let world = World::new().await;
    let mut events = world.book.events(&world);
    let follow = v1::FollowEventsRequest { after_seq: 0 };
    let mut told = events.follow(follow).await.unwrap().into_inner();
    let mut last = 0;
    for wanted in ["environment_created", "line_of_credit_opened", "wallet_created"] {
        let event = told.next().await.unwrap().unwrap();
        assert_eq!(event.r#type, wanted);
        last = event.seq;
    }
    let send = world.book.send(payment(1), &invoice(1, Some(20_000)));
    world.book.payments(&world).send(send).await.unwrap();
    let held = told.next().await.unwrap().unwrap();
    assert_eq!(held.r#type, "send_held");

    let follow = v1::FollowEventsRequest { after_seq: last };
    let mut again = events.follow(follow).await.unwrap().into_inner();
    assert_eq!(again.next().await.unwrap().unwrap(), held, "none is lost, none comes twice");
    let served = world.stop();
    told.next().await.unwrap().unwrap();
    let end = told.next().await.unwrap().map(tonic::Response::new);
    assert_eq!(refusal(end), (Code::Unavailable, "events_broken_off".to_owned()));
    drop(again);
    tokio::time::timeout(Duration::from_secs(5), served).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_deadline_ends_a_follower() {
    let world = World::new().await;
    let everything = v1::ListEventsRequest { after_seq: 0, limit: 0 };
    let everything = world.book.events(&world).list(everything).await.unwrap().into_inner();
    let after_seq = everything.next_after_seq;
    let mut follow = Request::new(v1::FollowEventsRequest { after_seq });
    follow.set_timeout(Duration::from_millis(400));
    let mut told = world.book.events(&world).follow(follow).await.unwrap().into_inner();
    let end = told.next().await.unwrap().map(tonic::Response::new);
    assert_eq!(refusal(end), (Code::DeadlineExceeded, "deadline_exceeded".to_owned()));
}
