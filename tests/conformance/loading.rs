//! What PostgreSQL reads when an organisation is loaded.

use std::time::Duration;

use domain::{PaymentId, org::Row};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::{
    bed::id,
    postgres::Scene,
    writer::{Writer, hash, paid, send},
};

const FINISHED: PaymentId = id(1);
const OPEN: PaymentId = id(2);

/// Payments like the one with these numbers, each of which was open and is not any more. What is in them is left
/// out: whoever reads it cannot load.
const BEGUN: &str = "
    insert into payment
    select copy.* from payment one
        cross join generate_series($3::bigint, $4::bigint) as number
        cross join lateral jsonb_populate_record(
            one, jsonb_build_object('payment_id', md5(number::text)::uuid, 'open', true, 'body', '')
        ) as copy
    where one.org_id = $1 and one.payment_id = $2";
const ENDED: &str = "
    update payment set open = false
    from generate_series($2::bigint, $3::bigint) as number
    where org_id = $1 and payment_id = md5(number::text)::uuid";
const AT_ONCE: usize = 50_000;

/// Rows of any table that statements have read, and pages of the payments that they have looked at.
const READ: &str = "
    select (select sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) from pg_stat_user_tables)::bigint,
        (select sum(heap_blks_read + heap_blks_hit + idx_blks_read + idx_blks_hit)
            from pg_statio_user_tables where relname in ('payment', 'open_payment'))::bigint";
const SCANS: &str = "
    select (seq_scan + idx_scan)::bigint from pg_stat_user_tables where relname = 'payment'";

#[derive(Clone, Copy, Debug)]
struct Read {
    rows: i64,
    pages: i64,
}

impl Scene {
    async fn read(&self) -> Read {
        let row = self.client.query_one(READ, &[]).await.unwrap();
        Read { rows: row.get(0), pages: row.get(1) }
    }

    /// What loading reads. A connection tells its counts when it has told none for a second.
    async fn read_by_loading(&self, writer: &Writer) -> Read {
        self.bed.store.renew(self.bed.session).await.unwrap();
        sleep(Duration::from_millis(1_500)).await;
        let (before, scans) = (self.read().await, self.ask(SCANS).await);
        let loaded = Writer::load(&self.bed, writer.id()).await;
        let open: Vec<_> = loaded.org.outgoing.keys().copied().collect();
        assert_eq!(open, [OPEN]);
        let began = Instant::now();
        while self.ask(SCANS).await == scans {
            assert!(began.elapsed() < Duration::from_secs(30), "nothing is counted");
            sleep(Duration::from_millis(50)).await;
        }
        let after = self.read().await;
        Read { rows: after.rows - before.rows, pages: after.pages - before.pages }
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_million_finished_payments_load_as_a_thousand_do() {
    let scene = Scene::new().await;
    let mut read = Vec::new();
    for (number, count) in [(1, 1_000), (2, 1_000_000_i64)] {
        let bed = &scene.bed;
        let mut writer = bed.org(number).await;
        let secret = u8::try_from(number).unwrap();
        writer.run(bed, send(bed, FINISHED, hash(secret))).await;
        writer.run(bed, paid(bed, FINISHED, secret)).await;
        writer.run(bed, send(bed, OPEN, hash(secret + 100))).await;
        assert!(matches!(writer.stored(bed, FINISHED).await, Some(Row::Outgoing(_))));
        let (org, finished): (Uuid, Uuid) = (*writer.id().uuid(), *FINISHED.uuid());
        for first in (1..=count).step_by(AT_ONCE) {
            let last = count.min(first + i64::try_from(AT_ONCE).unwrap() - 1);
            scene.client.execute(BEGUN, &[&org, &finished, &first, &last]).await.unwrap();
            scene.client.execute(ENDED, &[&org, &first, &last]).await.unwrap();
        }
        // As the server does by itself.
        scene.client.batch_execute("vacuum analyze payment, open_payment").await.unwrap();
        assert!(scene.ask("select count(*) from payment").await > count);
        read.push(scene.read_by_loading(&writer).await);
    }
    let [few, many] = read.try_into().unwrap();
    eprintln!("1,000 finished payments: {few:?}; 1,000,000: {many:?}");
    assert!(many.rows <= few.rows && many.rows < 50, "{many:?} after {few:?}");
    assert!(many.pages <= few.pages + 4, "an index is a page deeper at the most: {many:?}");
}
