//! BOLT11: the text of an invoice, read once at the edge.

use bitcoin::hashes::Hash;
use domain::{ErrorClass, InvoiceTerms, Msat, Network, PaymentHash, PublicKey, Timestamp};
use lightning_invoice::{
    Bolt11Invoice, Bolt11InvoiceDescriptionRef, Bolt11ParseError, Bolt11SemanticError, Currency,
    RawHrp, SignedRawBolt11Invoice,
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
    if signed.features().is_some_and(|features| is_amp(features.le_flags())) {
        return Err(Bolt11Error::Amp);
    }
    let invoice = Bolt11Invoice::from_signed(signed).map_err(not_sound)?;
    Ok(InvoiceTerms {
        network,
        hash: PaymentHash(invoice.payment_hash().to_byte_array()),
        amount_msat,
        payee: PublicKey(invoice.get_payee_pub_key().serialize()),
        description: description(&invoice),
        expires_at: expires_at(&invoice),
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

fn not_sound(error: Bolt11SemanticError) -> Bolt11Error {
    match error {
        Bolt11SemanticError::InvalidSignature => Bolt11Error::BadSignature,
        Bolt11SemanticError::ImpreciseAmount => Bolt11Error::SubMsat,
        Bolt11SemanticError::NoPaymentHash
        | Bolt11SemanticError::MultiplePaymentHashes
        | Bolt11SemanticError::NoDescription
        | Bolt11SemanticError::MultipleDescriptions
        | Bolt11SemanticError::NoPaymentSecret
        | Bolt11SemanticError::MultiplePaymentSecrets
        | Bolt11SemanticError::InvalidFeatures => Bolt11Error::NotBolt11(error.to_string()),
    }
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
fn description(invoice: &Bolt11Invoice) -> String {
    match invoice.description() {
        Bolt11InvoiceDescriptionRef::Direct(text) => text.to_string(),
        Bolt11InvoiceDescriptionRef::Hash(_) => String::new(),
    }
}

fn expires_at(invoice: &Bolt11Invoice) -> Timestamp {
    let at = invoice.expires_at().and_then(|since_1970| i64::try_from(since_1970.as_millis()).ok());
    at.map_or(LATEST, Timestamp::from_millis).min(LATEST)
}

#[cfg(test)]
mod tests;
