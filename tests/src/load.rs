//! Customers who pay one payment after the other, each under its id until it has an answer.

use std::{
    error::Error as _,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, stream};
use lightning_sim::control_proto::{CreateInvoiceRequest, control_client::ControlClient};
use proto::v1::{GetPaymentRequest, Payment, PaymentStatus};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use tonic::{Code, Status, transport::Channel};

use crate::world::{Customer, Wire, World, new_id};

const AMOUNT_MSAT: u64 = 5_000;
const ASK_AGAIN: Duration = Duration::from_millis(20);
const READS_AT_ONCE: usize = 32;
/// Longer than a lease, its grace and a retry: what is open must have ended by then.
const ENDS_WITHIN: Duration = Duration::from_secs(90);

pub struct Load {
    callers: JoinSet<()>,
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
pub struct Seen {
    pub paid: usize,
    /// When the last one was paid, and the longest time in which none was.
    last: Option<Instant>,
    pub longest_gap: Duration,
    /// What callers were told instead of an answer.
    pub refusals: Vec<String>,
    /// What callers were told in the end.
    acknowledged: Vec<(Customer, Payment)>,
}

/// Whom a caller pays, and whether a node may say that it cannot be done.
#[derive(Clone)]
enum Payee {
    Alice,
    AliceIfPossible,
    /// Another customer of the platform.
    Neighbour(Customer),
}

impl Load {
    /// As many callers as customers, who go on until they are told to stop.
    pub fn begin(world: &World, channel: &Channel, customers: &[Customer]) -> Load {
        let pairs = customers.iter().map(|payer| (payer.clone(), Payee::Alice));
        Load::among(world, channel, pairs)
    }

    /// The same where nodes may fail payments.
    pub fn if_possible(world: &World, channel: &Channel, customers: &[Customer]) -> Load {
        let pairs = customers.iter().map(|payer| (payer.clone(), Payee::AliceIfPossible));
        Load::among(world, channel, pairs)
    }

    /// The same where each pays the next one.
    pub fn inside(world: &World, channel: &Channel, customers: &[Customer]) -> Load {
        let payees = customers.iter().cycle().skip(1).cloned().map(Payee::Neighbour);
        Load::among(world, channel, customers.iter().cloned().zip(payees))
    }

    fn among(
        world: &World,
        channel: &Channel,
        pairs: impl Iterator<Item = (Customer, Payee)>,
    ) -> Load {
        let (stop, seen) = (Arc::<AtomicBool>::default(), Arc::<Mutex<Seen>>::default());
        let mut callers = JoinSet::new();
        for (customer, payee) in pairs {
            let (stop, seen) = (stop.clone(), seen.clone());
            let (channel, outside) = (channel.clone(), world.outside());
            callers.spawn(async move {
                while !stop.load(Ordering::Acquire) {
                    let paid = async {
                        let invoice = match &payee {
                            Payee::Alice | Payee::AliceIfPossible => of_alice(&outside).await,
                            Payee::Neighbour(payee) => of_customer(&channel, payee, &seen).await,
                        };
                        pay(&channel, &customer, &invoice, &seen).await
                    };
                    let payment = timeout(ENDS_WITHIN, paid).await.expect("it ends");
                    let may_fail = matches!(payee, Payee::AliceIfPossible);
                    let failed = payment.status() == PaymentStatus::Failed;
                    let paid = payment.status() == PaymentStatus::Completed;
                    assert!(paid || failed && may_fail, "{payment:?}");
                    seen.lock().expect("nobody panics with it").ended(customer.clone(), payment);
                }
            });
        }
        Load { callers, stop, seen }
    }

    /// Waits until so many more have been paid.
    pub async fn paid(&self, more: usize) {
        let wanted = self.seen.lock().expect("nobody panics with it").paid + more;
        let paid = async {
            while self.seen.lock().expect("nobody panics with it").paid < wanted {
                sleep(ASK_AGAIN).await;
            }
        };
        timeout(ENDS_WITHIN, paid).await.expect("payments go on");
    }

    /// Waits until so many more calls have come to nothing.
    pub async fn refused(&self, more: usize) {
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
    pub async fn end(mut self) -> Seen {
        self.stop.store(true, Ordering::Release);
        while let Some(ended) = self.callers.join_next().await {
            ended.expect("callers end well");
        }
        std::mem::take(&mut *self.seen.lock().expect("nobody panics with it"))
    }
}

impl Seen {
    /// What was told once stays so.
    pub async fn are_kept(&self, world: &World) {
        let channel = world.connect();
        let read = self.acknowledged.iter().map(|(customer, told)| {
            let mut payments = customer.payments(channel.clone());
            async move {
                let request = GetPaymentRequest { id: told.id.clone() };
                let read = payments.get_payment(request).await;
                let read = read.expect("what was acknowledged is there").into_inner();
                assert_eq!((read.status(), &read.preimage), (told.status(), &told.preimage));
            }
        });
        stream::iter(read).buffer_unordered(READS_AT_ONCE).collect::<()>().await;
    }

    fn ended(&mut self, customer: Customer, payment: Payment) {
        let paid = payment.status() == PaymentStatus::Completed;
        self.acknowledged.push((customer, payment));
        if !paid {
            return;
        }
        let now = Instant::now();
        let gap = self.last.map_or(Duration::ZERO, |last| now - last);
        (self.last, self.longest_gap) = (Some(now), self.longest_gap.max(gap));
        self.paid += 1;
    }
}

async fn of_alice(outside: &ControlClient<Wire>) -> String {
    let request = CreateInvoiceRequest {
        node: "alice".to_owned(),
        amount_msat: AMOUNT_MSAT,
        ..CreateInvoiceRequest::default()
    };
    let made = outside.clone().create_invoice(request).await;
    made.expect("alice is there").into_inner().payment_request
}

/// Repeats under the same id until there is one.
async fn of_customer(channel: &Channel, payee: &Customer, seen: &Mutex<Seen>) -> String {
    let id = new_id();
    loop {
        let request = payee.receive(&id, Some(AMOUNT_MSAT));
        match payee.payments(channel.clone()).receive(request).await {
            Ok(made) if !made.get_ref().invoice.is_empty() => return made.into_inner().invoice,
            Ok(made) => assert_eq!(made.get_ref().status(), PaymentStatus::Generating, "{made:?}"),
            Err(status) => is_repeated(&status, seen),
        }
        sleep(ASK_AGAIN).await;
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
                is_repeated(&status, seen);
                sleep(ASK_AGAIN).await;
            }
        }
    }
}

/// What a caller is told who may ask again.
fn is_repeated(status: &Status, seen: &Mutex<Seen>) {
    let told = format!("{:?}: {}", status.code(), status.message());
    seen.lock().expect("nobody panics with it").refusals.push(told);
    let repeats = [Code::Unavailable, Code::DeadlineExceeded, Code::Unknown];
    // The caller's own library takes back what it had not sent when its connection closed.
    let taken_back = status.code() == Code::Cancelled && status.source().is_some();
    assert!(repeats.contains(&status.code()) || taken_back, "{status:?}");
}
