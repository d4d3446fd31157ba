//! BOLT11 texts: writing our own, reading others'.

use std::{sync::LazyLock, time::Duration};

use bitcoin::{
    hashes::{Hash as _, sha256},
    secp256k1::{All, Secp256k1, SecretKey},
};
use lightning_invoice::{
    Bolt11Invoice, Bolt11InvoiceDescription, Currency, Description, InvoiceBuilder, PaymentSecret,
    Sha256,
};

use super::{
    refusal::Refusal,
    state::Invoice,
    value::{Hash, Msat, Pubkey, Time},
};

pub(super) static SECP: LazyLock<Secp256k1<All>> = LazyLock::new(Secp256k1::new);

/// The chain that the network claims to live on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Chain {
    Mainnet,
    Testnet,
    Signet,
    #[default]
    Regtest,
}

impl Chain {
    /// The word that LND uses.
    pub fn name(self) -> &'static str {
        match self {
            Chain::Mainnet => "mainnet",
            Chain::Testnet => "testnet",
            Chain::Signet => "signet",
            Chain::Regtest => "regtest",
        }
    }

    fn currency(self) -> Currency {
        match self {
            Chain::Mainnet => Currency::Bitcoin,
            Chain::Testnet => Currency::BitcoinTestnet,
            Chain::Signet => Currency::Signet,
            Chain::Regtest => Currency::Regtest,
        }
    }
}

/// What a payer reads in an invoice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    pub hash: Hash,
    pub payee: Pubkey,
    /// Zero: any amount.
    pub value: Msat,
    pub description: String,
    pub description_hash: Option<[u8; 32]>,
    pub created: Time,
    pub expiry_seconds: u64,
    pub cltv_expiry: u64,
    pub secret: [u8; 32],
    /// Whether several parts are allowed.
    pub multi_part: bool,
}

/// Signs the text of an invoice whose other fields are set.
pub(super) fn sign(chain: Chain, secret: &[u8; 32], invoice: &Invoice) -> Result<String, Refusal> {
    let key = SecretKey::from_slice(secret).expect("node secrets were checked when they came in");
    let description = match invoice.description_hash {
        Some(hash) => Bolt11InvoiceDescription::Hash(Sha256(sha256::Hash::from_byte_array(hash))),
        None => Bolt11InvoiceDescription::Direct(
            Description::new(invoice.memo.to_string())
                .map_err(|_| Refusal::unknown("memo too large"))?,
        ),
    };
    let mut builder = InvoiceBuilder::new(chain.currency())
        .invoice_description(description)
        .payment_hash(sha256::Hash::from_byte_array(*invoice.hash.bytes()))
        .duration_since_epoch(Duration::from_secs(invoice.created.secs()))
        .min_final_cltv_expiry_delta(u64::from(invoice.cltv_expiry))
        .payment_secret(PaymentSecret(invoice.secret))
        .expiry_time(Duration::from_secs(invoice.expiry_seconds))
        .basic_mpp();
    if !invoice.value.is_zero() {
        builder = builder.amount_milli_satoshis(invoice.value.get());
    }
    builder
        .build_signed(|message| SECP.sign_ecdsa_recoverable(message, &key))
        .map(|invoice| invoice.to_string())
        .map_err(|error| Refusal::unknown(format!("unable to encode invoice: {error:?}")))
}

/// Reads any BOLT11 text, signature and all.
pub fn read(chain: Chain, text: &str) -> Result<Terms, Refusal> {
    let invoice: Bolt11Invoice = text
        .parse()
        .map_err(|error| Refusal::unknown(format!("invalid payment request: {error:?}")))?;
    if invoice.currency() != chain.currency() {
        return Err(Refusal::unknown(format!(
            "invoice not for current active network '{}'",
            chain.name()
        )));
    }
    let (description, description_hash) = match invoice.description() {
        lightning_invoice::Bolt11InvoiceDescriptionRef::Direct(text) => (text.to_string(), None),
        lightning_invoice::Bolt11InvoiceDescriptionRef::Hash(hash) => {
            (String::new(), Some(hash.0.to_byte_array()))
        }
    };
    Ok(Terms {
        hash: Hash::new(invoice.payment_hash().to_byte_array()),
        payee: Pubkey(invoice.get_payee_pub_key().serialize()),
        value: Msat::new(invoice.amount_milli_satoshis().unwrap_or(0)),
        description,
        description_hash,
        created: Time::from_secs(invoice.duration_since_epoch().as_secs()),
        expiry_seconds: invoice.expiry_time().as_secs(),
        cltv_expiry: invoice.min_final_cltv_expiry_delta(),
        secret: invoice.payment_secret().0,
        multi_part: invoice.features().is_some_and(|bits| bits.supports_basic_mpp()),
    })
}

/// The payment hash in a BOLT11 text, found without checking anything.
///
/// Recovering the payee's key from the signature costs more than all the rest of a payment, and an
/// invoice of this network is known by its hash and then compared letter by letter.
pub(super) fn peek_hash(text: &str) -> Option<Hash> {
    const TIMESTAMP: usize = 7;
    const SIGNATURE_AND_CHECKSUM: usize = 104 + 6;
    const HASH_TAG: u8 = 1;
    let data = text.as_bytes().get(text.rfind('1')? + 1..)?;
    let mut fields = data.get(TIMESTAMP..data.len().checked_sub(SIGNATURE_AND_CHECKSUM)?)?;
    while let [tag, high, low, rest @ ..] = fields {
        let length = usize::from(letter(*high)?) * 32 + usize::from(letter(*low)?);
        if letter(*tag)? == HASH_TAG && length == 52 {
            return unpack(rest.get(..length)?);
        }
        fields = rest.get(length..)?;
    }
    None
}

fn letter(byte: u8) -> Option<u8> {
    const LETTERS: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    const VALUES: [u8; 128] = {
        let mut values = [u8::MAX; 128];
        let mut value = 0u8;
        while value < 32 {
            let letter = LETTERS[value as usize];
            values[letter as usize] = value;
            values[letter.to_ascii_uppercase() as usize] = value;
            value += 1;
        }
        values
    };
    VALUES.get(usize::from(byte)).copied().filter(|value| *value < 32)
}

/// 52 letters of five bits to 32 bytes; the last four bits are padding.
fn unpack(letters: &[u8]) -> Option<Hash> {
    let mut bytes = [0u8; 32];
    let mut at = 0;
    let (mut bits, mut width) = (0u32, 0u32);
    for byte in letters {
        bits = (bits << 5 | u32::from(letter(*byte)?)) & 0xfff;
        width += 5;
        if width >= 8 && at < bytes.len() {
            width -= 8;
            bytes[at] = u8::try_from((bits >> width) & 0xff).ok()?;
            at += 1;
        }
    }
    Some(Hash::new(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::testing;

    #[test]
    fn what_is_written_reads_back() {
        let mut network = testing::network();
        let invoice = network.quick_invoice("alice", 5_000, "tea sim:twice");
        let terms = read(Chain::Regtest, &invoice.request).unwrap();
        assert_eq!(terms.hash, invoice.hash);
        assert_eq!(terms.value, Msat::new(5_000));
        assert_eq!(terms.description, "tea sim:twice");
        assert_eq!(terms.payee, network.net.node("alice").unwrap().1.pubkey);
        assert_eq!(terms.expiry_seconds, 86_400);
        assert_eq!(peek_hash(&invoice.request), Some(invoice.hash));
        assert_eq!(peek_hash(&invoice.request.to_uppercase()), Some(invoice.hash));
        assert!(read(Chain::Mainnet, &invoice.request).is_err());
    }

    #[test]
    fn nonsense_has_no_hash() {
        for text in ["", "1", "lnbcrt1", "lnbcrt1qqqqqqq", "ünïcode1ünïcode"] {
            assert_eq!(peek_hash(text), None);
            assert!(read(Chain::Regtest, text).is_err());
        }
    }
}
