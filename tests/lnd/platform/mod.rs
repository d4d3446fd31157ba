//! The whole product on real lnd: `switchyard standalone` on SQLite, nodes of the shared network
//! registered with it, and customers who know nothing of either.
//!
//! Each story has a platform of its own. At its end the auditor has to find nothing, and every
//! payment has to be what lnd's own books say of it.

#![allow(clippy::unwrap_used, reason = "tests")]

mod gaps;
mod gates;
mod hands;
mod held;
mod paying;
mod receiving;
mod registering;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lightning_node::macaroon;
use ports::placement::LeaseLength;
use proto::admin::v1::{
    CreditPool, ListNodesRequest, NodeState, RegisterNodeRequest, SetNodeFundsRequest,
    create_wallet_request::Backing,
    register_node_request::{Owner, Trust},
};
use proto::v1::{
    AttemptStatus, Direction, GetPaymentRequest, GetWalletRequest, ListPaymentsRequest, Payment,
    PaymentStatus, Rail, SendRequest, Wallet,
};
use tests::cli::Said;
use tests::world::{Customer, Setup, World, new_id};
use tonic::{Code, Response, Status};
use tonic_lnd::lnrpc::invoice::InvoiceState;
use tonic_lnd::lnrpc::payment;

use crate::harness::{Network, Node, story, tail, unhex, until};

/// A lease has to lapse before a load believes in a failure, and a killed lnd takes its time.
const ENDS_WITHIN: Duration = Duration::from_secs(60);

const HOUR: Duration = Duration::from_secs(3_600);

/// What each wallet of a customer may spend.
const LIMIT_MSAT: u64 = 1_000_000_000;

/// Plays one story on a platform of its own, and then compares all books.
fn told(play: impl AsyncFnOnce(&mut House)) {
    story(async |net| {
        let world = World::without_network(Setup::default()).await.unwrap();
        let mut house = House { net, world, customers: Vec::new(), spares: Vec::new() };
        play(&mut house).await;
        house.closes_its_books().await;
    });
}

struct House {
    net: &'static Network,
    world: World,
    customers: Vec<Customer>,
    /// Nodes of this story alone: they live until the auditor has asked them.
    spares: Vec<Node>,
}

impl House {
    /// Takes a node into the credit pool under lnd's own name and waits until it may be used.
    async fn pool(&self, node: &Node) -> String {
        let request = registration(node, Owner::CreditPool(CreditPool {})).await;
        self.takes_in(node, request).await
    }

    async fn takes_in(&self, node: &Node, request: RegisterNodeRequest) -> String {
        let id = request.id.clone();
        self.world.nodes().register(request).await.unwrap();
        self.becomes_usable(node).await;
        id
    }

    /// The same for a node that has no channels, and so never can pay.
    async fn joins(&self, node: &Node) {
        let request = registration(node, Owner::CreditPool(CreditPool {})).await;
        self.world.nodes().register(request).await.unwrap();
        self.world.usable(1).await;
    }

    async fn customer(&mut self, name: &str) -> Customer {
        let customer = self.world.customer(name, LIMIT_MSAT).await.unwrap();
        self.customers.push(customer.clone());
        customer
    }

    /// A customer whose wallet draws on a node of their own.
    async fn customer_on(&mut self, node: &Node) -> Customer {
        let (org, environment) = self.world.organisation(node.name()).await.unwrap();
        let request = registration(node, Owner::OrganisationId(org.clone())).await;
        let node_id = self.takes_in(node, request).await;
        let funds = SetNodeFundsRequest {
            organisation_id: org.clone(),
            node_id: node_id.clone(),
            funds_msat: LIMIT_MSAT,
        };
        self.world.organisations().set_node_funds(funds).await.unwrap();
        let backing = Backing::NodeId(node_id);
        let wallet = self.world.wallet(&org, &environment, backing, LIMIT_MSAT).await.unwrap();
        let key = self.world.key(&org, &environment).await.unwrap();
        let customer = Customer { org, environment, line: String::new(), wallet, key };
        self.customers.push(customer.clone());
        customer
    }

    /// The node as the platform sees it.
    async fn state(&self, node: &Node) -> NodeState {
        let listed = self.world.nodes().list(ListNodesRequest {}).await.unwrap().into_inner();
        let is = |state: &NodeState| state.node.as_ref().unwrap().name == node.name();
        listed.nodes.into_iter().find(is).expect("it is registered")
    }

    async fn becomes_usable(&self, node: &Node) {
        until("a usable node", ENDS_WITHIN, async || {
            let state = self.state(node).await;
            // One whose channels are not up yet serves, but cannot pay.
            let ready = state.not_usable.is_empty() && state.outbound_msat > 0;
            if ready { Ok(()) } else { Err(format!("{state:?}")) }
        })
        .await;
    }

    /// Waits until the platform has noticed, and tells why.
    async fn becomes_unusable(&self, node: &Node) -> String {
        until("an unusable node", ENDS_WITHIN, async || {
            let why = self.state(node).await.not_usable;
            if why.is_empty() { Err("it is still used".to_owned()) } else { Ok(why) }
        })
        .await
    }

    /// kill -9, and a start on what is left.
    async fn crashes(&mut self) {
        self.world.kill_platform();
        self.comes_back().await;
    }

    async fn comes_back(&mut self) {
        self.world.start_platform().await.unwrap();
    }

    async fn sends(&self, from: &Customer, request: SendRequest) -> Result<Payment, Status> {
        from.payments(self.world.connect()).send(request).await.map(Response::into_inner)
    }

    /// Pays and waits for the end.
    async fn pays(&self, from: &Customer, invoice: &str) -> Payment {
        self.sends(from, from.send(&new_id(), invoice)).await.unwrap()
    }

    /// Begins to pay and does not wait.
    async fn begins(&self, from: &Customer, invoice: &str) -> Payment {
        let request = SendRequest { wait_seconds: 0, ..from.send(&new_id(), invoice) };
        let payment = self.sends(from, request).await.unwrap();
        assert_eq!(payment.status(), PaymentStatus::Sending, "{payment:?}");
        payment
    }

    /// Makes an invoice.
    async fn asks(&self, payee: &Customer, amount_msat: Option<u64>) -> Payment {
        let request = payee.receive(&new_id(), amount_msat);
        let made = payee.payments(self.world.connect()).receive(request).await.unwrap();
        let made = made.into_inner();
        assert_eq!(made.status(), PaymentStatus::Receiving, "{made:?}");
        made
    }

    async fn payment(&self, of: &Customer, id: &str) -> Payment {
        let request = GetPaymentRequest { id: id.to_owned() };
        of.payments(self.world.connect()).get_payment(request).await.unwrap().into_inner()
    }

    /// The payment once it has ended.
    async fn ended(&self, of: &Customer, id: &str) -> Payment {
        until("a payment's end", ENDS_WITHIN, async || {
            let payment = self.payment(of, id).await;
            match payment.status() {
                PaymentStatus::Completed | PaymentStatus::Failed => Ok(payment),
                PaymentStatus::Unspecified
                | PaymentStatus::Sending
                | PaymentStatus::Generating
                | PaymentStatus::Receiving
                | PaymentStatus::Expired => Err(format!("{payment:?}")),
            }
        })
        .await
    }

    async fn wallet(&self, of: &Customer) -> Wallet {
        let request = GetWalletRequest { id: of.wallet.clone() };
        of.wallets(self.world.connect()).get(request).await.unwrap().into_inner()
    }

    /// Everything that the customer has on record.
    async fn payments(&self, of: &Customer) -> Vec<Payment> {
        let request = ListPaymentsRequest { limit: 1_000, ..Default::default() };
        let listed = of.payments(self.world.connect()).list_payments(request).await.unwrap();
        listed.into_inner().payments
    }

    /// A command of the operator.
    async fn switchyard(&self, words: &[&str]) -> Said {
        self.world.cli("", words).await
    }

    /// The auditor finds nothing; lnd's books and ours say the same; nothing is held any more.
    async fn closes_its_books(&self) {
        let audit = self.switchyard(&["audit"]).await;
        assert_eq!(audit.code, 0, "{audit:?}");
        for customer in &self.customers {
            let payments = self.payments(customer).await;
            let mut net_msat = 0;
            for payment in &payments {
                net_msat += match payment.direction() {
                    Direction::Send => -self.sent_msat(payment, &payments).await,
                    Direction::Receive => self.received_msat(payment).await,
                    Direction::Unspecified => panic!("{payment:?}"),
                };
            }
            let wallet = self.wallet(customer).await;
            assert_eq!(wallet.held_msat, 0, "{wallet:?}");
            assert_eq!(wallet.total_msat, signed(LIMIT_MSAT) + net_msat, "{wallet:?}");
        }
    }

    /// What a payment has cost, if lnd says the same of each attempt.
    async fn sent_msat(&self, payment: &Payment, all: &[Payment]) -> i64 {
        let hash = hash_of(payment);
        // lnd keeps only the latest payment of a hash.
        let later = |it: &Payment| it.payment_hash == payment.payment_hash && it.id > payment.id;
        let is_latest = !all.iter().any(later);
        for attempt in &payment.attempts {
            let shown = self.net.node(&attempt.node_name).payment(hash).await;
            match attempt.status() {
                AttemptStatus::Paid => {
                    let shown = shown.unwrap();
                    assert_eq!(shown.status(), payment::PaymentStatus::Succeeded);
                    assert_eq!(shown.payment_preimage, payment.preimage);
                    let theirs = (shown.value_msat, shown.fee_msat);
                    let ours = (payment.amount_msat.unwrap(), payment.fee_msat.unwrap());
                    assert_eq!(theirs, (signed(ours.0), signed(ours.1)));
                }
                AttemptStatus::Failed if !is_latest => {}
                AttemptStatus::Failed => match shown {
                    Ok(shown) => assert_eq!(shown.status(), payment::PaymentStatus::Failed),
                    Err(status) => assert_eq!(status.code(), Code::NotFound),
                },
                AttemptStatus::InFlight | AttemptStatus::Unspecified => panic!("{payment:?}"),
            }
        }
        if payment.status() == PaymentStatus::Completed {
            signed(payment.amount_msat.unwrap() + payment.fee_msat.unwrap_or(0))
        } else {
            0
        }
    }

    /// What an invoice has brought, if lnd says the same.
    async fn received_msat(&self, payment: &Payment) -> i64 {
        let received = signed(payment.received_msat.unwrap_or(0));
        let hash = hash_of(payment);
        let made_by = lightning_node::bolt11::parse(&payment.invoice).unwrap().payee.to_string();
        let node = self.net.nodes().into_iter().find(|node| node.identity() == made_by).unwrap();
        let shown = node.invoice(hash).await;
        // Paid inside: the node must not take it again.
        let inside = shown.state() == InvoiceState::Canceled;
        assert_eq!(shown.amt_paid_msat, if inside { 0 } else { received });
        received
    }
}

/// Shows what the platform said when a story fails.
impl Drop for House {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.world.folder().join("platform.log");
            eprintln!("--- the last lines of the platform\n{}", tail(&log, 40));
        }
    }
}

/// A registration that cannot be faulted.
async fn registration(node: &Node, owner: Owner) -> RegisterNodeRequest {
    let endpoint = node.endpoint();
    let macaroon = node.bake(&macaroon::needed().collect::<Vec<_>>()).await;
    RegisterNodeRequest {
        id: new_id(),
        name: node.name().to_owned(),
        owner: Some(owner),
        address: node.address().to_owned(),
        trust: Some(Trust::CertificatePem(endpoint.cert_pem.clone())),
        macaroon: unhex(&macaroon),
        expected_identity: endpoint.identity.clone(),
    }
}

/// Waits until every request so far of the payment is over, by the clock of this machine.
async fn has_lapsed(payment: &Payment) {
    let over_ms = payment.updated_at_ms + LeaseLength::USUAL.millis();
    passed("a permission to lapse", over_ms).await;
}

/// Waits for an instant.
async fn passed(what: &str, instant_ms: i64) {
    until(what, ENDS_WITHIN, async || {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let now_ms = i64::try_from(now.as_millis()).unwrap();
        if now_ms > instant_ms { Ok(()) } else { Err(format!("{now_ms}, not {instant_ms}")) }
    })
    .await;
}

fn hash_of(payment: &Payment) -> [u8; 32] {
    unhex(&payment.payment_hash).try_into().unwrap()
}

fn signed(msat: u64) -> i64 {
    i64::try_from(msat).unwrap()
}

/// Completed over Lightning in the last of its attempts; the fee.
#[track_caller]
fn completed(payment: &Payment, amount_msat: u64) -> u64 {
    assert_eq!(payment.status(), PaymentStatus::Completed, "{payment:?}");
    assert_eq!(payment.amount_msat, Some(amount_msat), "{payment:?}");
    assert!(matches!(payment.rail(), Rail::CreditPool | Rail::CustomerNode), "{payment:?}");
    payment.fee_msat.unwrap()
}

/// Failed, nothing spent; the code.
#[track_caller]
fn failed(payment: &Payment) -> &str {
    assert_eq!(payment.status(), PaymentStatus::Failed, "{payment:?}");
    assert_eq!((payment.fee_msat, payment.preimage.as_str()), (None, ""), "{payment:?}");
    &payment.failure.as_ref().unwrap().code
}
