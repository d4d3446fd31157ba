//! kill -9 of the platform in each gap between it and lnd. What lies between it and its store is in
//! `tests/failpoints`, with every point there is; here lnd itself says what has become of a payment.

use std::time::Duration;

use proto::v1::PaymentStatus;
use tests::world::{Customer, new_id};

use super::{ENDS_WITHIN, HOUR, House, completed, told};
use crate::harness::{hex, until};

const DIES_WITHIN: Duration = Duration::from_secs(30);

impl House {
    /// Starts it so that it dies as soon as it comes to this point.
    async fn starts_armed(&mut self, point: &str) {
        self.world.kill_platform();
        self.world.arm(Some(format!("{point}=panic")));
        self.comes_back().await;
        self.world.arm(None);
        self.becomes_usable(&self.net.pool).await;
    }

    async fn dies_and_comes_back(&mut self, point: &str) {
        let ended = self.world.platform().ends_within(DIES_WITHIN).await;
        let said = self.world.platform().said();
        assert!(ended.is_some() && said.contains(point), "{point}: {said}");
        self.comes_back().await;
    }

    /// The invoice of a receive under this id, however often it is asked for.
    async fn invoice_of(&self, payee: &Customer, id: &str, amount_msat: u64) -> String {
        until("an invoice", ENDS_WITHIN, async || {
            let request = payee.receive(id, Some(amount_msat));
            let made = payee.payments(self.world.connect()).receive(request).await;
            let made = made.map_err(|status| status.to_string())?.into_inner();
            if made.invoice.is_empty() { Err(format!("{made:?}")) } else { Ok(made.invoice) }
        })
        .await
    }
}

#[test]
#[ignore = "needs a binary with failpoints: make failpoints"]
fn a_send_is_made_once_wherever_the_platform_dies() {
    told(async |house| {
        let net = house.net;
        house.pool(&net.pool).await;
        let customer = house.customer("payer").await;
        for point in [
            "effect::before_pay",
            "attempt::before_call",
            "attempt::after_call",
            "attempt::before_report",
        ] {
            house.starts_armed(point).await;
            let invoice = net.far.add_invoice(Some(2_000_000), point, HOUR).await;
            let request = customer.send(&new_id(), &invoice.bolt11);
            // Perhaps it was done: only the repeat will tell.
            drop(house.sends(&customer, request.clone()).await);
            house.dies_and_comes_back(point).await;
            house.sends(&customer, request.clone()).await.unwrap();
            let payment = house.ended(&customer, &request.id).await;
            assert!(completed(&payment, 2_000_000) > 0, "{point}");
            let listed = net.pool.list_payments().await;
            let rows = listed.iter().filter(|row| row.payment_hash == hex(&invoice.hash));
            assert_eq!(rows.count(), 1, "{point}");
        }
    });
}

#[test]
#[ignore = "needs a binary with failpoints: make failpoints"]
fn a_receive_is_credited_once_wherever_the_platform_dies() {
    told(async |house| {
        let net = house.net;
        house.pool(&net.pool).await;
        let customer = house.customer("payee").await;
        for point in ["invoice::before_make", "invoice::before_report", "node::before_book"] {
            house.starts_armed(point).await;
            let request = customer.receive(&new_id(), Some(3_000_000));
            let asked = customer.payments(house.world.connect()).receive(request.clone()).await;
            if point == "node::before_book" {
                net.far.pay(&asked.unwrap().into_inner().invoice).await;
                house.dies_and_comes_back(point).await;
            } else {
                house.dies_and_comes_back(point).await;
                net.far.pay(&house.invoice_of(&customer, &request.id, 3_000_000).await).await;
            }
            let payment = house.ended(&customer, &request.id).await;
            assert_eq!(payment.status(), PaymentStatus::Completed, "{point}: {payment:?}");
            assert_eq!(payment.received_msat, Some(3_000_000), "{point}");
        }
    });
}

/// Between two wallets of the pool: the claim, lnd's cancel of the invoice, the answer.
#[test]
#[ignore = "needs a binary with failpoints: make failpoints"]
fn a_payment_inside_is_made_once_wherever_the_platform_dies() {
    told(async |house| {
        let net = house.net;
        house.pool(&net.pool).await;
        let (payer, payee) = (house.customer("payer").await, house.customer("payee").await);
        for point in
            ["effect::before_claim", "invoice::before_cancel", "effect::before_answer_claim"]
        {
            let asked = house.asks(&payee, Some(1_000_000)).await;
            house.starts_armed(point).await;
            let request = payer.send(&new_id(), &asked.invoice);
            drop(house.sends(&payer, request.clone()).await);
            house.dies_and_comes_back(point).await;
            let paid = house.ended(&payer, &request.id).await;
            assert_eq!(paid.status(), PaymentStatus::Completed, "{point}: {paid:?}");
            let received = house.ended(&payee, &asked.id).await;
            assert_eq!(received.received_msat, Some(1_000_000), "{point}");
        }
    });
}
