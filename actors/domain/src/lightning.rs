//! What Lightning knows of a payment: plain data, and the one check that proves a payment.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::{Msat, Timestamp};

/// SHA-256 of a preimage: what a payment is known by on the network.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PaymentHash(pub [u8; 32]);

impl fmt::Display for PaymentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for PaymentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The secret whose hash is the payment hash; whoever shows it has been paid.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Preimage(pub [u8; 32]);

impl Preimage {
    pub fn hash(&self) -> PaymentHash {
        PaymentHash(Sha256::digest(self.0).into())
    }
}

/// Redacted: before settlement a preimage is money (`money-safety` rule 31).
impl fmt::Debug for Preimage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Preimage(redacted)")
    }
}

/// A node's identity on the network: a compressed secp256k1 key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub [u8; 33]);

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// In lower case and at once: asked for one byte after the other, the formatter costs more than all the rest of
/// telling somebody a payment.
fn write_hex<const N: usize>(f: &mut fmt::Formatter<'_>, bytes: &[u8; N]) -> fmt::Result {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";

    let digits = bytes.map(|byte| [byte >> 4, byte & 15].map(|half| DIGITS[usize::from(half)]));
    f.write_str(str::from_utf8(digits.as_flattened()).expect("digits are ASCII"))
}

/// A bitcoin network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Network {
    Mainnet,
    Testnet,
    Signet,
    /// A public signet with blocks of its own. On the wire it cannot be told from other signets: its
    /// invoices and its nodes say signet.
    Mutinynet,
    Regtest,
}

impl Network {
    /// The name that LND and our configuration use.
    pub fn name(self) -> &'static str {
        match self {
            Network::Mainnet => "mainnet",
            Network::Testnet => "testnet",
            Network::Signet => "signet",
            Network::Mutinynet => "mutinynet",
            Network::Regtest => "regtest",
        }
    }

    pub fn from_name(name: &str) -> Option<Network> {
        use Network::{Mainnet, Mutinynet, Regtest, Signet, Testnet};

        [Mainnet, Testnet, Signet, Mutinynet, Regtest]
            .into_iter()
            .find(|network| network.name() == name)
    }

    /// The network as invoices and nodes name it.
    pub fn chain(self) -> Network {
        match self {
            Network::Mutinynet => Network::Signet,
            Network::Mainnet | Network::Testnet | Network::Signet | Network::Regtest => self,
        }
    }
}

/// A BOLT11 invoice, read once at the edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvoiceTerms {
    /// The whole invoice, in lower case.
    pub text: String,
    pub network: Network,
    pub hash: PaymentHash,
    /// `None`: the payer names the amount.
    pub amount_msat: Option<Msat>,
    pub payee: PublicKey,
    pub description: String,
    pub expires_at: Timestamp,
}

/// Identifies one failed run of a payment hash on one node; a later run there has another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FailureId {
    pub payment_index: u64,
    pub creation_time_ns: i64,
}

/// Why a node gave up a payment, in LND's terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FailureReason {
    Timeout,
    NoRoute,
    Error,
    IncorrectPaymentDetails,
    InsufficientBalance,
    Canceled,
    /// The node's server refused the request before it made a record of it.
    Refused,
    /// No request ever left for the node: it could not be reached in time.
    Unreachable,
    /// A person has looked and found that it was not paid.
    FoundUnpaid,
}

impl FailureReason {
    /// Whether another node may fare better. A payee who does not know the payment says so to all.
    pub fn next_node_may_help(self) -> bool {
        match self {
            Self::Timeout | Self::NoRoute | Self::InsufficientBalance => true,
            Self::Refused | Self::Unreachable => true,
            Self::Error | Self::IncorrectPaymentDetails | Self::Canceled | Self::FoundUnpaid => {
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_network_is_found_by_its_name_and_mutinynet_is_a_signet() {
        for name in ["mainnet", "testnet", "signet", "mutinynet", "regtest"] {
            let network = Network::from_name(name).unwrap();
            assert_eq!(network.name(), name);
            let on_the_wire = if name == "mutinynet" { "signet" } else { name };
            assert_eq!(network.chain().name(), on_the_wire);
        }
        assert_eq!(Network::from_name("moon"), None);
    }
}
