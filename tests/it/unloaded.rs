//! What loading leaves out is never carried on. Nobody would hear of it, but for the audit.

use tests::world::new_id;

use crate::bed::{Bed, operator};

#[tokio::test]
async fn an_open_invoice_that_is_not_loaded_is_found() {
    let mut bed = Bed::make().await;
    let (globex, id) = (&bed.globex, new_id());
    let receive = globex.receive(&id, Some(50_000));
    globex.payments(bed.world.connect()).receive(receive).await.expect("it may receive");
    bed.books().await;
    bed.world.kill_platform();
    let database = bed.left_behind();
    let forgets = "update payment set open = 0 where open = 1";
    assert_eq!(database.execute(forgets, []), Ok(1));
    drop(database);
    bed.begin_again().await;
    bed.world.usable(2).await;

    let report = operator(&bed, &["audit"], 8).await;
    assert_eq!(report["findings_total"], 1, "{report}");
    let found = &report["findings"][0];
    assert_eq!(
        (&found["code"], &found["payment_id"]),
        (&"open_payments_differ".into(), &id.into())
    );
}
