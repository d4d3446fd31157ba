//! What a platform has done since a copy of its database was made, and has forgotten with the copy put back.

use lightning_sim::control_proto as sim;
use proto::v1::{Payment, PaymentStatus, SendRequest};
use serde_json::Value;
use tests::{
    postgres::{Postgres, Recovery},
    world::{Customer, new_id},
};

use crate::{
    bed::Bed,
    restored::{AMOUNT_MSAT, FROZEN_WITHIN, LOOK_AGAIN, in_flight_on, pay_from},
};

/// Payments, by what becomes of them after the copy was made.
pub(crate) struct Story {
    /// Paid before.
    pub(crate) kept: Payment,
    /// Open in the copy, and paid by the node that it was open on.
    pub(crate) paid: Payment,
    /// Open in the copy on one node; failed there, and paid by the other.
    pub(crate) moved: Payment,
    /// Open in the copy on a node that never got it; paid by the other once that was proven.
    pub(crate) mislaid: Payment,
    /// Open all the time.
    pub(crate) open: Payment,
    /// Failed on both nodes in the copy, and paid by one of them under another id.
    pub(crate) again: Payment,
    /// Not in the copy, paid outside.
    pub(crate) lost: Payment,
    pub(crate) other_lost: Payment,
    /// Not in the copy, paid inside the platform.
    pub(crate) inside: Payment,
    /// An invoice in the copy, paid afterwards.
    pub(crate) received: String,
}

pub(crate) async fn ends(bed: &Bed, customer: &Customer, id: &str) -> Value {
    let said = bed.cli(customer, &["payment", "watch", id, "--wait-seconds", "30"]).await;
    assert_eq!((said.code, &said.document["status"]), (0, &"completed".into()), "{said:?}");
    said.document
}

/// A send that any node may carry, however far it has to go.
pub(crate) fn dear(bed: &Bed, id: &str, invoice: &str) -> SendRequest {
    SendRequest { fee_limit_msat: Some(AMOUNT_MSAT), ..bed.acme.send(id, invoice) }
}

/// A payment that its node has and that does not end; answers with the node as well.
async fn stuck_somewhere(bed: &Bed) -> (Payment, String) {
    let invoice = bed.world.invoice("alice", AMOUNT_MSAT, "sim:stuck").await;
    let request = SendRequest { wait_seconds: 0, ..dear(bed, &new_id(), &invoice) };
    let open = bed.sent(&bed.acme, request).await;
    assert_eq!(open.status(), PaymentStatus::Sending);
    let node = open.attempts[0].node_name.clone();
    in_flight_on(bed, &node, &open.payment_hash).await;
    (open, node)
}

pub(crate) async fn pay(bed: &Bed) -> Payment {
    let invoice = bed.world.invoice("alice", AMOUNT_MSAT, "").await;
    let paid = bed.sent(&bed.acme, dear(bed, &new_id(), &invoice)).await;
    assert_eq!(paid.status(), PaymentStatus::Completed, "{paid:?}");
    paid
}

/// The node may have its record before the payment is out.
pub(crate) async fn release(bed: &Bed, node: &str, payment: &Payment, also: &[&str]) {
    let words = ["sim", "release", node, &payment.payment_hash];
    let words = [&words, also].concat();
    let released = async {
        while bed.world.cli("", &words).await.code != 0 {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    tokio::time::timeout(FROZEN_WITHIN, released).await.expect("it is stuck there");
}

pub(crate) fn other(node: &str) -> &'static str {
    match node {
        "pool-1" => "pool-2",
        _ => "pool-1",
    }
}

pub(crate) async fn invoice_of(bed: &Bed, id: &str) -> String {
    let asked = bed.globex.receive(id, Some(AMOUNT_MSAT));
    let made = bed.globex.payments(bed.channel.clone()).receive(asked).await;
    made.expect("receiving goes on").into_inner().invoice
}

/// All of its requests are lost on their way, and then nobody can ask its node, which is answered as well.
async fn mislaid(bed: &Bed) -> (Payment, String) {
    for node in ["pool-1", "pool-2"] {
        bed.fault(node, "late_request:3600000").await;
    }
    let invoice = bed.world.invoice("alice", AMOUNT_MSAT, "").await;
    let request = SendRequest { wait_seconds: 0, ..dear(bed, &new_id(), &invoice) };
    let open = bed.sent(&bed.acme, request).await;
    let node = open.attempts[0].node_name.clone();
    let asked_again = async {
        loop {
            let now = bed.payment(&bed.acme, &open.id).await.expect("it is kept").into_inner();
            if now.attempts[0].requests > 1 {
                return;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    tokio::time::timeout(FROZEN_WITHIN, asked_again).await.expect("it is sent again");
    bed.fault(&node, "node_down").await;
    bed.mend(other(&node)).await;
    (open, node)
}

/// Fails on both nodes.
async fn refused_twice(bed: &Bed) -> Payment {
    let (failed, node) = stuck_somewhere(bed).await;
    for node in [&*node, other(&node)] {
        in_flight_on(bed, node, &failed.payment_hash).await;
        release(bed, node, &failed, &["--fail"]).await;
    }
    let said = bed.cli(&bed.acme, &["payment", "watch", &failed.id, "--wait-seconds", "30"]).await;
    assert_eq!((said.code, &said.document["status"]), (1, &"failed".into()), "{said:?}");
    failed
}

/// The database has forgotten what this tells from the copy on.
pub(crate) async fn lived_and_forgotten(
    bed: &mut Bed,
    postgres: &Postgres,
    how: Recovery,
) -> Story {
    let kept = pay(bed).await;
    let failed = refused_twice(bed).await;
    let (paid, payer) = stuck_somewhere(bed).await;
    let (moved, refuser) = stuck_somewhere(bed).await;
    let (open, _) = stuck_somewhere(bed).await;
    let received = new_id();
    let outside = invoice_of(bed, &received).await;
    let inside = invoice_of(bed, &new_id()).await;
    let (mislaid, silent) = mislaid(bed).await;
    let backup = postgres.back_up();
    let request = sim::ClearFaultsRequest { node: silent.clone(), fault: "node_down".to_owned() };
    bed.world.outside().clear_faults(request).await.expect("faults can be cleared");
    // It goes to the other node as soon as this one proves that it never got it.
    ends(bed, &bed.acme, &mislaid.id).await;
    bed.mend(&silent).await;
    bed.world.usable(2).await;

    release(bed, &payer, &paid, &[]).await;
    ends(bed, &bed.acme, &paid.id).await;
    release(bed, &refuser, &moved, &["--fail"]).await;
    in_flight_on(bed, other(&refuser), &moved.payment_hash).await;
    release(bed, other(&refuser), &moved, &[]).await;
    ends(bed, &bed.acme, &moved.id).await;
    let anew = SendRequest { wait_seconds: 0, ..dear(bed, &new_id(), &failed.invoice) };
    let again = bed.sent(&bed.acme, anew).await;
    let payer = &again.attempts[0].node_name;
    assert_eq!(again.attempts.len(), 1, "{again:?}");
    release(bed, payer, &again, &[]).await;
    ends(bed, &bed.acme, &again.id).await;
    let (lost, other_lost) = (pay(bed).await, pay(bed).await);
    let inside = bed.sent(&bed.acme, dear(bed, &new_id(), &inside)).await;
    assert_eq!(inside.status(), PaymentStatus::Completed, "{inside:?}");
    assert_eq!(pay_from(bed, "bob", outside).await.status, "SUCCEEDED");
    ends(bed, &bed.globex, &received).await;
    let nobodys = new_id();
    let invoice = invoice_of(bed, &nobodys).await;
    assert_eq!(pay_from(bed, "bob", invoice).await.status, "SUCCEEDED");
    ends(bed, &bed.globex, &nobodys).await;

    bed.world.kill_platform();
    postgres.put_back(backup, how);
    bed.begin_again().await;
    bed.world.usable(2).await;
    Story { kept, paid, moved, mislaid, open, again, lost, other_lost, inside, received }
}
