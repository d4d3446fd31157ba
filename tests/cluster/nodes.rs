//! A node that the engines cannot reach, while it goes on paying.

use std::time::{Duration, Instant};

use lightning_sim::control_proto as sim;
use proto::{
    admin::v1::{
        ListNodesRequest, NodeState, SetNodeFundsRequest, create_wallet_request::Backing,
        register_node_request::Owner,
    },
    v1::{GetPaymentRequest, GetWalletRequest, Payment, PaymentStatus, SendRequest},
};
use tests::{
    way::Way,
    world::{Customer, new_id},
};
use tokio::time::{sleep, timeout};

use crate::{bed::Bed, load::Load};

const NODE: &str = "pool-1";
const CUSTOMERS: usize = 12;
const AMOUNT_MSAT: u64 = 5_000;
/// Long enough to cut the way meanwhile.
const TAKES_MS: u64 = 2_000;

const HAPPENS_WITHIN: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The longest pause between two questions, and what they take.
const KNOWN_WITHIN: Duration = Duration::from_secs(8);

/// A payment that was on its way over the node when that was cut off.
struct Sent {
    customer: Customer,
    payment: Payment,
    /// What the network calls it.
    lookup: sim::LookupPaymentRequest,
}

impl Sent {
    async fn by(bed: &Bed, customer: &Customer) -> Sent {
        let (id, invoice) = (new_id(), bed.world.invoice("alice", AMOUNT_MSAT, "").await);
        let request = SendRequest { wait_seconds: 0, ..customer.send(&id, &invoice) };
        let sent = customer.payments(bed.world.connect()).send(request).await;
        let payment = sent.expect("it is taken").into_inner();
        let hash = &payment.payment_hash;
        let bytes = (0..hash.len()).step_by(2).map(|at| u8::from_str_radix(&hash[at..at + 2], 16));
        let payment_hash = bytes.collect::<Result<_, _>>().expect("a hash is hex");
        let lookup = sim::LookupPaymentRequest { node: NODE.to_owned(), payment_hash };
        Sent { customer: customer.clone(), payment, lookup }
    }

    async fn is_on_the_node(&self, bed: &Bed, status: &str) {
        until(async || {
            let found = bed.world.outside().lookup_payment(self.lookup.clone()).await;
            found.is_ok_and(|found| found.into_inner().status == status)
        })
        .await;
    }

    async fn read(&self, bed: &Bed) -> Payment {
        let request = GetPaymentRequest { id: self.payment.id.clone() };
        let read = self.customer.payments(bed.world.connect()).get_payment(request).await;
        read.expect("it can be read").into_inner()
    }

    async fn held_msat(&self, bed: &Bed) -> u64 {
        let request = GetWalletRequest { id: self.customer.wallet.clone() };
        let read = self.customer.wallets(bed.world.connect()).get(request).await;
        read.expect("it can be read").into_inner().held_msat
    }
}

async fn until(happens: impl AsyncFn() -> bool) {
    let waited = async {
        while !happens().await {
            sleep(LOOK_AGAIN).await;
        }
    };
    timeout(HAPPENS_WITHIN, waited).await.expect("it happens");
}

async fn is_usable(bed: &Bed) -> bool {
    let listed = bed.world.nodes().list(ListNodesRequest {}).await;
    let nodes = listed.expect("nodes can be listed").into_inner().nodes;
    let named = |state: &NodeState| state.node.as_ref().is_some_and(|node| node.name == NODE);
    nodes.iter().any(|state| named(state) && state.not_usable.is_empty())
}

/// The gateway registers it and an engine declares its funds, in the same moment.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_known_to_every_pod_as_soon_as_it_is_registered() {
    let bed = Bed::start(2).await;
    for node in ["customer", "alice", "bob"] {
        let (org, environment) = bed.world.organisation(node).await.expect("it can be made");
        let node_id = bed.world.register(node, Owner::OrganisationId(org.clone())).await;
        let request = SetNodeFundsRequest {
            organisation_id: org.clone(),
            node_id: node_id.clone(),
            funds_msat: 1_000_000_000,
        };
        bed.world.organisations().set_node_funds(request).await.expect("the node is known");
        let wallet = bed.world.wallet(&org, &environment, Backing::NodeId(node_id), AMOUNT_MSAT);
        wallet.await.expect("it can have a wallet");
    }
}

/// Rules 5 and 11: the node has paid and nobody hears it. Nothing is given back and nothing is tried
/// elsewhere; what comes later goes over another node; once the way is there again, all of it ends by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_cut_off_while_it_pays() {
    let way = Way::nowhere().await;
    let bed = Bed::start_over(2, vec![(NODE, way.clone())]).await;
    let customers = bed.world.customers("acme", CUSTOMERS).await.expect("customers can be made");
    for cut in [Way::shut, Way::fall_silent] {
        until(async || is_usable(&bed).await).await;
        bed.world.set_latency(NODE, TAKES_MS).await.expect("latency can be set");
        let mut open = Vec::new();
        for customer in &customers {
            let sent = Sent::by(&bed, customer).await;
            until(async || !sent.read(&bed).await.attempts.is_empty()).await;
            if sent.read(&bed).await.attempts[0].node_name == NODE {
                open.push(sent);
            }
        }
        assert!(!open.is_empty(), "some go over the node");
        for sent in &open {
            sent.is_on_the_node(&bed, "IN_FLIGHT").await;
        }
        cut(&way);
        for sent in &open {
            sent.is_on_the_node(&bed, "SUCCEEDED").await;
        }
        until(async || !is_usable(&bed).await).await;
        let load = Load::begin(&bed.world, &bed.world.connect(), &customers);
        load.paid(30).await;
        for sent in &open {
            let read = sent.read(&bed).await;
            assert_eq!(
                (read.status(), read.attempts.len()),
                (PaymentStatus::Sending, 1),
                "{read:?}"
            );
            assert!(sent.held_msat(&bed).await >= AMOUNT_MSAT);
        }
        way.open();
        let healed = Instant::now();
        for sent in &open {
            until(async || sent.read(&bed).await.status() == PaymentStatus::Completed).await;
        }
        assert!(healed.elapsed() <= KNOWN_WITHIN, "{:?}", healed.elapsed());
        // Those of an engine that had not noticed yet were on their way over the node as well.
        load.end().await.are_kept(&bed.world).await;
        for sent in &open {
            let read = sent.read(&bed).await;
            assert_eq!((read.attempts.len(), sent.held_msat(&bed).await), (1, 0), "{read:?}");
        }
        bed.is_sound().await;
    }
}
