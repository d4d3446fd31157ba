use std::sync::Arc;

use domain::{
    InvoiceTerms, Msat, Network, PaymentHash, Preimage, PublicKey, Timestamp,
    ledger::{Account, Entry},
    org::{Outgoing, OutgoingState, Rail, SendTerms},
    payment::{Attempt, AttemptEnd, Epoch, Request},
};
use expect_test::expect_file;
use proptest::prelude::*;

use super::*;
use crate::testing::{self, numbered};

proptest! {
    #[test]
    fn events_come_back_as_they_were(event in testing::event()) {
        let bytes = event_to_bytes(&event);
        prop_assert_eq!(bytes[0], VERSION);
        prop_assert_eq!(event_from_bytes(&bytes).unwrap(), event);
    }

    #[test]
    fn rows_come_back_as_they_were(row in testing::row()) {
        let bytes = row_to_bytes(&row);
        prop_assert_eq!(bytes[0], VERSION);
        prop_assert_eq!(row_from_bytes(&bytes).unwrap(), row);
    }

    #[test]
    fn no_bytes_are_too_strange(mut bytes: Vec<u8>, row in testing::row(), cut: usize) {
        let _: Result<Row, StoreError> = row_from_bytes(&bytes);
        bytes.insert(0, VERSION);
        let _: Result<Event, StoreError> = event_from_bytes(&bytes);
        let stored = row_to_bytes(&row);
        prop_assert!(row_from_bytes(&stored[..cut % stored.len()]).is_err());
    }
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
    }
}

fn held() -> Event {
    Event::Held {
        payment: numbered(1),
        terms: terms(),
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
        terms: terms(),
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
    }))
}

/// What was stored once must be readable for ever: a change of these bytes needs a reader of the
/// old ones.
#[test]
fn the_stored_form_does_not_move() {
    let expired = Event::InvoiceExpired { payment: numbered(1) };
    let events = [held(), posted(), expired].map(|event| event_to_bytes(&event));
    let forms = events.into_iter().chain([row_to_bytes(&payment())]);
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
