//! Times for people.

use std::time::{Duration, SystemTime};

/// `2026-11-23 06:02:50 UTC, in 59 min`, seen from `now`.
pub(crate) fn until(time: SystemTime, now: SystemTime) -> String {
    let relative = match time.duration_since(now) {
        Ok(left) => format!("in {}", length(left)),
        Err(passed) => format!("{} ago", length(passed.duration())),
    };
    match utc(seconds(time)) {
        Some(date) => format!("{date}, {relative}"),
        None => relative,
    }
}

/// Seconds since the Unix epoch, rounded down; 0 for times before it.
pub(crate) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// `2026-11-23 06:02:50 UTC`; `None` after the year 9999.
pub(crate) fn utc(seconds: u64) -> Option<String> {
    let (date, time) = date_and_time(seconds)?;
    Some(format!("{date} {time} UTC"))
}

/// `2026-11-23T06:02:50Z`; `None` after the year 9999.
///
/// Source: RFC 3339, section 5.6.
pub(crate) fn rfc3339(seconds: u64) -> Option<String> {
    let (date, time) = date_and_time(seconds)?;
    Some(format!("{date}T{time}Z"))
}

/// `2026-11-23` and `06:02:50`.
fn date_and_time(seconds: u64) -> Option<(String, String)> {
    if seconds >= YEAR_10000 {
        return None;
    }
    let (mut days, second) = (seconds / 86_400, seconds % 86_400);
    let is_leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let mut month = 1;
    for length in [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    Some((format!("{year}-{month:02}-{:02}", days + 1), format!("{hour:02}:{minute:02}:{second:02}")))
}

/// The two largest units: `42 s`, `59 min`, `23 h 59 min`, `3 d 4 h`.
pub(crate) fn length(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{minutes} min"),
        3600..86_400 => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

/// 10000-01-01 00:00:00 UTC, by `date -u -d 10000-01-01 +%s`.
const YEAR_10000: u64 = 253_402_300_800;

#[cfg(test)]
mod tests {
    use super::*;

    // Expected values: `date -u -d @N`.
    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_399, "2000-02-28 23:59:59 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (1_636_125_511, "2021-11-05 15:18:31 UTC"),
            (1_735_689_599, "2024-12-31 23:59:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
            (YEAR_10000 - 1, "9999-12-31 23:59:59 UTC"),
        ] {
            assert_eq!(utc(seconds).as_deref(), Some(expected));
        }
        assert_eq!((utc(YEAR_10000), utc(u64::MAX)), (None, None));
        assert_eq!(rfc3339(951_782_400).as_deref(), Some("2000-02-29T00:00:00Z"));
        assert_eq!(rfc3339(YEAR_10000), None);
    }

    #[test]
    fn relative_times_have_two_units_at_most() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        for (later, expected) in
            [(0, "in 0 s"), (59, "in 59 s"), (3_599, "in 59 min"), (86_399, "in 23 h 59 min"), (273_600, "in 3 d 4 h")]
        {
            assert!(until(now + Duration::from_secs(later), now).ends_with(expected));
        }
        assert_eq!(until(now - Duration::from_secs(61), now), "1970-01-12 13:45:39 UTC, 1 min ago");
    }
}
