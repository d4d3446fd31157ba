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

/// The version comes first.
const FRONT: &str = r#"{"v":1,"is":{""#;

proptest! {
    #[test]
    fn events_come_back_as_they_were(event in testing::event()) {
        let text = event_to_text(&event);
        prop_assert!(text.starts_with(FRONT));
        prop_assert_eq!(event_from_text(&text).unwrap(), event);
    }

    #[test]
    fn rows_come_back_as_they_were(row in testing::row()) {
        let text = row_to_text(&row);
        prop_assert!(text.starts_with(FRONT));
        prop_assert_eq!(row_from_text(&text).unwrap(), row);
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

/// What was stored once must be readable for ever: a change of these texts needs a reader of the
/// old ones.
#[test]
fn the_stored_form_does_not_move() {
    let held = Event::Held {
        payment: numbered(1),
        terms: terms(),
        amount_msat: msat(1_000),
        fee_limit_msat: msat(10),
        rail: Rail::CreditPool,
        plan: vec![numbered(7)],
        older_failures: Vec::new(),
    };
    let posted = Event::Posted {
        payment: numbered(1),
        fee_msat: msat(2),
        preimage: Some(Preimage([1; 32])),
        entry: Entry::transfer(Account::Wallet(numbered(4)), Account::Clearing, msat(1_002)),
    };
    let request = Request { epoch: Epoch(3), until: at(5_000), unsent: false };
    let payment = Outgoing {
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
    };
    let texts = [
        event_to_text(&held),
        event_to_text(&posted),
        event_to_text(&Event::InvoiceExpired { payment: numbered(1) }),
        row_to_text(&Row::Outgoing(Arc::new(payment.clone()))),
    ];
    expect_file!["./stored.jsonl"].assert_eq(&(texts.join("\n") + "\n"));
    assert_eq!(row_from_text(&texts[3]), Ok(Row::Outgoing(Arc::new(payment))));
}

#[test]
fn what_cannot_be_read_is_corrupt_and_not_shown() {
    let error = |text: &str| event_from_text(text).unwrap_err().to_string();
    let later = r#"{"v":2,"is":{"invoice_expired":{"payment":"x"}}}"#;
    assert!(error(later).contains("version 2"));
    let later =
        r#"{"v":2,"is":{"invoice_expired":{"payment":"00000000-0000-0000-0000-000000000001"}}}"#;
    assert!(error(later).contains("version 2"));
    assert!(!error(r#"{"v":1,"is":{"secret":1}}"#).contains("secret"));
    assert!(!error("").is_empty());

    let unbalanced = r#"{"v":1,"is":{"claim_credited":{
        "payment":"00000000-0000-0000-0000-000000000001",
        "entry":{"currency":"btc","postings":[
            {"account":"clearing","side":"debit","amount_msat":1}]}}}}"#;
    assert!(matches!(event_from_text(unbalanced), Err(StoreError::Corrupt(_))));
}
