//! Ids, hashes, amounts and times; and what carries them into lists and options.

use std::fmt;

use domain::{
    Msat, PaymentHash, Preimage, PublicKey, SignedMsat, Timestamp, id::Id, payment::Epoch,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

/// A value of the domain that has a stored form.
pub(crate) trait Durable: Sized {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error>;
    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error>;
}

/// Gives a value of the domain to serde where it needs a type of its own.
pub(crate) struct Borrowed<'a, T>(pub(crate) &'a T);

pub(crate) struct Stored<T>(pub(crate) T);

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
pub(crate) mod one {
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
pub(crate) mod maybe {
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
pub(crate) mod list {
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
        to.serialize_bytes(self.uuid().as_bytes())
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = |text: &str| Uuid::try_parse(text).ok().map(Uuid::into_bytes);
        read_bytes(from, "an id", text).map(|bytes| Id::new(Uuid::from_bytes(bytes)))
    }
}

impl Durable for PaymentHash {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(&self.0)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        read_bytes(from, "a hash", from_hex).map(PaymentHash)
    }
}

/// Only of payments that are posted: it is their proof.
impl Durable for Preimage {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(&self.0)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        read_bytes(from, "a preimage", from_hex).map(Preimage)
    }
}

impl Durable for PublicKey {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(&self.0)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        read_bytes(from, "a public key", from_hex).map(PublicKey)
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

/// `None` unless the text is exactly that many bytes in hexadecimal.
pub fn from_hex<const LENGTH: usize>(text: &str) -> Option<[u8; LENGTH]> {
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

/// Bytes, which are text in a form for people.
fn read_bytes<'de, const LENGTH: usize, D: Deserializer<'de>>(
    from: D,
    what: &'static str,
    text: impl Fn(&str) -> Option<[u8; LENGTH]>,
) -> Result<[u8; LENGTH], D::Error> {
    let visitor = Bytes { what, text };
    match from.is_human_readable() {
        true => from.deserialize_str(visitor),
        false => from.deserialize_bytes(visitor),
    }
}

struct Bytes<F> {
    what: &'static str,
    text: F,
}

impl<const LENGTH: usize, F: Fn(&str) -> Option<[u8; LENGTH]>> de::Visitor<'_> for Bytes<F> {
    type Value = [u8; LENGTH];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        (self.text)(text).ok_or_else(|| E::custom("not well formed"))
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        bytes.try_into().map_err(|_| E::invalid_length(bytes.len(), &self))
    }
}
