//! Payments whose outcome nobody knows for a while: the payee holds them, and meanwhile everything
//! that can crash does. In the end each has one answer, and the hold stays until then.

use proto::v1::{Payment, PaymentStatus, SendRequest};
use tests::world::{Customer, new_id};
use tonic_lnd::lnrpc::invoice::InvoiceState;

use super::{House, completed, failed, signed, told};
use crate::harness::{hex, secret};

const AMOUNT_MSAT: u64 = 5_000_000;

/// A payment that waits at the payee.
struct Held {
    preimage: [u8; 32],
    hash: [u8; 32],
    invoice: String,
    payment: Payment,
}

/// Pays an invoice that is not settled, and waits until the money has arrived there.
async fn held(house: &House, customer: &Customer, word: &str) -> Held {
    let far = &house.net.far;
    let (preimage, hash) = secret(word);
    let invoice = far.add_hold_invoice(hash, signed(AMOUNT_MSAT)).await.bolt11;
    let payment = house.begins(customer, &invoice).await;
    far.wait_invoice(hash, InvoiceState::Accepted).await;
    Held { preimage, hash, invoice, payment }
}

/// Nothing is given back on silence: so many payments are still held, with their largest fees.
async fn assert_held(house: &House, customer: &Customer, payments: &[&Held]) {
    let mut holds_msat = 0;
    for held in payments {
        let payment = house.payment(customer, &held.payment.id).await;
        assert_eq!(payment.status(), PaymentStatus::Sending, "{payment:?}");
        holds_msat += AMOUNT_MSAT + payment.fee_limit_msat.unwrap();
    }
    let wallet = house.wallet(customer).await;
    assert_eq!(wallet.held_msat, holds_msat);
    assert_eq!(wallet.available_msat, wallet.total_msat - signed(holds_msat));
}

async fn assert_settled(house: &House, customer: &Customer, held: &Held) {
    let payment = house.ended(customer, &held.payment.id).await;
    assert!(completed(&payment, AMOUNT_MSAT) > 0);
    assert_eq!(payment.preimage, hex(&held.preimage));
    assert_eq!(payment.attempts.len(), 1, "{payment:?}");
}

async fn assert_given_back(house: &House, customer: &Customer, held: &Held) {
    let payment = house.ended(customer, &held.payment.id).await;
    assert_eq!(failed(&payment), "incorrect_payment_details");
}

#[test]
fn a_payment_in_flight_is_neither_lost_nor_repeated() {
    told(async |house| {
        let net = house.net;
        house.pool(&net.pool).await;
        let customer = house.customer("payer").await;
        let settled = held(house, &customer, "platform: settled").await;
        let cancelled = held(house, &customer, "platform: cancelled").await;
        assert_held(house, &customer, &[&settled, &cancelled]).await;

        let again =
            SendRequest { wait_seconds: 0, ..customer.send(&settled.payment.id, &settled.invoice) };
        let again = house.sends(&customer, again).await.unwrap();
        assert_eq!((&again.id, again.status()), (&settled.payment.id, PaymentStatus::Sending));
        assert_eq!(failed(&house.pays(&customer, &settled.invoice).await), "invoice_already_paid");

        net.far.settle(settled.preimage).await;
        net.far.cancel(cancelled.hash).await;
        assert_settled(house, &customer, &settled).await;
        assert_given_back(house, &customer, &cancelled).await;
    });
}

/// Two are answered while nobody listens, two after the return. A failure that a load has not seen
/// itself counts only once every request has lapsed; the hold stays until then (rules 9, 13).
#[test]
fn a_payment_outlives_the_platform() {
    told(async |house| {
        let net = house.net;
        house.pool(&net.pool).await;
        let customer = house.customer("payer").await;
        let meanwhile = [
            held(house, &customer, "killed: settled meanwhile").await,
            held(house, &customer, "killed: cancelled meanwhile").await,
        ];
        let later = [
            held(house, &customer, "killed: settled later").await,
            held(house, &customer, "killed: cancelled later").await,
        ];
        house.world.kill_platform();
        net.far.settle(meanwhile[0].preimage).await;
        net.far.cancel(meanwhile[1].hash).await;
        house.comes_back().await;
        assert_settled(house, &customer, &meanwhile[0]).await;
        assert_given_back(house, &customer, &meanwhile[1]).await;
        assert_held(house, &customer, &[&later[0], &later[1]]).await;

        // The same ids, sent again to the new life.
        for held in meanwhile.iter().chain(&later) {
            let request =
                SendRequest { wait_seconds: 0, ..customer.send(&held.payment.id, &held.invoice) };
            let answer = house.sends(&customer, request).await.unwrap();
            assert_eq!(answer.attempts.len(), 1, "{answer:?}");
        }
        net.far.settle(later[0].preimage).await;
        net.far.cancel(later[1].hash).await;
        assert_settled(house, &customer, &later[0]).await;
        assert_given_back(house, &customer, &later[1]).await;
    });
}

/// lnd is away: what it has is held, what is new finds no node, and nothing is concluded.
#[test]
fn a_payment_outlives_its_node() {
    told(async |house| {
        let net = house.net;
        house.pool(&net.pool).await;
        let customer = house.customer("payer").await;
        let settled = held(house, &customer, "lnd killed: settled").await;
        let cancelled = held(house, &customer, "lnd killed: cancelled").await;

        net.pool.kill9();
        house.becomes_unusable(&net.pool).await;
        assert_held(house, &customer, &[&settled, &cancelled]).await;
        let other = net.far.add_invoice(Some(1_000), "no node", super::HOUR).await;
        assert_eq!(failed(&house.pays(&customer, &other.bolt11).await), "no_usable_node");
        net.far.settle(settled.preimage).await;
        net.far.cancel(cancelled.hash).await;

        net.pool.restart().await;
        assert_settled(house, &customer, &settled).await;
        assert_given_back(house, &customer, &cancelled).await;
        house.becomes_usable(&net.pool).await;
        completed(&house.pays(&customer, &other.bolt11).await, 1_000);
    });
}

#[test]
fn a_payment_outlives_both() {
    told(async |house| {
        let net = house.net;
        house.pool(&net.pool).await;
        let customer = house.customer("payer").await;
        let settled = held(house, &customer, "both killed: settled").await;
        let cancelled = held(house, &customer, "both killed: cancelled").await;

        house.world.kill_platform();
        net.pool.kill9();
        // It comes back first, and has to wait for its node.
        house.comes_back().await;
        assert_held(house, &customer, &[&settled, &cancelled]).await;
        net.pool.restart().await;
        house.becomes_usable(&net.pool).await;
        assert_held(house, &customer, &[&settled, &cancelled]).await;
        net.far.settle(settled.preimage).await;
        net.far.cancel(cancelled.hash).await;
        assert_settled(house, &customer, &settled).await;
        assert_given_back(house, &customer, &cancelled).await;
    });
}

/// The request is on record and on its way, but lnd stands still until its permission is over. It
/// must not run then (rule 13); the platform asks again, under a new permission, and pays once.
#[test]
fn a_request_that_comes_too_late_does_not_run() {
    told(async |house| {
        let net = house.net;
        house.pool(&net.pool).await;
        let customer = house.customer("payer").await;
        let invoice = net.far.add_invoice(Some(signed(AMOUNT_MSAT)), "too late", super::HOUR).await;

        let still = net.pool.stand_still();
        let payment = house.begins(&customer, &invoice.bolt11).await;
        super::has_lapsed(&payment).await;
        drop(still);
        let payment = house.ended(&customer, &payment.id).await;
        completed(&payment, AMOUNT_MSAT);
        assert_eq!(payment.attempts.len(), 1);
        assert!(payment.attempts[0].requests > 1, "{payment:?}");
        let paid = net.far.invoice(invoice.hash).await.amt_paid_msat;
        assert_eq!(paid, signed(AMOUNT_MSAT));
    });
}

/// The same while the platform is killed: whatever lnd was sent by the old life has lapsed.
#[test]
fn nothing_that_an_earlier_life_sent_runs_late() {
    told(async |house| {
        let net = house.net;
        house.pool(&net.pool).await;
        let customer = house.customer("payer").await;
        let invoice =
            net.far.add_invoice(Some(signed(AMOUNT_MSAT)), "two lives", super::HOUR).await;
        let still = net.pool.stand_still();
        let payment = house.begins(&customer, &invoice.bolt11).await;
        house.world.kill_platform();
        super::has_lapsed(&payment).await;
        drop(still);
        house.comes_back().await;
        let payment = house.ended(&customer, &payment.id).await;
        completed(&payment, AMOUNT_MSAT);
        let again =
            house.sends(&customer, customer.send(&new_id(), &invoice.bolt11)).await.unwrap();
        assert_eq!(failed(&again), "invoice_already_paid");
    });
}
