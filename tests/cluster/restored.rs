//! Rule 24 with several engines: the database is put back, and one of them restores for all.

use lightning_sim::control_proto as sim;
use proto::v1::{self, Payment, PaymentStatus, SendRequest};
use serde_json::Value;
use tests::{
    postgres::Recovery,
    world::{Customer, new_id},
};
use tokio::time::{Duration, sleep, timeout};

use crate::bed::Bed;

/// So many that each engine runs some of them.
const CUSTOMERS: usize = 8;
const AMOUNT_MSAT: u64 = 50_000;
const WITHIN: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// What one customer has done since the copy was made.
struct Forgotten {
    /// Open in the copy.
    open: Payment,
    lost: Payment,
    /// An invoice in the copy.
    received: String,
}

async fn operator(bed: &Bed, words: &[&str]) -> (i32, Value) {
    let said = bed.world.cli("", words).await;
    (said.code, said.document)
}

async fn sent(bed: &Bed, customer: &Customer, request: SendRequest) -> Payment {
    let sent = customer.payments(bed.world.connect()).send(request).await;
    sent.expect("the send is taken").into_inner()
}

async fn open_in_the_copy(bed: &Bed, customer: &Customer) -> (Payment, String, String) {
    let invoice = bed.world.invoice("alice", AMOUNT_MSAT, "sim:stuck").await;
    let request = SendRequest { wait_seconds: 0, ..customer.send(&new_id(), &invoice) };
    let open = sent(bed, customer, request).await;
    let received = new_id();
    let asked = customer.receive(&received, Some(AMOUNT_MSAT));
    let made = customer.payments(bed.world.connect()).receive(asked).await;
    (open, received, made.expect("an invoice can be made").into_inner().invoice)
}

async fn ends(bed: &Bed, customer: &Customer, id: &str) {
    let said =
        bed.world.cli(&customer.key, &["payment", "watch", id, "--wait-seconds", "30"]).await;
    assert_eq!((said.code, &said.document["status"]), (0, &"completed".into()), "{said:?}");
}

async fn lives_on(
    bed: &Bed,
    customer: &Customer,
    (open, received, invoice): (Payment, String, String),
) -> Forgotten {
    let words = ["sim", "release", &open.attempts[0].node_name, &open.payment_hash];
    let released = async {
        while operator(bed, &words).await.0 != 0 {
            sleep(LOOK_AGAIN).await;
        }
    };
    timeout(WITHIN, released).await.expect("it is stuck there");
    ends(bed, customer, &open.id).await;
    let request = sim::PayRequest {
        node: "bob".to_owned(),
        payment_request: invoice,
        amount_msat: 0,
        fee_limit_msat: AMOUNT_MSAT,
        wait_ms: 30_000,
    };
    let paid = bed.world.outside().pay(request).await.expect("the network pays").into_inner();
    assert_eq!(paid.status, "SUCCEEDED");
    ends(bed, customer, &received).await;
    let invoice = bed.world.invoice("alice", AMOUNT_MSAT, "").await;
    let lost = sent(bed, customer, customer.send(&new_id(), &invoice)).await;
    assert_eq!(lost.status(), PaymentStatus::Completed, "{lost:?}");
    Forgotten { open, lost, received }
}

/// Engines hear of a thaw a moment after it.
async fn repeated(bed: &Bed, customer: &Customer, payment: &Payment) -> Payment {
    let mut payments = customer.payments(bed.world.connect());
    let taken = async {
        loop {
            match payments.send(customer.send(&payment.id, &payment.invoice)).await {
                Ok(sent) => return sent.into_inner(),
                Err(status) => {
                    let code = status.metadata().get("switchyard-code");
                    assert!(code.is_some_and(|code| code == "sends_frozen"), "{status:?}");
                    sleep(LOOK_AGAIN).await;
                }
            }
        }
    };
    timeout(WITHIN, taken).await.expect("sends go on")
}

#[tokio::test(flavor = "multi_thread")]
async fn one_engine_restores_for_all() {
    let mut bed = Bed::start(2).await;
    let customers = bed.world.customers("acme", CUSTOMERS).await.expect("customers can be made");
    let mut open = Vec::new();
    for customer in &customers {
        open.push(open_in_the_copy(&bed, customer).await);
    }
    let backup = bed.back_up();
    let mut forgotten = Vec::new();
    for (customer, open) in customers.iter().zip(open) {
        forgotten.push(lives_on(&bed, customer, open).await);
    }
    bed.put_back(backup, Recovery::PointInTime).await;
    let made_before = bed.world.payments_of_pool().await;

    for (customer, forgotten) in customers.iter().zip(&forgotten) {
        let refused = customer.send(&new_id(), &forgotten.lost.invoice);
        let refused = customer.payments(bed.world.connect()).send(refused).await;
        let status = refused.expect_err("sends are frozen");
        let code = status.metadata().get("switchyard-code");
        assert!(code.is_some_and(|code| code == "sends_frozen"), "{status:?}");
        // Each engine ends and books what its organisations have open.
        ends(&bed, customer, &forgotten.open.id).await;
        ends(&bed, customer, &forgotten.received).await;
    }

    let (exit, report) = operator(&bed, &["restore"]).await;
    assert_eq!((exit, &report["thaw_is_safe"]), (8, &false.into()), "{report}");
    let (exit, report) = operator(&bed, &["restore", "--apply"]).await;
    let left = (exit, &report["thaw_is_safe"], &report["left_for_a_person"]);
    assert_eq!(left, (8, &true.into(), &CUSTOMERS.into()), "{report}");
    assert_eq!(operator(&bed, &["frozen"]).await.0, 8, "only a thaw lets sends go on");
    assert_eq!(operator(&bed, &["thaw"]).await.0, 0);

    for (customer, Forgotten { open, lost, .. }) in customers.iter().zip(&forgotten) {
        for payment in [open, lost] {
            let again = repeated(&bed, customer, payment).await;
            assert_eq!(again.status(), v1::PaymentStatus::Completed, "{again:?}");
        }
    }
    assert_eq!(
        bed.world.payments_of_pool().await,
        made_before,
        "no node was asked for anything new"
    );
    assert_eq!(operator(&bed, &["restore"]).await.0, 0);
    bed.is_sound().await;
}
