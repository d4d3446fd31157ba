//! How amounts, times and tables look to people.

/// Whole satoshi with commas, and the thousandths only where there are any.
pub(crate) fn sat(msat: u64) -> String {
    let (whole, rest) = (msat / 1_000, msat % 1_000);
    let digits = whole.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if rest > 0 { format!("{text}.{rest:03} sat") } else { format!("{text} sat") }
}

/// The same for a difference.
pub(crate) fn signed_sat(msat: i64) -> String {
    let sign = if msat < 0 { "-" } else { "" };
    format!("{sign}{}", sat(msat.unsigned_abs()))
}

/// Milliseconds since 1970 as `2026-11-23 20:59:01.250Z`.
pub(crate) fn time(millis: i64) -> String {
    const DAY_MS: i64 = 86_400_000;
    let (day, ms) = (millis.div_euclid(DAY_MS), millis.rem_euclid(DAY_MS));
    let (year, month, day) = date(day);
    let (seconds, ms) = (ms / 1_000, ms % 1_000);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// Days since 1970 as a date, by way of eras of 400 years that begin in March.
fn date(day: i64) -> (i64, i64, i64) {
    const MARCH_0000_TO_1970: i64 = 719_468;
    const ERA: i64 = 146_097;
    let day = day + MARCH_0000_TO_1970;
    let (era, day) = (day.div_euclid(ERA), day.rem_euclid(ERA));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next_year) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (year + era * 400 + next_year, month, day)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes from hex in either case.
pub(crate) fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

/// Text from outside without what would steer a terminal, as the descriptions of invoices are read.
pub(crate) fn clean(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

/// Rows under a head, each column as wide as its widest cell.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = head.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<String> =
            cells.zip(&widths).map(|(cell, &width)| format!("{:width$}", clean(cell))).collect();
        format!("{}\n", padded.join("  ").trim_end())
    };
    let mut text = line(&mut head.iter().copied());
    for row in rows {
        text += &line(&mut row.iter().map(String::as_str));
    }
    text
}

/// Names and values, one pair a line; pairs without a value are left out.
pub(crate) fn facts(pairs: &[(&str, String)]) -> String {
    let shown: Vec<_> = pairs.iter().filter(|(_, value)| !value.is_empty()).collect();
    let width = shown.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    shown.iter().map(|(name, value)| format!("{name:width$}  {}\n", clean(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_well() {
        assert_eq!(sat(0), "0 sat");
        assert_eq!(sat(1), "0.001 sat");
        assert_eq!(sat(1_234_567_890), "1,234,567.890 sat");
        assert_eq!(signed_sat(-25_000_000), "-25,000 sat");
    }

    #[test]
    fn times_read_well() {
        assert_eq!(time(0), "1970-01-01 00:00:00.000Z");
        assert_eq!(time(951_782_400_000), "2000-02-29 00:00:00.000Z");
        assert_eq!(time(1_767_225_599_999), "2025-12-31 23:59:59.999Z");
        assert_eq!(time(-1), "1969-12-31 23:59:59.999Z");
    }

    #[test]
    fn text_from_outside_steers_nothing() {
        let shown = facts(&[("for", "tea\u{1b}[2J\nstatus  paid \u{9b}1m caf\u{e9}".to_owned())]);
        assert_eq!(shown, "for  tea\u{fffd}[2J\u{fffd}status  paid \u{fffd}1m caf\u{e9}\n");
        let shown = table(&["NAME"], &[vec!["a\nb\r".to_owned()]]);
        assert_eq!(shown, "NAME\na\u{fffd}b\u{fffd}\n");
    }

    #[test]
    fn hex_reads_back() {
        assert_eq!(from_hex(&hex(&[0, 0xab, 255])), Some(vec![0, 0xab, 255]));
        assert_eq!(from_hex("abc"), None);
        assert_eq!(from_hex("zz"), None);
    }
}
