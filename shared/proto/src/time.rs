//! Microseconds since 1970 and the timestamp of the wire. The store keeps microseconds, so finer
//! digits are dropped on the way in, towards the past.

use prost_types::Timestamp;

const MICROS_PER_SECOND: i64 = 1_000_000;
const NANOS_PER_MICRO: i64 = 1_000;
const MAX_NANOS: i32 = 999_999_999;
/// 0001-01-01T00:00:00Z.
const MIN_SECONDS: i64 = -62_135_596_800;
/// 9999-12-31T23:59:59Z.
const MAX_SECONDS: i64 = 253_402_300_799;

/// A timestamp that the wire format does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTimestamp {
    /// Before the year 1 or after the year 9999.
    #[error("must be between 0001-01-01T00:00:00Z and 9999-12-31T23:59:59.999999999Z")]
    OutOfRange,
    /// A fraction that is negative or a second or more.
    #[error("must have nanos between 0 and 999,999,999")]
    Nanos,
}

/// Microseconds since 1970-01-01T00:00:00Z; what is finer is cut off, towards the past.
pub fn micros_from_timestamp(timestamp: &Timestamp) -> Result<i64, InvalidTimestamp> {
    if !(MIN_SECONDS..=MAX_SECONDS).contains(&timestamp.seconds) {
        return Err(InvalidTimestamp::OutOfRange);
    }
    if !(0..=MAX_NANOS).contains(&timestamp.nanos) {
        return Err(InvalidTimestamp::Nanos);
    }
    Ok(timestamp.seconds * MICROS_PER_SECOND + i64::from(timestamp.nanos) / NANOS_PER_MICRO)
}

/// The timestamp of so many microseconds since 1970-01-01T00:00:00Z.
pub fn timestamp_from_micros(micros: i64) -> Timestamp {
    let nanos = micros.rem_euclid(MICROS_PER_SECOND) * NANOS_PER_MICRO;
    Timestamp {
        seconds: micros.div_euclid(MICROS_PER_SECOND),
        nanos: i32::try_from(nanos).unwrap_or(MAX_NANOS),
    }
}
