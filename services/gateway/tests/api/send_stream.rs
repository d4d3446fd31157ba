//! Many sends over one stream.

use std::{collections::BTreeMap, num::NonZeroU32, time::Duration};

use domain::{Preimage, Timestamp};
use gateway::RateLimit;
use proto::v1::{self, PaymentStatus, SendAnswer, send_answer::Answer};
use tokio::{sync::mpsc, time::Instant};
use tokio_stream::{StreamExt, wrappers::ReceiverStream};
use tonic::{Code, Request, Status, Streaming};

use crate::world::{How, Part, World, invoice, invoice_for, payment, preimage, refusal};

struct Pipe {
    sends: mpsc::Sender<v1::SendRequest>,
    answers: Streaming<SendAnswer>,
}

impl Pipe {
    async fn open(world: &World, part: &Part) -> Pipe {
        let (sends, taken) = mpsc::channel(2_000);
        let stream = part.payments(world).send_stream(ReceiverStream::new(taken)).await;
        Pipe { sends, answers: stream.unwrap().into_inner() }
    }

    async fn send(&self, request: v1::SendRequest) {
        self.sends.send(request).await.unwrap();
    }

    async fn answer(&mut self) -> (String, Answer) {
        let SendAnswer { id, answer } = self.answers.next().await.unwrap().unwrap();
        (id, answer.unwrap())
    }

    async fn accepted(&mut self) -> v1::Payment {
        match self.answer().await {
            (id, Answer::Accepted(payment)) if id == payment.id => payment,
            other => panic!("{other:?}"),
        }
    }

    async fn updated(&mut self) -> v1::Payment {
        match self.answer().await {
            (id, Answer::Updated(payment)) if id == payment.id => payment,
            other => panic!("{other:?}"),
        }
    }

    async fn refused(&mut self) -> (String, v1::Refusal) {
        match self.answer().await {
            (id, Answer::Refused(refusal)) => (id, refusal),
            other => panic!("{other:?}"),
        }
    }

    async fn end(mut self) -> Option<Status> {
        drop(self.sends);
        self.answers.next().await.map(|last| last.unwrap_err())
    }
}

#[tokio::test]
async fn sends_are_under_way_side_by_side_and_end_in_any_order() {
    let world = World::new().await;
    let mut pipe = Pipe::open(&world, &world.book).await;
    let mut accepted = BTreeMap::new();
    for number in 1..=3_u8 {
        let id = payment(u128::from(number));
        pipe.send(world.book.send(id, &invoice(number, Some(20_000)))).await;
    }
    for _ in 1..=3 {
        let payment = pipe.accepted().await;
        assert_eq!(payment.status(), PaymentStatus::Sending);
        accepted.insert(payment.id.clone(), payment);
    }
    assert_eq!(accepted.len(), 3);
    for number in [3_u8, 1, 2] {
        let id = payment(u128::from(number));
        world.fake.prove(world.book.org, id, preimage(number));
        let ended = pipe.updated().await;
        assert_eq!((ended.id.clone(), ended.status()), (id.to_string(), PaymentStatus::Completed));
    }
    assert!(pipe.end().await.is_none());
}

/// The caller has nothing more to send, and hears the end of everything all the same.
#[tokio::test]
async fn a_closed_side_ends_nothing_that_is_under_way() {
    let world = World::new().await;
    let mut pipe = Pipe::open(&world, &world.book).await;
    pipe.send(world.book.send(payment(1), &invoice(1, Some(20_000)))).await;
    pipe.accepted().await;
    let Pipe { sends, mut answers } = pipe;
    drop(sends);
    world.fake.prove(world.book.org, payment(1), preimage(1));
    let last = answers.next().await.unwrap().unwrap();
    assert!(matches!(last.answer, Some(Answer::Updated(ended)) if ended.fee_msat == Some(0)));
    assert!(answers.next().await.is_none());
}

#[tokio::test]
async fn each_refusal_is_of_its_own_send_and_the_others_go_on() {
    let world = World::new().await;
    let mut pipe = Pipe::open(&world, &world.book).await;
    let good = world.book.send(payment(1), &invoice(1, Some(20_000)));
    let book = |change: &dyn Fn(&mut v1::SendRequest)| {
        let mut request = good.clone();
        change(&mut request);
        request
    };
    let long = "x".repeat(100);
    for (request, id, status, code) in [
        (book(&|it| it.id.clear()), "", Code::InvalidArgument, "id_invalid"),
        (book(&|it| it.id = long.clone()), &long[..64], Code::InvalidArgument, "id_invalid"),
        (book(&|it| it.wait_seconds = 1), &good.id, Code::InvalidArgument, "wait_out_of_range"),
        (book(&|it| it.invoice.clear()), &good.id, Code::InvalidArgument, "not_bolt11"),
        (book(&|it| it.amount_msat = Some(1)), &good.id, Code::InvalidArgument, "amount_given"),
        (
            book(&|it| it.metadata = [("k".repeat(257), String::new())].into()),
            &good.id,
            Code::InvalidArgument,
            "metadata_out_of_range",
        ),
        (
            book(&|it| it.wallet_id = world.shop.wallet.to_string()),
            &good.id,
            Code::NotFound,
            "wallet_not_found",
        ),
    ] {
        pipe.send(request).await;
        let (of, refused) = pipe.refused().await;
        assert_eq!((of.as_str(), refused.code.as_str()), (id, code));
        assert_eq!((Code::from(refused.status), refused.retryable.as_str()), (status, "no"));
    }
    assert!(!world.fake.has_payment(world.book.org, payment(1)), "nothing was done");
    pipe.send(good.clone()).await;
    let first = pipe.accepted().await;
    let other = v1::SendRequest { fee_limit_msat: Some(7), ..good.clone() };
    pipe.send(other).await;
    assert_eq!(pipe.refused().await.1.code, "id_reused");
    pipe.send(good).await;
    assert_eq!(pipe.accepted().await, first, "a repeat is the same payment");
    let poor = world.book.send(payment(2), &invoice(2, Some(500_000_000)));
    pipe.send(poor).await;
    let failed = pipe.accepted().await;
    assert_eq!(failed.failure.unwrap().code, "insufficient_funds");
}

#[tokio::test]
async fn what_was_accepted_goes_on_without_its_caller_and_is_found_by_a_repeat() {
    let world = World::new().await;
    let mut pipe = Pipe::open(&world, &world.book).await;
    let send = world.book.send(payment(1), &invoice(1, Some(20_000)));
    pipe.send(send.clone()).await;
    pipe.accepted().await;
    drop(pipe);
    world.fake.prove(world.book.org, payment(1), preimage(1));
    let mut again = Pipe::open(&world, &world.book).await;
    again.send(send).await;
    assert_eq!(again.accepted().await.status(), PaymentStatus::Completed);
    assert!(again.end().await.is_none());
}

/// The first thousand are under way: the next is not even read until one of them has ended.
#[tokio::test]
async fn a_full_stream_is_not_read() {
    const PLACES: u16 = 1_000;
    let of = |number: u16| {
        let mut bytes = [7; 32];
        bytes[..2].copy_from_slice(&number.to_be_bytes());
        Preimage(bytes)
    };
    let world = World::new().await;
    let mut pipe = Pipe::open(&world, &world.book).await;
    for number in 1..=PLACES + 1 {
        let invoice = invoice_for(of(number), Some(1_000));
        pipe.send(world.book.send(payment(u128::from(number)), &invoice)).await;
    }
    for _ in 0..PLACES {
        pipe.accepted().await;
    }
    let get = v1::GetPaymentRequest { id: payment(u128::from(PLACES + 1)).to_string() };
    for _ in 0..10 {
        let waiting = world.book.payments(&world).get_payment(get.clone()).await;
        assert_eq!(refusal(waiting), (Code::NotFound, "payment_not_found".to_owned()));
    }
    world.fake.prove(world.book.org, payment(5), of(5));
    let (mut ended, mut taken) = (None, None);
    while ended.is_none() || taken.is_none() {
        match pipe.answer().await {
            (id, Answer::Updated(_)) => ended = Some(id),
            (id, Answer::Accepted(_)) => taken = Some(id),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((ended, taken), (Some(payment(5).to_string()), Some(get.id)));
}

#[tokio::test]
async fn a_stop_answers_what_was_taken_and_says_so() {
    let world = World::new().await;
    let mut pipe = Pipe::open(&world, &world.book).await;
    pipe.send(world.book.send(payment(1), &invoice(1, Some(20_000)))).await;
    pipe.accepted().await;
    let served = world.stop();
    let status = pipe.answers.next().await.unwrap().unwrap_err();
    let problem = proto::Problem::from_status(&status);
    assert_eq!((status.code(), problem.code.as_ref()), (Code::Unavailable, "stream_broken_off"));
    tokio::time::timeout(Duration::from_secs(5), served).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_revoked_key_ends_its_streams() {
    let world = World::new().await;
    let mut pipe = Pipe::open(&world, &world.book).await;
    pipe.send(world.book.send(payment(1), &invoice(1, Some(20_000)))).await;
    pipe.accepted().await;
    let began = Instant::now();
    let at = Timestamp::from_millis(1);
    world.fake.change_key(&world.book.key_id, |key| key.revoked_at = Some(at));
    let status = pipe.answers.next().await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert!(began.elapsed() < Duration::from_secs(6));
}

#[tokio::test]
async fn every_send_counts_against_the_rate_of_its_key() {
    let rate_limit = RateLimit { per_second: NonZeroU32::MIN, burst: NonZeroU32::new(2).unwrap() };
    let world = World::with(How { rate_limit, ..How::default() }).await;
    let mut pipe = Pipe::open(&world, &world.book).await;
    pipe.send(world.book.send(payment(1), &invoice(1, Some(20_000)))).await;
    pipe.accepted().await;
    pipe.send(world.book.send(payment(2), &invoice(2, Some(20_000)))).await;
    let (_, refused) = pipe.refused().await;
    assert_eq!(Code::from(refused.status), Code::ResourceExhausted);
    assert_eq!((refused.code.as_str(), refused.retryable.as_str()), ("rate_limited", "same_id"));
}

#[tokio::test]
async fn a_deadline_ends_the_stream_and_not_its_payments() {
    let world = World::new().await;
    let (sends, taken) = mpsc::channel(1);
    let mut request = Request::new(ReceiverStream::new(taken));
    request.set_timeout(Duration::from_millis(800));
    let mut payments = world.book.payments(&world);
    let mut answers = payments.send_stream(request).await.unwrap().into_inner();
    sends.send(world.book.send(payment(1), &invoice(1, Some(20_000)))).await.unwrap();
    assert!(matches!(answers.next().await.unwrap().unwrap().answer, Some(Answer::Accepted(_))));
    let last = answers.next().await.unwrap().map(tonic::Response::new);
    assert_eq!(refusal(last), (Code::DeadlineExceeded, "outcome_unknown".to_owned()));
    assert!(world.fake.has_payment(world.book.org, payment(1)));
    // The organisation would not have begun it later than that.
    let begin = world.fake.state().begin;
    assert!(begin.is_some_and(|left| left < Duration::from_millis(800)), "{begin:?}");
    let mut pipe = Pipe::open(&world, &world.book).await;
    pipe.send(world.book.send(payment(2), &invoice(2, Some(20_000)))).await;
    pipe.accepted().await;
    assert_eq!(world.fake.state().begin, None);
}

/// A message that nobody can read ends the stream, once what came before it is answered.
#[tokio::test]
async fn what_is_too_large_ends_the_stream_with_its_name() {
    let world = World::new().await;
    let mut pipe = Pipe::open(&world, &world.book).await;
    pipe.send(world.book.send(payment(1), &invoice(1, Some(20_000)))).await;
    pipe.accepted().await;
    pipe.send(world.book.send(payment(2), &"l".repeat(300 * 1_024))).await;
    let last = pipe.answers.next().await.unwrap().map(tonic::Response::new);
    assert_eq!(refusal(last), (Code::InvalidArgument, "request_too_large".to_owned()));
}

#[tokio::test]
async fn a_key_that_may_not_write_opens_no_stream() {
    let world = World::new().await;
    let permissions = [domain::Permission::Read, domain::Permission::Receive].into();
    world.fake.change_key(&world.book.key_id, |key| key.permissions = permissions);
    let stream = world.book.payments(&world).send_stream(tokio_stream::empty()).await;
    let status = stream.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
}
