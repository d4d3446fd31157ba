//! A thousand payments on their way while their owner changes.

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use lightning_sim::control_proto::{
    CreateInvoiceRequest, CreateInvoiceResponse, SettleInvoiceRequest,
};
use proto::v1::{GetPaymentRequest, PaymentStatus, SendRequest};
use tests::process::STOPS_WITHIN;
use tests::world::{Customer, new_id};
use tokio::time::{sleep, timeout};

use crate::bed::Bed;

const PAYMENTS: usize = 1_000;
const CUSTOMERS: usize = 20;
const AMOUNT_MSAT: u64 = 5_000;
const AT_ONCE: usize = 64;

/// Of the node's answer, whoever owns the payment by then.
const ENDS_WITHIN: Duration = Duration::from_secs(10);

const LEAVE_WITHIN: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// How many payments the nodes of the pool have out now.
async fn in_flight(bed: &Bed) -> usize {
    let made = bed.world.payments_of_pool().await;
    made.iter().filter(|payment| payment.status == "IN_FLIGHT").count()
}

/// Invoices that are settled when the test says so.
async fn hold_invoices(bed: &Bed) -> Vec<CreateInvoiceResponse> {
    let request = CreateInvoiceRequest {
        node: "alice".to_owned(),
        amount_msat: AMOUNT_MSAT,
        hold: true,
        ..CreateInvoiceRequest::default()
    };
    let made = (0..PAYMENTS).map(|_| {
        let (mut outside, request) = (bed.world.outside(), request.clone());
        async move { outside.create_invoice(request).await.expect("alice is there").into_inner() }
    });
    stream::iter(made).buffer_unordered(AT_ONCE).collect().await
}

async fn settle(bed: &Bed, invoices: &[CreateInvoiceResponse]) {
    let settled = invoices.iter().map(|invoice| {
        let (node, preimage) = ("alice".to_owned(), invoice.preimage.clone());
        let mut outside = bed.world.outside();
        async move {
            let request = SettleInvoiceRequest { node, preimage };
            outside.settle_invoice(request).await.expect("it is held");
        }
    });
    stream::iter(settled).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
}

/// Everything is sent, and nobody waits for it. Answers with what was taken.
async fn send_all(
    bed: &Bed,
    payers: &[Customer],
    invoices: &[CreateInvoiceResponse],
) -> Vec<(Customer, String)> {
    let channel = bed.world.connect();
    let sends = invoices.iter().zip(payers.iter().cycle()).map(|(invoice, payer)| {
        let channel = channel.clone();
        async move {
            let id = new_id();
            let request =
                SendRequest { wait_seconds: 0, ..payer.send(&id, &invoice.payment_request) };
            payer.payments(channel).send(request).await.expect("it is taken");
            (payer.clone(), id)
        }
    });
    stream::iter(sends).buffer_unordered(AT_ONCE).collect().await
}

/// Nobody asks for them again: they end by themselves.
async fn all_end(bed: &Bed, sent: &[(Customer, String)]) {
    let channel = bed.world.connect();
    let ended = sent.iter().map(|(payer, id)| {
        let channel = channel.clone();
        async move {
            loop {
                let request = GetPaymentRequest { id: id.clone() };
                let read = payer.payments(channel.clone()).get_payment(request).await;
                let payment = read.expect("it can be read").into_inner();
                if payment.status() == PaymentStatus::Completed {
                    return;
                }
                assert_eq!(payment.status(), PaymentStatus::Sending, "{payment:?}");
                sleep(LOOK_AGAIN).await;
            }
        }
    });
    stream::iter(ended).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
}

/// `performance` §4: every open payment ends within ten seconds of the node's answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_payments_in_flight_survive_their_owner() {
    let mut bed = Bed::start(2).await;
    let customers = bed.world.customers("acme", CUSTOMERS).await.expect("customers can be made");
    for signal in ["-TERM", "-KILL"] {
        let payers = bed.owned_by("engine-1", &customers).await;
        assert!(!payers.is_empty(), "it owns some");
        let invoices = hold_invoices(&bed).await;
        let sent = send_all(&bed, &payers, &invoices).await;
        let out = async {
            while in_flight(&bed).await < PAYMENTS {
                sleep(LOOK_AGAIN).await;
            }
        };
        timeout(LEAVE_WITHIN, out).await.expect("all are out at once");
        bed.signal("engine-1", signal);
        settle(&bed, &invoices).await;
        let answered = Instant::now();
        timeout(ENDS_WITHIN, all_end(&bed, &sent)).await.expect("all end in time");
        eprintln!("{signal}: all had ended {:?} after the last answer", answered.elapsed());
        let ended = bed.process("engine-1").ends_within(STOPS_WITHIN).await;
        assert!(ended.is_some(), "{}", bed.process("engine-1").said());
        let moved = bed.owned_by("engine-2", &payers).await;
        assert_eq!(moved.len(), payers.len(), "they have moved");
        bed.is_sound().await;
        bed.start_engine("engine-1").await;
        bed.settled().await;
    }
}
