//! What becomes of those who wait at the gate while their organisation is loaded again or moves to another engine,
//! and of those who hang up there.

use tokio::time::{sleep, timeout};

use crate::{
    MS,
    bed::{AT_ONCE, Bed, How},
    crowd::{Crowd, INSIDE, Told, each_is_paid_once},
};

#[tokio::test(start_paused = true)]
async fn a_lost_claim_in_a_flood_answers_everybody_and_nobody_is_paid_twice() {
    let bed = Bed::start(How::default()).await;
    loaded_again(&bed, async { bed.loses_a_claim(2) }).await;
}

#[tokio::test(start_paused = true)]
async fn a_fence_in_a_flood_answers_everybody_and_nobody_is_paid_twice() {
    let bed = Bed::start(How::default()).await;
    loaded_again(&bed, bed.is_loaded_elsewhere(2)).await;
}

/// Organisation 2, by what happens to it while its callers wait.
async fn loaded_again(bed: &Bed, happens: impl Future<Output = ()>) {
    let (mut crowd, others) = (Crowd::of(bed, 2, 2_000), Crowd::of(bed, 3, 300));
    crowd.moves_on().await;
    happens.await;
    let told = crowd.told().await;
    assert!(told.done > 0 && told.refused > INSIDE, "the gate was waited at: {told:?}");
    assert!(told.unknown <= INSIDE, "only those inside: {told:?}");
    assert_eq!(others.told().await, Told { done: 300, ..Told::default() });
    each_is_paid_once(bed, 2, 2_000).await;
}

/// Of two pods named so, organisation 1 is wished on the second and organisation 2 on the first.
const PODS: [&str; 2] = ["engine-0", "engine-1"];

#[tokio::test(start_paused = true)]
async fn a_move_in_a_flood_answers_everybody_and_the_other_engine_pays_the_rest_once() {
    // In order, and with commits under way whose end is not waited for.
    for stalled in [false, true] {
        moves_away(stalled).await;
    }
}

async fn moves_away(stalled: bool) {
    let bed = Bed::start(How { pod: Some(PODS[0]), ..How::default() }).await;
    let (mut crowd, others) = (Crowd::of(&bed, 1, 6_000), Crowd::of(&bed, 2, 300));
    crowd.moves_on().await;
    bed.store.stall(stalled);
    let moved = async {
        bed.is_run_by(PODS[1], 1).await;
        bed.store.stall(false);
    };
    let (other, ()) = tokio::join!(bed.another(PODS[1]), moved);
    let told = crowd.told().await;
    eprintln!("stalled: {stalled}; {told:?}");
    assert!(told.done > 0 && told.refused > INSIDE, "the gate was waited at: {told:?}");
    assert_eq!(others.told().await, Told { done: 300, ..Told::default() });
    each_is_paid_once(&other, 1, 6_000).await;
}

/// Whoever hangs up has asked all the same: its turn comes, and nobody of another organisation waits for it.
#[tokio::test(start_paused = true)]
async fn callers_that_hang_up_at_the_gate_have_their_turn_and_hold_up_nobody_else() {
    let bed = Bed::start(How::default()).await;
    bed.store.stall(true);
    let crowd = Crowd::of(&bed, 2, 5_000);
    sleep(MS).await;
    drop(crowd);
    bed.store.stall(false);
    bed.send(3, 1, AT_ONCE).await.unwrap();
    assert_eq!(bed.stored(2, 5_000).await, None, "it was its turn before");
    let all = async {
        for number in 1..=5_000 {
            while bed.stored(2, number).await.is_none() {
                sleep(MS).await;
            }
        }
    };
    timeout(60_000 * MS, all).await.expect("each has its turn");
}
