//! Text forms that the protocols use: base64, hexadecimal, percent-encoding, dates.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Base64 with the alphabet of URLs and no padding (RFC 4648, section 5).
pub(crate) fn base64_url(bytes: &[u8]) -> String {
    encode(bytes, b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
}

/// Base64 with the usual alphabet and padding (RFC 4648, section 4).
pub(crate) fn base64(bytes: &[u8]) -> String {
    let mut text = encode(bytes, b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}

fn encode(bytes: &[u8], alphabet: &[u8; 64]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..=group.len() {
            let index = (bits >> (18 - 6 * place)) & 63;
            text.extend(alphabet.get(index as usize).map(|byte| char::from(*byte)));
        }
    }
    text
}

/// Decodes base64 of either alphabet, padded rightly or not at all; `None` if it is none.
///
/// Like Entra, which takes thumbprints in both alphabets and does not mind padding in assertions.
pub(crate) fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let bare = text.trim_end_matches('=');
    if bare.len() != text.len() && (!text.len().is_multiple_of(4) || text.len() - bare.len() > 2) {
        return None;
    }
    let mut bytes = Vec::with_capacity(bare.len() / 4 * 3 + 2);
    for group in bare.as_bytes().chunks(4) {
        let mut bits = 0_u32;
        for letter in group {
            bits = bits << 6
                | u32::from(match letter {
                    b'A'..=b'Z' => letter - b'A',
                    b'a'..=b'z' => letter - b'a' + 26,
                    b'0'..=b'9' => letter - b'0' + 52,
                    b'+' | b'-' => 62,
                    b'/' | b'_' => 63,
                    _ => return None,
                });
        }
        let count = match group.len() {
            4 => 3,
            3 => 2,
            2 => 1,
            _ => return None,
        };
        let [_, decoded @ ..] = (bits << (6 * (4 - group.len()))).to_be_bytes();
        bytes.extend(decoded.iter().take(count));
    }
    Some(bytes)
}

/// True for the usual form of a GUID: 8, 4, 4, 4 and 12 hexadecimal digits.
pub(crate) fn is_guid(text: &str) -> bool {
    let lengths = [8, 4, 4, 4, 12];
    let mut parts = text.split('-');
    lengths.iter().all(|length| {
        parts.next().is_some_and(|part| part.len() == *length && part.bytes().all(|byte| byte.is_ascii_hexdigit()))
    }) && parts.next().is_none()
}

/// True for a domain name of two labels or more.
pub(crate) fn is_domain(name: &str) -> bool {
    name.contains('.')
        && name.split('.').all(|label| {
            !label.is_empty()
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
}

/// The form of a GUID (version 4) for these bytes.
pub(crate) fn guid(mut bytes: [u8; 16]) -> String {
    let [.., version, _, variant, _, _, _, _, _, _, _] = &mut bytes;
    *version = *version & 0x0f | 0x40;
    *variant = *variant & 0x3f | 0x80;
    let digits = hex(&bytes);
    let mut text = String::with_capacity(36);
    for (place, digit) in digits.chars().enumerate() {
        if [8, 12, 16, 20].contains(&place) {
            text.push('-');
        }
        text.push(digit);
    }
    text
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Escapes everything that has a meaning in a query or a fragment, as UTF-8.
pub(crate) fn percent(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Decodes `a=b&c=d`, where `+` is a space; `None` if an escape is broken or the text is not UTF-8.
pub(crate) fn decode_form(text: &str) -> Option<Vec<(String, String)>> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode_percent(name)?, decode_percent(value)?))
        })
        .collect()
}

/// Decodes one part of a form, where `+` is a space; `None` as for [`decode_form`].
pub(crate) fn decode_percent(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                u8::try_from(high << 4 | low).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

/// Seconds since the Unix epoch, UTC; negative before it.
pub(crate) fn epoch_seconds(time: SystemTime) -> i64 {
    let seconds = |distance: Duration| i64::try_from(distance.as_secs()).unwrap_or(i64::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => seconds(after),
        Err(before) => -seconds(before.duration()),
    }
}

/// The form of the times in what Entra says of assertions: `2024-10-02T22:05:03.6755165Z`.
pub(crate) fn ticks(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let Calendar { year, month, day, hour, minute, second, .. } =
        Calendar::from_epoch(i64::try_from(since.as_secs()).unwrap_or(0));
    let fraction = since.subsec_nanos() / 100;
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:07}Z")
}

/// A point in time taken apart, UTC, in the calendar of ISO 8601.
pub(crate) struct Calendar {
    pub(crate) year: i64,
    pub(crate) month: i64,
    pub(crate) day: i64,
    pub(crate) hour: i64,
    pub(crate) minute: i64,
    pub(crate) second: i64,
    days: i64,
}

impl Calendar {
    /// The calendar form of so many seconds since the Unix epoch.
    pub(crate) fn from_epoch(seconds: i64) -> Self {
        let days = seconds.div_euclid(86_400);
        let second_of_day = seconds.rem_euclid(86_400);
        // Years begin in March here, so that the leap day is the last of its year.
        let shifted = days.saturating_add(719_468);
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * day_of_year + 2) / 153;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
        Self {
            year: era * 400 + year_of_era + i64::from(month <= 2),
            month,
            day: day_of_year - (153 * march_month + 2) / 5 + 1,
            hour: second_of_day / 3_600,
            minute: second_of_day / 60 % 60,
            second: second_of_day % 60,
            days,
        }
    }

    /// The form of the timestamps in Entra's errors: `2026-11-23 05:39:05Z`.
    pub(crate) fn entra_timestamp(&self) -> String {
        let Self { year, month, day, hour, minute, second, .. } = self;
        format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}Z")
    }

    /// The form of dates in messages of .NET programs: `11/23/2026 5:39:05 AM`.
    pub(crate) fn us_date(&self) -> String {
        let Self { year, month, day, hour, minute, second, .. } = self;
        let half = if *hour < 12 { "AM" } else { "PM" };
        let hour = if hour % 12 == 0 { 12 } else { hour % 12 };
        format!("{month}/{day}/{year:04} {hour}:{minute:02}:{second:02} {half}")
    }

    /// The form of the `Date` header (RFC 9110, section 5.6.7).
    pub(crate) fn http_date(&self) -> String {
        const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
        const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let name = |names: &[&'static str], index: i64| {
            usize::try_from(index).ok().and_then(|index| names.get(index).copied()).unwrap_or("???")
        };
        format!(
            "{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT",
            name(&DAYS, self.days.rem_euclid(7)),
            self.day,
            name(&MONTHS, self.month - 1),
            self.year,
            self.hour,
            self.minute,
            self.second
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_gives_the_vectors_of_rfc_4648() {
        for (plain, encoded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), encoded);
            assert_eq!(base64_url(plain.as_bytes()), encoded.trim_end_matches('='));
        }
        assert_eq!(base64_url(&[0xfb, 0xff]), "-_8");
        assert_eq!(hex(&[0, 0xaf]), "00af");
    }

    #[test]
    fn base64_of_both_alphabets_is_decoded() {
        for (text, bytes) in [
            ("", &b""[..]),
            ("Zg", b"f"),
            ("Zg==", b"f"),
            ("Zm8=", b"fo"),
            ("Zm9v", b"foo"),
            ("-_8", b"\xfb\xff"),
            ("+/8=", b"\xfb\xff"),
        ] {
            assert_eq!(decode_base64(text).as_deref(), Some(bytes), "{text}");
        }
        for broken in ["Z", "Zg=", "Zg===", "Z g", "Zm9v====", "Zm9v=", "Zg==Zg=="] {
            assert_eq!(decode_base64(broken), None, "{broken}");
        }
    }

    #[test]
    fn guids_have_their_form() {
        assert_eq!(guid([0xff; 16]), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert!(is_guid(&guid([0; 16])));
        for other in
            ["", "contoso.example", "ffffffff-ffff-4fff-bfff-fffffffffffg", "ffffffff-ffff-4fff-bfff-ffffffffffff-"]
        {
            assert!(!is_guid(other), "{other}");
        }
    }

    #[test]
    fn forms_are_decoded_strictly() {
        let pairs = decode_form("a=b+c&d=%2F%c3%a9&e&=f&&g=h=i").unwrap();
        let expected = [("a", "b c"), ("d", "/é"), ("e", ""), ("", "f"), ("g", "h=i")];
        assert_eq!(pairs, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        for broken in ["a=%", "a=%2", "a=%zz", "a=%ff", "%=a"] {
            assert_eq!(decode_form(broken), None, "{broken}");
        }
    }

    #[test]
    fn dates_agree_with_known_ones() {
        // `date -u -d @N` of GNU coreutils gave these.
        for (seconds, date) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (951_827_696, "Tue, 29 Feb 2000 12:34:56 GMT"),
            (1_795_412_345, "Mon, 23 Nov 2026 05:39:05 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (-1, "Wed, 31 Dec 1969 23:59:59 GMT"),
        ] {
            assert_eq!(Calendar::from_epoch(seconds).http_date(), date);
        }
        assert_eq!(epoch_seconds(UNIX_EPOCH - Duration::from_secs(5)), -5);
        assert_eq!(ticks(UNIX_EPOCH), "1970-01-01T00:00:00.0000000Z");
        assert_eq!(ticks(UNIX_EPOCH + Duration::new(1_727_906_703, 675_516_599)), "2024-10-02T22:05:03.6755165Z");
    }
}
