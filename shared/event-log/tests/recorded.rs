//! Fingerprints and parts of commands.

use configapi_event_log::{CommandPart, Fingerprint};
use proptest::prelude::*;

#[test]
fn only_32_lower_case_digits_are_a_fingerprint() {
    let good = "00112233445566778899aabbccddeeff";
    assert_eq!(Fingerprint::parse(good).unwrap().to_string(), good);
    assert_eq!(format!("{:?}", Fingerprint::parse(good).unwrap()), good);
    let upper = good.to_uppercase();
    let signed = format!("+{}", &good[1..]);
    for bad in ["", "00", &good[1..], &upper, &signed, &format!("{good}0")] {
        assert_eq!(Fingerprint::parse(bad), None, "{bad}");
    }
}

proptest! {
    #[test]
    fn a_fingerprint_is_read_as_it_was_written(bytes in any::<[u8; 16]>()) {
        let fingerprint = Fingerprint(bytes);
        prop_assert_eq!(Fingerprint::parse(&fingerprint.to_string()), Some(fingerprint));
    }
}

#[test]
fn the_last_part_of_a_command_ends_it() {
    assert!(CommandPart::WHOLE.is_last());
    assert!(!CommandPart { index: 0, size: 2 }.is_last());
    assert!(CommandPart { index: 1, size: 2 }.is_last());
    assert!(CommandPart { index: u32::MAX, size: u32::MAX }.is_last());
}
