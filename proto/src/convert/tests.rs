use std::{collections::HashMap, sync::Arc};

use domain::{
    EnvironmentId, InvoiceTerms, LineId, Msat, Network, NodeId, OrgId, PaymentHash, PaymentId,
    Preimage, PublicKey, SignedMsat, Timestamp, WalletId,
    ledger::{Account, Entry, Funds},
    lightning::FailureReason,
    org::{
        Backing, ClaimedBy, Command, Event, Incoming, IncomingState, Line, Metadata, Org, Outgoing,
        OutgoingState, PaymentFailure, Rail, ReceiveTerms, Resolution, Row, SendTerms, Wallet,
    },
    payment::{Attempt, AttemptEnd, Epoch, Request},
};
use uuid::Uuid;

use super::{
    WireError, lines, lists, nodes,
    organisations::{self, Order},
    payments, wallets,
};
use crate::{admin::v1 as admin, v1};

mod wire;

const SUPPLY: u64 = Msat::SUPPLY.get();

fn uuid(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn invoice(amount_msat: Option<u64>) -> InvoiceTerms {
    InvoiceTerms {
        text: "lnbcrt1".to_owned(),
        network: Network::Regtest,
        hash: Preimage([7; 32]).hash(),
        amount_msat: amount_msat.and_then(Msat::new),
        payee: PublicKey([2; 33]),
        description: "a book".to_owned(),
        expires_at: Timestamp::from_millis(9_000),
    }
}

fn outgoing(state: OutgoingState) -> Outgoing {
    let reason = FailureReason::NoRoute;
    let request = Request { epoch: Epoch(1), until: Timestamp::from_millis(5), unsent: false };
    let attempt = |node, end| Attempt {
        node: NodeId::new(uuid(node)),
        started_at: Timestamp::from_millis(3),
        requests: vec![request],
        older_failures: Vec::new(),
        end,
    };
    Outgoing {
        id: PaymentId::new(uuid(1)),
        terms: Arc::new(SendTerms {
            wallet: WalletId::new(uuid(2)),
            invoice: invoice(Some(1_000)),
            amount_msat: None,
            fee_limit_msat: None,
            description: None,
            metadata: Metadata::new(),
        }),
        environment: EnvironmentId::new(uuid(3)),
        amount_msat: Msat::new(1_000).unwrap(),
        fee_limit_msat: Msat::new(50).unwrap(),
        rail: Rail::CreditPool,
        plan: Vec::new(),
        older_failures: Vec::new(),
        attempts: vec![
            attempt(10, Some(AttemptEnd::Failed { at: Timestamp::from_millis(4), reason })),
            attempt(11, None),
        ],
        state,
        created_at: Timestamp::from_millis(1),
        updated_at: Timestamp::from_millis(2),
        contradicted: false,
        resolved: None,
        cancelled: false,
    }
}

fn incoming(state: IncomingState, invoice: Option<InvoiceTerms>) -> Incoming {
    Incoming {
        id: PaymentId::new(uuid(1)),
        terms: ReceiveTerms {
            wallet: WalletId::new(uuid(2)),
            amount_msat: Some(1_000),
            description: String::new(),
            expiry_seconds: 60,
            metadata: Metadata::new(),
        },
        environment: EnvironmentId::new(uuid(3)),
        hash: PaymentHash([9; 32]),
        node: NodeId::new(uuid(10)),
        expires_at: Timestamp::from_millis(60_000),
        invoice,
        state,
        credited_msat: Msat::ZERO,
        created_at: Timestamp::from_millis(1),
        updated_at: Timestamp::from_millis(2),
    }
}

#[test]
fn sends_are_told_in_the_words_of_the_contract() {
    let fee_msat = Msat::new(7).unwrap();
    let posted = |preimage| OutgoingState::Posted { fee_msat, preimage };
    let node = PaymentFailure::Node(FailureReason::IncorrectPaymentDetails);
    for (state, word, code) in [
        (OutgoingState::InFlight, "sending", ""),
        (posted(Some(Preimage([7; 32]))), "completed", ""),
        (posted(None), "completed", ""),
        (OutgoingState::Voided(node), "failed", "incorrect_payment_details"),
        (OutgoingState::Voided(PaymentFailure::PayeeRefused), "failed", "payee_refused"),
        (OutgoingState::Voided(PaymentFailure::Cancelled), "failed", "cancelled"),
        (OutgoingState::Refused(PaymentFailure::InsufficientFunds), "failed", "insufficient_funds"),
        (
            OutgoingState::Refused(PaymentFailure::InvoiceAlreadyPaid),
            "failed",
            "invoice_already_paid",
        ),
        (OutgoingState::Refused(PaymentFailure::NoUsableNode), "failed", "no_usable_node"),
    ] {
        let told = payments::outgoing(&outgoing(state), &HashMap::new());
        assert_eq!(payments::status_word(told.status()), word);
        assert_eq!(payments::has_ended(told.status()), word != "sending");
        assert_eq!(told.failure.map(|failure| failure.code).unwrap_or_default(), code);
        assert_eq!(told.fee_msat.is_some(), word == "completed");
    }
}

#[test]
fn every_attempt_is_shown() {
    let names = HashMap::from([(NodeId::new(uuid(11)), "pool-2".to_owned())]);
    let row = Row::Outgoing(Arc::new(outgoing(OutgoingState::InFlight)));
    let told = payments::payment(&row, &names).unwrap();
    let shown: Vec<_> = told
        .attempts
        .iter()
        .map(|attempt| (attempt.number, attempt.node_name.as_str(), attempt.status()))
        .collect();
    assert_eq!(
        shown,
        [(1, "", v1::AttemptStatus::Failed), (2, "pool-2", v1::AttemptStatus::InFlight)]
    );
    assert_eq!(told.attempts[0].failure.as_ref().unwrap().code, "no_route");
    assert_eq!(told.attempts[0].ended_at_ms, Some(4));
}

#[test]
fn receives_are_told_in_the_words_of_the_contract() {
    let by = ClaimedBy {
        payer: OrgId::new(uuid(1)),
        payment: PaymentId::new(uuid(2)),
        amount_msat: Msat::ZERO,
        at: Timestamp::from_millis(1),
    };
    for (state, made, word, code) in [
        (IncomingState::Generating, false, "generating", ""),
        (IncomingState::Open, true, "receiving", ""),
        (IncomingState::Claimed(by), true, "receiving", ""),
        (IncomingState::Withdrawn(by), true, "receiving", ""),
        (IncomingState::Cancelling, true, "receiving", ""),
        (IncomingState::Paid, true, "completed", ""),
        (IncomingState::PaidInternally(by), true, "completed", ""),
        (IncomingState::Expired, true, "expired", ""),
        (IncomingState::Failed, true, "failed", "invoice_withdrawn"),
        (IncomingState::Failed, false, "failed", "invoice_not_made"),
    ] {
        let invoice = made.then(|| invoice(Some(1_000)));
        let told = payments::incoming(&incoming(state, invoice));
        assert_eq!(payments::status_word(told.status()), word);
        assert_eq!(told.invoice.is_empty(), !made);
        assert_eq!(told.failure.map(|failure| failure.code).unwrap_or_default(), code);
    }
}

fn org(line: Funds, wallet: Funds) -> Org {
    let (line_id, environment) = (LineId::new(uuid(1)), EnvironmentId::new(uuid(3)));
    let rows = [
        Row::Line(
            line_id,
            Line {
                environment,
                funds: line,
                allocated_msat: Msat::ZERO,
                first_limit_msat: None,
                created_at: Timestamp::from_millis(1),
                disabled_at: None,
            },
        ),
        Row::Wallet(
            WalletId::new(uuid(2)),
            Wallet {
                environment,
                name: "till".to_owned(),
                backing: Backing::Line(line_id),
                funds: wallet,
                metadata: Metadata::new(),
                first_name: None,
                first_limit_msat: None,
                created_at: Timestamp::from_millis(1),
                updated_at: Timestamp::from_millis(1),
                deleted_at: None,
            },
        ),
    ];
    Org::from_rows(OrgId::new(uuid(9)), Epoch(0), rows)
}

#[test]
fn rule_32_available_is_the_least_of_wallet_and_backing() {
    let funds = |limit, net, held| Funds {
        limit_msat: Msat::new(limit).unwrap(),
        net_msat: SignedMsat::new(net),
        held_msat: Msat::new(held).unwrap(),
    };
    for (line, wallet, available) in [
        (funds(1_000, 0, 0), funds(400, 0, 0), 400),
        (funds(1_000, -900, 0), funds(400, 0, 0), 100),
        (funds(1_000, 500, 0), funds(400, 500, 50), 850),
        (funds(0, -900, 10), funds(400, 0, 0), -910),
    ] {
        let org = org(line, wallet);
        let (&id, wallet) = org.wallets.first_key_value().unwrap();
        assert_eq!(
            wallets::wallet(&org, Network::Regtest, id, wallet).unwrap().available_msat,
            available
        );
        let standing = organisations::standing(&org).unwrap();
        assert_eq!(standing.wallets[0].available_msat, available);
        let line =
            lines::line(Network::Regtest, LineId::new(uuid(1)), &org.lines[&LineId::new(uuid(1))]);
        assert!(line.available_msat >= available);
    }
}

#[test]
fn a_wallet_read_without_its_backing_is_an_error() {
    let mut org = org(Funds::default(), Funds::default());
    org.lines.clear();
    let (&id, wallet) = org.wallets.first_key_value().unwrap();
    assert!(wallets::wallet(&org, Network::Regtest, id, wallet).is_err());
    assert!(organisations::standing(&org).is_err());
}

#[test]
fn the_ledger_shows_what_moved_the_wallet() {
    let (wallet, node) = (WalletId::new(uuid(2)), NodeId::new(uuid(10)));
    let payment = PaymentId::new(uuid(1));
    let sent = outgoing(OutgoingState::InFlight);
    let cost = Msat::new(1_007).unwrap();
    let held = Event::Held {
        payment,
        terms: sent.terms,
        amount_msat: sent.amount_msat,
        fee_limit_msat: sent.fee_limit_msat,
        rail: sent.rail,
        plan: Vec::new(),
        older_failures: Vec::new(),
    };
    let posted = Event::Posted {
        payment,
        fee_msat: Msat::new(7).unwrap(),
        preimage: None,
        entry: Entry::transfer(Account::Wallet(wallet), Account::Node(node), cost),
    };
    let voided = Event::Voided {
        payment,
        hash: PaymentHash([0; 32]),
        failure: PaymentFailure::PayeeRefused,
    };
    let received = Event::Received {
        payment,
        amount_msat: cost,
        entry: Entry::transfer(Account::Node(node), Account::Wallet(wallet), cost),
    };
    let at = Timestamp::from_millis(5);
    let story = [held, posted, voided, received].map(|event| {
        let entry = wallets::ledger_entry(wallet, 1, at, &event).unwrap();
        (wallets::kind_word(entry.kind()), entry.amount_msat, entry.change_msat)
    });
    assert_eq!(
        story,
        [
            ("held", Some(1_050), 0),
            ("captured", Some(1_007), -1_007),
            ("released", None, 0),
            ("credited", Some(1_007), 1_007),
        ]
    );
    let quiet = Event::InvoiceExpired { payment };
    assert_eq!(wallets::ledger_entry(wallet, 1, at, &quiet), None);
}

#[test]
fn what_says_nothing_is_refused_by_name() {
    let send = |change: fn(&mut v1::SendRequest)| {
        let mut request = v1::SendRequest {
            id: uuid(1).to_string(),
            wallet_id: uuid(2).to_string(),
            ..v1::SendRequest::default()
        };
        change(&mut request);
        payments::Send::try_from(request).map(|_| ())
    };
    assert_eq!(send(|_| ()), Ok(()));
    assert_eq!(send(|request| request.id.clear()), Err(WireError::Id("id")));
    assert_eq!(send(|request| request.wallet_id.push('0')), Err(WireError::Id("wallet_id")));
    assert_eq!(send(|request| request.wait_seconds = 61), Err(WireError::Wait));

    let list = |limit, cursor: &str| {
        let cursor = cursor.to_owned();
        let request = v1::ListPaymentsRequest { limit, cursor, ..Default::default() };
        lists::List::try_from(request).map(|list| list.limit)
    };
    assert_eq!(list(0, ""), Ok(100));
    assert_eq!(list(1_001, ""), Err(WireError::Limit));
    assert_eq!(list(1, "whatever"), Ok(1));
    for filter in [
        v1::PaymentFilter { direction: 7, ..Default::default() },
        v1::PaymentFilter { statuses: vec![0], ..Default::default() },
        v1::PaymentFilter { statuses: vec![99], ..Default::default() },
        v1::PaymentFilter { line_id: "1".to_owned(), ..Default::default() },
    ] {
        let request = v1::SummaryRequest { filter: Some(filter.clone()), ..Default::default() };
        assert!(lists::Filter::try_from(request).is_err(), "{filter:?}");
    }

    let text = v1::ReceiveRequest {
        id: uuid(1).to_string(),
        wallet_id: uuid(2).to_string(),
        description: "a\0b".to_owned(),
        ..v1::ReceiveRequest::default()
    };
    assert_eq!(payments::Receive::try_from(text), Err(WireError::Text("description")));

    for name in ["a\nb", "a\0", "\u{1b}[2J", "a\u{7f}", "a\u{9b}"] {
        let (id, name) = (uuid(1).to_string(), name.to_owned());
        let org = admin::CreateOrganisationRequest { id, name };
        let refused = organisations::Create::try_from(org).err();
        assert_eq!(refused, Some(WireError::Control("name")));
    }

    let line = admin::OpenLineRequest {
        organisation_id: uuid(1).to_string(),
        id: uuid(2).to_string(),
        environment_id: uuid(3).to_string(),
        limit_msat: SUPPLY + 1,
    };
    let amount = organisations::Order::try_from(line);
    assert_eq!(amount.unwrap_err(), WireError::Amount("limit_msat"));

    let wallet = admin::CreateWalletRequest { backing: None, ..Default::default() };
    let backing = organisations::Order::try_from(wallet);
    assert_eq!(backing.unwrap_err(), WireError::Missing("backing"));
}

#[test]
fn a_node_is_read_whole_and_its_macaroon_never_shown() {
    let request = admin::RegisterNodeRequest {
        id: uuid(1).to_string(),
        name: "pool-1".to_owned(),
        owner: Some(admin::register_node_request::Owner::CreditPool(admin::CreditPool {})),
        address: "lnd:10009".to_owned(),
        trust: Some(admin::register_node_request::Trust::CertificatePem("PEM".to_owned())),
        macaroon: b"topsecret".to_vec(),
        expected_identity: "02".repeat(33),
    };
    assert!(!format!("{request:?}").contains("topsecret"));
    assert!(!format!("{request:?}").contains("116, 111, 112"));
    let node = nodes::Register::try_from(request.clone()).unwrap();
    assert_eq!(node.identity, Some(PublicKey([2; 33])));
    assert_eq!(node.owner, None);
    for identity in
        ["02", "zz".repeat(33).as_str(), "02".repeat(34).as_str(), "é".repeat(33).as_str()]
    {
        let mut request = request.clone();
        request.expected_identity = identity.to_owned();
        let refused = nodes::Register::try_from(request).err();
        assert_eq!(refused, Some(WireError::PublicKey("expected_identity")));
    }
}

#[test]
fn what_a_person_has_found_is_read_whole_and_its_preimage_never_shown() {
    use admin::resolve_payment_request::Found;

    let paid =
        admin::FoundPaid { preimage: "07".repeat(32), fee_msat: 3, node_id: uuid(9).to_string() };
    let request = admin::ResolvePaymentRequest {
        organisation_id: uuid(1).to_string(),
        payment_id: uuid(2).to_string(),
        found: Some(Found::Paid(paid.clone())),
        evidence: "seen".to_owned(),
    };
    assert!(!format!("{request:?}").contains("0707"));
    let Order { org, command } = Order::try_from(request.clone()).unwrap();
    let Command::Resolve { payment, resolution, evidence, .. } = command else { panic!() };
    let (node, fee_msat) = (Some(NodeId::new(uuid(9))), Msat::new(3).unwrap());
    let found = Resolution::Paid { node, preimage: Preimage([7; 32]), fee_msat };
    assert_eq!((org, payment), (OrgId::new(uuid(1)), PaymentId::new(uuid(2))));
    assert_eq!((resolution, evidence.as_str()), (found, "seen"));
    for (preimage, fee_msat, refused) in [
        ("07", 3, WireError::Preimage("preimage")),
        (paid.preimage.as_str(), u64::MAX, WireError::Amount("fee_msat")),
    ] {
        let paid = admin::FoundPaid { preimage: preimage.to_owned(), fee_msat, ..paid.clone() };
        let request =
            admin::ResolvePaymentRequest { found: Some(Found::Paid(paid)), ..request.clone() };
        assert_eq!(Order::try_from(request).err(), Some(refused));
    }
    let request = admin::ResolvePaymentRequest { found: None, ..request };
    assert_eq!(Order::try_from(request).err(), Some(WireError::Missing("found")));
}
