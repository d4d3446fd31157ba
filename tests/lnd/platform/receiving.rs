//! Receives: credited once, whatever was away when the money came.

use proto::v1::{Payment, PaymentStatus, Rail};
use tests::world::Customer;
use tonic_lnd::lnrpc::invoice::InvoiceState;
use tonic_lnd::routerrpc::SendPaymentRequest;

use super::{House, failed, hash_of, told};
use crate::harness::{payment_of, secret, unhex};

async fn assert_credited(house: &House, payee: &Customer, asked: &Payment, amount_msat: u64) {
    let payment = house.ended(payee, &asked.id).await;
    assert_eq!(payment.status(), PaymentStatus::Completed, "{payment:?}");
    assert_eq!(payment.received_msat, Some(amount_msat), "{payment:?}");
}

#[test]
fn what_comes_in_is_credited_as_paid() {
    told(async |house| {
        let net = house.net;
        house.pool(&net.pool).await;
        let customer = house.customer("payee").await;

        let fixed = house.asks(&customer, Some(9_000_000)).await;
        let request = customer.receive(&fixed.id, Some(9_000_000));
        let again = customer.payments(house.world.connect()).receive(request).await.unwrap();
        assert_eq!(again.into_inner().invoice, fixed.invoice, "one id, one invoice");
        net.far.pay(&fixed.invoice).await;
        assert_credited(house, &customer, &fixed, 9_000_000).await;

        let any = house.asks(&customer, None).await;
        let named = SendPaymentRequest { amt_msat: 7_000_123, ..payment_of(&any.invoice) };
        net.far.send(named).await.unwrap();
        assert_credited(house, &customer, &any, 7_000_123).await;

        // Rule 21: the amount truly paid, also where lnd takes more than was asked for.
        let little = house.asks(&customer, Some(2_000_000)).await;
        let invoice = net.pool.invoice(hash_of(&little)).await;
        let too_much = SendPaymentRequest {
            dest: unhex(net.pool.identity()),
            amt_msat: 3_000_000,
            payment_hash: invoice.r_hash.clone(),
            payment_addr: invoice.payment_addr.clone(),
            final_cltv_delta: i32::try_from(invoice.cltv_expiry).unwrap(),
            dest_features: vec![9, 14],
            ..payment_of("")
        };
        net.far.send(too_much).await.unwrap();
        assert_credited(house, &customer, &little, 3_000_000).await;
    });
}

/// Nobody follows, then lnd is killed under the follower: each is credited once, and only then.
#[test]
fn what_comes_in_meanwhile_is_credited_once() {
    told(async |house| {
        let net = house.net;
        house.pool(&net.pool).await;
        let customer = house.customer("payee").await;
        let mut asked = Vec::new();
        for amount_msat in [1_000_000, 2_000_000, 3_000_000, 4_000_000] {
            asked.push((house.asks(&customer, Some(amount_msat)).await, amount_msat));
        }
        let [(first, _), (second, _), (third, _), (fourth, _)] = &asked[..] else { panic!() };

        net.far.pay(&first.invoice).await;
        assert_credited(house, &customer, first, 1_000_000).await;
        house.world.kill_platform();
        net.far.pay(&second.invoice).await;
        house.comes_back().await;
        assert_credited(house, &customer, second, 2_000_000).await;

        net.pool.kill9();
        house.becomes_unusable(&net.pool).await;
        net.pool.restart().await;
        net.far.pay(&third.invoice).await;
        assert_credited(house, &customer, third, 3_000_000).await;

        // Both at once; lnd has settled it while nobody could be told.
        house.world.kill_platform();
        net.far.pay(&fourth.invoice).await;
        net.pool.kill9();
        house.comes_back().await;
        net.pool.restart().await;
        for (payment, amount_msat) in &asked {
            assert_credited(house, &customer, payment, *amount_msat).await;
        }
    });
}

/// Money that nobody has asked for is the house's to explain, not a customer's credit.
#[test]
fn a_keysend_is_nobodys() {
    told(async |house| {
        let net = house.net;
        house.pool(&net.pool).await;
        let customer = house.customer("payee").await;
        let (preimage, _) = secret("keysend to the house");
        net.far.keysend(&net.pool, 4_000_000, preimage).await.unwrap();
        // What comes after it in lnd's order has been seen, so it was too.
        let asked = house.asks(&customer, Some(1_000_000)).await;
        net.far.pay(&asked.invoice).await;
        assert_credited(house, &customer, &asked, 1_000_000).await;
    });
}

/// Between two wallets of the pool nothing leaves: lnd cancels the invoice and cannot be paid on it.
#[test]
fn an_invoice_of_the_house_is_paid_inside() {
    told(async |house| {
        let net = house.net;
        house.pool(&net.pool).await;
        let (payer, payee) = (house.customer("payer").await, house.customer("payee").await);
        let asked = house.asks(&payee, Some(6_000_000)).await;
        let paid = house.pays(&payer, &asked.invoice).await;
        assert_eq!((paid.status(), paid.rail()), (PaymentStatus::Completed, Rail::Internal));
        assert_credited(house, &payee, &asked, 6_000_000).await;
        let shown = net.pool.invoice(hash_of(&asked)).await;
        assert_eq!((shown.state(), shown.amt_paid_msat), (InvoiceState::Canceled, 0));
        net.pool.payment(hash_of(&asked)).await.unwrap_err();

        // Paid from outside first: lnd's word stands, and the second payer has nothing to pay.
        let taken = house.asks(&payee, Some(5_000_000)).await;
        net.far.pay(&taken.invoice).await;
        let late = house.pays(&payer, &taken.invoice).await;
        assert!(!failed(&late).is_empty());
        assert_credited(house, &payee, &taken, 5_000_000).await;
        assert_eq!(house.wallet(&payer).await.held_msat, 0);
    });
}
