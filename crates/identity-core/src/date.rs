//! Times as services write them, as seconds since the Unix epoch, UTC.

/// Parses the date of an HTTP header: the preferred form and both obsolete ones.
///
/// Source: RFC 9110, section 5.6.7. Two-digit years are taken as 19xx from 70 on, else as 20xx. The name of the day is
/// not checked.
#[must_use]
pub fn parse_http_date(text: &str) -> Option<i64> {
    let text = text.trim();
    let mut words = text.split([' ', ',', '-']).filter(|word| !word.is_empty());
    words.next()?; // name of the day
    let first = words.next()?;
    if let Some(month) = month(first) {
        // Sun Nov  6 08:49:37 1994
        let (day, time, year) = (words.next()?, words.next()?, words.next()?);
        let (h, m, s) = clock(time)?;
        return civil(number(year)?, month, number(day)?, h, m, s);
    }
    // Sun, 06 Nov 1994 08:49:37 GMT; Sunday, 06-Nov-94 08:49:37 GMT
    let (month, year, time) = (month(words.next()?)?, words.next()?, words.next()?);
    let year = match (number(year)?, year.len()) {
        (year @ 70.., 2) => year + 1900,
        (year, 2) => year + 2000,
        (year, 4) => year,
        _ => return None,
    };
    let (h, m, s) = clock(time)?;
    (words.next()? == "GMT").then(|| civil(year, month, number(first)?, h, m, s))?
}

/// Parses the time of expiry in every form that a managed-identity endpoint is known to use: Unix seconds as a number,
/// `MM/dd/yyyy HH:mm:ss` and `M/d/yyyy h:mm:ss AM|PM`, both with or without ` +00:00`, `yyyy-MM-dd HH:mm:ss`, and
/// RFC 3339. Without a zone it is UTC; fractions of a second are dropped.
#[must_use]
pub fn parse_time(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Some(seconds) = parse_seconds(text) {
        return Some(seconds);
    }
    if !text.is_ascii() {
        return None;
    }
    let (date, rest) = text.split_once([' ', 'T', 't'])?;
    let (year, month, day) = if date.bytes().any(|b| b == b'/') {
        let mut parts = date.splitn(3, '/');
        let (month, day, year) = (parts.next()?, parts.next()?, parts.next()?);
        (year, month, day)
    } else {
        let mut parts = date.splitn(3, '-');
        (parts.next()?, parts.next()?, parts.next()?)
    };
    if year.len() != 4 {
        return None;
    }
    let time_len = rest.find(|c: char| !(c.is_ascii_digit() || matches!(c, ':' | '.'))).unwrap_or(rest.len());
    let (time, mut zone) = rest.split_at(time_len);
    let (mut hour, minute, second) = clock(time)?;
    zone = zone.trim();
    for (mark, shift) in [("AM", 0), ("PM", 12)] {
        if let Some(after) = zone.strip_prefix(mark) {
            if !(1..=12).contains(&hour) {
                return None;
            }
            hour = hour % 12 + shift;
            zone = after.trim();
        }
    }
    civil(number(year)?, number(month)?, number(day)?, hour, minute, second)?.checked_sub(offset(zone)?)
}

/// Parses a count of seconds: an integer, or a number with a fraction or exponent, which is cut. Saturates.
#[must_use]
pub fn parse_seconds(text: &str) -> Option<i64> {
    let text = text.trim();
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i16>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = || whole.bytes().chain(fraction.bytes());
    if whole.is_empty() || !digits().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // Without floats, whose parser is larger than the rest of this crate. What stands left of the moved point counts;
    // 20 zeros more than there are digits overflow whatever else than zero they follow.
    let places = i64::try_from(whole.len()).ok()?.saturating_add(exponent.into());
    let places = usize::try_from(places).unwrap_or(0).min(mantissa.len() + 20);
    let value = digits().chain(std::iter::repeat(b'0')).take(places).fold(0i64, |value, digit| {
        let digit = i64::from(digit - b'0');
        value.saturating_mul(10).saturating_add(if negative { -digit } else { digit })
    });
    Some(value)
}

/// Seconds since the epoch of a UTC date and time of the proleptic Gregorian calendar.
#[must_use]
pub fn civil(year: i64, month: i64, day: i64, hour: i64, minute: i64, second: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_in_month = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let valid = (1..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days_in_month).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second);
    if !valid {
        return None;
    }
    // Years are counted from March, so that the leap day is the last of its year.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 719_469;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

/// `HH:mm:ss`, with or without a fraction.
fn clock(text: &str) -> Option<(i64, i64, i64)> {
    let mut parts = text.split('.').next()?.splitn(3, ':');
    let time = (number(parts.next()?)?, number(parts.next()?)?, number(parts.next()?)?);
    Some(time)
}

/// A zone as seconds east of UTC: nothing, `Z`, `UTC`, `GMT`, `+hh:mm`, `-hh:mm`.
fn offset(zone: &str) -> Option<i64> {
    let sign = match zone.get(..1) {
        None => return Some(0),
        Some("+") => 1,
        Some("-") => -1,
        _ => return matches!(zone, "Z" | "z" | "UTC" | "GMT").then_some(0),
    };
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes) * 60)
}

/// Up to four digits and nothing else.
fn number(text: &str) -> Option<i64> {
    (text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

fn month(name: &str) -> Option<i64> {
    let all = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    (1..).zip(all).find(|(_, month)| *month == name).map(|(number, _)| number)
}

#[cfg(test)]
mod tests {
    use super::*;

    // 784111777: the example of RFC 9110, section 5.6.7, in all three forms.
    #[test]
    fn all_forms_of_http_dates_are_one_time() {
        for text in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            assert_eq!(parse_http_date(text), Some(784_111_777), "{text}");
        }
        assert_eq!(parse_http_date("Fri, 31 Dec 9999 23:59:59 GMT"), Some(253_402_300_799));
        for bad in [
            "",
            "soon",
            "Sun, 06 Nov 1994",
            "Sun, 31 Feb 2021 00:00:00 GMT",
            "Sun, 06 Nov 1994 08:49:37 PST",
            "-1",
            "Sun, 06 Nov 194 08:49:37 GMT",
        ] {
            assert_eq!(parse_http_date(bad), None, "{bad}");
        }
    }

    // 1636125511 is 2021-11-05 15:18:31 UTC by `date -u -d @1636125511`.
    #[test]
    fn all_forms_of_expiry_are_one_time() {
        for text in [
            "1636125511",
            " 1636125511 ",
            "1636125511.9",
            "11/05/2021 15:18:31 +00:00",
            "11/5/2021 3:18:31 PM +00:00",
            "11/05/2021 03:18:31 PM",
            "11/05/2021 15:18:31",
            "2021-11-05 15:18:31",
            "2021-11-05T15:18:31Z",
            "2021-11-05T15:18:31.123456789Z",
            "2021-11-05T17:18:31+02:00",
            "2021-11-05T10:18:31-05:00",
        ] {
            assert_eq!(parse_time(text), Some(1_636_125_511), "{text}");
        }
        assert_eq!(parse_time("11/5/2021 12:00:00 AM"), parse_time("2021-11-05 00:00:00"));
        assert_eq!(parse_time("11/5/2021 12:00:00 PM"), parse_time("2021-11-05 12:00:00"));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for bad in [
            "",
            "never",
            "inf",
            "NaN",
            "13/05/2021 15:18:31",
            "11/31/2021 15:18:31",
            "2021-02-29 00:00:00",
            "2021-11-05",
            "2021-11-05T25:00:00Z",
            "2021-11-05T15:18:31+2",
            "2021-11-05T15:18:31 CET",
            "11/5/2021 13:18:31 PM",
            "11/5/21 3:18:31 PM",
            "0x10",
            "２０２１-11-05 00:00:00",
        ] {
            assert_eq!(parse_time(bad), None, "{bad}");
        }
    }

    #[test]
    fn seconds_saturate_and_never_panic() {
        for (text, expected) in [
            ("3599", Some(3599)),
            ("3599.7", Some(3599)),
            ("-1", Some(-1)),
            ("1e400", Some(i64::MAX)),
            ("-1e400", Some(i64::MIN)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("0e400", Some(0)),
            ("1.5e3", Some(1500)),
            ("3599.75E+1", Some(35_997)),
            ("35990e-1", Some(3599)),
            ("1e-400", Some(0)),
            ("00003599", Some(3599)),
            ("1e99999", None),
            ("1e", None),
            ("1.2.3", None),
            ("--1", None),
            ("- 1", None),
            ("+1", None),
            (".5", None),
            ("1_000", None),
            ("0x10", None),
            ("NaN", None),
            ("\u{661}", None),
            ("9223372036854775808", Some(i64::MAX)),
            ("", None),
            ("infinity", None),
        ] {
            assert_eq!(parse_seconds(text), expected, "{text}");
        }
    }

    #[test]
    fn days_are_counted_across_leap_years() {
        assert_eq!(civil(1970, 1, 1, 0, 0, 0), Some(0));
        assert_eq!(civil(2000, 2, 29, 0, 0, 0), Some(951_782_400));
        assert_eq!(civil(2100, 2, 29, 0, 0, 0), None);
        assert_eq!(civil(1969, 12, 31, 23, 59, 59), Some(-1));
    }
}
