//! The table of the payments that are open, which PostgreSQL has beside them.

use std::time::Duration;

use domain::PaymentId;

use crate::{
    bed::id,
    postgres::{END_LANES, Scene},
    writer::{hash, paid, send},
};

const PAYMENT: PaymentId = id(1);

/// As a version writes that knows the column and not the table beside it.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn what_an_older_version_begins_and_ends_is_open_until_then() {
    let scene = Scene::new().await;
    let bed = &scene.bed;
    let mut writer = bed.org(1).await;
    writer.run(bed, send(bed, PAYMENT, hash(1))).await;
    let open = async || bed.store.open_payments(writer.id()).await.unwrap();
    let begin = "
        insert into payment
        select copy.* from payment one
            cross join lateral jsonb_populate_record(one, jsonb_build_object('payment_id', $1::text)) as copy";
    let begun = id(2);
    assert_eq!(scene.client.execute(begin, &[&begun.uuid().to_string()]).await.unwrap(), 1);
    assert_eq!(open().await, [PAYMENT, begun]);
    // Written once more before it ends, and opened again, as nobody does.
    for (is_open, left) in
        [(true, vec![PAYMENT, begun]), (false, vec![]), (true, vec![PAYMENT, begun])]
    {
        let end = "update payment set open = $1";
        assert_eq!(scene.client.execute(end, &[&is_open]).await.unwrap(), 2);
        assert_eq!(open().await, left);
    }
}

/// A table that is empty now and then may be full a second after the planner has heard that it is empty.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn what_has_ended_is_found_by_its_key_whatever_the_planner_has_heard() {
    const OPEN: u8 = 120;
    let scene = Scene::new().await;
    let bed = &scene.bed;
    let mut writer = bed.org(1).await;
    let payment = |number: u8| id(u128::from(number));
    for (first, last) in [(0, OPEN), (OPEN + 1, 2 * OPEN)] {
        for number in first..=last {
            writer.run(bed, send(bed, payment(number), hash(number))).await;
        }
        // All but one, twenty in a transaction.
        for some in (first + 1..=last).collect::<Vec<_>>().chunks(20) {
            let ends = some.iter().map(|number| {
                let command = paid(bed, payment(*number), *number);
                writer.prepare(bed, command)
            });
            let ends: Vec<_> = ends.collect();
            bed.store.append(&ends).await.unwrap();
        }
        scene.client.batch_execute("vacuum open_payment").await.unwrap();
    }
    // A session that ends says what it has read.
    scene.ask(END_LANES).await;
    let ended = "select n_tup_del from pg_stat_user_tables where relname = 'open_payment'";
    while scene.ask(ended).await < 2 * i64::from(OPEN) - 1 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let read = "
        select idx_tup_fetch + seq_tup_read from pg_stat_user_tables where relname = 'open_payment'";
    let read = scene.ask(read).await;
    assert!(read <= 2 * i64::from(OPEN), "{read} rows were read to end {} payments", 2 * OPEN - 1);
}
