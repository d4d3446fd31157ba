use domain::{OrgId, Rejection};
use uuid::Uuid;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_millis(6_500);

fn session(number: u128) -> SessionId {
    SessionId::new(Uuid::from_u128(number))
}

fn not_owner(owner: Option<u128>) -> Failed<OrgsError> {
    Failed::Answered(OrgsError::NotOwner { owner: owner.map(session) })
}

fn lost() -> Failed<OrgsError> {
    Failed::Lost("broken".to_owned())
}

fn not_taken() -> Failed<OrgsError> {
    Failed::NotTaken("refused".to_owned())
}

/// Fails in the same way again and again, each time as soon as it is asked. Answers how long it went on,
/// how often it was asked, and what the caller is told.
fn until_it_gives_up(
    within: Duration,
    healthy_for: Duration,
    fails: impl Fn() -> Failed<OrgsError>,
) -> (Duration, u32, OrgsError) {
    let began = Instant::now();
    let mut road = Road::new(began, within, PATIENCE);
    let (mut now, mut asked) = (began + healthy_for, 1);
    loop {
        match road.after(fails(), now, 0) {
            Next::Hop(_) => {}
            Next::Pause(pause) => now += pause,
            Next::GiveUp(error) => return (now - began, asked, error),
        }
        asked += 1;
    }
}

#[test]
fn a_caller_who_does_not_wait_is_held_for_a_planned_move() {
    let (held, asked, error) = until_it_gives_up(Duration::ZERO, Duration::ZERO, not_taken);
    assert!(held <= limits::HOLD && held > limits::HOLD / 2, "{held:?}");
    assert!((6..12).contains(&asked), "{asked}");
    assert_eq!(error.class(), ErrorClass::Unavailable);
}

#[test]
fn a_caller_who_waits_is_held_for_a_crash_and_no_longer() {
    for (within, healthy_for, wanted) in [
        (60 * SECOND, Duration::ZERO, PATIENCE),
        (3 * SECOND, Duration::ZERO, 3 * SECOND),
        // The trouble begins late: from then on it counts.
        (60 * SECOND, 20 * SECOND, 20 * SECOND + PATIENCE),
        (60 * SECOND, 58 * SECOND, 60 * SECOND),
        (60 * SECOND, 60 * SECOND, 60 * SECOND + limits::HOLD),
    ] {
        let (held, _, error) = until_it_gives_up(within, healthy_for, lost);
        let early = wanted.saturating_sub(held);
        assert!(held <= wanted && early <= limits::HOLD / 2, "{held:?} of {wanted:?}");
        assert_eq!(error.class(), ErrorClass::Uncertain);
    }
}

#[test]
fn a_caller_who_waits_is_held_through_one_move_after_another() {
    let mut now = Instant::now();
    let mut road = Road::new(now, 60 * SECOND, PATIENCE);
    for _ in 0..3 {
        now += 15 * SECOND;
        for failed in [lost(), not_owner(None), not_taken()] {
            let Next::Pause(pause) = road.after(failed, now, 0) else { panic!("it gives up") };
            now += pause;
        }
    }
}

#[test]
fn two_hops_at_the_most_then_a_pause() {
    let now = Instant::now();
    let mut road = Road::new(now, 60 * SECOND, PATIENCE);
    for _ in 0..3 {
        for owner in [1, 2] {
            let next = road.after(not_owner(Some(owner)), now, 0);
            assert_eq!(next, Next::Hop(session(owner)));
        }
        let next = road.after(not_owner(Some(1)), now, 0);
        assert!(matches!(next, Next::Pause(_)), "{next:?}");
    }
    assert!(matches!(road.after(not_owner(None), now, 0), Next::Pause(_)), "nobody is named");
}

#[test]
fn pauses_double_to_a_bound() {
    let now = Instant::now();
    let mut road = Road::new(now, 60 * SECOND, PATIENCE);
    let mut micros = |dice| match road.after(not_taken(), now, dice) {
        Next::Pause(pause) => pause.as_micros(),
        next @ (Next::Hop(_) | Next::GiveUp(_)) => panic!("{next:?}"),
    };
    let pauses: Vec<_> = (0..8).map(|_| micros(0)).collect();
    assert_eq!(pauses, [2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 100_000, 100_000]);
    assert_eq!(micros(u8::MAX), 50_000, "never less than a half");
}

#[test]
fn a_refusal_is_the_answer() {
    let now = Instant::now();
    for error in [
        OrgsError::Rejected(Rejection::InvoiceExpired),
        OrgsError::NotFound(OrgId::new(Uuid::nil())),
        OrgsError::Unavailable("the store is away".to_owned()),
        OrgsError::Busy { retry_after: SECOND },
        OrgsError::Frozen("a restored node".to_owned()),
        OrgsError::OlderPods("engine-1".to_owned()),
    ] {
        let mut road = Road::new(now, 60 * SECOND, PATIENCE);
        let next = road.after(Failed::Answered(error.clone()), now, 0);
        assert_eq!(next, Next::GiveUp(error));
    }
}

/// Its organisation is waited for as if the older one were away: perhaps it is replaced in a moment.
#[test]
fn a_request_that_an_older_owner_does_not_know_is_refused_as_such_in_the_end() {
    let not_known = || Failed::NotKnown("engine-1".to_owned());
    let (held, asked, error) = until_it_gives_up(3 * SECOND, Duration::ZERO, not_known);
    assert!(held > 2 * SECOND && asked > 10, "{held:?}, {asked}");
    assert_eq!(error, OrgsError::OlderPods("engine-1".to_owned()));
}

/// Rule 9: what was perhaps done is never told as not done.
#[test]
fn what_was_perhaps_taken_stays_so() {
    let now = Instant::now();
    let stopped = || Failed::Answered(OrgsError::Uncertain("it was stopped".to_owned()));
    for first in [lost, stopped] {
        for (error, class) in [
            (OrgsError::Rejected(Rejection::InvoiceExpired), ErrorClass::Invalid),
            (OrgsError::Rejected(Rejection::IdReused), ErrorClass::Conflict),
            (OrgsError::Unavailable("the store is away".to_owned()), ErrorClass::Uncertain),
            (OrgsError::Busy { retry_after: SECOND }, ErrorClass::Uncertain),
            (OrgsError::Frozen("a restored node".to_owned()), ErrorClass::Uncertain),
            (OrgsError::NotFound(OrgId::new(Uuid::nil())), ErrorClass::Uncertain),
        ] {
            let mut road = Road::new(now, 60 * SECOND, PATIENCE);
            assert!(matches!(road.after(first(), now, 0), Next::Pause(_)));
            match road.after(Failed::Answered(error), now, 0) {
                Next::GiveUp(told) => assert_eq!(told.class(), class, "{told}"),
                next @ (Next::Hop(_) | Next::Pause(_)) => panic!("{next:?}"),
            }
        }
        let mut road = Road::new(now, Duration::ZERO, PATIENCE);
        assert!(matches!(road.after(first(), now, 0), Next::Pause(_)));
        match road.after(not_owner(None), now + SECOND, 0) {
            Next::GiveUp(told) => assert_eq!(told.class(), ErrorClass::Uncertain),
            next @ (Next::Hop(_) | Next::Pause(_)) => panic!("{next:?}"),
        }
    }
}
