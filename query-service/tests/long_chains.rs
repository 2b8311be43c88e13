//! One config with very many versions: found fast, and dropped without using up the stack.

use configapi_domain::{Position, Version};
use configapi_event_log::Texts;
use configapi_query_service::projection::{Anchor, Decoded, Projector};

use crate::support::{Op, Writer, key, memory_log};

const VERSIONS: u64 = 200_000;

#[tokio::test]
async fn two_hundred_thousand_versions_of_one_config_are_searched_and_dropped() {
    let log = memory_log(1);
    let mut writer = Writer::new(log).await;
    let genesis = Anchor {
        position: Position::GENESIS,
        hash: writer.head.hash,
        recorded_at: writer.head.recorded_at,
    };
    let mut projector = Projector::new(genesis);
    // Real rows, whose numbers are then counted on: sealing them all would only test SHA-256.
    let first = writer.seal(vec![(key("default/hot"), Op::Set("1".to_owned()))]);
    writer.head.position = Position(1);
    let second = writer.seal(vec![(key("default/hot"), Op::Set("1".to_owned()))]);
    projector.apply(Decoded::from_row(&first[0], &mut Texts::default()).unwrap()).unwrap();
    let mut row = second[0].clone();
    for number in 2..=VERSIONS {
        row.position = Position(number);
        row.version = Version(number);
        projector.apply(Decoded::from_row(&row, &mut Texts::default()).unwrap()).unwrap();
    }

    let newest = projector.state().newest("default", "hot").unwrap();
    for version in [1, 2, 3, 4_095, 4_096, 100_001, VERSIONS] {
        assert_eq!(newest.at_version(Version(version)).unwrap().version(), Version(version));
        assert_eq!(newest.at_position(Position(version)).unwrap().version(), Version(version));
    }
    assert!(newest.at_version(Version(VERSIONS + 1)).is_none());
    assert!(newest.at_position(Position(0)).is_none());

    // A small stack, so that recursion would show.
    let small = std::thread::Builder::new().stack_size(128 << 10);
    small.spawn(move || drop(projector)).unwrap().join().unwrap();
}
