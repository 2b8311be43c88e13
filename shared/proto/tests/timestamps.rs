//! Microseconds and the timestamps of the wire.

use configapi_proto::{InvalidTimestamp, micros_from_timestamp, timestamp_from_micros};
use proptest::prelude::*;
use prost_types::Timestamp;

const FIRST_SECOND: i64 = -62_135_596_800;
const LAST_SECOND: i64 = 253_402_300_799;

fn micros(seconds: i64, nanos: i32) -> Result<i64, InvalidTimestamp> {
    micros_from_timestamp(&Timestamp { seconds, nanos })
}

#[test]
fn digits_finer_than_a_microsecond_are_cut_off_towards_the_past() {
    assert_eq!(micros(0, 1_999), Ok(1));
    assert_eq!(micros(-1, 999_999_999), Ok(-1));
    assert_eq!(micros(-1, 1), Ok(-1_000_000));
}

#[test]
fn the_first_and_the_last_moment_of_the_wire_format_are_read() {
    assert_eq!(micros(FIRST_SECOND, 0), Ok(FIRST_SECOND * 1_000_000));
    assert_eq!(micros(LAST_SECOND, 999_999_999), Ok(LAST_SECOND * 1_000_000 + 999_999));
}

#[test]
fn years_that_the_wire_format_does_not_know_are_refused() {
    for seconds in [FIRST_SECOND - 1, LAST_SECOND + 1, i64::MIN, i64::MAX] {
        assert_eq!(micros(seconds, 0), Err(InvalidTimestamp::OutOfRange));
    }
}

#[test]
fn fractions_outside_of_a_second_are_refused() {
    for nanos in [-1, 1_000_000_000, i32::MIN, i32::MAX] {
        assert_eq!(micros(0, nanos), Err(InvalidTimestamp::Nanos));
    }
}

#[test]
fn a_moment_before_1970_has_a_fraction_that_counts_forward() {
    assert_eq!(timestamp_from_micros(-1), Timestamp { seconds: -1, nanos: 999_999_000 });
}

proptest! {
    #[test]
    fn every_microsecond_survives_the_way_there_and_back(
        moment in FIRST_SECOND * 1_000_000..=LAST_SECOND * 1_000_000 + 999_999,
    ) {
        prop_assert_eq!(micros_from_timestamp(&timestamp_from_micros(moment)), Ok(moment));
    }

    #[test]
    fn every_number_of_microseconds_has_a_fraction_within_a_second(moment: i64) {
        let timestamp = timestamp_from_micros(moment);
        prop_assert!((0..1_000_000_000).contains(&timestamp.nanos));
    }
}
