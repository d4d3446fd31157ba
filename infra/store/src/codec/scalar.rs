//! Ids, hashes, amounts and times; and what carries them into lists and options.

use std::fmt;

use domain::{
    Msat, PaymentHash, Preimage, PublicKey, SignedMsat, Timestamp, id::Id, payment::Epoch,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

/// A value of the domain that has a stored form.
pub(super) trait Durable: Sized {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error>;
    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error>;
}

/// Gives a value of the domain to serde where it needs a type of its own.
pub(super) struct Borrowed<'a, T>(pub(super) &'a T);

pub(super) struct Stored<T>(pub(super) T);

impl<T: Durable> Serialize for Borrowed<'_, T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.write(to)
    }
}

impl<'de, T: Durable> Deserialize<'de> for Stored<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        T::read(from).map(Stored)
    }
}

/// For `serde(with = "one")`.
pub(super) mod one {
    use super::{Deserializer, Durable, Serializer};

    pub(crate) fn serialize<T: Durable, S: Serializer>(
        value: &T,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        value.write(to)
    }

    pub(crate) fn deserialize<'de, T: Durable, D: Deserializer<'de>>(
        from: D,
    ) -> Result<T, D::Error> {
        T::read(from)
    }
}

/// For `serde(with = "maybe")`.
pub(super) mod maybe {
    use super::{Borrowed, Deserialize, Deserializer, Durable, Serialize, Serializer, Stored};

    pub(crate) fn serialize<T: Durable, S: Serializer>(
        value: &Option<T>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        value.as_ref().map(Borrowed).serialize(to)
    }

    pub(crate) fn deserialize<'de, T: Durable, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<T>, D::Error> {
        Ok(Option::<Stored<T>>::deserialize(from)?.map(|Stored(value)| value))
    }
}

/// For `serde(with = "list")`.
pub(super) mod list {
    use super::{Borrowed, Deserialize, Deserializer, Durable, Serializer, Stored};

    pub(crate) fn serialize<T: Durable, S: Serializer>(
        values: &[T],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(values.iter().map(Borrowed))
    }

    pub(crate) fn deserialize<'de, T: Durable, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<T>, D::Error> {
        let values = Vec::<Stored<T>>::deserialize(from)?;
        Ok(values.into_iter().map(|Stored(value)| value).collect())
    }
}

impl<Kind> Durable for Id<Kind> {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
        to.serialize_str(self.uuid().hyphenated().encode_lower(&mut text))
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_str(Text("an id", |text: &str| Uuid::try_parse(text).ok().map(Id::new)))
    }
}

impl Durable for PaymentHash {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        write_hex::<64, S>(&self.0, to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_str(Text("a hash", |text: &str| from_hex(text).map(PaymentHash)))
    }
}

/// Only of payments that are posted: it is their proof.
impl Durable for Preimage {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        write_hex::<64, S>(&self.0, to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_str(Text("a preimage", |text: &str| from_hex(text).map(Preimage)))
    }
}

impl Durable for PublicKey {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        write_hex::<66, S>(&self.0, to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_str(Text("a public key", |text: &str| from_hex(text).map(PublicKey)))
    }
}

impl Durable for Msat {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(self.get())
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let msat = u64::deserialize(from)?;
        Msat::new(msat).ok_or_else(|| de::Error::custom("an amount above the supply"))
    }
}

impl Durable for SignedMsat {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_i64(self.get())
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        i64::deserialize(from).map(SignedMsat::new)
    }
}

impl Durable for Timestamp {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_i64(self.millis())
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        i64::deserialize(from).map(Timestamp::from_millis)
    }
}

impl Durable for Epoch {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(self.0)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        u64::deserialize(from).map(Epoch)
    }
}

/// A pair is an array of two.
impl<A: Durable, B: Durable> Durable for (A, B) {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        (Borrowed(&self.0), Borrowed(&self.1)).serialize(to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (Stored(first), Stored(second)) = Deserialize::deserialize(from)?;
        Ok((first, second))
    }
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

fn write_hex<const LENGTH: usize, S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
    let mut text = [0_u8; LENGTH];
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    to.serialize_str(std::str::from_utf8(&text).expect("digits are ASCII"))
}

/// `None` unless the text is exactly that many bytes in hexadecimal.
pub(crate) fn from_hex<const LENGTH: usize>(text: &str) -> Option<[u8; LENGTH]> {
    if text.len() != 2 * LENGTH {
        return None;
    }
    let mut bytes = [0; LENGTH];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

fn digit(text: u8) -> Option<u8> {
    match text {
        b'0'..=b'9' => Some(text - b'0'),
        b'a'..=b'f' => Some(text - b'a' + 10),
        b'A'..=b'F' => Some(text - b'A' + 10),
        _ => None,
    }
}

struct Text<F>(&'static str, F);

impl<T, F: Fn(&str) -> Option<T>> de::Visitor<'_> for Text<F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        self.1(text).ok_or_else(|| E::custom("not well formed"))
    }
}
