//! BOLT11: the text of an invoice, read once at the edge.

use std::sync::LazyLock;

use bitcoin::{
    hashes::Hash,
    secp256k1::{Message, Secp256k1, VerifyOnly},
};
use domain::{ErrorClass, InvoiceTerms, Msat, Network, PaymentHash, PublicKey, Timestamp};
use lightning_invoice::{
    Bolt11ParseError, Currency, DEFAULT_EXPIRY_TIME, ExpiryTime, RawBolt11Invoice, RawHrp,
    SignedRawBolt11Invoice, TaggedField,
};

/// Neither LND nor the other implementations read a longer one.
pub const LENGTH_MAX: usize = 7_089;
const SCHEME: &str = "lightning:";
/// The last instant that every store and calendar can hold: the end of the year 9999.
const LATEST: Timestamp = Timestamp::from_millis(253_402_300_799_999);

/// Why a text cannot be paid as a BOLT11 invoice.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Bolt11Error {
    #[error("an invoice has at most {LENGTH_MAX} characters")]
    TooLong,
    #[error("not a BOLT11 invoice: {0}")]
    NotBolt11(String),
    #[error("the invoice's checksum is wrong: a character is missing or not as it was written")]
    BadChecksum,
    #[error("the invoice's signature is wrong")]
    BadSignature,
    #[error("invoices of the network \"{0}\" are not known here")]
    UnknownNetwork(String),
    /// A second payment of it could not be told from the first (`money-safety` rule 14).
    #[error("AMP invoices are not supported")]
    Amp,
    #[error("the invoice asks for more than there are bitcoin")]
    AboveSupply,
    #[error("the invoice asks for a fraction of a millisatoshi")]
    SubMsat,
}

impl Bolt11Error {
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::TooLong
            | Self::NotBolt11(_)
            | Self::BadChecksum
            | Self::BadSignature
            | Self::UnknownNetwork(_)
            | Self::Amp
            | Self::AboveSupply
            | Self::SubMsat => ErrorClass::Invalid,
        }
    }

    /// A stable name for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::NotBolt11(_) => "not_bolt11",
            Self::BadChecksum => "bad_checksum",
            Self::BadSignature => "bad_signature",
            Self::UnknownNetwork(_) => "unknown_network",
            Self::Amp => "amp",
            Self::AboveSupply => "amount_above_supply",
            Self::SubMsat => "amount_below_msat",
        }
    }
}

/// Reads an invoice, in either case, with or without `lightning:` before it.
///
/// Whether it has expired or is of our network is not judged here.
pub fn parse(text: &str) -> Result<InvoiceTerms, Bolt11Error> {
    let text = bare(text)?;
    let signed: SignedRawBolt11Invoice = text.parse().map_err(|error| not_parsed(&text, &error))?;
    let network = network(&signed.currency())?;
    let amount_msat = amount(&signed.raw_invoice().hrp)?;
    check_fields(&signed)?;
    let hash = signed.payment_hash().ok_or_else(|| missing("payment hash"))?;
    Ok(InvoiceTerms {
        network,
        hash: PaymentHash(hash.0.to_byte_array()),
        amount_msat,
        payee: payee(&signed)?,
        description: description(&signed),
        expires_at: expires_at(&signed),
        text,
    })
}

/// The invoice alone, in lower case.
fn bare(text: &str) -> Result<String, Bolt11Error> {
    let text = text.trim();
    let scheme = text.get(..SCHEME.len()).is_some_and(|head| head.eq_ignore_ascii_case(SCHEME));
    let text = if scheme { &text[SCHEME.len()..] } else { text };
    if text.len() > LENGTH_MAX {
        return Err(Bolt11Error::TooLong);
    }
    let mixed = text.bytes().any(|byte| byte.is_ascii_lowercase())
        && text.bytes().any(|byte| byte.is_ascii_uppercase());
    if mixed {
        return Err(Bolt11Error::NotBolt11("it mixes upper and lower case".to_owned()));
    }
    Ok(text.to_ascii_lowercase())
}

/// The letters after `ln` name the network.
fn prefix(text: &str) -> Option<&str> {
    let rest = text.strip_prefix("ln")?;
    let letters = rest.bytes().take_while(u8::is_ascii_lowercase).count();
    rest.get(..letters).filter(|letters| !letters.is_empty())
}

fn not_parsed(text: &str, error: &Bolt11ParseError) -> Bolt11Error {
    let known = |prefix: &str| matches!(prefix, "bc" | "tb" | "bcrt" | "tbs" | "sb");
    match (error, prefix(text)) {
        (_, None | Some("url" | "o" | "r" | "i")) => {
            Bolt11Error::NotBolt11("it does not begin with ln and a network".to_owned())
        }
        (Bolt11ParseError::Bech32Error(_), Some(prefix)) if known(prefix) => {
            if is_bech32_text(text) {
                Bolt11Error::BadChecksum
            } else {
                Bolt11Error::NotBolt11("it has characters that do not belong".to_owned())
            }
        }
        (Bolt11ParseError::Bech32Error(_), Some(_)) => {
            Bolt11Error::NotBolt11("its checksum is wrong".to_owned())
        }
        (Bolt11ParseError::IntegerOverflowError, Some(_)) => Bolt11Error::AboveSupply,
        (Bolt11ParseError::ParseAmountError(_), Some(_)) => Bolt11Error::AboveSupply,
        (Bolt11ParseError::MalformedSignature(_), Some(_)) => Bolt11Error::BadSignature,
        (_, Some(prefix)) if !known(prefix) => Bolt11Error::UnknownNetwork(prefix.to_owned()),
        (error, Some(_)) => Bolt11Error::NotBolt11(error.to_string()),
    }
}

fn is_bech32_text(text: &str) -> bool {
    const CHARSET: &str = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    text.rsplit_once('1').is_some_and(|(_, data)| data.chars().all(|c| CHARSET.contains(c)))
}

fn missing(what: &str) -> Bolt11Error {
    Bolt11Error::NotBolt11(format!("it must have one {what}"))
}

/// Exactly one of each field that an invoice must have, and no feature that would have to be known.
fn check_fields(invoice: &RawBolt11Invoice) -> Result<(), Bolt11Error> {
    let count = |is: fn(&TaggedField) -> bool| {
        invoice.known_tagged_fields().filter(|field| is(field)).count()
    };
    if count(|field| matches!(field, TaggedField::PaymentHash(_))) != 1 {
        return Err(missing("payment hash"));
    }
    let describes =
        |field: &_| matches!(field, TaggedField::Description(_) | TaggedField::DescriptionHash(_));
    if count(describes) != 1 {
        return Err(missing("description"));
    }
    if count(|field| matches!(field, TaggedField::PaymentSecret(_))) != 1 {
        return Err(missing("payment secret"));
    }
    let features = invoice.features().ok_or_else(|| missing("set of features"))?;
    if is_amp(features.le_flags()) {
        return Err(Bolt11Error::Amp);
    }
    if features.requires_unknown_bits() || !features.supports_payment_secret() {
        return Err(Bolt11Error::NotBolt11("it asks for features that are not known".to_owned()));
    }
    Ok(())
}

/// Who signed. If the invoice names its payee, the signature has to be theirs; else it tells who they
/// are, which costs as much as a check.
fn payee(invoice: &SignedRawBolt11Invoice) -> Result<PublicKey, Bolt11Error> {
    static SECP: LazyLock<Secp256k1<VerifyOnly>> = LazyLock::new(Secp256k1::verification_only);
    let (digest, signature) =
        (Message::from_digest(*invoice.signable_hash()), &invoice.signature().0);
    let key = match invoice.payee_pub_key() {
        Some(named) => {
            let checked = SECP.verify_ecdsa(&digest, &signature.to_standard(), &named.0);
            checked.map(|()| named.0)
        }
        None => SECP.recover_ecdsa(&digest, signature),
    };
    key.map(|key| PublicKey(key.serialize())).map_err(|_| Bolt11Error::BadSignature)
}

fn network(currency: &Currency) -> Result<Network, Bolt11Error> {
    match currency {
        Currency::Bitcoin => Ok(Network::Mainnet),
        Currency::BitcoinTestnet => Ok(Network::Testnet),
        Currency::Signet => Ok(Network::Signet),
        Currency::Regtest => Ok(Network::Regtest),
        Currency::Simnet => Err(Bolt11Error::UnknownNetwork("sb".to_owned())),
    }
}

/// An amount that does not fit must not pass for none: the payer would be asked to name one.
fn amount(hrp: &RawHrp) -> Result<Option<Msat>, Bolt11Error> {
    const PICO: u64 = 1_000_000_000_000;
    let Some(number) = hrp.raw_amount else { return Ok(None) };
    let scale = hrp.si_prefix.as_ref().map_or(PICO, lightning_invoice::SiPrefix::multiplier);
    let pico = number.checked_mul(scale).ok_or(Bolt11Error::AboveSupply)?;
    if !pico.is_multiple_of(10) {
        return Err(Bolt11Error::SubMsat);
    }
    Msat::new(pico / 10).ok_or(Bolt11Error::AboveSupply).map(Some)
}

/// Bits 30 and 31: required, optional.
fn is_amp(little_endian_flags: &[u8]) -> bool {
    little_endian_flags.get(3).is_some_and(|flags| flags & 0b1100_0000 != 0)
}

/// With control characters replaced, as stores and terminals do not bear them. Empty when the invoice
/// has only the hash of one.
fn description(invoice: &RawBolt11Invoice) -> String {
    invoice.description().map(|text| text.to_string()).unwrap_or_default()
}

fn expires_at(invoice: &RawBolt11Invoice) -> Timestamp {
    let lasts = invoice.expiry_time().map_or(DEFAULT_EXPIRY_TIME, ExpiryTime::as_seconds);
    let created = invoice.data.timestamp.as_unix_timestamp();
    let millis = created.checked_add(lasts).and_then(|seconds| seconds.checked_mul(1_000));
    let at = millis.and_then(|millis| i64::try_from(millis).ok());
    at.map_or(LATEST, Timestamp::from_millis).min(LATEST)
}

#[cfg(test)]
mod tests;
