//! What happens at the door when more comes than can be done, or something that older pods do not know, and how
//! a node is watched meanwhile: the actors on the memory store, which takes as long as a real one, on a paused
//! clock. Times are simulated, so nothing here depends on the machine.

#![allow(clippy::unwrap_used, reason = "tests")]

mod bed;
mod crowd;
mod followed;
mod kinds;
mod node;
mod reloaded;
mod store;

use std::{sync::atomic::Ordering, time::Duration};

use domain::org::{OutgoingState, Row};
use ports::orgs::{OrgsError, Within};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use bed::{AT_ONCE, Bed, How, Sent};
use crowd::{Crowd, INSIDE};

const MS: Duration = Duration::from_millis(1);

fn busy(sent: &Sent) -> Option<Duration> {
    match sent {
        Err(OrgsError::Busy { retry_after }) => Some(*retry_after),
        Ok(_) | Err(_) => None,
    }
}

/// How long each send of some organisations takes that send one after the other.
async fn latencies(bed: &Bed, orgs: std::ops::Range<u64>, first: u64) -> Vec<Duration> {
    let mut senders = JoinSet::new();
    for org in orgs {
        let bed = bed.clone();
        senders.spawn(async move {
            let mut took = Vec::new();
            for number in first..first + 100 {
                let began = Instant::now();
                bed.send(org, number, AT_ONCE).await.expect("nobody else's flood refuses it");
                took.push(began.elapsed());
                sleep(20 * MS).await;
            }
            took
        });
    }
    let mut all: Vec<_> = senders.join_all().await.into_iter().flatten().collect();
    all.sort();
    all
}

fn p99(sorted: &[Duration]) -> Duration {
    sorted[sorted.len() * 99 / 100]
}

#[tokio::test(start_paused = true)]
async fn one_organisations_flood_leaves_the_others_p99_within_twice_of_quiet() {
    let bed = Bed::start(How::default()).await;
    let quiet = p99(&latencies(&bed, 2..11, 0).await);
    let mut flood = JoinSet::new();
    for number in 0..10_000 {
        let bed = bed.clone();
        flood.spawn(async move { bed.send(1, number, AT_ONCE).await });
    }
    sleep(100 * MS).await;
    let flooded = p99(&latencies(&bed, 2..11, 1_000).await);
    assert!(!flood.is_empty() && flood.try_join_next().is_some(), "the flood lasts and moves on");
    eprintln!("p99 of the others: {quiet:?} when quiet, {flooded:?} in the flood");
    assert!(flooded <= quiet * 2, "{flooded:?} against {quiet:?}");
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_callers_at_once_are_all_served() {
    for orgs in [1, 100] {
        let bed = Bed::start(How { orgs, lanes: 2, ..How::default() }).await;
        let (began, mut callers) = (Instant::now(), JoinSet::new());
        for number in 0..10_000 {
            let bed = bed.clone();
            let within = Within::from(60_000 * MS);
            callers.spawn(async move { bed.send(1 + number % orgs, number, within).await });
        }
        for sent in callers.join_all().await {
            let state = sent.map(|sent| sent.payment.state);
            assert!(matches!(state, Ok(OutgoingState::Posted { .. })), "{state:?}");
        }
        let took = began.elapsed();
        assert!(took < 5_000 * MS, "a flood is as quick as the store: {took:?}");
        eprintln!("10,000 payments of {orgs} organisations in {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stalled_store_closes_the_door_and_findings_get_in_while_it_is_closed() {
    let bed = Bed::start(How::default()).await;
    bed.node.pays(false);
    for number in 0..50 {
        bed.send(2, number, AT_ONCE).await.unwrap();
    }
    while bed.node.asked() < 50 {
        sleep(MS).await;
    }
    bed.store.stall(true);
    // A thousand payments a second, of all others.
    let mut callers = JoinSet::new();
    let mut let_in = 0;
    let closed = loop {
        let caller = bed.clone();
        let number = let_in;
        callers.spawn(async move { caller.send(3 + number % 8, number, AT_ONCE).await });
        sleep(MS).await;
        if let Some(sent) = callers.try_join_next() {
            break busy(&sent.unwrap()).expect("nothing is answered but that it is busy");
        }
        let_in += 1;
        assert!(let_in < 4_000, "the door stays open");
    };
    eprintln!("closed after {let_in}; come back in {closed:?}");
    assert!((100 * MS..=10_000 * MS).contains(&closed));

    // Whoever had nothing in line would be next, until the store has been away for too long for anybody.
    sleep(4_000 * MS).await;
    bed.node.pays(true);
    for org in [2, 5] {
        let refused = bed.send(org, 900_000, AT_ONCE).await;
        assert!(busy(&refused).is_some(), "{refused:?}");
        assert_eq!(bed.stored(org, 900_000).await, None);
    }
    sleep(200 * MS).await;
    bed.store.stall(false);
    let reopened = Instant::now();
    while let Err(refused) = bed.send(5, 900_000, AT_ONCE).await {
        assert!(matches!(refused, OrgsError::Busy { .. }), "{refused:?}");
        assert!(reopened.elapsed() < 10_000 * MS, "the door stays closed: {refused:?}");
        sleep(10 * MS).await;
    }
    eprintln!("open again after {:?}", reopened.elapsed());
    assert!(reopened.elapsed() < 2_000 * MS);
    for sent in callers.join_all().await {
        assert!(sent.is_ok(), "what was let in is done: {sent:?}");
    }
    for number in 0..50 {
        let row = bed.stored(2, number).await;
        let Some(Row::Outgoing(sent)) = row else { panic!("{row:?}") };
        assert!(matches!(sent.state, OutgoingState::Posted { .. }), "{sent:?}");
    }
    let again = bed.node.tracked.load(Ordering::Relaxed);
    assert_eq!(again, 0, "no finding had to be asked for twice");
}

#[tokio::test(start_paused = true)]
async fn a_passed_deadline_writes_nothing() {
    // Alone in line, and where so many came before that it has to wait at the gate.
    for before in [0, 600] {
        a_deadline_passes_behind(before).await;
    }
}

async fn a_deadline_passes_behind(before: u64) {
    let bed = Bed::start(How::default()).await;
    bed.store.stall(true);
    let mut others = JoinSet::new();
    for number in 1_000..1_000 + before {
        let bed = bed.clone();
        others.spawn(async move { bed.send(2, number, AT_ONCE).await });
    }
    tokio::task::yield_now().await;
    let mut callers = JoinSet::new();
    for (number, begin) in [(1, 1_000 * MS), (2, 10_000 * MS)] {
        let bed = bed.clone();
        let within = Within { begin: Some(begin), ..AT_ONCE };
        callers.spawn(async move { (number, bed.send(2, number, within).await) });
    }
    sleep(1_500 * MS).await;
    // Whoever waits at the gate hears it at once.
    let told = callers.try_join_next().transpose().unwrap();
    assert_eq!(told.is_some(), before > 0);
    sleep(500 * MS).await;
    bed.store.stall(false);
    let mut answers = callers.join_all().await;
    answers.extend(told);
    answers.sort_by_key(|(number, _)| *number);
    let [(_, late), (_, in_time)] = answers.try_into().unwrap();
    assert!(matches!(late, Err(OrgsError::Unavailable(_))), "{late:?}");
    assert!(in_time.is_ok(), "{in_time:?}");
    assert_eq!(bed.stored(2, 1).await, None);
    assert!(bed.stored(2, 2).await.is_some());
    assert!(others.join_all().await.iter().all(Result::is_ok));
    // Its id is as free as before.
    bed.send(2, 1, AT_ONCE).await.unwrap();
}

/// Those who are inside and those who wait at the gate: what is answered is kept, what is refused is not.
#[tokio::test(start_paused = true)]
async fn a_stop_in_a_flood_answers_everybody_with_what_is_true() {
    for stalled in [false, true] {
        a_stop_in_a_flood(stalled).await;
    }
}

async fn a_stop_in_a_flood(stalled: bool) {
    let bed = Bed::start(How::default()).await;
    bed.send(2, 0, AT_ONCE).await.unwrap();
    let crowd = Crowd::of(&bed, 2, 2_000);
    sleep(100 * MS).await;
    bed.store.stall(stalled);
    bed.platform.stop().await;
    bed.store.stall(false);
    let told = crowd.told().await;
    eprintln!("stalled: {stalled}; {told:?}");
    assert!(told.done > 0, "the stop came before the first");
    assert_eq!(told.refused + told.unknown > 0, stalled, "the stop came after the last");
    assert!(told.unknown <= INSIDE, "only those inside");
}

#[tokio::test(start_paused = true)]
async fn a_send_for_which_every_node_is_full_is_not_failed_for_good() {
    let bed = Bed::start(How { slots: 1, ..How::default() }).await;
    bed.node.pays(false);
    bed.send(2, 1, AT_ONCE).await.unwrap();
    let refused = bed.send(3, 2, AT_ONCE).await;
    assert!(busy(&refused).is_some(), "{refused:?}");
    assert_eq!(bed.stored(3, 2).await, None);
    bed.node.pays(true);
    sleep(100 * MS).await;
    let sent = bed.send(3, 2, Within::from(1_000 * MS)).await.unwrap();
    assert!(matches!(sent.payment.state, OutgoingState::Posted { .. }), "{sent:?}");
}
