//! What PostgreSQL reads to find a few rows, while the planner believes that there is one in the table.

use std::time::Duration;

use domain::Timestamp;
use ports::idempotency::Begun;

use crate::{
    bed::{NODES, id},
    idempotency::{ONE, begin_by, runner, scope},
    postgres::Scene,
    writer::{failed, hash, send_by},
};

/// A session that ends says what it has read.
const END_SESSIONS: &str = "
    select count(pg_terminate_backend(pid)) from pg_stat_activity
    where application_name like 'switchyard%'";

/// Rows of the table that were read until so many were deleted.
async fn read_of(scene: &Scene, table: &str, deleted: i64) -> i64 {
    scene.ask(END_SESSIONS).await;
    let told =
        |what: &str| format!("select {what} from pg_stat_user_tables where relname = '{table}'");
    while scene.ask(&told("n_tup_del")).await < deleted {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    scene.ask(&told("idx_tup_fetch + seq_tup_read")).await
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_hash_that_moves_on_and_is_freed_is_found_by_itself() {
    const SENDS: u8 = 120;
    let scene = Scene::new().await;
    let bed = &scene.bed;
    let mut writer = bed.org(1).await;
    for number in 0..=SENDS {
        let payment = id(u128::from(number));
        writer.run(bed, send_by(bed, payment, hash(number), &NODES[..2])).await;
        if number == 0 {
            scene.client.batch_execute("vacuum outgoing_hash").await.unwrap();
        }
    }
    // By the first node to the second, and then given back; twenty in a transaction.
    let sends: Vec<u8> = (1..=SENDS).collect();
    for (attempt, index) in [(1, 1), (2, 2)] {
        for some in sends.chunks(20) {
            let ends = some.iter().map(|number| {
                writer.prepare(bed, failed(bed, id(u128::from(*number)), attempt, index))
            });
            let ends: Vec<_> = ends.collect();
            bed.store.append(&ends).await.unwrap();
        }
    }
    let sends = i64::from(SENDS);
    let read = read_of(&scene, "outgoing_hash", sends).await;
    assert!(read <= 3 * sends, "{read} rows were read to move and to free {sends}");
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_key_that_is_forgotten_is_found_by_its_age() {
    const KEYS: i64 = 240;
    let scene = Scene::new().await;
    let bed = &scene.bed;
    for at in 0..=KEYS {
        let begun = begin_by(bed, &scope(&at.to_string()), ONE, runner(bed, at)).await;
        assert_eq!(begun, Begun::New);
        if at == 0 {
            scene.client.batch_execute("vacuum idempotency").await.unwrap();
        }
    }
    let after_all = Timestamp::from_millis(KEYS + 1);
    let all = u64::try_from(KEYS + 1).unwrap();
    assert_eq!(bed.store.forget_before(after_all, 1_000).await, Ok(all));
    let read = read_of(&scene, "idempotency", KEYS + 1).await;
    assert!(read <= KEYS * 3 / 2, "{read} rows were read to forget {all} keys");
}
