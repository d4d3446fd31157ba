//! Wire <-> domain, one file per service. What arrives is parsed into types that cannot be wrong,
//! or refused with a [`WireError`]; what leaves is in the words of the contract.

pub mod engine;
pub mod events;
pub mod keys;
pub mod lines;
pub mod lists;
pub mod nodes;
pub mod organisations;
pub mod payments;
pub mod wallets;

#[cfg(test)]
mod tests;

use domain::{ErrorClass, Msat, Preimage, PublicKey, WalletId, id::Id};

use crate::Problem;

/// Why a message does not say anything. Nothing was asked of anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    #[error("{0} must be a UUID, and not the nil one")]
    Id(&'static str),
    #[error("{0} must be set")]
    Missing(&'static str),
    #[error("{0} must not contain the character NUL")]
    Text(&'static str),
    #[error("{0} must not contain control characters")]
    Control(&'static str),
    #[error("{0} must be at most {NAME_BYTES_MAX} bytes long")]
    Long(&'static str),
    #[error("{0} must be at most the bitcoin supply")]
    Amount(&'static str),
    #[error("wait_seconds must be at most {WAIT_SECONDS_MAX}")]
    Wait,
    #[error("limit must be at most {PAGE_MAX}")]
    Limit,
    #[error("cursor must be of an earlier answer to the same question")]
    Cursor,
    #[error("{0} must be a compressed public key: 33 bytes in hex")]
    PublicKey(&'static str),
    #[error("{0} must be 32 bytes in hex")]
    Preimage(&'static str),
    #[error("permissions must be read, receive, write or billing")]
    Permission,
    #[error("{0} must be a value that this version knows")]
    Value(&'static str),
    #[error("a send on a stream has no wait_seconds: its end is told")]
    WaitOnStream,
    #[error("valid_ips must be at most 100 addresses or networks, such as 10.0.0.0/8")]
    Networks,
}

impl WireError {
    pub fn class(self) -> ErrorClass {
        match self {
            Self::Id(_)
            | Self::Missing(_)
            | Self::Text(_)
            | Self::Control(_)
            | Self::Long(_)
            | Self::Amount(_)
            | Self::Wait
            | Self::Limit
            | Self::Cursor
            | Self::PublicKey(_)
            | Self::Preimage(_)
            | Self::Permission
            | Self::Value(_)
            | Self::WaitOnStream
            | Self::Networks => ErrorClass::Invalid,
        }
    }

    /// A stable name for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::Id(_) => "id_invalid",
            Self::Missing(_) => "field_missing",
            Self::Text(_) | Self::Control(_) => "text_invalid",
            Self::Long(_) => "text_too_long",
            Self::Amount(_) => "amount_out_of_range",
            Self::Value(_) => "value_unknown",
            Self::Wait | Self::WaitOnStream => "wait_out_of_range",
            Self::Limit => "limit_out_of_range",
            Self::Cursor => "cursor_invalid",
            Self::PublicKey(_) => "public_key_invalid",
            Self::Preimage(_) => "preimage_invalid",
            Self::Permission => "permission_invalid",
            Self::Networks => "valid_ips_invalid",
        }
    }
}

/// A wallet was read without what it draws on: reading was not of one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("wallet {0} was read without its backing")]
pub struct BackingMissing(pub WalletId);

impl From<BackingMissing> for Problem {
    fn from(error: BackingMissing) -> Problem {
        Problem::new(ErrorClass::Bug, "inconsistent_read", error)
    }
}

/// The longest name of anything.
pub const NAME_BYTES_MAX: usize = 256;

/// A caller who waits longer should watch instead.
pub const WAIT_SECONDS_MAX: u32 = 60;

/// The most entries of one page of a list.
pub const PAGE_MAX: u32 = 1_000;

/// Entries of a page when the caller names no number.
pub const PAGE_DEFAULT: u32 = 100;

fn id<Kind>(field: &'static str, text: &str) -> Result<Id<Kind>, WireError> {
    let id: Option<Id<Kind>> = text.parse().ok();
    // Nobody has chosen that one: it is what an empty field of a program looks like.
    id.filter(|id| !id.uuid().is_nil()).ok_or(WireError::Id(field))
}

/// NUL is not text to every store.
fn text(field: &'static str, text: String) -> Result<String, WireError> {
    if text.contains('\0') { Err(WireError::Text(field)) } else { Ok(text) }
}

fn present(field: &'static str, given: String) -> Result<String, WireError> {
    if given.trim().is_empty() { Err(WireError::Missing(field)) } else { text(field, given) }
}

/// Names are shown on one line among others: nothing in them may move a terminal's cursor.
fn named(field: &'static str, name: String) -> Result<String, WireError> {
    if name.len() > NAME_BYTES_MAX {
        return Err(WireError::Long(field));
    }
    if name.contains(char::is_control) {
        return Err(WireError::Control(field));
    }
    present(field, name)
}

fn msat(field: &'static str, amount_msat: u64) -> Result<Msat, WireError> {
    Msat::new(amount_msat).ok_or(WireError::Amount(field))
}

/// Nothing is behind a position that no journal reaches.
fn seq(asked: u64) -> u64 {
    asked.min(i64::MAX.unsigned_abs())
}

fn page_limit(asked: u32, default: u32) -> Result<u32, WireError> {
    match asked {
        0 => Ok(default),
        1..=PAGE_MAX => Ok(asked),
        _ => Err(WireError::Limit),
    }
}

fn public_key(field: &'static str, text: &str) -> Result<PublicKey, WireError> {
    unhex(text).map(PublicKey).ok_or(WireError::PublicKey(field))
}

fn preimage(field: &'static str, text: &str) -> Result<Preimage, WireError> {
    unhex(text).map(Preimage).ok_or(WireError::Preimage(field))
}

/// In lower case.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";

    let halves = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    halves.map(|half| char::from(DIGITS[usize::from(half)])).collect()
}

/// `None` unless the text is exactly `N` bytes in hex.
pub fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let pairs = text.as_bytes().chunks(2);
    if text.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        let digit = |at: usize| char::from(*pair.get(at)?).to_digit(16);
        *byte = u8::try_from(digit(0)? * 16 + digit(1)?).ok()?;
    }
    Some(bytes)
}
