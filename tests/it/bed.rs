//! A world with two customers, and what every refusal in it is held against.

use std::fmt::Debug;

use domain::ErrorClass;
use lightning_sim::control_proto as sim;
use proto::{admin::v1 as admin, v1};
use serde_json::Value;
use tests::{
    cli::Said,
    world::{Customer, Setup, World, new_id},
};
use tonic::{Code, Response, Status, transport::Channel};

/// What each customer may spend, on the wallet and on the line alike.
pub(crate) const LIMIT_MSAT: u64 = 1_000_000_000;

pub(crate) struct Bed {
    pub(crate) world: World,
    pub(crate) acme: Customer,
    pub(crate) globex: Customer,
    pub(crate) channel: Channel,
}

/// Everything that a refusal must leave as it was.
#[derive(Debug, PartialEq)]
pub(crate) struct Books {
    organisations: Vec<(String, admin::Standing)>,
    payments: u64,
    entries: u64,
    nodes: Vec<admin::Node>,
    /// Hashes that the network has paid.
    paid: usize,
}

impl Bed {
    pub(crate) async fn make() -> Bed {
        Bed::make_as(Setup::default()).await
    }

    pub(crate) async fn make_as(setup: Setup) -> Bed {
        let world = World::start(setup).await.expect("the world starts");
        let acme = world.customer("acme", LIMIT_MSAT).await.expect("customers can be made");
        let globex = world.customer("globex", LIMIT_MSAT).await.expect("customers can be made");
        let channel = world.connect();
        Bed { world, acme, globex, channel }
    }

    /// The platform died, and begins again on what is in its folder.
    pub(crate) async fn restart(&mut self) {
        self.world.kill_platform();
        self.begin_again().await;
    }

    /// What a platform that was killed has left. It is to be dropped before another one begins.
    pub(crate) fn left_behind(&self) -> rusqlite::Connection {
        let database = self.world.folder().join("platform/switchyard.sqlite");
        rusqlite::Connection::open(database).expect("nobody has it open")
    }

    pub(crate) async fn begin_again(&mut self) {
        self.world.start_platform().await.expect("it starts on what it left");
        self.channel = self.world.connect();
    }

    pub(crate) async fn send(
        &self,
        customer: &Customer,
        request: v1::SendRequest,
    ) -> Result<Response<v1::Payment>, Status> {
        customer.payments(self.channel.clone()).send(request).await
    }

    /// A send that is taken, whatever comes of it.
    pub(crate) async fn sent(&self, customer: &Customer, request: v1::SendRequest) -> v1::Payment {
        self.send(customer, request).await.expect("the send is taken").into_inner()
    }

    /// A send to an outside node that succeeds.
    pub(crate) async fn pay(&self, customer: &Customer, amount_msat: u64) -> v1::Payment {
        let invoice = self.world.invoice("alice", amount_msat, "").await;
        let paid = self.sent(customer, customer.send(&new_id(), &invoice)).await;
        assert_eq!(paid.status(), v1::PaymentStatus::Completed, "{paid:?}");
        paid
    }

    /// An invoice of a node outside that can be paid for so long.
    pub(crate) async fn short_invoice(&self, node: &str, expiry_seconds: u64) -> String {
        let node = node.to_owned();
        let request = sim::CreateInvoiceRequest {
            node,
            amount_msat: 1_000,
            expiry_seconds,
            ..Default::default()
        };
        let made = self.world.outside().create_invoice(request).await;
        made.expect("the network makes invoices").into_inner().payment_request
    }

    pub(crate) async fn payment(
        &self,
        customer: &Customer,
        id: &str,
    ) -> Result<Response<v1::Payment>, Status> {
        let request = v1::GetPaymentRequest { id: id.to_owned() };
        customer.payments(self.channel.clone()).get_payment(request).await
    }

    /// A wallet as its owner sees it.
    pub(crate) async fn wallet(&self, customer: &Customer) -> v1::Wallet {
        let request = v1::GetWalletRequest { id: customer.wallet.clone() };
        let wallet = customer.wallets(self.channel.clone()).get(request).await;
        wallet.expect("the wallet is there").into_inner()
    }

    /// A command of this customer.
    pub(crate) async fn cli(&self, customer: &Customer, words: &[&str]) -> Said {
        self.world.cli(&customer.key, words).await
    }

    /// A send that is refused on either way in, and of which nothing is kept.
    pub(crate) async fn refuses(
        &self,
        customer: &Customer,
        request: &v1::SendRequest,
        class: ErrorClass,
        code: &str,
    ) {
        refused(self.send(customer, request.clone()).await, class, code);
        refused(
            self.payment(customer, &request.id).await,
            ErrorClass::NotFound,
            "payment_not_found",
        );

        said_no(&self.cli_pay(customer, request).await, class, code);
    }

    /// The same send as a command.
    pub(crate) async fn cli_pay(&self, customer: &Customer, request: &v1::SendRequest) -> Said {
        let mut words = vec!["pay", "--id", &request.id, "--wallet", &request.wallet_id];
        let amount = request.amount_msat.map(|amount| amount.to_string());
        let fee_limit = request.fee_limit_msat.map(|fee_limit| fee_limit.to_string());
        words.extend(amount.iter().flat_map(|amount| ["--amount-msat", amount]));
        words.extend(fee_limit.iter().flat_map(|limit| ["--fee-limit-msat", limit]));
        words.extend(["--", &request.invoice]);
        self.cli(customer, &words).await
    }

    /// The books as they stand. The auditor must find nothing in them.
    pub(crate) async fn books(&self) -> Books {
        let audit = self.world.audit().await;
        assert_eq!((&audit.findings, audit.frozen.as_str()), (&Vec::new(), ""));
        let mut client = self.world.organisations();
        let listed = client.list(admin::ListOrganisationsRequest {}).await;
        let mut organisations = Vec::new();
        for org in listed.expect("an operator sees all").into_inner().organisations {
            let standing = client.get(admin::GetOrganisationRequest { id: org.id }).await;
            organisations.push((org.name, standing.expect("it was listed").into_inner()));
        }
        let nodes = self.world.nodes().list(admin::ListNodesRequest {}).await;
        let nodes = nodes.expect("an operator sees all").into_inner().nodes;
        Books {
            organisations,
            payments: audit.payments,
            entries: audit.entries,
            nodes: nodes.into_iter().filter_map(|state| state.node).collect(),
            paid: self.settlements().await.len(),
        }
    }

    /// What the network has paid. Nothing twice, whatever else there is to see.
    pub(crate) async fn settlements(&self) -> Vec<sim::Settlement> {
        let request = sim::AuditSettlementsRequest::default();
        let answer = self.world.outside().audit_settlements(request).await;
        let mut stream = answer.expect("the network tells what was paid").into_inner();
        let mut all = Vec::new();
        while let Some(settlement) = stream.message().await.expect("it goes on") {
            assert_eq!(settlement.times, 1, "paid more than once: {settlement:?}");
            all.push(settlement);
        }
        all
    }

    pub(crate) async fn unchanged(&self, before: &Books) {
        assert_eq!(&self.books().await, before);
    }

    pub(crate) async fn fault(&self, node: &str, fault: &str) {
        let (node, fault) = (node.to_owned(), fault.to_owned());
        let request = sim::SetFaultRequest { node, fault, ..Default::default() };
        self.world.outside().set_fault(request).await.expect("the network knows this fault");
    }

    pub(crate) async fn mend(&self, node: &str) {
        let request = sim::ClearFaultsRequest { node: node.to_owned(), fault: String::new() };
        self.world.outside().clear_faults(request).await.expect("faults can be cleared");
    }

    /// The node is killed and comes back so much later.
    pub(crate) async fn kill_node(&self, node: &str, down_ms: u64) {
        let request = sim::RestartNodeRequest { node: node.to_owned(), kill: true, down_ms };
        self.world.outside().restart_node(request).await.expect("the node comes back");
    }
}

/// An operator's command that ends like this; answers with what it said.
pub(crate) async fn operator(bed: &Bed, words: &[&str], exit: i32) -> Value {
    let said = bed.world.cli("", words).await;
    assert_eq!(said.code, exit, "{words:?}: {said:?}");
    said.document
}

/// How a class is told: by gRPC, as what a repeat may do, and as an exit code. A promise to callers,
/// so it stands here once more.
fn told(class: ErrorClass) -> (Code, &'static str, i32) {
    match class {
        ErrorClass::Invalid => (Code::InvalidArgument, "no", 2),
        ErrorClass::Denied => (Code::Unauthenticated, "no", 6),
        ErrorClass::NotFound => (Code::NotFound, "no", 5),
        ErrorClass::Rejected => (Code::FailedPrecondition, "no", 1),
        ErrorClass::Conflict => (Code::AlreadyExists, "no", 7),
        ErrorClass::Unavailable => (Code::Unavailable, "same_id", 4),
        ErrorClass::Uncertain => (Code::DeadlineExceeded, "same_id", 3),
        ErrorClass::Bug => (Code::Internal, "no", 70),
    }
}

/// A typed refusal: class, stable code and what a repeat may do, in the metadata and in the details
/// alike. Answers with its message.
#[track_caller]
pub(crate) fn refused<T: Debug>(
    answer: Result<Response<T>, Status>,
    class: ErrorClass,
    code: &str,
) -> String {
    refused_as(told(class).0, answer, class, code)
}

/// The same by another code of gRPC than the class has.
pub(crate) fn refused_as<T: Debug>(
    grpc: Code,
    answer: Result<Response<T>, Status>,
    class: ErrorClass,
    code: &str,
) -> String {
    let status = answer.expect_err("it is refused");
    let shown = |key: &str| {
        let value = status.metadata().get(key).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let (_, retryable, _) = told(class);
    let all = (status.code(), shown("switchyard-code"), shown("switchyard-retryable"));
    assert_eq!(all, (grpc, code.to_owned(), retryable.to_owned()), "{status:?}");
    for word in [code, retryable] {
        let found = status.details().windows(word.len()).any(|bytes| bytes == word.as_bytes());
        assert!(found, "the details do not say {word}: {status:?}");
    }
    status.message().to_owned()
}

/// The same from the command line: an exit code of its own, and the same words for programs.
#[track_caller]
pub(crate) fn said_no(said: &Said, class: ErrorClass, code: &str) {
    let (_, retryable, exit) = told(class);
    let error = &said.document["error"];
    let all = (said.code, &error["code"], &error["retryable"], &error["exit"]);
    let exit_told = Value::from(exit);
    let (code, retryable) = (Value::from(code), Value::from(retryable));
    assert_eq!(all, (exit, &code, &retryable, &exit_told), "{said:?}");
}

/// The failure of a payment that was committed as failed.
#[track_caller]
pub(crate) fn failed_with(payment: &v1::Payment, code: &str) {
    let why = payment.failure.as_ref().map(|failure| failure.code.as_str());
    assert_eq!((payment.status(), why), (v1::PaymentStatus::Failed, Some(code)), "{payment:?}");
    assert_eq!((payment.preimage.as_str(), payment.fee_msat), ("", None), "{payment:?}");
}
