//! The database has no room left.

use std::time::{Duration, Instant};

use tests::{postgres::Postgres, world::Setup};
use tokio::time::sleep;

use crate::{
    bed::{Bed, How},
    load::Load,
};

const CUSTOMERS: usize = 12;
const NO_ROOM: &str = "No space left on device";

/// The bound of a database that was started again.
const SERVED_AGAIN_WITHIN: Duration = Duration::from_secs(5 + 3);

const CRASHES_WITHIN: Duration = Duration::from_secs(30);
const ASK_AGAIN: Duration = Duration::from_millis(50);

async fn goes_on(load: &Load) {
    let free = Instant::now();
    load.paid(1).await;
    assert!(free.elapsed() <= SERVED_AGAIN_WITHIN, "{:?}", free.elapsed());
    load.paid(50).await;
}

/// Whoever calls is told that it is not possible now, or perhaps was; nothing is lost; and once there is room
/// again, and the server runs, everything goes on by itself.
#[tokio::test(flavor = "multi_thread")]
async fn the_disks_of_the_database_are_full() {
    let (postgres, disks) = Postgres::start_on_small_disks();
    let bed = Bed::start_on(postgres, vec![How::default(); 2], Setup::default()).await;
    let customers = bed.world.customers("acme", CUSTOMERS).await.expect("customers can be made");
    let load = Load::begin(&bed.world, &bed.world.connect(), &customers);
    load.paid(20).await;

    disks.tables.fill();
    load.refused(50).await;
    assert!(bed.database().log().contains(NO_ROOM), "that is why");
    assert!(!bed.database().has_ended());
    disks.tables.free();
    goes_on(&load).await;
    bed.is_sound().await;

    disks.journal.fill();
    let began = Instant::now();
    while !bed.database().has_ended() {
        assert!(began.elapsed() < CRASHES_WITHIN, "it finds room");
        bed.database().begin_journal_file();
        sleep(ASK_AGAIN).await;
    }
    load.refused(1).await;
    disks.journal.free();
    bed.restart_database();
    goes_on(&load).await;

    load.end().await.are_kept(&bed.world).await;
    bed.is_sound().await;
}
