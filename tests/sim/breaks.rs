//! The simulation is shown to be able to fail: each rule is broken on purpose, and must be caught.

use domain::broken::Rule;

use crate::{ALONE, ENGINES, run::play_broken};

/// Plays seeds until one fails in one of these words.
#[track_caller]
fn caught(rule: Rule, within: u64, words: &[&str]) {
    caught_among(ALONE, rule, within, words);
}

#[track_caller]
fn caught_among(engines: u64, rule: Rule, within: u64, words: &[&str]) {
    let first = (0..within).find_map(|seed| {
        let violation = play_broken(seed, engines, Some(rule)).violation?;
        words.iter().any(|words| violation.contains(words)).then_some((seed, violation))
    });
    match first {
        Some((seed, violation)) => eprintln!("{rule:?} is caught by seed {seed}: {violation}"),
        None => panic!("{rule:?} was broken, and {within} seeds did not notice"),
    }
}

/// What a hold given back too early looks like, in the node's books or once it is paid.
const PAID_AFTER_ALL: &[&str] =
    &["whose failure was booked", "the books say it failed", "was paid "];

#[test]
fn rule_1_the_fee_is_held() {
    caught(
        Rule::FeeIsHeld,
        20,
        &["does not hold its fee", "by an honest node", "not in the journal"],
    );
}

#[test]
fn rule_3_every_limit_is_checked() {
    caught(Rule::EveryLimitIsChecked, 100, &["and leaves -"]);
}

#[test]
fn rule_7_a_limit_may_be_lowered_below_use() {
    caught(Rule::LimitMayBeLowered, 100, &["was rejected"]);
}

#[test]
fn rule_9_not_found_is_no_failure() {
    caught(Rule::NotFoundIsNoFailure, 100, PAID_AFTER_ALL);
}

#[test]
fn rule_11_one_payment_for_a_hash() {
    caught(Rule::OnePaymentForAHash, 100, &["(rule 11)", "was paid "]);
}

#[test]
fn rule_12_the_intent_is_durable_before_the_call() {
    caught(Rule::IntentIsDurable, 100, &["not in the journal"]);
}

#[test]
fn rule_13_a_failure_is_of_this_request() {
    caught(Rule::FailedIsOfThisRequest, 3_000, PAID_AFTER_ALL);
}

#[test]
fn rule_16_success_is_proven() {
    caught(Rule::SuccessIsProven, 100, &["posted without proof", "and paid is"]);
}

#[test]
fn rule_20_the_node_wins_over_a_claim() {
    caught(Rule::NodeWinsOverClaim, 300, &["(rule 20)"]);
}

#[test]
fn whoever_loaded_last_is_the_only_writer() {
    caught(Rule::Epoch, 300, &["by one who had lost it"]);
}

#[test]
fn a_request_ends_with_its_permission() {
    caught(Rule::Caveat, 300, PAID_AFTER_ALL);
}

#[test]
fn no_answer_before_its_commit() {
    caught(Rule::CommitBeforeAnswer, 100, &["stored now"]);
}

#[test]
fn of_several_engines_whoever_loaded_last_is_the_only_writer() {
    caught_among(ENGINES, Rule::Epoch, 300, &["by one who had lost it"]);
}

#[test]
fn of_several_engines_a_request_ends_with_its_permission() {
    caught_among(ENGINES, Rule::Caveat, 600, PAID_AFTER_ALL);
}

#[test]
fn of_several_engines_none_answers_before_its_commit() {
    caught_among(ENGINES, Rule::CommitBeforeAnswer, 100, &["stored now"]);
}
