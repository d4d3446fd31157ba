//! Where a list goes on: opaque to callers, and good only for the list that it came from.

use domain::{EnvironmentId, PaymentId};
use ports::reads::PaymentPlace;
use proto::convert::{hex, unhex};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Bytes of a cursor: what it is bound to, the key it is sorted by, and the id.
const BOUND: usize = 8;
const KEY: usize = 8;
const LENGTH: usize = BOUND + KEY + 16;

pub(crate) struct Cursor {
    bound_to: [u8; BOUND],
}

impl Cursor {
    /// Binds cursors to an environment, and to filters and sort.
    pub(crate) fn bind<'a>(
        environment: EnvironmentId,
        parts: impl IntoIterator<Item = &'a [u8]>,
    ) -> Cursor {
        let mut hash = Sha256::new();
        hash.update(environment.uuid().as_bytes());
        for part in parts {
            // The length first, so that no two lists are written alike.
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part);
        }
        let digest: [u8; 32] = hash.finalize().into();
        let mut bound_to = [0; BOUND];
        bound_to.copy_from_slice(&digest[..BOUND]);
        Cursor { bound_to }
    }

    pub(crate) fn write(&self, place: PaymentPlace) -> String {
        let (key, id) = (place.key.to_be_bytes(), *place.id.uuid().as_bytes());
        hex(&[&self.bound_to[..], &key, &id].concat())
    }

    /// `None`: it is not of this list, its filters and sort.
    pub(crate) fn read(&self, text: &str) -> Option<PaymentPlace> {
        let bytes: [u8; LENGTH] = unhex(text)?;
        let (bound_to, rest) = bytes.split_at(BOUND);
        let (key, id) = rest.split_at(KEY);
        if bound_to != self.bound_to {
            return None;
        }
        let key = i64::from_be_bytes(key.try_into().ok()?);
        Some(PaymentPlace { key, id: PaymentId::new(Uuid::from_slice(id).ok()?) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_only_by_the_list_that_wrote_it() {
        let environment = EnvironmentId::new(Uuid::from_u128(1));
        let bind =
            |of, parts: &[&'static str]| Cursor::bind(of, parts.iter().map(|part| part.as_bytes()));
        let own = bind(environment, &["direction", "send"]);
        let place = PaymentPlace { key: -5, id: PaymentId::new(Uuid::from_u128(7)) };
        let text = own.write(place);
        assert_eq!(own.read(&text).unwrap(), place);
        for other in [
            bind(environment, &["direction", "receive"]),
            bind(environment, &["directions", "end"]),
            bind(environment, &[]),
            bind(EnvironmentId::new(Uuid::from_u128(2)), &["direction", "send"]),
        ] {
            assert!(other.read(&text).is_none());
        }
        for broken in ["", "zz", &text[2..], &format!("{text}00"), &"ü".repeat(LENGTH)] {
            assert!(own.read(broken).is_none());
        }
    }
}
