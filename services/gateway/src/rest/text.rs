//! Small words of the wire.

use domain::Timestamp;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// The first and the last instant that RFC 3339 can write.
const FIRST_MILLIS: i64 = -62_167_219_200_000;
const LAST_MILLIS: i64 = 253_402_300_799_999;

/// As in RFC 3339, in UTC, with milliseconds where there are any.
pub(super) fn instant(at: Timestamp) -> String {
    let millis = at.millis().clamp(FIRST_MILLIS, LAST_MILLIS);
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000)
        .ok()
        .and_then(|at| at.format(&Rfc3339).ok())
        .expect("the years 0 to 9999 can be written")
}

/// The beginning of a text that somebody else has written.
pub(super) fn shortened(text: &str) -> String {
    text.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_written_for_every_timestamp() {
        let write = |millis| instant(Timestamp::from_millis(millis));
        assert_eq!(write(1_700_000_000_123), "2023-11-14T22:13:20.123Z");
        assert_eq!(write(0), "1970-01-01T00:00:00Z");
        assert_eq!(write(i64::MAX), "9999-12-31T23:59:59.999Z");
        assert_eq!(write(i64::MIN), "0000-01-01T00:00:00Z");
    }
}
