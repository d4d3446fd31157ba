//! Invoices that no node of the network would make.

use std::time::{Duration, SystemTime};

use bitcoin::{
    bech32::Fe32,
    hashes::{Hash as _, sha256},
    secp256k1::{Secp256k1, SecretKey},
};
use lightning_invoice::{
    Currency, InvoiceBuilder, PaymentSecret, RawBolt11Invoice, RawTaggedField, TaggedField,
};

/// An invoice of nobody's, for any amount, on the network of the tests; made a moment ago.
pub(crate) fn unsigned() -> RawBolt11Invoice {
    of(Currency::Regtest, Duration::from_secs(60), Duration::from_secs(3_600))
}

/// One of another network.
pub(crate) fn of_network(currency: Currency) -> String {
    sign(of(currency, Duration::from_secs(60), Duration::from_secs(3_600)))
}

/// One that was good for so long from a time so long ago.
pub(crate) fn made(ago: Duration, good_for: Duration) -> String {
    sign(of(Currency::Regtest, ago, good_for))
}

/// One that can be paid for so long from now.
pub(crate) fn good_for(left: Duration) -> String {
    made(Duration::ZERO, left)
}

fn of(currency: Currency, ago: Duration, good_for: Duration) -> RawBolt11Invoice {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let created = now.expect("it is after 1970").saturating_sub(ago);
    InvoiceBuilder::new(currency)
        .description("coffee".to_owned())
        .payment_hash(sha256::Hash::hash(tests::world::new_id().as_bytes()))
        .duration_since_epoch(Duration::from_secs(created.as_secs()))
        .expiry_time(good_for)
        .min_final_cltv_expiry_delta(80)
        .payment_secret(PaymentSecret([5; 32]))
        .basic_mpp()
        .build_raw()
        .expect("it has all that an invoice must have")
}

/// One that asks for so many bitcoin, whether or not there are as many.
pub(crate) fn asking_for(bitcoin: u64) -> String {
    let mut raw = unsigned();
    raw.hrp.raw_amount = Some(bitcoin);
    sign(raw)
}

/// One that asks for a tenth of a millisatoshi.
pub(crate) fn asking_for_a_fraction() -> String {
    let mut raw = unsigned();
    raw.hrp.raw_amount = Some(1);
    raw.hrp.si_prefix = Some(lightning_invoice::SiPrefix::Pico);
    sign(raw)
}

/// One that can only be paid by AMP, as lnd makes it with `addinvoice --amp`: feature bit 30.
pub(crate) fn amp() -> String {
    const FEATURES: u8 = 5;
    const AMP_REQUIRED: usize = 30;
    const PAYMENT_SECRET_REQUIRED: usize = 14;
    const ONION_REQUIRED: usize = 8;
    const GROUPS: u8 = 7;
    let mut groups = [0_u8; GROUPS as usize];
    for bit in [AMP_REQUIRED, PAYMENT_SECRET_REQUIRED, ONION_REQUIRED] {
        groups[usize::from(GROUPS) - 1 - bit / 5] |= 1 << (bit % 5);
    }
    let field = [FEATURES, 0, GROUPS].into_iter().chain(groups);
    let field = field.map(|value| Fe32::try_from(value).expect("five bits")).collect();
    let mut raw = unsigned();
    raw.data
        .tagged_fields
        .retain(|field| !matches!(field, RawTaggedField::KnownSemantics(TaggedField::Features(_))));
    raw.data.tagged_fields.push(RawTaggedField::UnknownSemantics(field));
    sign(raw)
}

pub(crate) fn sign(raw: RawBolt11Invoice) -> String {
    let key = SecretKey::from_slice(&[9; 32]).expect("it is a key");
    let secp = Secp256k1::new();
    let signed = raw.sign(|message| Ok::<_, ()>(secp.sign_ecdsa_recoverable(message, &key)));
    signed.expect("signing works").to_string()
}

/// With one character changed: the checksum must notice.
pub(crate) fn garbled(invoice: &str) -> String {
    let (head, last) = invoice.split_at(invoice.len() - 1);
    format!("{head}{}", if last == "q" { "p" } else { "q" })
}
