//! The Lightning port's adapter on real lnd: the same stories as on the simulated network, wherever
//! both can be asked, and what only real nodes can show.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use domain::{
    InvoiceTerms, Msat, Network, NodeId, PaymentHash, Preimage, PublicKey, Timestamp,
    lightning::{FailureId, FailureReason},
    org::InvoiceEnd,
};
use lightning_node::{
    Lnd, Settings, Timing, bolt11, clock_offset,
    macaroon::{self, Macaroon},
    register::inspect,
};
use ports::{
    LightningNode,
    lightning::{NodeError, PayError, PayRequest, PayUpdate, Settlement, Stream},
    operations::{NewNode, RegisterError},
};
use tokio::time::timeout;
use tonic::{Code, Status};
use tonic_lnd::lnrpc::{self, invoice::InvoiceState};

use crate::harness::{Invoice, Node, secret, story, unhex, until};

const HOUR: Duration = Duration::from_secs(3_600);
const NEWS_WITHIN: Duration = Duration::from_secs(20);

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
}

fn settings(node: &Node, macaroon: Vec<u8>) -> Settings {
    let endpoint = node.endpoint();
    Settings {
        address: endpoint.address.strip_prefix("https://").unwrap().to_owned(),
        certificate: Some(endpoint.cert_pem.clone()),
        macaroon,
        timing: Timing::default(),
    }
}

/// Exactly what our own command bakes.
async fn least(node: &Node) -> Vec<u8> {
    unhex(&node.bake(&macaroon::needed().collect::<Vec<_>>()).await)
}

async fn adapter(node: &Node) -> Lnd {
    Lnd::connect(&settings(node, least(node).await)).unwrap()
}

fn terms(invoice: &Invoice) -> InvoiceTerms {
    let terms = bolt11::parse(&invoice.bolt11).unwrap();
    assert_eq!(terms.hash, PaymentHash(invoice.hash));
    terms
}

fn request(invoice: &Invoice) -> PayRequest {
    PayRequest {
        hash: PaymentHash(invoice.hash),
        invoice: invoice.bolt11.clone(),
        amount_msat: None,
        fee_limit_msat: Msat::new(100_000).unwrap(),
        until: now().plus_seconds(60),
    }
}

/// The last update of a stream that has to end well.
async fn last(mut stream: Box<dyn Stream<PayUpdate>>) -> PayUpdate {
    let mut last = None;
    while let Some(update) = stream.next().await {
        last = Some(update.unwrap());
    }
    last.expect("a stream begins with what is known")
}

async fn tracked(lnd: &Lnd, hash: [u8; 32]) -> Option<PayUpdate> {
    match lnd.track(PaymentHash(hash)).await.unwrap() {
        Some(stream) => Some(last(stream).await),
        None => None,
    }
}

fn failure(update: PayUpdate) -> (FailureReason, FailureId) {
    match update {
        PayUpdate::Failed { reason, failure } => (reason, failure),
        PayUpdate::InFlight | PayUpdate::Succeeded { .. } => panic!("{update:?}"),
    }
}

#[track_caller]
fn assert_paid(update: &PayUpdate, hash: [u8; 32], msat: u64) -> Msat {
    let PayUpdate::Succeeded { preimage, amount_msat, fee_msat } = update else {
        panic!("{update:?}")
    };
    assert_eq!((preimage.hash(), amount_msat.get()), (PaymentHash(hash), msat));
    *fee_msat
}

/// The least macaroon is enough for every call of the adapter, and for nothing else.
#[test]
fn the_least_macaroon_is_enough_and_no_more() {
    story(async |net| {
        let baked = least(&net.pool).await;
        let permitted = Macaroon::read(&baked).unwrap();
        assert_eq!(permitted.permissions().len(), macaroon::needed().count());
        macaroon::check(&baked).unwrap();
        let pool = Lnd::connect(&settings(&net.pool, baked)).unwrap();

        let status = pool.status().await.unwrap();
        assert_eq!(status.identity.to_string(), net.pool.identity());
        assert_eq!(status.network, Some(Network::Regtest));
        assert!(status.serving && status.slots == 483, "{status:?}");
        assert!(!status.outbound_msat.is_zero() && !status.inbound_msat.is_zero());
        assert!(!pool.has_lapsed(now().plus_seconds(30)).await.unwrap());
        pool.payments(0).await.unwrap();
        pool.settlements(0).await.unwrap();
        let (preimage, hash) = secret("the least");
        let expires_at = now().plus_seconds(600);
        pool.make_invoice(Preimage(preimage), None, "least", expires_at).await.unwrap();
        let hash = PaymentHash(hash);
        assert_eq!(pool.settled(hash).await, Ok(None));
        assert_eq!(pool.cancel_invoice(hash).await, Ok(InvoiceEnd::Cancelled));
        let invoice = net.far.add_invoice(Some(1_000_000), "least", HOUR).await;
        last(pool.pay(&request(&invoice)).await.unwrap()).await;
        assert!(tracked(&pool, invoice.hash).await.is_some());

        let narrow = net.pool.client().with_macaroon(&permitted.to_hex());
        let denied = |status: Status| {
            assert_eq!(status.code(), Code::Unknown);
            assert!(status.message().contains("permission denied"), "{status}");
        };
        let mut lightning = narrow.lightning();
        denied(lightning.wallet_balance(lnrpc::WalletBalanceRequest::default()).await.unwrap_err());
        denied(lightning.new_address(lnrpc::NewAddressRequest::default()).await.unwrap_err());
        let delete = lnrpc::DeleteAllPaymentsRequest { all_payments: true, ..Default::default() };
        denied(lightning.delete_all_payments(delete).await.unwrap_err());
        let bake = lnrpc::BakeMacaroonRequest::default();
        denied(lightning.bake_macaroon(bake).await.unwrap_err());
        denied(lightning.stop_daemon(lnrpc::StopRequest {}).await.unwrap_err());
    });
}

#[test]
fn money_leaves_with_its_fee() {
    story(async |net| {
        let pool = adapter(&net.pool).await;
        let invoice = net.far.add_invoice(Some(25_000_000), "there", HOUR).await;
        let mut stream = pool.pay(&request(&invoice)).await.unwrap();
        assert_eq!(stream.next().await, Some(Ok(PayUpdate::InFlight)), "lnd has it durably");
        let paid = last(stream).await;
        assert!(!assert_paid(&paid, invoice.hash, 25_000_000).is_zero(), "the hop takes a fee");
        assert_eq!(tracked(&pool, invoice.hash).await, Some(paid.clone()));

        let again = pool.pay(&request(&invoice)).await.err().unwrap();
        assert!(matches!(&again, PayError::Lost(why) if why.contains("already paid")), "{again:?}");

        let any = net.far.add_invoice(None, "any", HOUR).await;
        let named = PayRequest { amount_msat: Msat::new(7_000_123), ..request(&any) };
        assert_paid(&last(pool.pay(&named).await.unwrap()).await, any.hash, 7_000_123);

        let books = pool.payments(0).await.unwrap();
        let row = books.iter().find(|row| row.hash == PaymentHash(invoice.hash)).unwrap();
        assert_eq!((&row.last, row.probe), (&paid, false));
        let newer = pool.payments(row.payment_index).await.unwrap();
        assert!(newer.iter().all(|newer| newer.payment_index > row.payment_index));
        assert!(newer.iter().any(|newer| newer.hash == PaymentHash(any.hash)));
    });
}

#[test]
fn rule_8_a_fee_limit_of_0_pays_no_fee() {
    story(async |net| {
        let pool = adapter(&net.pool).await;
        let invoice = net.far.add_invoice(Some(3_000_000), "no fee", HOUR).await;
        let free = PayRequest { fee_limit_msat: Msat::ZERO, ..request(&invoice) };
        let (reason, first) = failure(last(pool.pay(&free).await.unwrap()).await);
        assert_eq!(reason, FailureReason::NoRoute);
        // Rule 13: the hash runs again, and a second failure is another one.
        let (_, second) = failure(last(pool.pay(&free).await.unwrap()).await);
        assert_ne!(first, second);
        assert_eq!(failure(tracked(&pool, invoice.hash).await.unwrap()).1, second);
        // To the neighbour there is none to pay.
        let near = net.hop.add_invoice(Some(3_000_000), "near", HOUR).await;
        let free = PayRequest { fee_limit_msat: Msat::ZERO, ..request(&near) };
        let fee = assert_paid(&last(pool.pay(&free).await.unwrap()).await, near.hash, 3_000_000);
        assert!(fee.is_zero());
    });
}

#[test]
fn what_the_receiver_turns_down_has_failed() {
    story(async |net| {
        let pool = adapter(&net.pool).await;
        let invoice = net.far.add_invoice(Some(2_000_000), "cancelled", HOUR).await;
        net.far.cancel(invoice.hash).await;
        let (reason, _) = failure(last(pool.pay(&request(&invoice)).await.unwrap()).await);
        assert_eq!(reason, FailureReason::IncorrectPaymentDetails);
    });
}

#[test]
fn what_lnd_refuses_did_not_run() {
    story(async |net| {
        let pool = adapter(&net.pool).await;
        let own = net.pool.add_invoice(Some(1_000_000), "to ourselves", HOUR).await;
        let fixed = net.far.add_invoice(Some(1_000_000), "fixed", HOUR).await;
        let twice = PayRequest { amount_msat: Msat::new(5_000), ..request(&fixed) };
        let nonsense = PayRequest { invoice: "lnbcrt1nonsense".to_owned(), ..request(&fixed) };
        for refused in [request(&own), twice, nonsense] {
            let why = pool.pay(&refused).await.err().unwrap();
            assert!(matches!(why, PayError::Refused(_)), "{why:?}");
            assert_eq!(tracked(&pool, refused.hash.0).await, None);
        }
    });
}

/// lnd looks at the expiry before it looks whether it has paid: a refusal proves nothing by itself.
#[test]
fn a_refusal_of_a_repeat_proves_nothing() {
    story(async |net| {
        let pool = adapter(&net.pool).await;
        let lasts = Duration::from_secs(3);
        let invoice = net.far.add_invoice(Some(1_000_000), "soon over", lasts).await;
        let paid = last(pool.pay(&request(&invoice)).await.unwrap()).await;
        assert_paid(&paid, invoice.hash, 1_000_000);
        let over = terms(&invoice).expires_at;
        until("the invoice to expire", Duration::from_secs(20), async || {
            if now() > over.plus_millis(100) { Ok(()) } else { Err("not yet".to_owned()) }
        })
        .await;
        let again = pool.pay(&request(&invoice)).await.err().unwrap();
        assert!(matches!(&again, PayError::Refused(why) if why.contains("expired")), "{again:?}");
        assert_eq!(tracked(&pool, invoice.hash).await, Some(paid));
    });
}

#[test]
fn rule_13_a_request_too_late_does_not_run() {
    story(async |net| {
        let pool = adapter(&net.pool).await;
        let invoice = net.far.add_invoice(Some(1_000_000), "too late", HOUR).await;
        let late = PayRequest { until: now().plus_millis(-1), ..request(&invoice) };
        assert_eq!(pool.pay(&late).await.err(), Some(PayError::PermissionLapsed));
        assert_eq!(tracked(&pool, invoice.hash).await, None);
        assert!(pool.has_lapsed(late.until).await.unwrap());

        // Another request under the same adapter, in time.
        let paid = last(pool.pay(&request(&invoice)).await.unwrap()).await;
        assert_paid(&paid, invoice.hash, 1_000_000);
    });
}

/// lnd compares at the nanosecond, so the fraction of a second counts.
#[test]
fn the_clock_is_told_to_some_milliseconds() {
    story(async |net| {
        let pool = adapter(&net.pool).await;
        for _ in 0..3 {
            let offset_ms = clock_offset(&pool, now).await.unwrap();
            assert!(offset_ms.abs() < 200, "the same clock, {offset_ms} ms off");
        }
        let shifted = clock_offset(&pool, || now().plus_millis(5_000)).await.unwrap();
        assert!((shifted + 5_000).abs() < 200, "{shifted}");
    });
}

#[test]
fn an_invoice_is_made_once() {
    story(async |net| {
        let pool = adapter(&net.pool).await;
        let (preimage, hash) = secret("made once");
        let make = async |amount: Option<u64>, description: &str| {
            let amount = amount.and_then(Msat::new);
            let expires_at = now().plus_seconds(600);
            pool.make_invoice(Preimage(preimage), amount, description, expires_at).await
        };
        let made = make(Some(4_000_001), "once").await.unwrap();
        assert_eq!((made.hash, made.network), (PaymentHash(hash), Network::Regtest));
        assert_eq!(made.amount_msat, Msat::new(4_000_001));
        assert_eq!(
            (made.description.as_str(), made.payee.to_string()),
            ("once", net.pool.identity().to_owned())
        );
        let lasts_ms = made.expires_at.millis_since(now());
        assert!((590_000..=602_000).contains(&lasts_ms), "{lasts_ms}");

        assert_eq!(make(Some(4_000_001), "once").await, Ok(made.clone()));
        assert!(matches!(make(Some(5_000_000), "once").await, Err(NodeError::Refused(_))));
        assert!(matches!(make(None, "once").await, Err(NodeError::Refused(_))));
        assert!(matches!(make(Some(4_000_001), "other").await, Err(NodeError::Refused(_))));
        net.pool.kill9();
        net.pool.restart().await;
        assert_eq!(make(Some(4_000_001), "once").await, Ok(made));
    });
}

#[test]
fn cancelling_tells_how_an_invoice_ended() {
    story(async |net| {
        let pool = adapter(&net.pool).await;
        let make = async |word: &str| {
            let (preimage, _) = secret(word);
            let (amount, over) = (Msat::new(2_000_000), now().plus_seconds(600));
            pool.make_invoice(Preimage(preimage), amount, word, over).await.unwrap()
        };
        let open = make("to be cancelled").await;
        for _ in 0..2 {
            assert_eq!(pool.cancel_invoice(open.hash).await, Ok(InvoiceEnd::Cancelled));
        }
        let state = net.pool.invoice(open.hash.0).await.state();
        assert_eq!(state, InvoiceState::Canceled);

        let paid = make("to be paid").await;
        assert_eq!(pool.settled(paid.hash).await, Ok(None));
        net.far.pay(&paid.text).await;
        assert_eq!(pool.cancel_invoice(paid.hash).await, Ok(InvoiceEnd::Settled));
        let settled = pool.settled(paid.hash).await.unwrap().unwrap();
        assert_eq!((settled.hash, settled.paid_msat.get()), (paid.hash, 2_000_000));

        let unknown = PaymentHash(secret("never made").1);
        let answer = pool.cancel_invoice(unknown).await;
        assert!(matches!(answer, Err(NodeError::Refused(_))), "{answer:?}");
        assert_eq!(pool.settled(unknown).await, Ok(None));
    });
}

async fn next(stream: &mut Box<dyn Stream<Settlement>>) -> Settlement {
    let news = timeout(NEWS_WITHIN, stream.next()).await.expect("a settlement in time");
    news.expect("the stream goes on").unwrap()
}

async fn quiet(stream: &mut Box<dyn Stream<Settlement>>) {
    let news = timeout(Duration::from_millis(500), stream.next()).await;
    assert!(news.is_err(), "{news:?}");
}

/// From the beginning, over a time without a follower, over a crash: each once, in order.
#[test]
fn rule_22_no_settlement_is_left_out() {
    story(async |net| {
        let pool = adapter(&net.pool).await;
        let receive = async |word: &str| {
            let (preimage, hash) = secret(word);
            let (amount, over) = (Msat::new(1_500_000), now().plus_seconds(600));
            let made = pool.make_invoice(Preimage(preimage), amount, word, over).await.unwrap();
            net.far.pay(&made.text).await;
            PaymentHash(hash)
        };
        let first = receive("settled 1").await;
        let mut stream = pool.settlements(0).await.unwrap();
        let mut seen = vec![next(&mut stream).await];
        while seen.last().unwrap().hash != first {
            seen.push(next(&mut stream).await);
        }
        assert!(seen.is_sorted_by_key(|settlement| settlement.settle_index));
        quiet(&mut stream).await;
        let second = receive("settled 2").await;
        let live = next(&mut stream).await;
        assert_eq!((live.hash, live.paid_msat.get()), (second, 1_500_000));

        // Nobody follows.
        drop(stream);
        let third = receive("settled 3").await;
        let fourth = receive("settled 4").await;
        let mut stream = pool.settlements(live.settle_index).await.unwrap();
        assert_eq!(next(&mut stream).await.hash, third);
        let cursor = next(&mut stream).await;
        assert_eq!(cursor.hash, fourth);
        quiet(&mut stream).await;

        net.pool.kill9();
        let end = timeout(NEWS_WITHIN, stream.next()).await.expect("an end");
        assert!(!matches!(end, Some(Ok(_))), "{end:?}");
        net.pool.restart().await;
        let fifth = receive("settled 5").await;
        let mut stream = pool.settlements(cursor.settle_index).await.unwrap();
        assert_eq!(next(&mut stream).await.hash, fifth);
        quiet(&mut stream).await;
    });
}

/// The node dies while the money is on its way; the same adapter finds the payment again.
#[test]
fn a_payment_outlives_its_node() {
    story(async |net| {
        let pool = adapter(&net.pool).await;
        for (word, kill) in [("killed under way", true), ("stopped under way", false)] {
            let (preimage, hash) = secret(word);
            let invoice = net.far.add_hold_invoice(hash, 5_000_000).await;
            let mut stream = pool.pay(&request(&invoice)).await.unwrap();
            assert_eq!(stream.next().await, Some(Ok(PayUpdate::InFlight)));
            net.far.wait_invoice(hash, InvoiceState::Accepted).await;
            match kill {
                true => net.pool.kill9(),
                false => net.pool.stop().await,
            }
            let end = loop {
                match stream.next().await {
                    Some(Ok(update)) => assert_eq!(update, PayUpdate::InFlight),
                    end => break end,
                }
            };
            assert!(matches!(end, None | Some(Err(PayError::Lost(_)))), "{end:?}");
            let asked = pool.track(invoice_hash(hash)).await.err().unwrap();
            assert!(matches!(asked, NodeError::Unreachable(_)), "{asked:?}");
            let lost = pool.pay(&request(&invoice)).await.err().unwrap();
            assert!(matches!(lost, PayError::Lost(_)), "{lost:?}");

            net.pool.restart().await;
            let mut stream = pool.track(invoice_hash(hash)).await.unwrap().expect("it has it");
            assert_eq!(stream.next().await, Some(Ok(PayUpdate::InFlight)));
            let again = pool.pay(&request(&invoice)).await.err().unwrap();
            assert!(matches!(again, PayError::Lost(_)), "{again:?}");
            net.far.settle(preimage).await;
            assert_paid(&last(stream).await, hash, 5_000_000);
        }
    });
}

fn invoice_hash(hash: [u8; 32]) -> PaymentHash {
    PaymentHash(hash)
}

async fn registration(node: &Node) -> NewNode {
    let Settings { address, certificate, macaroon, .. } = settings(node, least(node).await);
    let (id, name) = (NodeId::new(uuid::Uuid::nil()), node.name().to_owned());
    NewNode { id, owner: None, name, address, certificate, macaroon, identity: None }
}

#[test]
fn a_node_is_looked_at_before_it_is_used() {
    story(async |net| {
        let good = registration(&net.pool).await;
        let record = inspect(&good, Network::Regtest, now).await.unwrap();
        assert_eq!(record.identity.to_string(), net.pool.identity());
        let refused = async |new: NewNode| inspect(&new, Network::Regtest, now).await.unwrap_err();

        let certificate = Some(net.far.endpoint().cert_pem.clone());
        let pinned = NewNode { certificate, ..good.clone() };
        assert_eq!(refused(pinned).await, RegisterError::WrongCertificate);
        let public = NewNode { certificate: None, ..good.clone() };
        assert_eq!(refused(public).await.code(), "node_unreachable");

        let admin = NewNode { macaroon: unhex(net.pool.admin_macaroon()), ..good.clone() };
        let RegisterError::Permissions { missing, too_much, .. } = refused(admin).await else {
            panic!("its permissions are refused")
        };
        assert!(missing.is_empty() && too_much.contains(&"offchain:write".to_owned()));
        let weak = unhex(&net.pool.bake(&["/lnrpc.Lightning/GetInfo"]).await);
        let weak = NewNode { macaroon: weak, ..good.clone() };
        assert_eq!(refused(weak).await.code(), "macaroon_permissions");
        // Of another node: in order by itself, but not this node's.
        let foreign = NewNode { macaroon: least(&net.far).await, ..good.clone() };
        assert_eq!(refused(foreign).await.code(), "macaroon_denied");
        let mut forged = good.clone();
        *forged.macaroon.last_mut().unwrap() ^= 1;
        assert_eq!(refused(forged).await.code(), "macaroon_denied");

        let elsewhere = inspect(&good, Network::Mainnet, now).await.unwrap_err();
        assert_eq!(elsewhere.code(), "node_wrong_network");
        let fast =
            inspect(&good, Network::Regtest, || now().plus_millis(-3_000)).await.unwrap_err();
        assert!(matches!(fast, RegisterError::ClockOff(2_800..3_200)), "{fast}");
        let nobody = NewNode { address: "127.0.0.1:1".to_owned(), ..good };
        assert_eq!(refused(nobody).await.code(), "node_unreachable");
    });
}

#[test]
fn rule_17_another_node_at_the_same_address_is_noticed() {
    story(async |net| {
        let (stranger, foreigner) = tokio::join!(net.stranger(), net.foreigner());
        let elsewhere = inspect(&registration(&foreigner).await, Network::Regtest, now).await;
        let (expected, found) = (Network::Regtest, "simnet".to_owned());
        assert_eq!(elsewhere.unwrap_err(), RegisterError::WrongNetwork { expected, found });
        let lnd = adapter(&foreigner).await;
        let status = lnd.status().await.unwrap();
        assert_eq!((status.network, status.serving), (None, false), "it is not active either");

        let lnd = adapter(&stranger).await;
        let before = lnd.status().await.unwrap().identity;
        let mut known = registration(&stranger).await;
        known.identity = Some(before);
        inspect(&known, Network::Regtest, now).await.unwrap();
        stranger.lose_identity().await;
        // The same address, certificate and macaroon.
        let after: PublicKey = lnd.status().await.unwrap().identity;
        assert_ne!(before, after);
        let wrong = inspect(&known, Network::Regtest, now).await.unwrap_err();
        assert_eq!(wrong, RegisterError::WrongIdentity { expected: before, found: after });
    });
}
