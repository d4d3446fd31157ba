//! Payments that somebody makes by hand on a registered node, past the platform.

use proto::v1::PaymentStatus;

use super::{HOUR, completed, told};

/// The books of a pool node begin when it is registered: what it has paid before is not ours.
#[test]
fn a_node_with_a_past_joins_the_pool() {
    told(async |house| {
        let net = house.net;
        let before = net.far.add_invoice(Some(1_000_000), "before our time", HOUR).await;
        net.pool.pay(&before.bolt11).await;
        house.pool(&net.pool).await;
        let customer = house.customer("payer").await;
        let invoice = net.far.add_invoice(Some(2_000_000), "in our time", HOUR).await;
        completed(&house.pays(&customer, &invoice.bolt11).await, 2_000_000);
        house.closes_its_books().await;

        house.crashes().await;
        house.becomes_usable(&net.pool).await;
        assert_eq!(house.switchyard(&["frozen"]).await.code, 0);
    });
}

/// Rule 24: from then on, a payment that the ledger does not know could be one that a restored
/// database has forgotten. Nothing leaves until a person has looked.
#[test]
fn rule_24_a_payment_by_hand_on_the_pool_freezes_every_send() {
    told(async |house| {
        let net = house.net;
        house.pool(&net.pool).await;
        let customer = house.customer("payer").await;
        house.world.kill_platform();
        let by_hand = net.far.add_invoice(Some(1_000_000), "by hand", HOUR).await;
        let paid = net.pool.pay(&by_hand.bolt11).await;
        house.comes_back().await;

        let frozen = house.switchyard(&["frozen"]).await;
        assert_eq!(frozen.code, 8);
        let why = frozen.document["frozen"].as_str().unwrap();
        assert!(why.contains(&paid.payment_hash), "{why}");
        let audit = house.switchyard(&["audit"]).await;
        assert_eq!(audit.code, 8);
        let finding = &audit.document["findings"][0];
        assert_eq!(finding["code"], "unknown_payment_on_node");
        assert!(finding["message"].as_str().unwrap().contains(&paid.payment_hash), "{finding}");
        let invoice = net.far.add_invoice(Some(2_000_000), "after the thaw", HOUR).await;
        let request = customer.send(&tests::world::new_id(), &invoice.bolt11);
        let refused = house.sends(&customer, request.clone()).await.unwrap_err();
        assert_eq!(proto::Problem::from_status(&refused).code, "sends_frozen");

        assert_eq!(house.switchyard(&["thaw", "--anyway"]).await.code, 0);
        house.becomes_usable(&net.pool).await;
        completed(&house.sends(&customer, request).await.unwrap(), 2_000_000);
    });
}

/// An owner may pay from their own node as they like. An invoice that they have paid there is not
/// paid again: the platform finds the payment and its proof.
#[test]
fn an_invoice_paid_by_hand_on_the_own_node_is_not_paid_again() {
    told(async |house| {
        let net = house.net;
        let customer = house.customer_on(&net.far).await;
        let invoice = net.pool.add_invoice(Some(3_000_000), "paid by its owner", HOUR).await;
        let by_hand = net.far.pay(&invoice.bolt11).await;
        let paid = house.pays(&customer, &invoice.bolt11).await;
        completed(&paid, 3_000_000);
        assert_eq!(paid.preimage, by_hand.payment_preimage);
        let shown = net.far.payment(invoice.hash).await.unwrap();
        assert_eq!(shown.payment_index, by_hand.payment_index, "nothing was sent again");

        // One that is not the platform's business changes nothing.
        let other = net.pool.add_invoice(Some(1_000_000), "none of our business", HOUR).await;
        net.far.pay(&other.bolt11).await;
        house.crashes().await;
        house.becomes_usable(&net.far).await;
        let paid = house.payment(&customer, &paid.id).await;
        assert_eq!(paid.status(), PaymentStatus::Completed);
    });
}
