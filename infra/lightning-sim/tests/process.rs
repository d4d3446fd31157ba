//! The process face, spoken to with LND's own client over TLS.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

#[allow(dead_code, reason = "shared with the load measurement")]
mod support;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use lightning_sim::{Config, ControlClient, Sim, control_proto as control};
use support::{Client, client, with_caveat};
use tonic::{Code, Streaming};
use tonic_lnd::{invoicesrpc, lnrpc, routerrpc};

const SEED: u64 = 42;

struct World {
    sim: Sim,
    folder: tempfile::TempDir,
}

impl World {
    async fn start() -> World {
        println!("seed {SEED}");
        let folder = tempfile::tempdir().unwrap();
        let sim = Sim::start(Config::demo(folder.path()).seeded(SEED)).await.unwrap();
        World { sim, folder }
    }

    async fn again(self) -> World {
        self.sim.stop().await;
        let sim = Sim::start(Config::demo(self.folder.path())).await.unwrap();
        World { sim, folder: self.folder }
    }

    fn client(&self, name: &str) -> Client {
        let endpoint = self.sim.endpoint(name).unwrap();
        client(endpoint, &endpoint.switchyard.hex)
    }

    fn control(&self) -> ControlClient {
        self.sim.control().unwrap()
    }

    async fn invoice(&self, node: &str, msat: u64, memo: &str) -> control::CreateInvoiceResponse {
        let request = control::CreateInvoiceRequest {
            node: node.to_owned(),
            amount_msat: msat,
            description: memo.to_owned(),
            ..Default::default()
        };
        self.control().create_invoice(request).await.unwrap().into_inner()
    }

    async fn fault(&self, node: &str, fault: &str) {
        let request = control::SetFaultRequest {
            node: node.to_owned(),
            fault: fault.to_owned(),
            ..Default::default()
        };
        self.control().set_fault(request).await.unwrap();
    }

    async fn clear(&self, node: &str) {
        let request = control::ClearFaultsRequest { node: node.to_owned(), ..Default::default() };
        self.control().clear_faults(request).await.unwrap();
    }

    async fn restart(&self, node: &str, kill: bool, down_ms: u64) {
        let node = node.to_owned();
        let request = control::RestartNodeRequest { node, kill, down_ms };
        self.control().restart_node(request).await.unwrap();
    }
}

fn send(payment_request: &str) -> routerrpc::SendPaymentRequest {
    routerrpc::SendPaymentRequest {
        payment_request: payment_request.to_owned(),
        fee_limit_msat: 100_000,
        timeout_seconds: 60,
        ..Default::default()
    }
}

fn track(hash: &[u8]) -> routerrpc::TrackPaymentRequest {
    routerrpc::TrackPaymentRequest { payment_hash: hash.to_vec(), no_inflight_updates: false }
}

async fn pay(
    client: &mut Client,
    request: &str,
) -> Result<Streaming<lnrpc::Payment>, tonic::Status> {
    client.router.send_payment_v2(send(request)).await.map(tonic::Response::into_inner)
}

/// The states that a stream goes through until it ends.
async fn states(mut stream: Streaming<lnrpc::Payment>) -> Vec<&'static str> {
    let mut states = Vec::new();
    while let Some(update) = stream.message().await.unwrap() {
        states.push(update.status().as_str_name());
    }
    states
}

#[tokio::test]
async fn pays_over_grpc() {
    let world = World::start().await;
    let mut pool = world.client("pool-1");
    let info = pool.lightning.get_info(lnrpc::GetInfoRequest {}).await.unwrap().into_inner();
    assert_eq!(info.identity_pubkey, world.sim.endpoint("pool-1").unwrap().identity_pubkey);
    assert_eq!((info.chains[0].network.as_str(), info.synced_to_chain), ("regtest", true));
    assert!(info.version.starts_with("0.20.1-beta"));
    let state = pool.state.get_state(lnrpc::GetStateRequest {}).await.unwrap().into_inner();
    assert_eq!(state.state(), lnrpc::WalletState::ServerActive);

    let invoice = world.invoice("bob", 1_000_000, "tea").await;
    let mut stream = pay(&mut pool, &invoice.payment_request).await.unwrap();
    let first = stream.message().await.unwrap().unwrap();
    assert_eq!(first.status(), lnrpc::payment::PaymentStatus::InFlight);
    assert_eq!(first.payment_preimage, "0".repeat(64));
    let last = stream.message().await.unwrap().unwrap();
    assert_eq!(last.status(), lnrpc::payment::PaymentStatus::Succeeded);
    assert_eq!(
        (last.value_msat, last.fee_msat),
        (1_000_000, 1_100),
        "1 sat and 100 ppm at the hub"
    );
    let route = last.htlcs[0].route.as_ref().unwrap();
    assert_eq!(route.total_amt_msat, 1_001_100);
    assert_eq!(route.hops.iter().map(|hop| hop.fee_msat).collect::<Vec<_>>(), [1_100, 0]);
    assert!(stream.message().await.unwrap().is_none());

    let again = pay(&mut pool, &invoice.payment_request).await.unwrap_err();
    assert_eq!((again.code(), again.message()), (Code::AlreadyExists, "invoice is already paid"));
    let unknown = pool.router.track_payment_v2(track(&[1; 32])).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
    let found = pool.router.track_payment_v2(track(&invoice.payment_hash)).await.unwrap();
    assert_eq!(states(found.into_inner()).await, ["SUCCEEDED"]);
    world.sim.stop().await;
}

#[tokio::test]
async fn receives_and_follows() {
    let world = World::start().await;
    let mut pool = world.client("pool-2");
    let add =
        |msat| lnrpc::Invoice { value_msat: msat, memo: "in".to_owned(), ..Default::default() };
    let first = pool.lightning.add_invoice(add(5_000)).await.unwrap().into_inner();
    let cursor = lnrpc::InvoiceSubscription { add_index: 1, settle_index: 0 };
    let mut follower = pool.clone();
    let following = tokio::spawn(async move {
        // As from lnd, the call is answered with its first message.
        let stream = follower.lightning.subscribe_invoices(cursor).await;
        stream.unwrap().into_inner()
    });
    let second = pool.lightning.add_invoice(add(0)).await.unwrap().into_inner();
    let mut stream = following.await.unwrap();
    let opened = stream.message().await.unwrap().unwrap();
    assert_eq!((opened.add_index, opened.r_hash), (2, second.r_hash.clone()));

    let payment = control::PayRequest {
        node: "alice".to_owned(),
        payment_request: first.payment_request.clone(),
        amount_msat: 7_000,
        fee_limit_msat: 10_000,
        wait_ms: 1_000,
    };
    let paid = world.control().pay(payment).await.unwrap().into_inner();
    assert_eq!((paid.status.as_str(), paid.settled_times), ("SUCCEEDED", 1));
    let settled = stream.message().await.unwrap().unwrap();
    assert_eq!(settled.state(), lnrpc::invoice::InvoiceState::Settled);
    assert_eq!((settled.amt_paid_msat, settled.settle_index), (7_000, 1));

    let decoded = pool
        .lightning
        .decode_pay_req(lnrpc::PayReqString { pay_req: second.payment_request })
        .await
        .unwrap();
    assert_eq!(decoded.into_inner().description, "in");
    let cancel = invoicesrpc::CancelInvoiceMsg { payment_hash: second.r_hash.clone() };
    pool.invoices.cancel_invoice(cancel).await.unwrap();
    let look = |hash: Vec<u8>| invoicesrpc::LookupInvoiceMsg {
        invoice_ref: Some(invoicesrpc::lookup_invoice_msg::InvoiceRef::PaymentHash(hash)),
        lookup_modifier: 0,
    };
    let found = pool.invoices.lookup_invoice_v2(look(second.r_hash)).await.unwrap().into_inner();
    assert_eq!(found.state(), lnrpc::invoice::InvoiceState::Canceled);
    let missing = pool.invoices.lookup_invoice_v2(look(vec![9; 32])).await.unwrap_err();
    assert_eq!(missing.code(), Code::NotFound);
    let cancel = invoicesrpc::CancelInvoiceMsg { payment_hash: vec![9; 32] };
    let missing = pool.invoices.cancel_invoice(cancel).await.unwrap_err();
    assert_eq!((missing.code(), missing.message()), (Code::Unknown, "unable to locate invoice"));
    world.sim.stop().await;
}

fn rfc3339_in(seconds: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let days = now / 86_400;
    assert!(days < 60_000, "the test counts days only");
    // A zone shifted by whole days is enough: the offset carries the difference.
    let at = now.checked_add_signed(seconds).unwrap();
    let date = civil(at / 86_400);
    let rest = at % 86_400;
    format!("{date}T{:02}:{:02}:{:02}Z", rest / 3_600, rest / 60 % 60, rest % 60)
}

fn civil(days: u64) -> String {
    // Howard Hinnant's algorithm, another one than the simulator's own.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    format!("{:04}-{month:02}-{day:02}", era * 400 + year + carry)
}

#[tokio::test]
async fn macaroons_are_enforced() {
    let world = World::start().await;
    let endpoint = world.sim.endpoint("pool-1").unwrap().clone();
    let info = |mut client: Client| async move {
        client.lightning.get_info(lnrpc::GetInfoRequest {}).await.map(|_| ())
    };
    let no = |answer: Result<(), tonic::Status>, text: &str| {
        let status = answer.unwrap_err();
        assert_eq!(status.code(), Code::Unknown);
        assert!(status.message().contains(text), "{status}");
    };
    let good = &endpoint.switchyard.hex;
    info(client(&endpoint, &endpoint.admin.hex)).await.unwrap();
    no(info(client(&endpoint, "")).await, "expected 1 macaroon, got 0");
    let other = world.sim.endpoint("pool-2").unwrap();
    no(info(client(&endpoint, &other.switchyard.hex)).await, "verification failed");
    no(info(client(&endpoint, "abcd")).await, "cannot determine data format");

    let caveat = |seconds| format!("time-before {}", rfc3339_in(seconds));
    info(client(&endpoint, &with_caveat(good, &caveat(60)))).await.unwrap();
    let expired = with_caveat(good, &caveat(-60));
    no(info(client(&endpoint, &expired)).await, "not satisfied: macaroon has expired");
    let mut late = client(&endpoint, &expired);
    let invoice = world.invoice("alice", 1_000, "").await;
    let refused = pay(&mut late, &invoice.payment_request).await.map(|_| ());
    no(refused, "macaroon has expired");
    // The node's own clock counts.
    world.fault("pool-1", "clock:-120000").await;
    info(late).await.unwrap();
    world.clear("pool-1").await;

    let mut weak = client(&endpoint, &endpoint.observe.hex);
    no(pay(&mut weak, &invoice.payment_request).await.map(|_| ()), "permission denied");
    let state = client(&endpoint, "").state.get_state(lnrpc::GetStateRequest {}).await;
    assert!(state.is_ok(), "lnrpc.State needs no macaroon");

    let wrong_pin =
        support::over(support::channel(&endpoint.address.to_string(), &other.tls_cert_pem), good);
    assert!(info(wrong_pin).await.is_err(), "another certificate is not accepted");
    world.sim.stop().await;
}

#[tokio::test]
async fn comes_back_with_everything() {
    let world = World::start().await;
    let before: Vec<_> = world.sim.endpoints().cloned().collect();
    let control_before = world.sim.control_address();
    let mut pool = world.client("pool-1");
    let done = world.invoice("alice", 1_000_000, "").await;
    states(pay(&mut pool, &done.payment_request).await.unwrap()).await;
    let slow = world.invoice("alice", 1_000_000, "sim:slow:1500").await;
    let mut stream = pay(&mut pool, &slow.payment_request).await.unwrap();
    stream.message().await.unwrap().unwrap();

    let world = world.again().await;
    for (was, is) in before.iter().zip(world.sim.endpoints()) {
        assert_eq!(was.address, is.address);
        assert_eq!(was.identity_pubkey, is.identity_pubkey);
        assert_eq!(was.tls_cert_pem, is.tls_cert_pem);
        assert_eq!(was.switchyard.hex, is.switchyard.hex);
    }
    assert_eq!(world.sim.control_address(), control_before);
    let mut pool = world.client("pool-1");
    let found = pool.router.track_payment_v2(track(&slow.payment_hash)).await.unwrap();
    let seen = states(found.into_inner()).await;
    assert!(seen == ["IN_FLIGHT", "SUCCEEDED"] || seen == ["SUCCEEDED"], "{seen:?}");
    let again = pay(&mut pool, &done.payment_request).await.unwrap_err();
    assert_eq!(again.code(), Code::AlreadyExists);

    let held = Sim::start(Config::demo(world.folder.path())).await;
    assert!(held.is_err(), "one process at a time");
    world.sim.stop().await;
}

#[tokio::test]
async fn a_node_restarts_or_is_killed_in_the_middle() {
    let world = World::start().await;
    for kill in [false, true] {
        let mut pool = world.client("pool-1");
        let invoice = world.invoice("alice", 1_000, "sim:stuck").await;
        let mut stream = pay(&mut pool, &invoice.payment_request).await.unwrap();
        stream.message().await.unwrap().unwrap();
        world.restart("pool-1", kill, 50).await;
        let broken = stream.message().await.unwrap_err();
        if !kill {
            assert_eq!(broken.message(), "routerrpc server shutting down");
        }
        println!("after {}: {broken:?}", if kill { "a kill" } else { "a restart" });
        let release = control::ReleasePaymentRequest {
            node: "pool-1".to_owned(),
            payment_hash: invoice.payment_hash.clone(),
            fail: false,
        };
        world.control().release_payment(release).await.unwrap();
        let mut pool = world.client("pool-1");
        let found = pool.router.track_payment_v2(track(&invoice.payment_hash)).await.unwrap();
        assert_eq!(states(found.into_inner()).await, ["SUCCEEDED"]);
    }
    world.sim.stop().await;
}

#[tokio::test]
async fn a_closed_port_and_a_late_request() {
    let world = World::start().await;
    let mut pool = world.client("pool-1");
    pool.lightning.get_info(lnrpc::GetInfoRequest {}).await.unwrap();
    world.fault("pool-1", "node_down").await;
    let down = pool.lightning.get_info(lnrpc::GetInfoRequest {}).await.unwrap_err();
    assert!(matches!(down.code(), Code::Unavailable | Code::Unknown), "{down:?}");
    let fresh = world.client("pool-1").lightning.get_info(lnrpc::GetInfoRequest {}).await;
    assert_eq!(fresh.unwrap_err().code(), Code::Unavailable);
    world.clear("pool-1").await;
    let mut pool = world.client("pool-1");
    pool.lightning.get_info(lnrpc::GetInfoRequest {}).await.unwrap();

    let invoice = world.invoice("alice", 1_000, "sim:late_request:100").await;
    let lost = pay(&mut pool, &invoice.payment_request).await.unwrap_err();
    assert_eq!(lost.code(), Code::Unavailable);
    let begun = Instant::now();
    loop {
        match pool.router.track_payment_v2(track(&invoice.payment_hash)).await {
            Ok(found) => {
                assert_eq!(states(found.into_inner()).await, ["SUCCEEDED"]);
                break;
            }
            Err(status) => assert_eq!(status.code(), Code::NotFound),
        }
        assert!(begun.elapsed() < Duration::from_secs(5));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let bogus = control::SetFaultRequest {
        node: "pool-1".to_owned(),
        fault: "bogus".to_owned(),
        ..Default::default()
    };
    let error = world.control().set_fault(bogus).await.unwrap_err();
    assert_eq!(error.message(), "unknown fault \"bogus\"");
    world.sim.stop().await;
}

#[tokio::test]
async fn the_auditor_sees_a_hash_paid_twice() {
    let world = World::start().await;
    let invoice = world.invoice("bob", 1_000_000, "").await;
    for node in ["pool-1", "pool-2"] {
        let mut pool = world.client(node);
        states(pay(&mut pool, &invoice.payment_request).await.unwrap()).await;
    }
    let mut control = world.control();
    let request = control::AuditRequest { node: "pool-1".to_owned() };
    let mut payments = control.audit_payments(request).await.unwrap().into_inner();
    let record = payments.message().await.unwrap().unwrap();
    assert_eq!((record.settled_times, record.settled_times_anywhere), (1, 2));
    assert!(payments.message().await.unwrap().is_none());
    let request = control::AuditRequest { node: "bob".to_owned() };
    let mut invoices = control.audit_invoices(request).await.unwrap().into_inner();
    assert_eq!(invoices.message().await.unwrap().unwrap().paid_msat, 2_000_000);
    let request = control::AuditSettlementsRequest { at_least: 0 };
    let mut all = control.audit_settlements(request).await.unwrap().into_inner();
    let mut payers = Vec::new();
    while let Some(settlement) = all.message().await.unwrap() {
        payers.push(settlement.payer);
    }
    payers.sort();
    assert_eq!(payers, ["pool-1", "pool-2"]);

    let stranger = lightning_sim::connect_control(world.sim.control_address(), "wrong").unwrap();
    let refused = { stranger }.list_nodes(control::ListNodesRequest {}).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    world.sim.stop().await;
}

/// Every method but those of lnrpc.State.
const METHODS: [&str; 22] = [
    "/lnrpc.Lightning/GetInfo",
    "/lnrpc.Lightning/ChannelBalance",
    "/lnrpc.Lightning/WalletBalance",
    "/lnrpc.Lightning/ListChannels",
    "/lnrpc.Lightning/PendingChannels",
    "/lnrpc.Lightning/SubscribeChannelEvents",
    "/lnrpc.Lightning/DecodePayReq",
    "/lnrpc.Lightning/ListPayments",
    "/lnrpc.Lightning/LookupInvoice",
    "/lnrpc.Lightning/ListInvoices",
    "/lnrpc.Lightning/SubscribeInvoices",
    "/lnrpc.Lightning/AddInvoice",
    "/lnrpc.Lightning/GetTransactions",
    "/routerrpc.Router/SendPaymentV2",
    "/routerrpc.Router/TrackPaymentV2",
    "/routerrpc.Router/TrackPayments",
    "/invoicesrpc.Invoices/AddHoldInvoice",
    "/invoicesrpc.Invoices/SettleInvoice",
    "/invoicesrpc.Invoices/CancelInvoice",
    "/invoicesrpc.Invoices/SubscribeSingleInvoice",
    "/invoicesrpc.Invoices/LookupInvoiceV2",
    "/verrpc.Versioner/GetVersion",
];

#[tokio::test]
async fn no_method_forgets_its_permission() {
    let world = World::start().await;
    let endpoint = world.sim.endpoint("pool-1").unwrap();
    let channel = support::channel(&endpoint.address.to_string(), &endpoint.tls_cert_pem);
    for method in METHODS {
        let mut grpc = tonic::client::Grpc::new(channel.clone());
        grpc.ready().await.unwrap();
        // An empty message is every message with nothing set.
        let request = tonic::Request::new(lnrpc::GetStateRequest {});
        let codec =
            tonic_prost::ProstCodec::<lnrpc::GetStateRequest, lnrpc::GetStateResponse>::default();
        let refused = grpc.unary(request, method.parse().unwrap(), codec).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unknown, "{method}");
        assert_eq!(refused.message(), "expected 1 macaroon, got 0", "{method}");
    }
    world.sim.stop().await;
}
