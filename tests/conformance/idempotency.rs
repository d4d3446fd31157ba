//! Keys that callers put on their requests.

use std::sync::Arc;

use domain::Timestamp;
use ports::{
    Idempotency,
    idempotency::{Begun, IdempotencyScope, Runner, StoredAnswer},
};
use tokio::task::JoinSet;

use crate::{
    Case,
    bed::{Bed, ENVIRONMENT, id},
    case,
};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case(a_request_is_carried_out_once_and_answered_again),
        case(a_key_is_of_its_organisation_and_environment),
        case(the_same_key_on_another_request_is_told_apart),
        case(what_was_given_up_begins_anew),
        case(a_request_that_runs_for_too_long_is_taken_over),
        case(a_request_whose_process_is_gone_is_taken_over),
        case(the_first_answer_stands),
        case(one_of_many_at_once_carries_it_out),
        case(the_oldest_keys_are_forgotten_first),
    ]
}

pub(crate) const ONE: [u8; 32] = [1; 32];
const OTHER: [u8; 32] = [2; 32];
const NEVER: Timestamp = Timestamp::from_millis(i64::MIN);

pub(crate) fn scope(key: &str) -> IdempotencyScope {
    IdempotencyScope { org: id(1), environment: ENVIRONMENT, key: key.to_owned() }
}

fn answer(status: u16) -> StoredAnswer {
    StoredAnswer { status, body: vec![0, 255, b'"', 10] }
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// Of the process that lives.
pub(crate) fn runner(bed: &Bed, now: i64) -> Runner {
    Runner { session: bed.session, now: at(now), stale_before: NEVER }
}

pub(crate) async fn begin_by(
    bed: &Bed,
    scope: &IdempotencyScope,
    print: [u8; 32],
    runner: Runner,
) -> Begun {
    Idempotency::begin(bed.store.as_ref(), scope, print, runner).await.unwrap()
}

pub(crate) async fn begin(bed: &Bed, key: &str, fingerprint: [u8; 32]) -> Begun {
    begin_by(bed, &scope(key), fingerprint, runner(bed, 10)).await
}

async fn a_request_is_carried_out_once_and_answered_again(bed: Bed) {
    let strange = "a'\"%_\\ é€😀";
    for key in ["k", "", strange] {
        assert_eq!(begin(&bed, key, ONE).await, Begun::New);
        assert_eq!(begin(&bed, key, ONE).await, Begun::Running);
        bed.store.finish(&scope(key), ONE, &answer(202), at(11)).await.unwrap();
        for _ in 0..2 {
            assert_eq!(begin(&bed, key, ONE).await, Begun::Done(answer(202)));
        }
    }
    // Any status and no body at all are answers.
    let empty = StoredAnswer { status: u16::MAX, body: Vec::new() };
    assert_eq!(begin(&bed, "empty", ONE).await, Begun::New);
    bed.store.finish(&scope("empty"), ONE, &empty, at(11)).await.unwrap();
    assert_eq!(begin(&bed, "empty", ONE).await, Begun::Done(empty));
}

async fn a_key_is_of_its_organisation_and_environment(bed: Bed) {
    let scopes = [
        scope("k"),
        IdempotencyScope { org: id(2), ..scope("k") },
        IdempotencyScope { environment: id(0xe9), ..scope("k") },
        scope("K"),
    ];
    for (scope, fingerprint) in scopes.iter().zip([ONE, OTHER, OTHER, OTHER]) {
        let begun = begin_by(&bed, scope, fingerprint, runner(&bed, 1)).await;
        assert_eq!(begun, Begun::New, "{scope:?}");
    }
    bed.store.finish(&scopes[0], ONE, &answer(200), at(2)).await.unwrap();
    assert_eq!(begin(&bed, "k", ONE).await, Begun::Done(answer(200)));
    let second = begin_by(&bed, &scopes[1], OTHER, runner(&bed, 1)).await;
    assert_eq!(second, Begun::Running);
}

async fn the_same_key_on_another_request_is_told_apart(bed: Bed) {
    assert_eq!(begin(&bed, "k", ONE).await, Begun::New);
    assert_eq!(begin(&bed, "k", OTHER).await, Begun::OtherRequest);
    // Neither its answer nor its giving up is of this one.
    bed.store.finish(&scope("k"), OTHER, &answer(200), at(11)).await.unwrap();
    bed.store.abandon(&scope("k"), OTHER).await.unwrap();
    assert_eq!(begin(&bed, "k", ONE).await, Begun::Running);
    bed.store.finish(&scope("k"), ONE, &answer(202), at(11)).await.unwrap();
    assert_eq!(begin(&bed, "k", OTHER).await, Begun::OtherRequest);
}

async fn what_was_given_up_begins_anew(bed: Bed) {
    assert_eq!(begin(&bed, "k", ONE).await, Begun::New);
    bed.store.abandon(&scope("k"), ONE).await.unwrap();
    bed.store.abandon(&scope("k"), ONE).await.unwrap();
    assert_eq!(begin(&bed, "k", OTHER).await, Begun::New);
    bed.store.finish(&scope("k"), OTHER, &answer(202), at(11)).await.unwrap();
    bed.store.abandon(&scope("k"), OTHER).await.unwrap();
    assert_eq!(begin(&bed, "k", OTHER).await, Begun::Done(answer(202)));
    // Finishing what was never begun keeps nothing.
    bed.store.finish(&scope("x"), ONE, &answer(202), at(11)).await.unwrap();
    assert_eq!(begin(&bed, "x", ONE).await, Begun::New);
}

async fn a_request_that_runs_for_too_long_is_taken_over(bed: Bed) {
    let begin = async |now, stale_before| {
        let runner = Runner { stale_before: at(stale_before), ..runner(&bed, now) };
        begin_by(&bed, &scope("k"), ONE, runner).await
    };
    assert_eq!(begin(100, 0).await, Begun::New);
    assert_eq!(begin(150, 100).await, Begun::Running);
    assert_eq!(begin(200, 101).await, Begun::New);
    // It counts from the take-over.
    assert_eq!(begin(250, 200).await, Begun::Running);
    let stale = Runner { stale_before: at(800), ..runner(&bed, 900) };
    assert_eq!(begin_by(&bed, &scope("k"), OTHER, stale).await, Begun::OtherRequest);
    bed.store.finish(&scope("k"), ONE, &answer(202), at(900)).await.unwrap();
    assert_eq!(begin(900, 900).await, Begun::Done(answer(202)));
}

async fn a_request_whose_process_is_gone_is_taken_over(bed: Bed) {
    let gone = Runner { session: id(0xdead), ..runner(&bed, 10) };
    assert_eq!(begin_by(&bed, &scope("k"), ONE, gone).await, Begun::New);
    assert_eq!(begin(&bed, "k", ONE).await, Begun::New);
    // From now on it is of one that lives.
    assert_eq!(begin(&bed, "k", ONE).await, Begun::Running);
    assert_eq!(begin_by(&bed, &scope("k"), ONE, gone).await, Begun::Running);
    // What was answered stands, whoever has answered it.
    assert_eq!(begin_by(&bed, &scope("other"), ONE, gone).await, Begun::New);
    bed.store.finish(&scope("other"), ONE, &answer(202), at(11)).await.unwrap();
    assert_eq!(begin(&bed, "other", ONE).await, Begun::Done(answer(202)));
}

async fn the_first_answer_stands(bed: Bed) {
    assert_eq!(begin(&bed, "k", ONE).await, Begun::New);
    bed.store.finish(&scope("k"), ONE, &answer(202), at(11)).await.unwrap();
    bed.store.finish(&scope("k"), ONE, &answer(409), at(12)).await.unwrap();
    assert_eq!(begin(&bed, "k", ONE).await, Begun::Done(answer(202)));
}

async fn one_of_many_at_once_carries_it_out(bed: Bed) {
    let (store, runner) = (Arc::clone(&bed.store), runner(&bed, 10));
    let mut asked = JoinSet::new();
    for _ in 0..50 {
        let store = Arc::clone(&store);
        asked.spawn(async move {
            Idempotency::begin(store.as_ref(), &scope("k"), ONE, runner).await.unwrap()
        });
    }
    let mut begun = asked.join_all().await;
    begun.retain(|begun| *begun != Begun::Running);
    assert_eq!(begun, [Begun::New]);
}

async fn the_oldest_keys_are_forgotten_first(bed: Bed) {
    for (key, began_at) in [("c", 30), ("a", 10), ("b", 20), ("d", 40)] {
        let begun = begin_by(&bed, &scope(key), ONE, runner(&bed, began_at)).await;
        assert_eq!(begun, Begun::New);
    }
    bed.store.finish(&scope("a"), ONE, &answer(202), at(11)).await.unwrap();
    assert_eq!(bed.store.forget_before(at(10), 9).await, Ok(0));
    assert_eq!(bed.store.forget_before(at(40), 1).await, Ok(1));
    assert_eq!(begin(&bed, "b", ONE).await, Begun::Running);
    assert_eq!(begin(&bed, "a", ONE).await, Begun::New);
    bed.store.abandon(&scope("a"), ONE).await.unwrap();
    assert_eq!(bed.store.forget_before(at(40), 9).await, Ok(2));
    assert_eq!(begin(&bed, "d", OTHER).await, Begun::OtherRequest);
    for key in ["a", "b", "c"] {
        assert_eq!(begin(&bed, key, OTHER).await, Begun::New, "{key}");
    }
}
