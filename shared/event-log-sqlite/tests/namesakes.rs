//! Two streams that the index names alike.

use configapi_event_log::conformance::Factory;
use configapi_event_log::domain::{Point, Position, Version};
use configapi_event_log::{AppendError, EventLog, StoredEvent, seal};

use crate::index::{append, index_of};
use crate::suite::InFile;
use crate::writing::events;

/// The first eight bytes of the SHA-256 of both names are the same.
const ONE: &str = "default/n-f0f48aa4b1be43f0";
const OTHER: &str = "default/n-f45c3f4e965e4765";

/// Appends versions of streams with one commit.
async fn append_of(log: &dyn EventLog, versions: &[(&str, u64)]) -> Result<(), AppendError> {
    let head = log.head().await.unwrap();
    let mut rows = events(&head, versions.len() as u64);
    let mut before = head.hash;
    for (row, (stream, version)) in rows.iter_mut().zip(versions) {
        (row.stream, row.version) = ((*stream).into(), Version(*version));
        seal(before, row);
        before = row.hash;
    }
    log.append(&head, &rows).await
}

async fn newest(log: &dyn EventLog, streams: &[&str]) -> Vec<(String, u64)> {
    let found = log.newest(streams, usize::MAX).await.unwrap();
    found.rows.iter().map(|row| (row.stream.to_string(), row.version.0)).collect()
}

async fn at(log: &dyn EventLog, stream: &str, point: Point) -> Option<(String, u64)> {
    let found = log.streams_at(&[(stream, point)], usize::MAX).await.unwrap().remove(0);
    found.map(|row: StoredEvent| (row.stream.to_string(), row.version.0))
}

fn is_taken(outcome: &Result<(), AppendError>) -> bool {
    matches!(outcome, Err(AppendError::Refused(why)) if why.contains("the version is taken"))
}

/// One has four versions and the other five, from these positions on.
async fn assert_told_apart(log: &dyn EventLog, ones: [u64; 4], others: [u64; 5]) {
    let all = [(ONE.into(), 4), ("default/lone".into(), 1), (OTHER.into(), 5)];
    assert_eq!(newest(log, &[ONE, "default/none", "default/lone", OTHER]).await, all);
    let cut = log.newest(&[ONE, OTHER], 1).await.unwrap();
    assert_eq!((&*cut.rows[0].stream, cut.rows.len(), cut.is_cut), (ONE, 1, true));
    for (stream, positions) in [(ONE, &ones[..]), (OTHER, &others)] {
        assert_eq!(at(log, stream, Point::Position(Position(positions[0] - 1))).await, None);
        for (version, position) in (1..).zip(positions) {
            let expected = Some((stream.to_owned(), version));
            assert_eq!(at(log, stream, Point::Version(Version(version))).await, expected);
            assert_eq!(at(log, stream, Point::Position(Position(*position))).await, expected);
            assert!(is_taken(&append_of(log, &[(stream, version)]).await), "{stream} {version}");
        }
        let none = Version(positions.len() as u64 + 1);
        assert_eq!(at(log, stream, Point::Version(none)).await, None);
    }
}

#[tokio::test]
async fn streams_that_the_index_names_alike_are_told_apart() {
    let file = InFile::fresh().await;
    let log = file.open().await;
    append_of(&*log, &[(ONE, 1), (ONE, 2), (ONE, 3), ("default/lone", 1)]).await.unwrap();
    append(&*log, 20_000).await;
    assert!(index_of(&file.path()).await.0 > 4);
    for log in [&log, &file.open().await] {
        assert_eq!(newest(&**log, &[OTHER, "default/lone"]).await, [("default/lone".into(), 1)]);
        assert_eq!(at(&**log, OTHER, Point::Version(Version(2))).await, None);
        assert_eq!(at(&**log, OTHER, Point::Position(Position(20_000))).await, None);
    }
    append_of(&*log, &[(OTHER, 1), (OTHER, 2), (OTHER, 3), (ONE, 4)]).await.unwrap();
    append_of(&*log, &[(OTHER, 4), (OTHER, 5)]).await.unwrap();
    let ones = [1, 2, 3, 20_008];
    let others = [20_005, 20_006, 20_007, 20_009, 20_010];
    for log in [&log, &file.open().await] {
        assert_told_apart(&**log, ones, others).await;
    }
    append(&*log, 30_000).await;
    assert!(index_of(&file.path()).await.0 > 20_010);
    for log in [&log, &file.open().await] {
        assert_told_apart(&**log, ones, others).await;
    }
    // The other one's version stands against nothing.
    append_of(&*file.open().await, &[(ONE, 5)]).await.unwrap();
    append(&*log, 30_000).await;
    let log = file.open().await;
    assert_eq!(newest(&*log, &[OTHER, ONE]).await, [(OTHER.into(), 5), (ONE.into(), 5)]);
}
