//! What a node must be, again and again, before it gets anything to pay.

use super::{HOUR, completed, failed, told};
use crate::harness::until;

/// Until its wallet is open and its channels are up, lnd would fail every payment.
#[test]
fn a_locked_node_gets_nothing() {
    told(async |house| {
        let net = house.net;
        house.pool(&net.pool).await;
        let customer = house.customer("payer").await;
        net.pool.kill9();
        net.pool.boot_locked().await;
        until("the platform to see the lock", super::ENDS_WITHIN, async || {
            let why = house.state(&net.pool).await.not_usable;
            if why.contains("wallet locked") { Ok(()) } else { Err(why) }
        })
        .await;
        let invoice = net.far.add_invoice(Some(1_000_000), "locked", HOUR).await;
        let payment = house.pays(&customer, &invoice.bolt11).await;
        assert_eq!(failed(&payment), "no_usable_node");
        assert!(payment.attempts.is_empty(), "{payment:?}");

        net.pool.kill9();
        net.pool.restart().await;
        house.becomes_usable(&net.pool).await;
        completed(&house.pays(&customer, &invoice.bolt11).await, 1_000_000);
    });
}

/// A node that has lost sight of the chain, and one that answers as somebody else at the same
/// address, under the same certificate and macaroon (rule 17).
#[test]
fn rule_17_a_node_that_is_not_itself_gets_nothing() {
    told(async |house| {
        let stranger = house.net.stranger().await;
        house.joins(&stranger).await;
        let customer = house.customer("payer").await;
        let not_usable = async |part: &str| {
            until("the platform to notice", super::ENDS_WITHIN, async || {
                let why = house.state(&stranger).await.not_usable;
                if why.contains(part) { Ok(()) } else { Err(why) }
            })
            .await;
        };

        stranger.kill9();
        stranger.boot_without_chain().await;
        not_usable("not serving").await;

        stranger.lose_identity().await;
        not_usable("it now answers as").await;
        let id = house.state(&stranger).await.node.unwrap().id;
        assert_eq!(house.switchyard(&["node", "resume", &id]).await.code, 0);
        not_usable("it now answers as").await;
        let invoice = house.net.far.add_invoice(Some(1_000), "to nobody", HOUR).await;
        assert_eq!(failed(&house.pays(&customer, &invoice.bolt11).await), "no_usable_node");
        house.spares.push(stranger);
    });
}
