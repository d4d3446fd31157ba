//! Pods that cannot reach each other while both reach the database.

use std::time::{Duration, Instant};

use domain::ErrorClass;
use proto::{
    Problem,
    v1::{GetPaymentRequest, SendRequest},
};
use tests::{
    way::Way,
    world::{Customer, new_id},
};
use tonic::{Code, Status};

use crate::{bed::Bed, load::Load};

const CUSTOMERS: usize = 12;

/// Who does not wait is held while an organisation may be moving, and until a pod that has fallen silent is
/// noticed.
const REFUSED_WITHIN: Duration = Duration::from_millis(1_000);
const NOTICED_WITHIN: Duration = Duration::from_millis(4_500);

const SERVED_AGAIN_WITHIN: Duration = Duration::from_secs(3);

/// A call that does not wait.
struct Asked {
    id: String,
    refused: Status,
    took: Duration,
}

impl Asked {
    async fn by(bed: &Bed, customer: &Customer) -> Asked {
        let (id, invoice) = (new_id(), bed.world.invoice("alice", 5_000, "").await);
        let request = SendRequest { wait_seconds: 0, ..customer.send(&id, &invoice) };
        let began = Instant::now();
        let sent = customer.payments(bed.world.connect()).send(request).await;
        let refused = sent.expect_err("nobody can be asked");
        Asked { id, refused, took: began.elapsed() }
    }

    fn class(&self) -> ErrorClass {
        Problem::from_status(&self.refused).class
    }

    /// What was certainly not taken is not there.
    async fn was_honest(&self, bed: &Bed, customer: &Customer) {
        let request = GetPaymentRequest { id: self.id.clone() };
        let read = customer.payments(bed.world.connect()).get_payment(request).await;
        match (self.class(), read) {
            (ErrorClass::Uncertain, _) => {}
            (ErrorClass::Unavailable, Err(status)) if status.code() == Code::NotFound => {}
            (class, read) => panic!("told {class:?}, and then {read:?}"),
        }
    }
}

/// The engine that is cut off keeps its lease and everything that it owns: nobody else may serve it. So its
/// customers wait or are told so, and the others notice nothing.
#[tokio::test(flavor = "multi_thread")]
async fn an_engine_is_cut_off_from_the_gateways() {
    let mut bed = Bed::start(1).await;
    let way = Way::nowhere().await;
    bed.start_engine_behind("engine-2", &way).await;
    bed.settled().await;
    let customers = bed.world.customers("acme", CUSTOMERS).await.expect("customers can be made");
    let cut_off = bed.owned_by("engine-2", &customers).await;
    let all = Load::begin(&bed.world, &bed.world.connect(), &customers);
    let theirs = Load::begin(&bed.world, &bed.world.connect(), &cut_off);
    for silent in [false, true] {
        theirs.paid(10).await;
        let first_within = match silent {
            false => {
                way.shut();
                REFUSED_WITHIN
            }
            true => {
                way.fall_silent();
                NOTICED_WITHIN
            }
        };
        let customer = &cut_off[0];
        let first = Asked::by(&bed, customer).await;
        assert!(first.took <= first_within, "{:?}", first.took);
        // Whoever comes later is not held for what is known by then.
        let later = Asked::by(&bed, customer).await;
        assert!(later.took <= REFUSED_WITHIN, "{:?}", later.took);
        all.paid(20).await;
        way.open();
        let healed = Instant::now();
        theirs.paid(1).await;
        assert!(healed.elapsed() <= SERVED_AGAIN_WITHIN, "{:?}", healed.elapsed());
        first.was_honest(&bed, customer).await;
        later.was_honest(&bed, customer).await;
        theirs.paid(20).await;
    }
    let seen = (theirs.end().await, all.end().await);
    seen.0.are_kept(&bed.world).await;
    seen.1.are_kept(&bed.world).await;
    assert_eq!(bed.owned_by("engine-2", &cut_off).await.len(), cut_off.len(), "nothing has moved");
    bed.is_sound().await;
}
