//! Work of every kind, by callers that repeat under the same id until they have an answer.

use std::{
    future::Future,
    sync::{Arc, RwLock},
    time::{Duration, Instant},
};

use domain::ErrorClass;
use lightning_sim::control_proto as sim;
use proto::v1::{GetPaymentRequest, Payment, PaymentStatus};
use tests::world::{Customer, LIMIT_MSAT, World, new_id};
use tokio::task::JoinSet;
use tonic::{Status, transport::Channel};

const EACH: usize = 4;
const AMOUNT_MSAT: u64 = 50_000;

/// Longer than a lease, its grace and a retry: what is open must have ended by then.
const ENDS_WITHIN: Duration = Duration::from_secs(60);
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// What will be done.
pub(crate) struct Work {
    payer: Customer,
    payee: Customer,
    outside: Vec<String>,
}

/// Where the platform is.
struct Address {
    channel: Channel,
    /// Until then it may have died, and its port may be that of a neighbour's platform, which knows none of our
    /// keys.
    is_last: bool,
}

/// What is being done.
pub(crate) struct Working {
    address: Arc<RwLock<Address>>,
    callers: JoinSet<Payment>,
}

impl Work {
    pub(crate) async fn prepare(world: &World) -> Work {
        let payer = world.customer("payer", LIMIT_MSAT).await.expect("customers can be made");
        let payee = world.customer("payee", LIMIT_MSAT).await.expect("customers can be made");
        let outside = world.invoices("alice", AMOUNT_MSAT, EACH).await;
        Work { payer, payee, outside }
    }

    /// `is_last`: the platform does not die any more.
    pub(crate) fn begin(self, world: &World, is_last: bool) -> Working {
        let address = Arc::new(RwLock::new(Address { channel: world.connect(), is_last }));
        let mut callers = JoinSet::new();
        for invoice in self.outside {
            callers.spawn(send(address.clone(), self.payer.clone(), invoice));
        }
        for _ in 0..EACH {
            callers.spawn(receive_from_outside(
                address.clone(),
                self.payee.clone(),
                world.outside(),
            ));
            callers.spawn(pay_inside(address.clone(), self.payer.clone(), self.payee.clone()));
        }
        Working { address, callers }
    }
}

impl Working {
    /// The platform has started again, on another port.
    pub(crate) fn moved_to(&self, world: &World) {
        let address = Address { channel: world.connect(), is_last: true };
        *self.address.write().expect("nobody panics with it") = address;
    }

    /// Everyone has an answer, it is the right one, and the network has paid nothing twice.
    pub(crate) async fn finish(mut self, world: &World) {
        while let Some(ended) = self.callers.join_next().await {
            let payment = ended.expect("callers end well");
            assert_eq!(payment.status(), PaymentStatus::Completed, "{payment:?}");
        }
        let mut settlements = world
            .outside()
            .audit_settlements(sim::AuditSettlementsRequest::default())
            .await
            .expect("the network tells what was paid")
            .into_inner();
        while let Some(settlement) = settlements.message().await.expect("it goes on") {
            assert_eq!(settlement.times, 1, "paid more than once: {settlement:?}");
        }
    }
}

async fn send(address: Arc<RwLock<Address>>, payer: Customer, invoice: String) -> Payment {
    let id = new_id();
    let sent = answered(&address, async |channel| {
        payer
            .payments(channel)
            .send(payer.send(&id, &invoice))
            .await
            .map(tonic::Response::into_inner)
    });
    sent.await;
    ended(&address, &payer, &id).await
}

async fn receive_from_outside(
    address: Arc<RwLock<Address>>,
    payee: Customer,
    mut outside: sim::control_client::ControlClient<tests::world::Wire>,
) -> Payment {
    let id = new_id();
    let payment_request = invoice(&address, &payee, &id).await;
    let pay = sim::PayRequest {
        node: "bob".to_owned(),
        payment_request,
        amount_msat: 0,
        fee_limit_msat: AMOUNT_MSAT,
        wait_ms: 30_000,
    };
    let paid = outside.pay(pay).await.expect("the network pays").into_inner();
    assert_eq!(paid.status, "SUCCEEDED", "{paid:?}");
    ended(&address, &payee, &id).await
}

async fn pay_inside(address: Arc<RwLock<Address>>, payer: Customer, payee: Customer) -> Payment {
    let (asked, id) = (new_id(), new_id());
    let invoice = invoice(&address, &payee, &asked).await;
    answered(&address, async |channel| {
        payer
            .payments(channel)
            .send(payer.send(&id, &invoice))
            .await
            .map(tonic::Response::into_inner)
    })
    .await;
    let received = ended(&address, &payee, &asked).await;
    assert_eq!(received.received_msat, Some(AMOUNT_MSAT), "{received:?}");
    ended(&address, &payer, &id).await
}

/// The invoice of a receive under this id, however often it is asked for.
async fn invoice(address: &RwLock<Address>, payee: &Customer, id: &str) -> String {
    let started = Instant::now();
    loop {
        let made = answered(address, async |channel| {
            let request = payee.receive(id, Some(AMOUNT_MSAT));
            payee.payments(channel).receive(request).await.map(tonic::Response::into_inner)
        });
        let made = made.await;
        if !made.invoice.is_empty() {
            return made.invoice;
        }
        assert!(started.elapsed() < ENDS_WITHIN, "no invoice: {made:?}");
        tokio::time::sleep(ASK_AGAIN).await;
    }
}

/// The payment once it has ended.
async fn ended(address: &RwLock<Address>, customer: &Customer, id: &str) -> Payment {
    let started = Instant::now();
    loop {
        let payment = answered(address, async |channel| {
            let request = GetPaymentRequest { id: id.to_owned() };
            customer.payments(channel).get_payment(request).await.map(tonic::Response::into_inner)
        });
        let payment = payment.await;
        match payment.status() {
            PaymentStatus::Completed | PaymentStatus::Failed | PaymentStatus::Expired => {
                return payment;
            }
            PaymentStatus::Unspecified
            | PaymentStatus::Sending
            | PaymentStatus::Generating
            | PaymentStatus::Receiving => {}
        }
        assert!(started.elapsed() < ENDS_WITHIN, "it does not end: {payment:?}");
        tokio::time::sleep(ASK_AGAIN).await;
    }
}

/// Repeats a call until it is answered: what is not answered may or may not have happened.
async fn answered<Fut>(address: &RwLock<Address>, call: impl Fn(Channel) -> Fut) -> Payment
where
    Fut: Future<Output = Result<Payment, Status>>,
{
    let started = Instant::now();
    loop {
        let (channel, is_last) = {
            let address = address.read().expect("nobody panics with it");
            (address.channel.clone(), address.is_last)
        };
        match call(channel).await {
            Ok(payment) => return payment,
            Err(status) => {
                let explained = match proto::Problem::from_status(&status).class {
                    ErrorClass::Unavailable | ErrorClass::Uncertain => true,
                    ErrorClass::Denied => !is_last,
                    ErrorClass::Invalid
                    | ErrorClass::NotFound
                    | ErrorClass::Rejected
                    | ErrorClass::Conflict
                    | ErrorClass::Bug => false,
                };
                assert!(explained, "an answer that no crash explains: {status:?}");
                assert!(started.elapsed() < ENDS_WITHIN, "never answered: {status:?}");
            }
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
}
