//! How long a token lives, from what the service says about it.

use std::time::{Duration, SystemTime};

/// The longest life that is believed; longer ones are cut to it.
///
/// Source: our choice; the longest that Entra issues is 28 hours, for clients that handle revocation.
pub const LIFE_LIMIT: Duration = Duration::from_secs(7 * 24 * 3600);

/// The life of a token, counted from when it was asked for; `None` if the service gave no time, or one in the past.
///
/// `expires_in` (seconds) decides if it is there. Else it is `expires_on` (Unix seconds) less the time of day by the
/// answer's own `Date`, so that a wrong clock of this machine does no harm; else less `wall`, the local time of day.
#[must_use]
pub fn life(expires_in: Option<i64>, expires_on: Option<i64>, date: Option<i64>, wall: SystemTime) -> Option<Duration> {
    let seconds = match (expires_in, expires_on) {
        (Some(seconds), _) => seconds,
        (None, Some(at)) => at.checked_sub(date.or_else(|| unix_seconds(wall))?)?,
        (None, None) => return None,
    };
    let life = Duration::from_secs(u64::try_from(seconds).ok().filter(|&seconds| seconds > 0)?);
    Some(life.min(LIFE_LIMIT))
}

/// Whole seconds since the Unix epoch; `None` for times before it.
#[must_use]
pub fn unix_seconds(time: SystemTime) -> Option<i64> {
    i64::try_from(time.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_relative_time_wins_and_the_answers_own_date_comes_next() {
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        for (expires_in, expires_on, date, expected) in [
            (Some(3600), None, None, Some(3600)),
            (Some(3600), Some(1_009_000), None, Some(3600)),
            (None, Some(1_003_600), None, Some(3600)),
            (None, Some(5_003_600), Some(5_000_000), Some(3600)),
            (None, Some(999_999), None, None),
            (Some(0), Some(1_003_600), None, None),
            (Some(-1), None, None, None),
            (None, None, Some(1), None),
            (Some(i64::MAX), None, None, Some(LIFE_LIMIT.as_secs())),
            (None, Some(i64::MAX), None, Some(LIFE_LIMIT.as_secs())),
            (None, Some(i64::MIN), Some(i64::MAX), None),
        ] {
            let expected = expected.map(Duration::from_secs);
            assert_eq!(life(expires_in, expires_on, date, wall), expected, "{expires_in:?} {expires_on:?} {date:?}");
        }
    }

    #[test]
    fn a_clock_before_the_epoch_does_no_harm() {
        let wall = SystemTime::UNIX_EPOCH - Duration::from_secs(5);
        assert_eq!(life(None, Some(3600), None, wall), None);
        assert_eq!(life(Some(3600), None, None, wall), Some(Duration::from_secs(3600)));
    }
}
