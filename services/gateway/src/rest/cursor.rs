//! Where a list goes on: opaque to callers, and good only for the list that it came from.

use domain::{EnvironmentId, PaymentId};
use ports::reads::PaymentPlace;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::refusal::Refusal;

/// Bytes of a cursor: what it is bound to, the key it is sorted by, and the id.
const BOUND: usize = 8;
const KEY: usize = 8;
const LENGTH: usize = BOUND + KEY + 16;

pub(super) struct Cursor {
    bound_to: [u8; BOUND],
}

impl Cursor {
    /// Binds cursors to an environment, and to filters and sort.
    pub(super) fn bind(environment: EnvironmentId, parts: &[(String, String)]) -> Cursor {
        let mut hash = Sha256::new();
        hash.update(environment.uuid().as_bytes());
        for text in parts.iter().flat_map(|(name, value)| [name, value]) {
            // The length first, so that no two lists are written alike.
            hash.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(text);
        }
        let digest: [u8; 32] = hash.finalize().into();
        let mut bound_to = [0; BOUND];
        bound_to.copy_from_slice(&digest[..BOUND]);
        Cursor { bound_to }
    }

    pub(super) fn write(&self, place: PaymentPlace) -> String {
        let bytes = self.bound_to.iter().copied();
        let bytes = bytes.chain(place.key.to_be_bytes()).chain(*place.id.uuid().as_bytes());
        bytes.map(|byte| format!("{byte:02x}")).collect()
    }

    pub(super) fn read(&self, text: &str) -> Result<PaymentPlace, Refusal> {
        let invalid = || {
            Refusal::invalid(
                "invalid_cursor",
                "the cursor is not of this list, its filters and sort",
            )
        };
        let bytes = unhex(text).ok_or_else(invalid)?;
        let (bound_to, rest) = bytes.split_at(BOUND);
        let (key, id) = rest.split_at(KEY);
        if bound_to != self.bound_to {
            return Err(invalid());
        }
        let key = key.try_into().map(i64::from_be_bytes).map_err(|_| invalid())?;
        let id = Uuid::from_slice(id).map_err(|_| invalid())?;
        Ok(PaymentPlace { key, id: PaymentId::new(id) })
    }
}

fn unhex(text: &str) -> Option<[u8; LENGTH]> {
    let mut bytes = [0; LENGTH];
    if text.len() != 2 * LENGTH {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        let digit = |at: usize| char::from(*pair.get(at)?).to_digit(16);
        *byte = u8::try_from(digit(0)? * 16 + digit(1)?).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_only_by_the_list_that_wrote_it() {
        let environment = EnvironmentId::new(Uuid::from_u128(1));
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let own = Cursor::bind(environment, &[pair("direction", "send")]);
        let place = PaymentPlace { key: -5, id: PaymentId::new(Uuid::from_u128(7)) };
        let text = own.write(place);
        assert_eq!(own.read(&text).unwrap(), place);
        for other in [
            Cursor::bind(environment, &[pair("direction", "receive")]),
            Cursor::bind(environment, &[pair("directions", "end")]),
            Cursor::bind(environment, &[]),
            Cursor::bind(EnvironmentId::new(Uuid::from_u128(2)), &[pair("direction", "send")]),
        ] {
            assert!(other.read(&text).is_err());
        }
        for broken in ["", "zz", &text[2..], &format!("{text}00"), &"ü".repeat(LENGTH)] {
            assert!(own.read(broken).is_err());
        }
    }
}
