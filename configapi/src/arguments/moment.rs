//! How people name a moment: a time, a time ago, a position, or a token.

use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use configapi_proto::v1::{PointInTime, point_in_time};
use configapi_proto::{Token, timestamp_from_micros};
use configapi_runtime::settings;

/// What a moment looks like, for help texts.
pub const FORMS: &str = "a time (2024-01-15T10:30:00Z), a day (2024-01-15, from midnight UTC), a \
                         time ago (15m, 7d), now, a position (1042) or a token (1-1042)";

const SECONDS_PER_DAY: i32 = 86_400;

/// A moment in the life of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// A time, in microseconds since 1970.
    Time(i64),
    /// A position.
    Position(u64),
    /// A position whose epoch is known.
    Token(Token),
}

/// A text that names no moment. It does not repeat the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAMoment {
    /// It is nothing that is known.
    #[error("must be {FORMS}")]
    Unknown,
    /// It is a time, but nobody knows where.
    #[error("a time needs an offset or Z: 2024-01-15T10:30:00Z or 2024-01-15T12:30:00+02:00")]
    WithoutOffset,
}

impl FromStr for Moment {
    type Err = NotAMoment;

    fn from_str(text: &str) -> Result<Self, NotAMoment> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            // Written in one way only, as in a token: `01` may have been meant for a day or an hour.
            let is_padded = text.len() > 1 && text.starts_with('0');
            let position = text.parse().ok().filter(|_| !is_padded);
            return position.map(Self::Position).ok_or(NotAMoment::Unknown);
        }
        if let Ok(token) = text.parse() {
            return Ok(Self::Token(token));
        }
        if let Ok(time) = text.parse::<jiff::Timestamp>() {
            let time = Self::Time(time.as_microsecond());
            return has_offset_within_a_day(text).then_some(time).ok_or(NotAMoment::Unknown);
        }
        if is_end_of_time(text) {
            return Ok(Self::Time(jiff::Timestamp::MAX.as_microsecond()));
        }
        if let Some(midnight) = midnight_of(text) {
            return Ok(Self::Time(midnight));
        }
        if text.parse::<jiff::civil::DateTime>().is_ok() {
            return Err(NotAMoment::WithoutOffset);
        }
        // The log knows no later time than now, whatever this machine's clock says.
        if text == "now" {
            return Ok(Self::Time(jiff::Timestamp::MAX.as_microsecond()));
        }
        let ago = days(text).map_or_else(|| settings::duration(text), Ok);
        let ago = ago.map_err(|_| NotAMoment::Unknown)?;
        let ago = i64::try_from(ago.as_micros()).map_err(|_| NotAMoment::Unknown)?;
        Ok(Self::Time(now_micros().saturating_sub(ago)))
    }
}

/// Whether a time's offset is one, as ISO 8601 has it. The library takes a little more than a day.
fn has_offset_within_a_day(time: &str) -> bool {
    let pieces = jiff::fmt::temporal::Pieces::parse(time).ok();
    let offset = pieces.and_then(|pieces| pieces.to_numeric_offset());
    offset.is_none_or(|offset| offset.seconds().abs() < SECONDS_PER_DAY)
}

/// Whether it is a time of the last hours of the year 9999, which many write for the end of time. It is
/// read as the last one that can be reckoned with: the one is as far in the future as the other.
fn is_end_of_time(text: &str) -> bool {
    jiff::fmt::temporal::Pieces::parse(text).is_ok_and(|pieces| {
        let last = jiff::Timestamp::MAX.to_zoned_datetime(jiff::tz::TimeZone::UTC).date();
        let is_whole = pieces.time().is_some() && pieces.offset().is_some();
        pieces.date() >= last && is_whole && has_offset_within_a_day(text)
    })
}

/// When a day begins in UTC, in microseconds since 1970. The form is looked at first: a whole time
/// would be read as its day too, and the hours be lost.
fn midnight_of(text: &str) -> Option<i64> {
    let is_day = text.len() == "YYYY-MM-DD".len()
        && text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    let day: jiff::civil::Date = is_day.then(|| text.parse().ok())??;
    let midnight = day.to_zoned_datetime(jiff::tz::TimeZone::UTC);
    let midnight = midnight.map_or(jiff::Timestamp::MAX, |midnight| midnight.timestamp());
    Some(midnight.as_microsecond())
}

impl From<Moment> for PointInTime {
    fn from(moment: Moment) -> Self {
        let moment = match moment {
            Moment::Time(micros) => point_in_time::Moment::Time(timestamp_from_micros(micros)),
            Moment::Position(position) => point_in_time::Moment::Position(position),
            Moment::Token(token) => point_in_time::Moment::Token(token.to_string()),
        };
        Self { moment: Some(moment) }
    }
}

/// Reads days or weeks, of 24 hours each: `7d`, `2w`. Settings have none: nothing waits so long.
fn days(text: &str) -> Option<Duration> {
    let weeks = text.strip_suffix('w').map(|weeks| (weeks, 7));
    let (count, days) = weeks.or_else(|| Some((text.strip_suffix('d')?, 1)))?;
    let is_count = !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit());
    let hours = is_count.then(|| count.parse::<u64>().ok())??.checked_mul(24 * days)?;
    settings::duration(&format!("{hours}h")).ok()
}

fn now_micros() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX)
}
