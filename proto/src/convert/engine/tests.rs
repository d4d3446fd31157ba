//! Everything that travels between pods arrives as it left.

use std::{sync::Arc, time::Duration};

use domain::{
    InvoiceTerms, Msat, Network, PaymentHash, Preimage, PublicKey, Rejection, Timestamp,
    id::Id,
    org::{
        Backing, ClaimAnswer, ClaimRequest, Command, Metadata, ReceiveTerms, Resolution, SendFacts,
        SendTerms,
    },
};
use proptest::prelude::*;
use prost::Message;
use uuid::Uuid;

use super::{AnswerClaim, Claim, Receipt, Receive, Send, Wait, administer};
use crate::{
    convert::organisations::{self, Order},
    engine::v1,
};

fn id<Kind>(number: u128) -> Id<Kind> {
    Id::new(Uuid::from_u128(number))
}

fn msat(amount: u64) -> Msat {
    Msat::new(amount).unwrap()
}

fn any_id<Kind>() -> impl Strategy<Value = Id<Kind>> {
    any::<u128>().prop_map(id)
}

fn any_msat() -> impl Strategy<Value = Msat> {
    (0..=Msat::SUPPLY.get()).prop_map(msat)
}

fn any_network() -> impl Strategy<Value = Network> {
    prop::sample::select(vec![
        Network::Mainnet,
        Network::Testnet,
        Network::Signet,
        Network::Mutinynet,
        Network::Regtest,
    ])
}

fn any_metadata() -> impl Strategy<Value = Metadata> {
    prop::collection::btree_map(".*", ".*", 0..4)
}

fn any_within() -> impl Strategy<Value = Duration> {
    any::<u64>().prop_map(Duration::from_millis)
}

prop_compose! {
    fn any_invoice()(
        text in ".*",
        network in any_network(),
        hash in any::<[u8; 32]>(),
        amount_msat in prop::option::of(any_msat()),
        payee in any::<[u8; 32]>(),
        description in ".*",
        expires_at in any::<i64>(),
    ) -> InvoiceTerms {
        let mut key = [2; 33];
        key[1..].copy_from_slice(&payee);
        InvoiceTerms {
            text,
            network,
            hash: PaymentHash(hash),
            amount_msat,
            payee: PublicKey(key),
            description,
            expires_at: Timestamp::from_millis(expires_at),
        }
    }
}

prop_compose! {
    fn any_send()(
        org in any_id(),
        payment in any_id(),
        wallet in any_id(),
        invoice in any_invoice(),
        amount_msat in any::<Option<u64>>(),
        fee_limit_msat in any::<Option<u64>>(),
        description in prop::option::of(".*"),
        metadata in any_metadata(),
        within in any_within(),
        begin_within in prop::option::of(any_within()),
    ) -> Send {
        let terms =
            SendTerms { wallet, invoice, amount_msat, fee_limit_msat, description, metadata };
        Send { org, payment, terms, within, begin_within }
    }
}

prop_compose! {
    fn any_receive()(
        org in any_id(),
        payment in any_id(),
        wallet in any_id(),
        amount_msat in any::<Option<u64>>(),
        description in ".*",
        expiry_seconds in any::<u32>(),
        metadata in any_metadata(),
        within in any_within(),
        begin_within in prop::option::of(any_within()),
    ) -> Receive {
        let terms = ReceiveTerms { wallet, amount_msat, description, expiry_seconds, metadata };
        Receive { org, payment, terms, within, begin_within }
    }
}

fn any_claim() -> impl Strategy<Value = Claim> {
    let ids = (any_id(), any_id(), any_id(), any_id());
    (ids, any::<[u8; 32]>(), any_msat(), ".*").prop_map(|(ids, hash, amount_msat, text)| {
        let (payee, payer, payer_payment, payment) = ids;
        let hash = PaymentHash(hash);
        let request = ClaimRequest { payer, payer_payment, payment, hash, amount_msat };
        Claim { payee, request, text }
    })
}

fn any_backing() -> impl Strategy<Value = Backing> {
    prop_oneof![any_id().prop_map(Backing::Line), any_id().prop_map(Backing::Node)]
}

fn any_resolution() -> impl Strategy<Value = Resolution> {
    let paid = (prop::option::of(any_id()), any::<[u8; 32]>(), any_msat());
    let paid = paid.prop_map(|(node, preimage, fee_msat)| {
        let preimage = Preimage(preimage);
        Resolution::Paid { node, preimage, fee_msat }
    });
    prop_oneof![Just(Resolution::Failed), paid]
}

/// Every command that an operator may give.
fn any_command() -> impl Strategy<Value = Command> {
    prop_oneof![
        (any_id(), ".*")
            .prop_map(|(environment, name)| Command::CreateEnvironment { environment, name }),
        (any_id(), ".*")
            .prop_map(|(environment, name)| Command::RenameEnvironment { environment, name }),
        (any_id(), any_id(), any_msat()).prop_map(|(line, environment, limit_msat)| {
            Command::OpenLine { line, environment, limit_msat }
        }),
        (any_id(), any_msat())
            .prop_map(|(line, limit_msat)| Command::SetLineLimit { line, limit_msat }),
        any_id().prop_map(|line| Command::DisableLine { line }),
        any_id().prop_map(|line| Command::EnableLine { line }),
        (any_id(), any_msat())
            .prop_map(|(node, funds_msat)| Command::SetNodeFunds { node, funds_msat }),
        (any_id(), any_id(), ".*", any_backing(), any_msat(), any_metadata()).prop_map(
            |(wallet, environment, name, backing, limit_msat, metadata)| Command::CreateWallet {
                wallet,
                environment,
                name,
                backing,
                limit_msat,
                metadata
            }
        ),
        (any_id(), any_msat())
            .prop_map(|(wallet, limit_msat)| Command::SetWalletLimit { wallet, limit_msat }),
        (any_id(), ".*").prop_map(|(wallet, name)| Command::RenameWallet { wallet, name }),
        any_id().prop_map(|wallet| Command::DeleteWallet { wallet }),
        (any_id(), any_resolution(), ".*").prop_map(|(payment, resolution, evidence)| {
            let facts = Box::new(organisations::nobody_asked());
            Command::Resolve { payment, resolution, evidence, facts }
        }),
    ]
}

/// Through bytes and back.
fn travelled<Wire: Message + Default>(wire: Wire) -> Wire {
    Wire::decode(&wire.encode_to_vec()[..]).unwrap()
}

proptest! {
    #[test]
    fn sends_survive(send in any_send()) {
        let wire = travelled(v1::SendRequest::from(send.clone()));
        prop_assert_eq!(Send::try_from(wire), Ok(send));
    }

    #[test]
    fn receives_survive(receive in any_receive()) {
        let wire = travelled(v1::ReceiveRequest::from(receive.clone()));
        prop_assert_eq!(Receive::try_from(wire), Ok(receive));
    }

    #[test]
    fn waits_survive(org in any_id(), payment in any_id(), within in any_within()) {
        let wait = Wait { org, payment, within };
        prop_assert_eq!(Wait::try_from(travelled(v1::WaitRequest::from(wait))), Ok(wait));
    }

    #[test]
    fn claims_survive(claim in any_claim()) {
        let wire = travelled(v1::ClaimRequest::from(claim.clone()));
        prop_assert_eq!(Claim::try_from(wire), Ok(claim));
    }

    #[test]
    fn receipts_survive(
        ids in (any_id(), any_id(), any_id()),
        hash in any::<[u8; 32]>(),
        paid_msat in any_msat(),
    ) {
        let (org, payment, node) = ids;
        let receipt = Receipt { org, payment, node, hash: PaymentHash(hash), paid_msat };
        let wire = travelled(v1::BookReceiptRequest::from(receipt));
        prop_assert_eq!(Receipt::try_from(wire), Ok(receipt));
    }

    #[test]
    fn commands_of_the_operator_survive(org in any_id(), command in any_command()) {
        let order = Order { org, command };
        let wire = travelled(administer(order.clone()).unwrap());
        prop_assert_eq!(Order::try_from(wire), Ok(order));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = v1::SendRequest::decode(&bytes[..]).map(Send::try_from);
        let _ = v1::ReceiveRequest::decode(&bytes[..]).map(Receive::try_from);
        let _ = v1::WaitRequest::decode(&bytes[..]).map(Wait::try_from);
        let _ = v1::AdministerRequest::decode(&bytes[..]).map(Order::try_from);
        let _ = v1::ClaimRequest::decode(&bytes[..]).map(Claim::try_from);
        let _ = v1::AnswerClaimRequest::decode(&bytes[..]).map(AnswerClaim::try_from);
        let _ = v1::BookReceiptRequest::decode(&bytes[..]).map(Receipt::try_from);
        let _ = v1::Rejection::decode(&bytes[..]).map(Rejection::try_from);
    }
}

#[test]
fn answers_to_claims_survive() {
    for answer in [ClaimAnswer::Credited, ClaimAnswer::Refused] {
        let answer = AnswerClaim { payer: id(1), payment: id(2), answer };
        let wire = travelled(v1::AnswerClaimRequest::from(answer));
        assert_eq!(AnswerClaim::try_from(wire), Ok(answer));
    }
}

/// The one after it in the order of the enum; an exhaustive match, so that a new one is not forgotten.
fn next(rejection: &Rejection) -> Option<Rejection> {
    Some(match rejection {
        Rejection::WalletNotFound(_) => Rejection::LineNotFound(id(2)),
        Rejection::LineNotFound(_) => Rejection::EnvironmentNotFound(id(3)),
        Rejection::EnvironmentNotFound(_) => Rejection::NodeNotFound(id(4)),
        Rejection::NodeNotFound(_) => Rejection::PaymentNotFound(id(5)),
        Rejection::PaymentNotFound(_) => Rejection::IdReused,
        Rejection::IdReused => Rejection::NameTaken,
        Rejection::NameTaken => Rejection::WrongNetwork { expected: "mainnet", found: "mutinynet" },
        Rejection::WrongNetwork { .. } => Rejection::InvoiceExpired,
        Rejection::InvoiceExpired => Rejection::AmountMissing,
        Rejection::AmountMissing => Rejection::AmountGiven(Msat::SUPPLY),
        Rejection::AmountGiven(_) => Rejection::AmountOutOfRange,
        Rejection::AmountOutOfRange => Rejection::FeeLimitOutOfRange,
        Rejection::FeeLimitOutOfRange => Rejection::InvoiceUnknownToLedger(id(6)),
        Rejection::InvoiceUnknownToLedger(_) => Rejection::ExpiryOutOfRange,
        Rejection::ExpiryOutOfRange => Rejection::TextTooLong(usize::MAX),
        Rejection::TextTooLong(_) => Rejection::MetadataOutOfRange,
        Rejection::MetadataOutOfRange => Rejection::WalletNotEmpty(id(7)),
        Rejection::WalletNotEmpty(_) => Rejection::LineDisabled(id(8)),
        Rejection::LineDisabled(_) => Rejection::CannotAllocate(msat(9)),
        Rejection::CannotAllocate(_) => Rejection::TooManyOpen(10),
        Rejection::TooManyOpen(_) => Rejection::EvidenceMissing,
        Rejection::EvidenceMissing => Rejection::NotStopped(id(11)),
        Rejection::NotStopped(_) => Rejection::AlreadyResolved(id(12)),
        Rejection::AlreadyResolved(_) => Rejection::WrongPreimage,
        Rejection::WrongPreimage => Rejection::ProvenPaid(id(13)),
        Rejection::ProvenPaid(_) => Rejection::PayingNodeMissing(id(14)),
        Rejection::PayingNodeMissing(_) => Rejection::NotThePayer(id(15)),
        Rejection::NotThePayer(_) => Rejection::NodeShowsPaid(id(16)),
        Rejection::NodeShowsPaid(_) => Rejection::NodeShowsInFlight(id(17)),
        Rejection::NodeShowsInFlight(_) => Rejection::StillPermitted { node: id(18), left_ms: -1 },
        Rejection::StillPermitted { .. } => Rejection::PermittedByItsClock(id(19)),
        Rejection::PermittedByItsClock(_) => return None,
    })
}

#[test]
fn every_rejection_survives_with_its_values() {
    let mut rejection = Some(Rejection::WalletNotFound(id(1)));
    let mut told = 0;
    while let Some(this) = rejection {
        let wire = travelled(v1::Rejection::from(&this));
        assert_eq!(Rejection::try_from(wire), Ok(this.clone()));
        rejection = next(&this);
        told += 1;
    }
    assert_eq!(told, 32);
}

/// What only the owner knows, such as the lease, must not come from another pod.
#[test]
fn commands_of_an_organisation_s_own_pod_do_not_travel() {
    let facts = SendFacts {
        hash_taken: false,
        payee: domain::org::Payee::Outside,
        plan: Vec::new(),
        older_failures: Vec::new(),
        permitted_until: Timestamp::from_millis(1),
        network: Network::Regtest,
        default_fee_ppm: 0,
        default_fee_min_msat: Msat::ZERO,
    };
    let invoice = InvoiceTerms {
        text: String::new(),
        network: Network::Regtest,
        hash: PaymentHash([0; 32]),
        amount_msat: None,
        payee: PublicKey([2; 33]),
        description: String::new(),
        expires_at: Timestamp::from_millis(1),
    };
    let terms = SendTerms {
        wallet: id(1),
        invoice,
        amount_msat: None,
        fee_limit_msat: None,
        description: None,
        metadata: Metadata::new(),
    };
    for command in [
        Command::Send { payment: id(2), terms: Arc::new(terms), facts: Box::new(facts) },
        Command::Drive { payment: id(2) },
        Command::Cancel { payment: id(2) },
        Command::Receipt { payment: id(2), paid_msat: msat(1) },
        Command::ClaimAnswered { payment: id(2), answer: ClaimAnswer::Credited },
    ] {
        assert_eq!(administer(Order { org: id(3), command }), None);
    }
}

#[test]
fn neither_a_macaroon_nor_a_preimage_is_shown() {
    let request = v1::RegisterNodeRequest { macaroon: vec![77; 3], ..Default::default() };
    assert!(!format!("{request:?}").contains("77"));
    let paid = v1::FoundPaid { preimage: vec![77; 32], ..Default::default() };
    let found = v1::ResolvePayment { paid: Some(paid), ..Default::default() };
    assert!(!format!("{found:?}").contains("77"));
}
