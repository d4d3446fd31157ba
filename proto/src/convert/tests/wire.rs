//! What arrives, whatever it is.

use std::time::Duration;

use domain::{LineId, Msat, Network, SignedMsat, ledger::Funds, org::ReceiveTerms};
use proptest::prelude::*;
use prost::Message;

use super::{
    super::{events, keys, lines, lists, nodes, organisations, payments, wallets},
    SUPPLY, org, uuid,
};
use crate::{admin::v1 as admin, v1};

fn any_id<Kind>() -> impl Strategy<Value = domain::id::Id<Kind>> {
    any::<u128>().prop_map(|number| domain::id::Id::new(uuid(number)))
}

prop_compose! {
    fn any_send()(
        payment in any_id(),
        wallet in any_id(),
        invoice in ".*",
        amount_msat in any::<Option<u64>>(),
        fee_limit_msat in any::<Option<u64>>(),
        description in prop::option::of("[^\0]+"),
        metadata in prop::collection::btree_map(".*", ".*", 0..4),
        wait in 0..=60_u64,
    ) -> payments::Send {
        payments::Send {
            payment,
            wallet,
            invoice,
            amount_msat,
            fee_limit_msat,
            description,
            metadata,
            wait: Duration::from_secs(wait),
        }
    }
}

prop_compose! {
    fn any_receive()(
        payment in any_id(),
        wallet in any_id(),
        amount_msat in any::<Option<u64>>(),
        description in "[^\0]*",
        expiry_seconds in any::<u32>(),
        metadata in prop::collection::btree_map(".*", ".*", 0..4),
        wait in 0..=60_u64,
    ) -> payments::Receive {
        let terms = ReceiveTerms { wallet, amount_msat, description, expiry_seconds, metadata };
        payments::Receive { payment, terms, wait: Duration::from_secs(wait) }
    }
}

/// Decodes and converts; what comes out does not matter, that it comes out does.
fn feed<Wire: Message + Default, Parsed: TryFrom<Wire>>(bytes: &[u8]) {
    let _ = Wire::decode(bytes).map(Parsed::try_from);
}

fn feed_all(bytes: &[u8]) {
    feed::<v1::SendRequest, payments::Send>(bytes);
    feed::<v1::ReceiveRequest, payments::Receive>(bytes);
    feed::<v1::ListPaymentsRequest, lists::List>(bytes);
    feed::<v1::SummaryRequest, lists::Filter>(bytes);
    feed::<v1::ListEventsRequest, events::List>(bytes);
    feed::<v1::CreateWalletRequest, wallets::Create>(bytes);
    feed::<v1::ListWalletsRequest, wallets::List>(bytes);
    feed::<v1::LedgerRequest, wallets::Ledger>(bytes);
    feed::<admin::CreateOrganisationRequest, organisations::Create>(bytes);
    feed::<admin::CreateEnvironmentRequest, organisations::Order>(bytes);
    feed::<admin::RenameEnvironmentRequest, organisations::Order>(bytes);
    feed::<admin::OpenLineRequest, organisations::Order>(bytes);
    feed::<admin::SetLineLimitRequest, organisations::Order>(bytes);
    feed::<admin::SetNodeFundsRequest, organisations::Order>(bytes);
    feed::<admin::CreateWalletRequest, organisations::Order>(bytes);
    feed::<admin::SetWalletLimitRequest, organisations::Order>(bytes);
    feed::<admin::ResolvePaymentRequest, organisations::Order>(bytes);
    feed::<admin::CreateKeyRequest, keys::Create>(bytes);
    feed::<admin::RegisterNodeRequest, nodes::Register>(bytes);
    feed::<admin::StopNodeRequest, nodes::Stop>(bytes);
}

/// Fields that are well formed on the wire, with whatever in them: these get past decoding.
fn any_fields() -> impl Strategy<Value = Vec<u8>> {
    let text = prop_oneof![
        any::<u128>().prop_map(|number| uuid(number).to_string()),
        ".{0,80}",
        Just("9223372036854775807.00000000-0000-0000-0000-000000000000".to_owned()),
    ];
    let field = (1..=10_u8, any::<bool>(), text, prop_oneof![any::<u64>(), Just(1 << 63)]);
    prop::collection::vec(field, 0..12).prop_map(|fields| {
        let mut bytes = Vec::new();
        for (tag, is_text, text, number) in fields {
            if is_text {
                bytes.push(tag << 3 | 2);
                prost::encoding::encode_varint(u64::try_from(text.len()).unwrap(), &mut bytes);
                bytes.extend(text.as_bytes());
            } else {
                bytes.push(tag << 3);
                prost::encoding::encode_varint(number, &mut bytes);
            }
        }
        bytes
    })
}

proptest! {
    #[test]
    fn sends_survive_the_wire(send in any_send()) {
        let bytes = v1::SendRequest::from(send.clone()).encode_to_vec();
        let back = payments::Send::try_from(v1::SendRequest::decode(&bytes[..]).unwrap());
        prop_assert_eq!(back, Ok(send));
    }

    #[test]
    fn receives_survive_the_wire(receive in any_receive()) {
        let bytes = v1::ReceiveRequest::from(receive.clone()).encode_to_vec();
        let back = payments::Receive::try_from(v1::ReceiveRequest::decode(&bytes[..]).unwrap());
        prop_assert_eq!(back, Ok(receive));
    }

    /// The question is what a cursor is bound to: pages of one list have the same.
    #[test]
    fn a_question_is_the_same_on_every_page(
        limits in prop::array::uniform2(0..=1_000_u32),
        cursor in ".{0,40}",
        metadata in prop::collection::btree_map(".{0,8}", "[a-z]{0,8}", 0..5),
    ) {
        let [one, other] = limits;
        let filter = v1::PaymentFilter { metadata, ..Default::default() };
        let first = v1::ListPaymentsRequest {
            limit: one,
            filter: Some(filter),
            ..Default::default()
        };
        let next = v1::ListPaymentsRequest { limit: other, cursor, ..first.clone() };
        let sorted = v1::ListPaymentsRequest { ascending: true, ..first.clone() };
        let question = |request| lists::List::try_from(request).map(|list| list.question);
        if let Ok(asked) = question(first) {
            prop_assert_eq!(question(next), Ok(asked.clone()));
            prop_assert_ne!(question(sorted), Ok(asked));
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        feed_all(&bytes);
    }

    #[test]
    fn any_fields_are_read_or_refused(bytes in any_fields()) {
        feed_all(&bytes);
    }

    /// Whatever the numbers are, wallets and lines are told without a panic.
    #[test]
    fn any_funds_are_told(
        limits in prop::array::uniform2(0..=SUPPLY),
        nets in prop::array::uniform2(any::<i32>()),
        helds in prop::array::uniform2(0..=SUPPLY),
    ) {
        let funds = |at: usize| Funds {
            limit_msat: Msat::new(limits[at]).unwrap(),
            net_msat: SignedMsat::new(i64::from(nets[at]) * 1_000_000_000),
            held_msat: Msat::new(helds[at]).unwrap(),
        };
        let org = org(funds(0), funds(1));
        prop_assert!(organisations::standing(&org).is_ok());
        lines::line(Network::Regtest, LineId::new(uuid(1)), &org.lines[&LineId::new(uuid(1))]);
    }
}
