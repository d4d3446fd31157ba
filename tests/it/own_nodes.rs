//! Invoices of our own nodes that the ledger does not know: nobody would be credited, so nobody pays.

use domain::ErrorClass::Rejected;
use proto::{
    admin::v1::{self as admin, create_wallet_request::Backing, register_node_request::Owner},
    v1::{PaymentStatus, SendRequest},
};
use tests::world::new_id;

use crate::bed::{Bed, LIMIT_MSAT};

/// A wallet of acme's on the node `customer`, registered as its own.
async fn own_wallet(bed: &Bed) -> String {
    let (org, environment) = (&bed.acme.org, &bed.acme.environment);
    let node = bed.world.register("customer", Owner::OrganisationId(org.clone())).await;
    let request = admin::SetNodeFundsRequest {
        organisation_id: org.clone(),
        node_id: node.clone(),
        funds_msat: LIMIT_MSAT,
    };
    bed.world.organisations().set_node_funds(request).await.expect("it is acme's node");
    let made = bed.world.wallet(org, environment, Backing::NodeId(node), LIMIT_MSAT).await;
    bed.world.usable(3).await;
    made.expect("the node has funds")
}

#[tokio::test]
async fn invoice_of_a_pool_node_that_the_ledger_does_not_know() {
    let bed = Bed::make().await;
    let own = own_wallet(&bed).await;
    let before = bed.books().await;
    for node in ["pool-1", "pool-2"] {
        let unknown = bed.world.invoice(node, 1_000, "").await;
        for wallet_id in [bed.acme.wallet.clone(), own.clone()] {
            let request = SendRequest { wallet_id, ..bed.acme.send(&new_id(), &unknown) };
            bed.refuses(&bed.acme, &request, Rejected, "invoice_unknown_to_ledger").await;
        }
    }
    bed.unchanged(&before).await;
}

#[tokio::test]
async fn invoice_of_the_paying_wallets_own_node_that_the_ledger_does_not_know() {
    let bed = Bed::make().await;
    let wallet_id = own_wallet(&bed).await;
    let before = bed.books().await;
    let unknown = bed.world.invoice("customer", 1_000, "").await;
    let request = SendRequest { wallet_id, ..bed.acme.send(&new_id(), &unknown) };
    bed.refuses(&bed.acme, &request, Rejected, "invoice_unknown_to_ledger").await;
    bed.unchanged(&before).await;

    // To others a customer's node is a node like any other.
    let paid = bed.sent(&bed.globex, bed.globex.send(&new_id(), &unknown)).await;
    assert_eq!(paid.status(), PaymentStatus::Completed, "{paid:?}");
    bed.books().await;
}
