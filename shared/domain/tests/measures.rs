//! Versions, positions and points.

use configapi_domain::{Point, Position, Timestamp, Version};

#[test]
fn versions_and_positions_count_from_one_and_never_wrap() {
    assert_eq!(Version::NONE.next(), Version(1));
    assert_eq!(Position::GENESIS.next(), Position(1));
    assert_eq!(Version(u64::MAX).next(), Version(u64::MAX));
    assert_eq!(Position(u64::MAX).next(), Position(u64::MAX));
}

#[test]
fn they_show_themselves_as_numbers() {
    assert_eq!(format!("{} {}", Version(7), Position(8)), "7 8");
    assert_eq!(Point::Version(Version(7)).to_string(), "version 7");
    assert_eq!(Point::Position(Position(8)).to_string(), "position 8");
    assert_eq!(Point::Time(Timestamp(9)).to_string(), "that time");
}
