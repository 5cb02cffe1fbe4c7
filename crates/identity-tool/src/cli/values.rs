//! Values of options.

use std::time::Duration;

/// A number and its unit: `250ms`, `2s`, `5m`, `24h`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let millis: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err("expected a number and its unit: ms, s, m or h, such as 250ms or 2s".to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| "expected a number before the unit, such as 2s".to_owned())?;
    let millis = number.checked_mul(millis).filter(|&millis| millis <= LONGEST_MS);
    millis.map(Duration::from_millis).ok_or_else(|| "at most 8760h, a year, is accepted".to_owned())
}

/// The same, for what is told in whole seconds.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let time = duration(text)?;
    if time.is_zero() || time.subsec_nanos() != 0 {
        return Err("expected whole seconds, at least 1s".to_owned());
    }
    Ok(time)
}

/// A year, so that no sum of times overflows.
const LONGEST_MS: u64 = 8_760 * 3_600_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit_and_an_end() {
        for (text, expected) in [
            ("250ms", Some(250)),
            ("2s", Some(2_000)),
            ("0s", Some(0)),
            ("5m", Some(300_000)),
            ("8760h", Some(LONGEST_MS)),
            ("8761h", None),
            ("18446744073709551615h", None),
            ("99999999999999999999s", None),
            ("2", None),
            ("s", None),
            ("", None),
            ("-2s", None),
            ("2 s", None),
            ("1.5s", None),
            ("2é", None),
        ] {
            assert_eq!(duration(text).ok(), expected.map(Duration::from_millis), "{text}");
        }
        for (text, expected) in [("1s", Some(1)), ("2000ms", Some(2)), ("0s", None), ("999ms", None), ("1001ms", None)]
        {
            assert_eq!(seconds(text).ok(), expected.map(Duration::from_secs), "{text}");
        }
    }
}
