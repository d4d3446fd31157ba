//! Identities and secrets from the system's randomness.

use domain::{Timestamp, id::Id};
use uuid::{Builder, Uuid};

#[derive(Debug, thiserror::Error)]
#[error("the system has no randomness to give: {0}")]
pub struct NoRandomness(String);

/// So many unpredictable bytes.
pub fn bytes<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| NoRandomness(error.to_string()))?;
    Ok(bytes)
}

/// A secret for people to copy: 32 unpredictable bytes in hex.
pub fn token() -> Result<String, NoRandomness> {
    Ok(bytes::<32>()?.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A UUID that tells nothing (version 4).
pub fn uuid() -> Result<Uuid, NoRandomness> {
    Ok(Builder::from_random_bytes(bytes()?).into_uuid())
}

/// A UUID that sorts by the time it was made (version 7): kind to the indexes of a store.
pub fn uuid_at(now: Timestamp) -> Result<Uuid, NoRandomness> {
    let millis = u64::try_from(now.millis()).unwrap_or(0);
    Ok(Builder::from_unix_timestamp_millis(millis, &bytes()?).into_uuid())
}

/// An identity of any kind, made now.
pub fn id_at<Kind>(now: Timestamp) -> Result<Id<Kind>, NoRandomness> {
    uuid_at(now).map(Id::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_have_their_version_and_do_not_repeat() {
        let (first, second) = (uuid().unwrap(), uuid().unwrap());
        assert_eq!(first.get_version_num(), 4);
        assert_ne!(first, second);
        let early = uuid_at(Timestamp::from_millis(1)).unwrap();
        let late = uuid_at(Timestamp::from_millis(2)).unwrap();
        assert_eq!(early.get_version_num(), 7);
        assert!(early < late);
        assert_eq!(token().unwrap().len(), 64);
    }
}
