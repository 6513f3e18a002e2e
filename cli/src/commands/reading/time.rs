//! Times and durations, in arguments and in words.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::civil::DateTime;
use jiff::{Span, SpanRelativeTo, Timestamp, tz::TimeZone};

/// Now, by this machine's clock, in milliseconds since the epoch.
pub(in crate::commands) fn now_millis() -> u64 {
    // A clock before 1970 counts as 1970.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// RFC 3339 in UTC, with what digits of a second there are; `None` beyond the year 9999.
pub(in crate::commands) fn rfc3339(millis: u64) -> Option<String> {
    timestamp(millis).map(|time| time.to_string())
}

/// RFC 3339 in UTC, for people: to the second.
pub(in crate::commands) fn to_the_second(millis: u64) -> String {
    match timestamp(millis) {
        Some(time) => format!("{time:.0}"),
        None => format!("{millis} ms"),
    }
}

fn timestamp(millis: u64) -> Option<Timestamp> {
    let millis = i64::try_from(millis).ok()?;
    // What it cannot express is no error here: a timestamp in a log may be anything.
    Timestamp::from_millisecond(millis).ok()
}

/// A duration for people: its two largest units.
pub(in crate::commands) fn brief(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    let two = |large, large_unit, small, small_unit| match small {
        0 => format!("{large}{large_unit}"),
        _ => format!("{large}{large_unit} {small}{small_unit}"),
    };
    match (days, hours, minutes, seconds) {
        (1.., ..) => two(days, "d", hours, "h"),
        (_, 1.., ..) => two(hours, "h", minutes, "m"),
        (_, _, 1.., _) => two(minutes, "m", seconds % 60, "s"),
        (_, _, _, 10..) => format!("{seconds}s"),
        _ if duration.subsec_millis() == 0 => format!("{seconds}s"),
        _ if seconds > 0 => format!("{seconds}.{}s", duration.subsec_millis() / 100),
        _ => format!("{}ms", duration.as_millis()),
    }
}

/// A length of time as an argument: `5m`, `90s`, `1h30m`, `2d`.
pub(in crate::commands) fn parse_duration(text: &str) -> Result<Duration, String> {
    let duration = unsigned(text).ok_or("it is no length of time such as 90s, 5m or 1h30m")?;
    if duration.is_zero() { Err("it is no time at all; give 1s or more".to_owned()) } else { Ok(duration) }
}

/// A moment as an argument, in milliseconds since the epoch: an RFC 3339 time, a date (UTC), or how long ago.
pub(in crate::commands) fn parse_moment(text: &str) -> Result<u64, String> {
    let at = text.parse::<Timestamp>().ok().or_else(|| {
        let date = text.parse::<DateTime>().ok()?;
        Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
    });
    if let Some(at) = at {
        return u64::try_from(at.as_millisecond()).map_err(|_| "it is before 1970".to_owned());
    }
    let ago = unsigned(text).ok_or(
        "it is neither a time such as 2026-01-31T12:00:00Z, nor a date, nor how long ago, such as 2h or 7d",
    )?;
    let ago = u64::try_from(ago.as_millis()).unwrap_or(u64::MAX);
    Ok(now_millis().saturating_sub(ago))
}

fn unsigned(text: &str) -> Option<Duration> {
    let span = text.parse::<Span>().ok()?;
    Duration::try_from(span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, seconds) in [("5m", 300), ("90s", 90), ("1h30m", 5400), ("1h 30m", 5400), ("2d", 172_800)]
        {
            assert_eq!(parse_duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        for text in ["", "5", "m", "-5m", "0s", "1 month", "five minutes"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn moments_are_times_dates_or_how_long_ago() {
        assert_eq!(parse_moment("1970-01-01T00:00:01.5Z"), Ok(1500));
        assert_eq!(parse_moment("1970-01-01T02:00:00+01:00"), Ok(3_600_000));
        assert_eq!(parse_moment("1970-01-02"), Ok(86_400_000));
        let then = parse_moment("7d").unwrap();
        let ago = now_millis() - then;
        assert!((604_800_000..604_900_000).contains(&ago), "{ago}");
        for text in ["", "yesterday", "1969-12-31", "12"] {
            assert!(parse_moment(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_are_written_in_two_units() {
        for (millis, text) in [
            (0, "0s"),
            (7, "7ms"),
            (4_260, "4.2s"),
            (5_000, "5s"),
            (59_999, "59s"),
            (60_000, "1m"),
            (724_000, "12m 4s"),
            (3_600_000, "1h"),
            (11_100_000, "3h 5m"),
            (90_000_000, "1d 1h"),
        ] {
            assert_eq!(brief(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn a_time_that_no_calendar_has_is_still_shown() {
        assert_eq!(rfc3339(1_752_230_923_120).as_deref(), Some("2025-07-11T10:48:43.12Z"));
        assert_eq!(to_the_second(1_752_230_923_120), "2025-07-11T10:48:43Z");
        for millis in [i64::MAX as u64, u64::MAX] {
            assert_eq!(rfc3339(millis), None);
            assert_eq!(to_the_second(millis), format!("{millis} ms"));
        }
    }
}
