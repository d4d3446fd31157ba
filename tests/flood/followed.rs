//! Who follows what is settled at a node.

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
