//! How a node is watched: who follows what is settled there, and how often it is looked at.

use std::sync::atomic::Ordering;

use domain::org::OutgoingState;
use ports::orgs::Within;
use tokio::time::{sleep, timeout};

use crate::{
    MS,
    bed::{Bed, How},
};

/// A stream that stayed open would be waited for, and never begun again.
#[tokio::test(start_paused = true)]
async fn a_pod_lets_go_of_a_node_that_another_follows_and_takes_it_up_again() {
    let how = How { pod: Some("engine-0"), orgs: 1, ..How::default() };
    let bed = Bed::start(how).await;
    assert_eq!(bed.node.followers(), 1);
    // Of two pods named so, the node is wished on the second.
    bed.is_joined_by("engine-1").await;
    sleep(1_000 * MS).await;
    bed.node.is_paid();
    sleep(1_000 * MS).await;
    assert_eq!(bed.node.followers(), 0, "the other's to follow, for as long as its lease lasts");
    let followed = async {
        while bed.node.followers() == 0 {
            sleep(100 * MS).await;
        }
    };
    timeout(10_000 * MS, followed).await.expect("the other is gone");
}

/// However many looks were asked for while one was under way, it is looked at once more.
#[tokio::test(start_paused = true)]
async fn a_node_that_was_away_for_long_is_not_looked_at_for_every_doubt_since() {
    let bed = Bed::start(How { orgs: 1, ..How::default() }).await;
    bed.node.is_away(true);
    // It is doubted twice whenever its settlements are asked for, and a look takes five seconds.
    sleep(120_000 * MS).await;
    let before = bed.node.looks.load(Ordering::Relaxed);
    bed.node.is_away(false);
    sleep(1_000 * MS).await;
    let looks = bed.node.looks.load(Ordering::Relaxed) - before;
    assert!(looks <= 5, "{looks} looks in a second");
    let sent = bed.send(1, 1, Within::from(1_000 * MS)).await.unwrap();
    assert!(matches!(sent.payment.state, OutgoingState::Posted { .. }), "{sent:?}");
}
