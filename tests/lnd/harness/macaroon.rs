//! Adds a first-party caveat to a macaroon without the node's help.

use std::time::{Duration, SystemTime};

use bitcoin::hashes::{Hash, HashEngine, Hmac, HmacEngine, sha256};

/// Field of a V2 macaroon: the new signature closes the packet, and a caveat's identifier.
const SIGNATURE: u8 = 6;
const IDENTIFIER: u8 = 2;
const END_OF_SECTION: u8 = 0;

/// The same macaroon, good until `until` only.
pub(crate) fn good_until(macaroon_hex: &str, until: SystemTime) -> String {
    with_caveat(macaroon_hex, &format!("time-before {}", rfc3339(until)))
}

/// The same macaroon with one more condition.
///
/// A V2 macaroon ends with the section of caveats, its end mark, and the signature: 32 bytes after
/// their tag and length. A caveat goes before the end mark, and the new signature is the HMAC of
/// its text under the old one.
pub(crate) fn with_caveat(macaroon_hex: &str, caveat: &str) -> String {
    let mut bytes = unhex(macaroon_hex);
    assert_eq!(bytes.first(), Some(&2), "a V2 macaroon");
    let signature = bytes.split_off(bytes.len() - 32);
    assert_eq!(bytes.split_off(bytes.len() - 3), [END_OF_SECTION, SIGNATURE, 32]);

    let length = u8::try_from(caveat.len()).expect("a short caveat");
    assert!(length < 128, "the length is one byte of a varint");
    bytes.extend([IDENTIFIER, length]);
    bytes.extend(caveat.as_bytes());
    bytes.extend([END_OF_SECTION, END_OF_SECTION, SIGNATURE, 32]);

    let mut engine = HmacEngine::<sha256::Hash>::new(&signature);
    engine.input(caveat.as_bytes());
    bytes.extend(Hmac::from_engine(engine).to_byte_array());
    hex(&bytes)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "two digits a byte");
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("a hex digit"))
        .collect()
}

/// `2026-01-31T23:59:59.123Z`, by the civil-from-days rule of the proleptic Gregorian calendar.
fn rfc3339(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let shifted = days + 719_468; // Days since 0000-03-01, so that a leap day is the year's last.
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    let milli = since.subsec_millis();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

#[test]
fn times_are_written_as_lnd_reads_them() {
    let at = |milli| rfc3339(SystemTime::UNIX_EPOCH + Duration::from_millis(milli));
    assert_eq!(at(0), "1970-01-01T00:00:00.000Z");
    assert_eq!(at(951_782_399_999), "2000-02-28T23:59:59.999Z");
    assert_eq!(at(951_782_400_000), "2000-02-29T00:00:00.000Z");
    assert_eq!(at(1_767_225_599_007), "2025-12-31T23:59:59.007Z");
}
