//! Instants in the form that macaroon caveats use: `2026-11-23T20:30:08.123456789Z`.

use crate::model::Time;

const DAY: u64 = 86_400;

/// Always in UTC, the fraction only as long as it must be.
pub(crate) fn write(time: Time) -> String {
    let (secs, nanos) = (time.secs(), time.nanos() % 1_000_000_000);
    let (days, rest) = (secs / DAY, secs % DAY);
    let (year, month, day) = date(days);
    let clock = format!("{:02}:{:02}:{:02}", rest / 3_600, rest / 60 % 60, rest % 60);
    let fraction = match nanos {
        0 => String::new(),
        nanos => format!(".{nanos:09}").trim_end_matches('0').to_owned(),
    };
    format!("{year:04}-{month:02}-{day:02}T{clock}{fraction}Z")
}

/// Reads what Go's `time.RFC3339Nano` writes, any zone; `None` for anything else.
pub(crate) fn read(text: &str) -> Option<Time> {
    let (date, clock) = text.split_once('T')?;
    let (clock, offset_secs) = match clock.strip_suffix('Z') {
        Some(clock) => (clock, 0),
        None => zone(clock)?,
    };
    let (clock, nanos) = match clock.split_once('.') {
        Some((clock, fraction)) => (clock, fraction_nanos(fraction)?),
        None => (clock, 0),
    };
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
    let fits = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=month_days(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !fits {
        return None;
    }
    let secs = days(year, month, day) * DAY + hour * 3_600 + minute * 60 + second;
    let secs = secs.checked_add_signed(-offset_secs)?;
    Some(Time::from_nanos(secs.checked_mul(1_000_000_000)?.checked_add(nanos)?))
}

fn zone(clock: &str) -> Option<(&str, i64)> {
    let at = clock.rfind(['+', '-'])?;
    let [hours, minutes] = numbers(&clock[at + 1..], ':', [2, 2])?;
    let secs = i64::try_from(hours * 3_600 + minutes * 60).ok()?;
    Some((&clock[..at], if clock[at..].starts_with('-') { -secs } else { secs }))
}

fn fraction_nanos(digits: &str) -> Option<u64> {
    let ok = (1..=9).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    if ok { format!("{digits:0<9}").parse().ok() } else { None }
}

fn numbers<const N: usize>(text: &str, by: char, widths: [usize; N]) -> Option<[u64; N]> {
    let mut parts = text.split(by);
    let mut numbers = [0; N];
    for (number, width) in numbers.iter_mut().zip(widths) {
        let part = parts.next()?;
        if part.len() != width || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

fn leap(year: u64) -> bool {
    (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400)
}

fn month_days(year: u64, month: u64) -> u64 {
    match month {
        2 => 28 + u64::from(leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let before = year - 1;
    let leaps = before / 4 - before / 100 + before / 400 - (1969 / 4 - 1969 / 100 + 1969 / 400);
    let months: u64 = (1..month).map(|month| month_days(year, month)).sum();
    (year - 1970) * 365 + leaps + months + day - 1
}

fn date(days_since: u64) -> (u64, u64, u64) {
    let mut year = 1970 + days_since / 366;
    while days(year + 1, 1, 1) <= days_since {
        year += 1;
    }
    let mut left = days_since - days(year, 1, 1);
    let mut month = 1;
    while left >= month_days(year, month) {
        left -= month_days(year, month);
        month += 1;
    }
    (year, month, left + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_instants() {
        for (text, secs) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T23:59:59Z", 951_868_799),
            ("2026-11-23T20:30:08Z", 1_795_465_808),
        ] {
            assert_eq!(read(text), Some(Time::from_secs(secs)));
            assert_eq!(write(Time::from_secs(secs)), text);
        }
        assert_eq!(read("1970-01-01T02:00:00.5+01:00"), Some(Time::from_nanos(3_600_500_000_000)));
        assert_eq!(write(Time::from_nanos(1_500_000_000)), "1970-01-01T00:00:01.5Z");
    }

    #[test]
    fn nonsense() {
        for text in [
            "",
            "2026-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-01-01",
            "x",
            "2026-01-01T00:00:00",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn reads_what_it_writes(nanos in 0u64..=u64::MAX) {
            let time = Time::from_nanos(nanos);
            proptest::prop_assert_eq!(read(&write(time)), Some(time));
        }
    }
}
