use std::{str::FromStr, time::Duration};

use bitcoin::{
    bech32::{Fe32, Fe32IterExt, Hrp},
    hashes::sha256,
    secp256k1::{Secp256k1, SecretKey},
};
use lightning_invoice::{
    Bolt11Bech32, Bolt11InvoiceDescription, Description, InvoiceBuilder, PaymentSecret,
    RawBolt11Invoice, RawTaggedField, Sha256, SiPrefix, TaggedField,
};
use proptest::prelude::*;

use super::*;

/// From the examples of the specification.
const TEA: &str = "lnbc2500u1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygspp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdq5xysxxatsyp3k7enxv4jsxqzpu9qrsgquk0rl77nj30yxdy8j9vdx85fkpmdla2087ne0xh8nhedh8w27kyke0lp53ut353s06fv3qfegext0eh0ymjpf39tuven09sam30g4vgpfna3rh";
const CREATED: u64 = 1_496_314_658;
const HASH: [u8; 32] = [3; 32];

fn raw(currency: Currency) -> RawBolt11Invoice {
    InvoiceBuilder::new(currency)
        .description("coffee".to_owned())
        .payment_hash(sha256::Hash::from_byte_array(HASH))
        .duration_since_epoch(Duration::from_secs(CREATED))
        .min_final_cltv_expiry_delta(80)
        .payment_secret(PaymentSecret([5; 32]))
        .basic_mpp()
        .build_raw()
        .unwrap()
}

fn sign(raw: RawBolt11Invoice) -> String {
    let key = SecretKey::from_slice(&[9; 32]).unwrap();
    let secp = Secp256k1::new();
    let signed = raw.sign(|message| Ok::<_, ()>(secp.sign_ecdsa_recoverable(message, &key)));
    signed.unwrap().to_string()
}

fn with_amount(number: u64, prefix: Option<SiPrefix>) -> String {
    let mut raw = raw(Currency::Regtest);
    (raw.hrp.raw_amount, raw.hrp.si_prefix) = (Some(number), prefix);
    sign(raw)
}

/// Bits of the invoice's features, set whatever they mean: groups of five, the last group lowest.
fn with_features(bits: &[usize]) -> String {
    const TAG: u8 = 5;
    const GROUPS: u8 = 13;
    let mut groups = [0; GROUPS as usize];
    for bit in bits {
        groups[groups.len() - 1 - bit / 5] |= 1 << (bit % 5);
    }
    let field = [TAG, 0, GROUPS].into_iter().chain(groups);
    let field = field.map(|value| Fe32::try_from(value).unwrap()).collect();
    let mut raw = raw(Currency::Regtest);
    raw.data
        .tagged_fields
        .retain(|field| !matches!(field, RawTaggedField::KnownSemantics(TaggedField::Features(_))));
    raw.data.tagged_fields.push(RawTaggedField::UnknownSemantics(field));
    sign(raw)
}

#[test]
fn an_invoice_of_the_specification() {
    let terms = parse(TEA).unwrap();
    assert_eq!(terms.text, TEA);
    assert_eq!(terms.network, Network::Mainnet);
    assert_eq!(terms.amount_msat, Msat::new(250_000_000));
    assert_eq!(terms.description, "1 cup coffee");
    assert_eq!(terms.expires_at, Timestamp::from_millis((1_496_314_658 + 60) * 1_000));
    let hash = "0001020304050607080900010203040506070809000102030405060708090102";
    assert_eq!(terms.hash.to_string(), hash);
    let payee = "03e7156ae33b0a208d0744199163177e909e80176e55d97a2f221ede0f934dd9ad";
    assert_eq!(terms.payee.to_string(), payee);
}

#[test]
fn however_it_is_written() {
    let terms = parse(TEA).unwrap();
    let upper = TEA.to_uppercase();
    for text in [
        upper.clone(),
        format!("  {TEA}\n"),
        format!("lightning:{TEA}"),
        format!("LIGHTNING:{upper}"),
        format!(" Lightning:{TEA} "),
    ] {
        assert_eq!(parse(&text).unwrap(), terms, "{text}");
    }
    let mixed = format!("{}{}", &upper[..100], &TEA[100..]);
    assert_eq!(parse(&mixed).unwrap_err().code(), "not_bolt11");
}

#[test]
fn every_network() {
    for (currency, network) in [
        (Currency::Bitcoin, Network::Mainnet),
        (Currency::BitcoinTestnet, Network::Testnet),
        (Currency::Signet, Network::Signet),
        (Currency::Regtest, Network::Regtest),
    ] {
        let terms = parse(&sign(raw(currency))).unwrap();
        assert_eq!((terms.network, terms.amount_msat), (network, None));
    }
    let simnet = parse(&sign(raw(Currency::Simnet))).unwrap_err();
    assert_eq!(simnet, Bolt11Error::UnknownNetwork("sb".to_owned()));
    let litecoin = parse(&under_checksum("lnltc", &[7; 300])).unwrap_err();
    assert_eq!(litecoin, Bolt11Error::UnknownNetwork("ltc".to_owned()));
}

fn under_checksum(hrp: &str, data: &[u8]) -> String {
    let data = data.iter().map(|&value| Fe32::try_from(value).unwrap());
    data.with_checksum::<Bolt11Bech32>(&Hrp::parse(hrp).unwrap()).chars().collect()
}

#[test]
fn amounts() {
    let amount = |text: &str| parse(text).map(|terms| terms.amount_msat);
    assert_eq!(amount(&with_amount(10, Some(SiPrefix::Pico))), Ok(Msat::new(1)));
    assert_eq!(amount(&with_amount(15, Some(SiPrefix::Pico))), Err(Bolt11Error::SubMsat));
    assert_eq!(amount(&with_amount(1, Some(SiPrefix::Nano))), Ok(Msat::new(100)));
    assert_eq!(amount(&with_amount(2, None)), Ok(Msat::new(200_000_000_000)));
    assert_eq!(amount(&with_amount(21_000_001, None)), Err(Bolt11Error::AboveSupply));
    // Not to be taken for an invoice without amount.
    for number in [u64::MAX, 1 << 62, 20_000_000_000] {
        for prefix in [None, Some(SiPrefix::Milli), Some(SiPrefix::Micro), Some(SiPrefix::Nano)] {
            let answer = amount(&with_amount(number, prefix));
            assert!(!matches!(answer, Ok(None)), "{number} {prefix:?}");
        }
    }
    assert_eq!(amount(&with_amount(u64::MAX, None)), Err(Bolt11Error::AboveSupply));
    assert_eq!(
        amount(&with_amount(u64::MAX, Some(SiPrefix::Milli))),
        Err(Bolt11Error::AboveSupply)
    );
}

#[test]
fn rule_14_amp_is_refused() {
    assert!(parse(&with_features(&[8, 14])).is_ok());
    assert!(parse(&with_features(&[8, 14, 17])).is_ok());
    for amp in [30, 31] {
        assert_eq!(parse(&with_features(&[8, 14, amp])), Err(Bolt11Error::Amp));
    }
    let unknown = parse(&with_features(&[8, 14, 60])).unwrap_err();
    assert_eq!(unknown.code(), "not_bolt11", "a feature that has to be known: {unknown}");
}

#[test]
fn descriptions() {
    let with = |description| {
        let raw = InvoiceBuilder::new(Currency::Regtest)
            .invoice_description(description)
            .payment_hash(sha256::Hash::from_byte_array(HASH))
            .duration_since_epoch(Duration::from_secs(CREATED))
            .min_final_cltv_expiry_delta(80)
            .payment_secret(PaymentSecret([5; 32]))
            .expiry_time(Duration::from_secs(u64::MAX / 2))
            .build_raw()
            .unwrap();
        parse(&sign(raw)).unwrap()
    };
    let direct = |text: &str| {
        with(Bolt11InvoiceDescription::Direct(Description::new(text.to_owned()).unwrap()))
    };
    assert_eq!(direct("café ☕").description, "café ☕");
    assert!(!direct("a\0b\u{1b}[2J").description.contains(['\0', '\u{1b}']));
    let hash = Bolt11InvoiceDescription::Hash(Sha256(sha256::Hash::from_byte_array([1; 32])));
    assert_eq!(with(hash).description, "");
    // As far as dates go.
    assert_eq!(direct("").expires_at, LATEST);
}

#[test]
fn what_is_no_invoice() {
    for (text, code) in [
        ("", "not_bolt11"),
        ("lightning:", "not_bolt11"),
        ("hello", "not_bolt11"),
        ("ln", "not_bolt11"),
        ("ln1", "not_bolt11"),
        ("lnbc", "not_bolt11"),
        ("lnbc1", "bad_checksum"),
        ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "not_bolt11"),
        (
            "lno1qgsyxjtl6luzd9t3pr62xr7eemp6awnejusgf6gw45q75vcfqqqqqqq2p32x2um5ypmx2cm5dae8x93pqthvwfzadd7jejes8q9lhc4rvjxd022zv5l44g6qah82ru5rdpnpj",
            "not_bolt11",
        ),
        (
            "LNURL1DP68GURN8GHJ7UM9WFMXJCM99E3K7MF0V9CXJ0M385EKVCENXC6R2C35XVUKXEFCV5MKVV34X5EKZD3EV56NYD3HXQURZEPEXEJXXEPNXSCRVWFNV9NXZCN9XQ6XYEFHVGCXXCMYXYMNSERXFQ5FNS",
            "not_bolt11",
        ),
        ("lnbc2500ü", "not_bolt11"),
    ] {
        assert_eq!(parse(text).unwrap_err().code(), code, "{text}");
    }
    let cut = &TEA[..TEA.len() - 1];
    assert_eq!(parse(cut), Err(Bolt11Error::BadChecksum));
    let changed = TEA.replace("pvjluez", "pvjluew");
    assert_eq!(parse(&changed), Err(Bolt11Error::BadChecksum));
    let long = format!("lnbc1{}", "q".repeat(LENGTH_MAX));
    assert_eq!(parse(&long), Err(Bolt11Error::TooLong));
    assert_eq!(parse(&long).unwrap_err().class(), ErrorClass::Invalid);
}

#[test]
fn a_wrong_signature() {
    // Signed by one key, while it names another as the payee.
    let mut raw = raw(Currency::Regtest);
    let secp = Secp256k1::new();
    let other = SecretKey::from_slice(&[8; 32]).unwrap().public_key(&secp);
    raw.data
        .tagged_fields
        .push(TaggedField::PayeePubKey(lightning_invoice::PayeePubKey(other)).into());
    assert_eq!(parse(&sign(raw)), Err(Bolt11Error::BadSignature));
}

/// The vendor's own judgement, which is slower: it recovers the payee twice.
#[track_caller]
fn agrees_with_the_library(text: &str) {
    let theirs = lightning_invoice::Bolt11Invoice::from_str(text);
    match (parse(text), theirs) {
        (Ok(ours), Ok(theirs)) => {
            assert_eq!(ours.payee.0, theirs.get_payee_pub_key().serialize());
            assert_eq!(ours.hash.0, theirs.payment_hash().to_byte_array());
            assert_eq!(ours.amount_msat.map(Msat::get), theirs.amount_milli_satoshis());
        }
        (Ok(ours), Err(error)) => panic!("{ours:?} {error}"),
        (Err(_), Ok(_) | Err(_)) => {}
    }
}

#[test]
fn fields_that_must_be_there_once() {
    let fields = raw(Currency::Regtest).data.tagged_fields;
    for (at, field) in fields.iter().enumerate() {
        let mut without = raw(Currency::Regtest);
        without.data.tagged_fields.remove(at);
        agrees_with_the_library(&sign(without));
        let mut twice = raw(Currency::Regtest);
        twice.data.tagged_fields.push(field.clone());
        agrees_with_the_library(&sign(twice));
    }
    let hash = fields.iter().position(|field| {
        matches!(field, RawTaggedField::KnownSemantics(TaggedField::PaymentHash(_)))
    });
    let mut without = raw(Currency::Regtest);
    without.data.tagged_fields.remove(hash.unwrap());
    assert_eq!(parse(&sign(without)).unwrap_err().code(), "not_bolt11");
    agrees_with_the_library(TEA);
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        let _ = parse(&text);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(&String::from_utf8_lossy(&bytes));
        let _ = parse(&format!("lnbc1{}", String::from_utf8_lossy(&bytes)));
    }

    /// A changed invoice may be one of another network or payee, but never one of another text.
    #[test]
    fn a_changed_invoice_is_read_or_refused(at in 0usize..400, to in "[ -~é]", cut in 0usize..400) {
        let mut text: Vec<char> = TEA.chars().collect();
        let at = at % text.len();
        text[at] = to.chars().next().unwrap_or('q');
        let whole: String = text.iter().collect();
        agrees_with_the_library(&whole.trim().to_lowercase());
        if let Ok(terms) = parse(&whole) {
            prop_assert_eq!(terms.text, whole.trim().to_lowercase());
        }
        text.truncate(cut);
        let _ = parse(&text.iter().collect::<String>());
    }

    /// Fields of any form under a right checksum: what gets past the first gate.
    #[test]
    fn any_data_under_a_right_checksum(
        data in prop::collection::vec(0u8..32, 0..400),
        hrp in "ln(bc|bcrt|tb|tbs|sb|x)[0-9]{0,22}[munp]{0,1}",
    ) {
        let _ = parse(&under_checksum(&hrp, &data));
    }

    #[test]
    fn amounts_read_back(msat in 1u64..=Msat::SUPPLY.get()) {
        // Beyond that a pico amount does not fit in what the encoder takes.
        let msat = msat.min(u64::MAX / 10);
        let text = with_amount(msat * 10, Some(SiPrefix::Pico));
        prop_assert_eq!(parse(&text).unwrap().amount_msat, Msat::new(msat));
    }
}

#[test]
fn the_builder_of_these_tests_makes_sound_invoices() {
    assert!(lightning_invoice::Bolt11Invoice::from_str(&sign(raw(Currency::Regtest))).is_ok());
}
