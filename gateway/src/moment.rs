//! Times in URLs and in answers, and the other ways to name a moment.

use configapi_proto::v1::PointInTime;
use configapi_proto::v1::point_in_time::Moment as WireMoment;
use configapi_proto::{Token, micros_from_timestamp, timestamp_from_micros};
use jiff::fmt::temporal::Pieces;
use jiff::tz::{Offset, TimeZone};
use prost_types::Timestamp;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

/// What old clients are told about a time that cannot be read.
pub(crate) const INVALID_TIME: &str =
    "Invalid timestamp format. Use ISO8601 (e.g., 2024-01-15T10:30:00Z)";

const NANOS_PER_MICRO: i128 = 1_000;
const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i32 = 86_400;

/// A time in an answer: RFC 3339 in UTC with microseconds.
#[derive(Debug, Clone, Copy, ToSchema)]
#[schema(value_type = String, format = DateTime, examples("2024-01-15T10:30:00.000000Z"))]
pub(crate) struct Time(i64);

impl Time {
    /// A time from the wire; none if there was none.
    pub fn of(timestamp: Option<&Timestamp>) -> Option<Self> {
        timestamp.and_then(|timestamp| micros_from_timestamp(timestamp).ok()).map(Self)
    }

    /// A time that the contract promises. The epoch would stand for a server that breaks it.
    pub fn promised(timestamp: Option<&Timestamp>) -> Self {
        Self::of(timestamp).unwrap_or(Self(0))
    }

    pub fn now() -> Self {
        Self(jiff::Timestamp::now().as_microsecond())
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // The wire's years 1 to 9999 are within what is representable.
        let time = jiff::Timestamp::from_microsecond(self.0).unwrap_or_default();
        serializer.collect_str(&format_args!("{time:.6}"))
    }
}

/// Reads an ISO 8601 time with an offset; what is finer than a microsecond is cut off, towards the
/// past.
pub(crate) fn time(text: &str) -> Option<Timestamp> {
    let pieces = Pieces::parse(text).ok().filter(has_offset_within_a_day)?;
    let time: jiff::Timestamp = text.parse().ok().or_else(|| end_of_time(&pieces))?;
    let micros = time.as_nanosecond().div_euclid(NANOS_PER_MICRO);
    let timestamp = timestamp_from_micros(i64::try_from(micros).ok()?);
    // The wire begins with the year 1.
    micros_from_timestamp(&timestamp).ok().map(|_| timestamp)
}

/// Whether a time's offset is one, as ISO 8601 has it. The library takes a little more than a day.
fn has_offset_within_a_day(pieces: &Pieces<'_>) -> bool {
    let offset = pieces.to_numeric_offset().unwrap_or(Offset::UTC);
    offset.seconds().abs() < SECONDS_PER_DAY
}

/// Reads a time of the last hours of the year 9999, which many write for the end of time, as the last
/// one that can be reckoned with: the one is as far in the future as the other.
fn end_of_time(pieces: &Pieces<'_>) -> Option<jiff::Timestamp> {
    let is_last = pieces.date() >= jiff::Timestamp::MAX.to_zoned_datetime(TimeZone::UTC).date();
    let is_whole = pieces.time().is_some() && pieces.offset().is_some();
    (is_last && is_whole).then_some(jiff::Timestamp::MAX)
}

/// Reads a moment: a time, a position, or a token. In a query string an unescaped `+` has become a
/// space; there is only one place where a time can have one.
pub(crate) fn point(text: &str) -> Option<PointInTime> {
    let moment = if let Ok(token) = text.parse::<Token>() {
        WireMoment::Token(token.to_string())
    } else if text.bytes().all(|byte| byte.is_ascii_digit()) {
        // Written in one way only, as in a token: `01` may have been meant for a day or an hour.
        if text.len() > 1 && text.starts_with('0') {
            return None;
        }
        WireMoment::Position(text.parse().ok()?)
    } else {
        let date_and_time = text.find('T');
        let space = date_and_time.and_then(|at| text[at..].find(' ').map(|space| at + space));
        match space {
            Some(space) => {
                WireMoment::Time(time(&format!("{}+{}", &text[..space], &text[space + 1..]))?)
            }
            None => WireMoment::Time(time(text)?),
        }
    };
    Some(PointInTime { moment: Some(moment) })
}

/// A span as seconds, for answers.
pub(crate) fn seconds(duration: Option<&prost_types::Duration>) -> f64 {
    duration.map_or(0.0, |duration| {
        let micros = i64::from(duration.nanos) / 1_000 + duration.seconds * MICROS_PER_SECOND;
        #[expect(clippy::cast_precision_loss, reason = "exact for 285 years of microseconds")]
        let micros = micros as f64;
        micros / 1e6
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> Option<String> {
        time(text).map(|time| serde_json::to_string(&Time::promised(Some(&time))).unwrap())
    }

    #[test]
    fn every_form_of_iso_8601_with_an_offset_is_read() {
        for text in [
            "2024-01-15T10:30:00Z",
            "2024-01-15 10:30:00Z",
            "2024-01-15T10:30:00.000000999Z",
            "2024-01-15T12:30:00+02:00",
            "2024-01-15T12:30:00+0200",
            "2024-01-15T12:30:00+02",
            "2024-01-15T10:30Z",
        ] {
            let expected = Some("\"2024-01-15T10:30:00.000000Z\"".to_owned());
            assert_eq!(written(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", "yesterday", "2024-01-15", "2024-01-15T10:30:00", "2024-13-01T00:00:00Z"] {
            assert_eq!(written(text), None, "{text}");
        }
        assert_eq!(written("-000001-01-01T00:00:00Z"), None);
    }

    #[test]
    fn times_before_1970_are_cut_towards_the_past_too() {
        let cut = written("1969-12-31T23:59:59.9999999Z");
        assert_eq!(cut.as_deref(), Some("\"1969-12-31T23:59:59.999999Z\""));
    }

    #[test]
    fn a_moment_is_a_time_a_position_or_a_token() {
        let moment = |text| point(text).and_then(|point| point.moment);
        assert_eq!(moment("1042"), Some(WireMoment::Position(1042)));
        assert_eq!(moment("1-1042"), Some(WireMoment::Token("1-1042".to_owned())));
        let time = time("2024-01-15T10:30:00Z").map(WireMoment::Time);
        assert_eq!(moment("2024-01-15T10:30:00Z"), time);
        assert_eq!(moment("2024-01-15T12:30:00 02:00"), time);
        assert_eq!(moment("0"), Some(WireMoment::Position(0)));
        for text in ["", "-1", "01", "00", "1-", "01-5", "1-05", "99999999999999999999", "now"] {
            assert_eq!(moment(text), None, "{text}");
        }
    }
}
