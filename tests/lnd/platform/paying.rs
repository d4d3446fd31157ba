//! Sends that end at once: paid, turned down, refused, tried on the next node.

use std::time::Duration;

use proto::v1::{AttemptStatus, PaymentStatus, SendRequest};
use tests::world::new_id;
use tonic_lnd::lnrpc::Payment as LndPayment;

use super::{HOUR, completed, failed, passed, told};
use crate::harness::{Node, hex};

/// How often the node has a hash in its books.
async fn rows(node: &Node, hash: [u8; 32]) -> usize {
    let of_hash = |row: &&LndPayment| row.payment_hash == hex(&hash);
    node.list_payments().await.iter().filter(of_hash).count()
}

#[test]
fn a_customer_pays_once_with_and_without_an_amount() {
    told(async |house| {
        let net = house.net;
        house.pool(&net.pool).await;
        let customer = house.customer("payer").await;

        let fixed = net.far.add_invoice(Some(25_000_000), "fixed", HOUR).await;
        let request = customer.send(&new_id(), &fixed.bolt11);
        let paid = house.sends(&customer, request.clone()).await.unwrap();
        assert!(completed(&paid, 25_000_000) > 0, "the hop takes a fee");
        assert!(paid.fee_msat <= paid.fee_limit_msat);
        assert_eq!(paid.attempts.len(), 1);
        assert_eq!(paid.attempts[0].requests, 1);

        // The same id is the same payment, another id is another one that the hash forbids (rule 11).
        assert_eq!(house.sends(&customer, request.clone()).await.unwrap(), paid);
        let other = SendRequest { amount_msat: Some(5), ..request };
        house.sends(&customer, other).await.unwrap_err();
        assert_eq!(failed(&house.pays(&customer, &fixed.bolt11).await), "invoice_already_paid");
        assert_eq!(rows(&net.pool, fixed.hash).await, 1);

        let any = net.far.add_invoice(None, "any", HOUR).await;
        let named =
            SendRequest { amount_msat: Some(7_000_123), ..customer.send(&new_id(), &any.bolt11) };
        completed(&house.sends(&customer, named).await.unwrap(), 7_000_123);
        assert_eq!(net.far.invoice(any.hash).await.amt_paid_msat, 7_000_123);
    });
}

#[test]
fn what_the_payee_turns_down_costs_nothing() {
    told(async |house| {
        let net = house.net;
        house.pool(&net.pool).await;
        let customer = house.customer("payer").await;

        let cancelled = net.far.add_invoice(Some(2_000_000), "cancelled", HOUR).await;
        net.far.cancel(cancelled.hash).await;
        let payment = house.pays(&customer, &cancelled.bolt11).await;
        assert_eq!(failed(&payment), "incorrect_payment_details");

        // Paid by hand elsewhere looks the same to lnd.
        let taken = net.far.add_invoice(Some(2_000_000), "paid by the hop", HOUR).await;
        net.hop.pay(&taken.bolt11).await;
        let payment = house.pays(&customer, &taken.bolt11).await;
        assert_eq!(failed(&payment), "incorrect_payment_details");
        assert_eq!(payment.attempts.len(), 1, "no other node could do better");
    });
}

/// An id keeps its answer for ever; a new one is refused and leaves nothing behind.
#[test]
fn an_expired_invoice_is_refused_but_a_repeat_is_answered() {
    told(async |house| {
        let net = house.net;
        house.pool(&net.pool).await;
        let customer = house.customer("payer").await;

        let invoice =
            net.far.add_invoice(Some(1_000_000), "soon over", Duration::from_secs(4)).await;
        let request = customer.send(&new_id(), &invoice.bolt11);
        let paid = house.sends(&customer, request.clone()).await.unwrap();
        completed(&paid, 1_000_000);
        let over = lightning_node::bolt11::parse(&invoice.bolt11).unwrap().expires_at;
        passed("the invoice to expire", over.millis()).await;
        assert_eq!(house.sends(&customer, request.clone()).await.unwrap(), paid);
        let late = SendRequest { id: new_id(), ..request };
        let refused = house.sends(&customer, late).await.unwrap_err();
        assert_eq!(proto::Problem::from_status(&refused).code, "invoice_expired");
        assert_eq!(house.payments(&customer).await.len(), 1);
    });
}

/// Rule 8: 0 means routes without a fee, of which there is none to beyond the neighbour.
#[test]
fn a_fee_cap_of_0_pays_no_fee() {
    told(async |house| {
        let net = house.net;
        house.pool(&net.pool).await;
        let customer = house.customer("payer").await;
        let free = |invoice: &str| SendRequest {
            fee_limit_msat: Some(0),
            ..customer.send(&new_id(), invoice)
        };

        let far = net.far.add_invoice(Some(3_000_000), "not free", HOUR).await;
        let payment = house.sends(&customer, free(&far.bolt11)).await.unwrap();
        assert_eq!(failed(&payment), "no_route");
        let near = net.hop.add_invoice(Some(3_000_000), "free", HOUR).await;
        let payment = house.sends(&customer, free(&near.bolt11)).await.unwrap();
        assert_eq!(completed(&payment, 3_000_000), 0);

        // Its failure is proven, so the same invoice may be paid after all.
        assert!(completed(&house.pays(&customer, &far.bolt11).await, 3_000_000) > 0);
    });
}

/// The first node has no route that is free, which it proves; the second is the payee's neighbour.
#[test]
fn a_proven_failure_moves_on_to_the_next_node() {
    told(async |house| {
        let net = house.net;
        let (first, second) = (house.pool(&net.pool).await, house.pool(&net.hop).await);
        let customer = house.customer("payer").await;

        // So small that both nodes score alike; then the older comes first.
        let invoice = net.far.add_invoice(Some(30_000), "by the second", HOUR).await;
        let request =
            SendRequest { fee_limit_msat: Some(0), ..customer.send(&new_id(), &invoice.bolt11) };
        let payment = house.sends(&customer, request).await.unwrap();
        assert_eq!(completed(&payment, 30_000), 0);
        let tried: Vec<_> = payment
            .attempts
            .iter()
            .map(|attempt| (attempt.node_id.clone(), attempt.status()))
            .collect();
        assert_eq!(tried, [(first, AttemptStatus::Failed), (second, AttemptStatus::Paid)]);
        assert_eq!(payment.attempts[0].failure.as_ref().unwrap().code, "no_route");
    });
}

/// From a wallet on the pool to one on a customer's own node: different funds, so it goes over
/// Lightning, and both ends of it are ours. Back again it does so too.
#[test]
fn customers_of_different_funds_pay_each_other_over_lightning() {
    told(async |house| {
        let net = house.net;
        house.pool(&net.pool).await;
        let lender = house.customer("on the line").await;
        let owner = house.customer_on(&net.far).await;

        for (payer, payee, amount_msat) in
            [(&lender, &owner, 12_000_000), (&owner, &lender, 4_000_000)]
        {
            let asked = house.asks(payee, Some(amount_msat)).await;
            let payment = house.pays(payer, &asked.invoice).await;
            assert!(completed(&payment, amount_msat) > 0);
            let received = house.ended(payee, &asked.id).await;
            assert_eq!(received.status(), PaymentStatus::Completed);
            assert_eq!(received.received_msat, Some(amount_msat));
        }
    });
}
