//! The plain values of the model: instants, amounts, hashes and names of things.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Nanoseconds since the Unix epoch, handed in by whoever drives the model.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Time(u64);

impl Time {
    pub const fn from_nanos(nanos: u64) -> Time {
        Time(nanos)
    }

    pub const fn from_secs(secs: u64) -> Time {
        Time(secs.saturating_mul(1_000_000_000))
    }

    pub const fn nanos(self) -> u64 {
        self.0
    }

    pub const fn secs(self) -> u64 {
        self.0 / 1_000_000_000
    }

    /// The instant so many milliseconds later.
    pub const fn after_ms(self, ms: u64) -> Time {
        Time(self.0.saturating_add(ms.saturating_mul(1_000_000)))
    }

    /// What a clock shows that is off by so many milliseconds.
    pub const fn off_by_ms(self, ms: i64) -> Time {
        Time(self.0.saturating_add_signed(ms.saturating_mul(1_000_000)))
    }

    pub const fn ms_until(self, later: Time) -> u64 {
        later.0.saturating_sub(self.0) / 1_000_000
    }
}

/// Millisatoshi. Sums saturate: the simulator mints its own money and stays far below the edge.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Msat(u64);

impl Msat {
    pub const ZERO: Msat = Msat(0);

    pub const fn new(msat: u64) -> Msat {
        Msat(msat)
    }

    pub const fn from_sat(sat: u64) -> Msat {
        Msat(sat.saturating_mul(1_000))
    }

    pub const fn get(self) -> u64 {
        self.0
    }

    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    pub const fn plus(self, other: Msat) -> Msat {
        Msat(self.0.saturating_add(other.0))
    }

    pub const fn minus(self, other: Msat) -> Msat {
        Msat(self.0.saturating_sub(other.0))
    }
}

/// A payment hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Hash([u8; 32]);

impl Hash {
    pub const fn new(bytes: [u8; 32]) -> Hash {
        Hash(bytes)
    }

    pub fn from_slice(bytes: &[u8]) -> Option<Hash> {
        bytes.try_into().ok().map(Hash)
    }

    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&to_hex(&self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// What a payment hash is the SHA-256 of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Preimage([u8; 32]);

impl Preimage {
    pub const fn new(bytes: [u8; 32]) -> Preimage {
        Preimage(bytes)
    }

    pub fn from_slice(bytes: &[u8]) -> Option<Preimage> {
        bytes.try_into().ok().map(Preimage)
    }

    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Preimage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&to_hex(&self.0))
    }
}

impl fmt::Debug for Preimage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl Preimage {
    pub fn hash(&self) -> Hash {
        Hash(Sha256::digest(self.0).into())
    }
}

/// A node's public key, its identity.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pubkey(pub [u8; 33]);

impl fmt::Display for Pubkey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&to_hex(&self.0))
    }
}

impl fmt::Debug for Pubkey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// A node's place in the network's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(pub u16);

impl NodeId {
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A channel's place in the network's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChannelId(pub u16);

impl ChannelId {
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The short channel id that goes over the wire: block, transaction, output.
    pub fn short(self) -> u64 {
        ((100 + u64::from(self.0)) << 40) | (1 << 16)
    }

    pub fn from_short(short: u64) -> Option<ChannelId> {
        let channel = u16::try_from((short >> 40).checked_sub(100)?).ok().map(ChannelId)?;
        (channel.short() == short).then_some(channel)
    }
}

/// One set of HTLCs on its way, named by the network and unknown to the nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FlightId(pub u64);

/// A caller who follows something; chosen by whoever drives the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u64);

pub fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    if !text.len().is_multiple_of(2) {
        return None;
    }
    text.as_bytes().chunks(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}
