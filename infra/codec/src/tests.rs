use std::sync::Arc;

use domain::{
    InvoiceTerms, Msat, Network, PaymentHash, Preimage, PublicKey, SignedMsat, Timestamp,
    id::Id,
    ledger::{Account, Entry, Funds},
    lightning::FailureReason,
    org::{
        Backing, Environment, Line, Metadata, Outgoing, OutgoingState, PaymentFailure, Rail,
        ReceiveTerms, Resolution, Resolved, SendTerms, Wallet,
    },
    payment::{Attempt, AttemptEnd, Epoch, Request},
};
use expect_test::expect_file;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::any;

proptest! {
    #[test]
    fn events_come_back_as_they_were(event in any::event()) {
        let bytes = event_to_bytes(&event);
        prop_assert_eq!(bytes[0], VERSION);
        prop_assert_eq!(event_from_bytes(&bytes).unwrap(), event);
    }

    #[test]
    fn what_is_written_can_be_read(event in any::event()) {
        prop_assert!(event.revision() <= READS);
    }

    #[test]
    fn rows_come_back_as_they_were(row in any::row()) {
        let bytes = row_to_bytes(&row);
        prop_assert_eq!(bytes[0], VERSION);
        prop_assert_eq!(row_from_bytes(&bytes).unwrap(), row);
    }

    #[test]
    fn no_bytes_are_too_strange(mut bytes: Vec<u8>, row in any::row(), cut: usize) {
        let _: Result<Row, StoreError> = row_from_bytes(&bytes);
        bytes.insert(0, VERSION);
        let _: Result<Event, StoreError> = event_from_bytes(&bytes);
        let stored = row_to_bytes(&row);
        prop_assert!(row_from_bytes(&stored[..cut % stored.len()]).is_err());
    }
}

fn numbered<Kind>(number: u128) -> Id<Kind> {
    Id::new(Uuid::from_u128(number))
}

fn msat(amount: u64) -> Msat {
    Msat::new(amount).unwrap()
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn terms() -> SendTerms {
    SendTerms {
        wallet: numbered(4),
        invoice: InvoiceTerms {
            text: "lnbcrt1".to_owned(),
            network: Network::Regtest,
            hash: PaymentHash([0xab; 32]),
            amount_msat: Some(msat(1_000)),
            payee: PublicKey([2; 33]),
            description: "\"tea\"".to_owned(),
            expires_at: at(9_000),
        },
        amount_msat: None,
        fee_limit_msat: Some(10),
        description: None,
        metadata: Metadata::new(),
    }
}

fn held() -> Event {
    Event::Held {
        payment: numbered(1),
        terms: Arc::new(terms()),
        amount_msat: msat(1_000),
        fee_limit_msat: msat(10),
        rail: Rail::CreditPool,
        plan: vec![numbered(7)],
        older_failures: Vec::new(),
    }
}

fn posted() -> Event {
    Event::Posted {
        payment: numbered(1),
        fee_msat: msat(2),
        preimage: Some(Preimage([1; 32])),
        entry: Entry::transfer(Account::Wallet(numbered(4)), Account::Clearing, msat(1_002)),
    }
}

fn payment() -> Row {
    let request = Request { epoch: Epoch(3), until: at(5_000), unsent: false };
    Row::Outgoing(Arc::new(Outgoing {
        id: numbered(1),
        terms: Arc::new(terms()),
        environment: numbered(5),
        amount_msat: msat(1_000),
        fee_limit_msat: msat(10),
        rail: Rail::Internal { payee: numbered(8), payee_payment: numbered(9) },
        plan: Vec::new(),
        older_failures: Vec::new(),
        attempts: vec![Attempt {
            node: numbered(7),
            started_at: at(1),
            requests: vec![request],
            older_failures: Vec::new(),
            end: Some(AttemptEnd::Paid { at: at(2) }),
        }],
        state: OutgoingState::InFlight,
        created_at: at(1),
        updated_at: at(2),
        contradicted: false,
        resolved: None,
        cancelled: false,
    }))
}

fn words() -> Metadata {
    Metadata::from([("order".to_owned(), "7".to_owned())])
}

/// The caller's words and what a wallet and a line have lived through.
fn later_forms() -> Vec<Vec<u8>> {
    let Event::Held { payment, amount_msat, fee_limit_msat, rail, .. } = held() else {
        unreachable!("it is held");
    };
    let terms = SendTerms { description: Some("mine".to_owned()), metadata: words(), ..terms() };
    let terms = Arc::new(terms);
    let failure = PaymentFailure::LineDisabled;
    let refused = Event::SendRefused { payment, terms, amount_msat, fee_limit_msat, rail, failure };
    let requested = Event::InvoiceRequested {
        payment: numbered(2),
        terms: ReceiveTerms {
            wallet: numbered(4),
            amount_msat: None,
            description: "tea".to_owned(),
            expiry_seconds: 60,
            metadata: words(),
        },
        hash: PaymentHash([0xab; 32]),
        node: numbered(7),
        expires_at: at(9_000),
    };
    let created = Event::WalletCreated {
        wallet: numbered(4),
        environment: numbered(5),
        name: "till".to_owned(),
        backing: Backing::Line(numbered(6)),
        limit_msat: msat(5),
        metadata: words(),
    };
    let events = [
        refused,
        requested,
        created,
        Event::WalletRenamed { wallet: numbered(4), name: "shop".to_owned() },
        Event::WalletDeleted { wallet: numbered(4) },
        Event::LineDisabled { line: numbered(6) },
        Event::LineEnabled { line: numbered(6) },
        Event::EnvironmentRenamed { environment: numbered(5), name: "stage".to_owned() },
    ];
    let wallet = Wallet {
        metadata: words(),
        first_name: Some("till".to_owned()),
        first_limit_msat: Some(msat(5)),
        created_at: at(1),
        updated_at: at(2),
        deleted_at: Some(at(2)),
        ..old_wallet()
    };
    let line = Line {
        first_limit_msat: Some(msat(5)),
        created_at: at(1),
        disabled_at: Some(at(2)),
        ..old_line()
    };
    let environment = Environment { name: "stage".to_owned(), first_name: Some("test".to_owned()) };
    let rows = [
        Row::Wallet(numbered(4), wallet),
        Row::Line(numbered(6), line),
        Row::Environment(numbered(5), environment),
    ];
    let forms = events.iter().map(event_to_bytes).chain(rows.iter().map(row_to_bytes));
    forms.chain(forms_by_hand()).collect()
}

/// What a person has said of a payment.
fn forms_by_hand() -> Vec<Vec<u8>> {
    let preimage = Preimage([1; 32]);
    let resolution = Resolution::Paid { node: Some(numbered(7)), preimage, fee_msat: msat(2) };
    let evidence = "a letter".to_owned();
    let Row::Outgoing(payment) = payment() else { unreachable!("it is one") };
    let told = Resolved { resolution: Resolution::Failed, evidence: evidence.clone(), at: at(3) };
    let payment = Outgoing { resolved: Some(Box::new(told)), ..Outgoing::clone(&payment) };
    let moved = Entry::transfer(Account::Wallet(numbered(4)), Account::Clearing, msat(1));
    let correction = Some(moved);
    let resolved = Event::Resolved { payment: numbered(1), resolution, evidence, correction };
    let failed = Event::AttemptFailed {
        payment: numbered(1),
        node: numbered(7),
        hash: PaymentHash([0xab; 32]),
        reason: FailureReason::FoundUnpaid,
        failure: None,
    };
    let events = [resolved, failed].map(|event| event_to_bytes(&event));
    events.into_iter().chain([row_to_bytes(&Row::Outgoing(Arc::new(payment)))]).collect()
}

/// As it is read from a row that was written before wallets had times and words.
fn old_wallet() -> Wallet {
    Wallet {
        environment: numbered(5),
        name: "shop".to_owned(),
        backing: Backing::Line(numbered(6)),
        funds: Funds { limit_msat: msat(7), net_msat: SignedMsat::new(-2), held_msat: msat(1) },
        metadata: Metadata::new(),
        first_name: None,
        first_limit_msat: None,
        created_at: at(0),
        updated_at: at(0),
        deleted_at: None,
    }
}

fn old_line() -> Line {
    Line {
        environment: numbered(5),
        funds: Funds { limit_msat: msat(7), net_msat: SignedMsat::new(-2), held_msat: msat(1) },
        allocated_msat: msat(7),
        first_limit_msat: None,
        created_at: at(0),
        disabled_at: None,
    }
}

#[test]
fn rows_from_before_environments_were_renamed_are_read_and_written_as_they_were() {
    let json = br#"{"v":1,"is":{"environment":["00000000-0000-0000-0000-000000000005",{
        "name":"live"}]}}"#;
    let live = Environment { name: "live".to_owned(), first_name: None };
    let row = Row::Environment(numbered(5), live);
    assert_eq!(row_from_bytes(json), Ok(row.clone()));
    let id = [&[0xc4, 16], [0; 15].as_slice(), &[5]].concat();
    let stored = [b"\x02\x81\xabenvironment\x92".as_slice(), &id, b"\x81\xa4name\xa4live"].concat();
    assert_eq!(row_from_bytes(&stored), Ok(row.clone()));
    assert_eq!(row_to_bytes(&row), stored);
}

#[test]
fn rows_from_before_wallets_had_times_and_words_are_read() {
    let wallet = br#"{"v":1,"is":{"wallet":["00000000-0000-0000-0000-000000000004",{
        "environment":"00000000-0000-0000-0000-000000000005","name":"shop",
        "backing":{"line":"00000000-0000-0000-0000-000000000006"},
        "funds":{"limit_msat":7,"net_msat":-2,"held_msat":1}}]}}"#;
    assert_eq!(row_from_bytes(wallet), Ok(Row::Wallet(numbered(4), old_wallet())));
    let line = br#"{"v":1,"is":{"line":["00000000-0000-0000-0000-000000000006",{
        "environment":"00000000-0000-0000-0000-000000000005","allocated_msat":7,
        "funds":{"limit_msat":7,"net_msat":-2,"held_msat":1}}]}}"#;
    assert_eq!(row_from_bytes(line), Ok(Row::Line(numbered(6), old_line())));
}

/// What was stored once must be readable for ever: a change of these bytes needs a reader of the
/// old ones.
#[test]
fn the_stored_form_does_not_move() {
    let expired = Event::InvoiceExpired { payment: numbered(1) };
    let events = [held(), posted(), expired].map(|event| event_to_bytes(&event));
    let forms = events.into_iter().chain([row_to_bytes(&payment())]).chain(later_forms());
    let shown: String = forms.map(|form| form.escape_ascii().to_string() + "\n").collect();
    expect_file!["./stored.v2.txt"].assert_eq(&shown);
}

#[test]
fn the_first_version_is_still_read() {
    let stored: Vec<&[u8]> =
        include_bytes!("stored.v1.jsonl").split(|&byte| byte == b'\n').collect();
    assert_eq!(event_from_bytes(stored[0]), Ok(held()));
    assert_eq!(event_from_bytes(stored[1]), Ok(posted()));
    assert_eq!(event_from_bytes(stored[2]), Ok(Event::InvoiceExpired { payment: numbered(1) }));
    assert_eq!(row_from_bytes(stored[3]), Ok(payment()));
}

#[test]
fn what_cannot_be_read_is_corrupt_and_not_shown() {
    let error = |bytes: &[u8]| event_from_bytes(bytes).unwrap_err().to_string();
    let mut later = event_to_bytes(&posted());
    later[0] = 3;
    assert!(error(&later).contains("version 3"));
    let later =
        br#"{"v":2,"is":{"invoice_expired":{"payment":"00000000-0000-0000-0000-000000000001"}}}"#;
    assert!(error(later).contains("version 2"));
    assert!(!error(br#"{"v":1,"is":{"secret":1}}"#).contains("secret"));
    assert!(!error(b"\x02\x81\xa6secret\x01").contains("secret"));
    assert!(!error(b"").is_empty());
    let mut longer = event_to_bytes(&posted());
    longer.push(0);
    assert!(matches!(event_from_bytes(&longer), Err(StoreError::Corrupt(_))));

    let unbalanced = br#"{"v":1,"is":{"claim_credited":{
        "payment":"00000000-0000-0000-0000-000000000001",
        "entry":{"currency":"btc","postings":[
            {"account":"clearing","side":"debit","amount_msat":1}]}}}}"#;
    assert!(matches!(event_from_bytes(unbalanced), Err(StoreError::Corrupt(_))));
}
