//! Customers who pay one payment after the other, each under its id until it has an answer.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use proto::v1::{GetPaymentRequest, Payment, PaymentStatus};
use tests::world::{Customer, World, new_id};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use tonic::{Code, transport::Channel};

const AMOUNT_MSAT: u64 = 5_000;
const ASK_AGAIN: Duration = Duration::from_millis(20);
/// Longer than a lease, its grace and a retry: what is open must have ended by then.
const ENDS_WITHIN: Duration = Duration::from_secs(90);

pub(crate) struct Load {
    callers: JoinSet<()>,
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) paid: usize,
    /// When the last one was paid, and the longest time in which none was.
    last: Option<Instant>,
    pub(crate) longest_gap: Duration,
    /// What callers were told instead of an answer.
    pub(crate) refusals: Vec<String>,
    /// What callers were told in the end.
    acknowledged: Vec<(Customer, Payment)>,
}

impl Load {
    /// As many callers as customers, who go on until they are told to stop.
    pub(crate) fn begin(world: &World, channel: &Channel, customers: &[Customer]) -> Load {
        let (stop, seen) = (Arc::<AtomicBool>::default(), Arc::<Mutex<Seen>>::default());
        let mut callers = JoinSet::new();
        for customer in customers {
            let (stop, seen) = (stop.clone(), seen.clone());
            let (customer, channel) = (customer.clone(), channel.clone());
            let mut outside = world.outside();
            callers.spawn(async move {
                while !stop.load(Ordering::Acquire) {
                    let request = lightning_sim::control_proto::CreateInvoiceRequest {
                        node: "alice".to_owned(),
                        amount_msat: AMOUNT_MSAT,
                        ..Default::default()
                    };
                    let made = outside.create_invoice(request).await.expect("alice is there");
                    let invoice = made.into_inner().payment_request;
                    let paid = pay(&channel, &customer, &invoice, &seen);
                    let payment = timeout(ENDS_WITHIN, paid).await.expect("it ends");
                    assert_eq!(payment.status(), PaymentStatus::Completed, "{payment:?}");
                    seen.lock().expect("nobody panics with it").paid_one(customer.clone(), payment);
                }
            });
        }
        Load { callers, stop, seen }
    }

    /// Waits until so many more have been paid.
    pub(crate) async fn paid(&self, more: usize) {
        let wanted = self.seen.lock().expect("nobody panics with it").paid + more;
        let paid = async {
            while self.seen.lock().expect("nobody panics with it").paid < wanted {
                sleep(ASK_AGAIN).await;
            }
        };
        timeout(ENDS_WITHIN, paid).await.expect("payments go on");
    }

    /// Waits until so many more calls have come to nothing.
    pub(crate) async fn refused(&self, more: usize) {
        let so_many = || self.seen.lock().expect("nobody panics with it").refusals.len();
        let wanted = so_many() + more;
        let refused = async {
            while so_many() < wanted {
                sleep(ASK_AGAIN).await;
            }
        };
        timeout(ENDS_WITHIN, refused).await.expect("calls are refused");
    }

    /// Everyone has an answer. Answers what they have seen.
    pub(crate) async fn end(mut self) -> Seen {
        self.stop.store(true, Ordering::Release);
        while let Some(ended) = self.callers.join_next().await {
            ended.expect("callers end well");
        }
        std::mem::take(&mut *self.seen.lock().expect("nobody panics with it"))
    }
}

impl Seen {
    /// What was told once stays so.
    pub(crate) async fn are_kept(&self, world: &World) {
        let channel = world.connect();
        for (customer, told) in &self.acknowledged {
            let request = GetPaymentRequest { id: told.id.clone() };
            let read = customer.payments(channel.clone()).get_payment(request).await;
            let read = read.expect("what was acknowledged is there").into_inner();
            assert_eq!((read.status(), &read.preimage), (told.status(), &told.preimage));
        }
    }

    fn paid_one(&mut self, customer: Customer, payment: Payment) {
        let now = Instant::now();
        let gap = self.last.map_or(Duration::ZERO, |last| now - last);
        (self.last, self.longest_gap) = (Some(now), self.longest_gap.max(gap));
        self.paid += 1;
        self.acknowledged.push((customer, payment));
    }
}

/// Repeats under the same id until it has ended.
async fn pay(channel: &Channel, customer: &Customer, invoice: &str, seen: &Mutex<Seen>) -> Payment {
    let id = new_id();
    loop {
        match customer.payments(channel.clone()).send(customer.send(&id, invoice)).await {
            Ok(answer) => {
                let payment = answer.into_inner();
                if payment.status() != PaymentStatus::Sending {
                    return payment;
                }
            }
            Err(status) => {
                seen.lock().expect("nobody panics with it").refusals.push(format!(
                    "{:?}: {}",
                    status.code(),
                    status.message()
                ));
                let repeats = [Code::Unavailable, Code::DeadlineExceeded, Code::Unknown];
                assert!(repeats.contains(&status.code()), "{status:?}");
                sleep(ASK_AGAIN).await;
            }
        }
    }
}
