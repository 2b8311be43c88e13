//! What reads answer: pages, newest events, and streams at a point of their past.

use configapi_domain::{Point, Position, Timestamp, Version};

use super::Factory;
use super::journal::{Batch, written};
use crate::{PageLimit, StoredEvent};

/// There is nothing after the end, and saying so is not an error.
pub async fn reading_beyond_the_head_is_an_empty_page(factory: &impl Factory) {
    let log = factory.open().await;
    let journal = written(&*log, |batch| batch.set("a", "1")).await;
    for beyond in [journal.position().next(), Position(1 << 40), Position(i64::MAX as u64)] {
        for limit in [PageLimit::TAIL, PageLimit::REPLAY] {
            let page = log.read(beyond, limit).await.expect("a page");
            let empty = (vec![], journal.head().epoch, false);
            assert_eq!((page.events, page.epoch, page.is_cut), empty);
        }
    }
    let page = log.read(journal.position(), PageLimit::TAIL).await.expect("a page");
    assert_eq!(page.events, journal.rows[1..], "the position asked for is included");
}

fn sizes(batch: Batch) -> Batch {
    let batch = batch.large("a", 1_000).set("b", "1").large("c", 999).large("d", 2);
    batch.large("e", 500).large("f", 501).large("g", 1_000).set("h", "1")
}

async fn pages_are_whole_commands(factory: &impl Factory, limit: PageLimit) {
    let log = factory.open().await;
    let journal = written(&*log, sizes).await;
    let mut read: Vec<StoredEvent> = vec![journal.rows[0].clone()];
    let mut from = Position::GENESIS;
    let mut pages = 0;
    loop {
        let page = log.read(from, limit).await.expect("a page");
        let last = page.events.last().expect("the anchor at least");
        assert!(last.ends_command(), "a page ends within a command, at {}", last.position);
        assert!(page.events.len() <= limit.events());
        assert!(page.events.len() > 1 || !page.is_cut, "a page without progress");
        from = last.position;
        read.extend_from_slice(&page.events[1..]);
        pages += 1;
        if !page.is_cut {
            break;
        }
    }
    assert!(read == journal.rows, "the pages together are the log");
    assert!(pages > 3, "the limit was never reached");
}

/// The smallest page has room for its anchor and the largest command.
pub async fn a_page_never_tears_a_command_at_its_row_limit(factory: &impl Factory) {
    pages_are_whole_commands(factory, PageLimit::new(1, usize::MAX)).await;
}

/// However little may be read at once, it is whole, and it gets on.
pub async fn a_page_never_tears_a_command_at_its_byte_limit(factory: &impl Factory) {
    pages_are_whole_commands(factory, PageLimit::new(5_000, 1)).await;
}

/// As [`a_page_never_tears_a_command_at_its_byte_limit`], where much is wanted.
pub async fn a_page_for_a_replay_never_tears_a_command(factory: &impl Factory) {
    pages_are_whole_commands(factory, PageLimit::new(PageLimit::REPLAY.events(), 1)).await;
}

/// Whatever way a store goes for large pages, the same bytes come of it.
pub async fn a_page_for_a_replay_holds_the_same_rows(factory: &impl Factory) {
    let log = factory.open().await;
    let longest = "\u{1}".repeat(1_000_000);
    let journal = written(&*log, |batch| {
        let batch = batch.set("a", "").set("b", "\u{1}\"\\ ü 🦀\n").large("c", 3);
        batch.keyed("request-1", &[("a", &longest), ("b", "1")]).set("a", "1")
    })
    .await;
    let page = log.read(Position::GENESIS, PageLimit::REPLAY).await.expect("a page");
    assert!(page.events == journal.rows, "the rows are those that were written");
    assert_eq!((page.epoch, page.is_cut), (journal.head().epoch, false));
    let last = log.read(journal.position(), PageLimit::REPLAY).await.expect("a page");
    assert_eq!(last.events, journal.rows[journal.rows.len() - 1..]);
}

/// Each stream once, by its last event; streams without events are left out.
pub async fn newest_finds_the_last_event_of_each_stream(factory: &impl Factory) {
    let log = factory.open().await;
    let journal = written(&*log, |batch| {
        batch.large("many", 700).set("a", "1").set("A", "other").set("a", "2").large("many", 350)
    })
    .await;
    assert_eq!(log.newest(&[], usize::MAX).await.expect("nothing").rows, vec![]);

    let names: Vec<String> = (0..700).map(|i| format!("default/many/{i}")).collect();
    let mut streams: Vec<&str> = names.iter().map(String::as_str).collect();
    streams.extend(["default/a", "default/A", "default/none", "", "other/a", "default/a'"]);
    let newest = log.newest(&streams, usize::MAX).await.expect("the newest events");
    assert_eq!((newest.is_cut, newest.answered(&streams)), (false, streams.len()));
    let expected: Vec<_> = streams
        .iter()
        .filter_map(|stream| journal.rows.iter().rfind(|row| *row.stream == **stream))
        .cloned()
        .collect();
    assert_eq!(expected.len(), 702);
    assert!(newest.rows == expected, "newest differs from what the log holds");
}

/// Large rows come a few at a time, however many are asked for: each once, and one at least.
pub async fn newest_ends_at_its_limit_and_goes_on_from_there(factory: &impl Factory) {
    const LARGE_BYTES: usize = 100_000;
    let log = factory.open().await;
    let large = "x".repeat(LARGE_BYTES);
    let journal = written(&*log, |batch| {
        let batch = (0..20).fold(batch, |batch, i| batch.set(&format!("a/{i}"), &large));
        batch.set("b", "1").set("c", &large).set("b", "2")
    })
    .await;
    // Not in the order in which they were written, and some of them never were.
    let mut streams = vec!["default/none".to_owned(), "default/b".to_owned()];
    streams.extend((0..20).rev().map(|i| format!("default/a/{i}")));
    streams.extend(["default/never", "default/c", "default/nothing"].map(str::to_owned));
    let streams: Vec<&str> = streams.iter().map(String::as_str).collect();
    let newest_of = |stream: &&str| journal.rows.iter().rfind(|row| *row.stream == **stream);
    let expected: Vec<_> = streams.iter().filter_map(newest_of).cloned().collect();
    for limit_bytes in [0, 1, 3 * LARGE_BYTES, usize::MAX] {
        let (mut rows, mut rest) = (Vec::new(), &streams[..]);
        while !rest.is_empty() {
            let newest = log.newest(rest, limit_bytes).await.expect("the newest events");
            let (_, before) = newest.rows.split_last().unwrap_or_else(|| panic!("no row"));
            let bytes: usize = before.iter().map(StoredEvent::weight_bytes).sum();
            assert!(bytes <= limit_bytes, "{bytes} bytes and more within {limit_bytes}");
            rest = &rest[newest.answered(rest)..];
            assert_eq!(newest.is_cut, !rest.is_empty());
            rows.extend(newest.rows);
        }
        assert!(rows == expected, "within {limit_bytes} bytes newest finds something else");
    }
}

/// Before its first event a stream was nothing; after its last it is what that made of it. A position
/// within a command is its end. However many are asked for, and however few are answered at a time,
/// the answers are the same.
pub async fn streams_can_be_read_at_any_version_time_or_position(factory: &impl Factory) {
    const LIMITS: [usize; 4] = [0, 1, 2_000, usize::MAX];
    let log = factory.open().await;
    let journal = written(&*log, |batch| {
        let batch = batch.set("b", "0").set("a", "1").set("b", "1");
        let batch = batch.keyed("k", &[("c", "1"), ("a", "2"), ("b", "2"), ("a", "3"), ("d", "1")]);
        (4..40).fold(batch, |batch, i| batch.set("a", &i.to_string())).set("c", "2")
    })
    .await;
    let rows = &journal.rows;
    let (first, last) = (rows[0].recorded_at.0, rows[rows.len() - 1].recorded_at.0);
    let end = rows.len() as u64 + 2;
    let points: Vec<_> = (0..=end)
        .flat_map(|n| [Point::Version(Version(n)), Point::Position(Position(n))])
        .chain([Point::Position(Position(i64::MAX as u64)), Point::Version(Version(u64::MAX))])
        .chain(
            (first - 1..=last + 2)
                .chain([0, i64::MAX, i64::MIN])
                .map(|t| Point::Time(Timestamp(t))),
        )
        .collect();
    let streams = ["default/a", "default/b", "default/c", "default/d", "default/none"];
    let wanted: Vec<_> =
        points.iter().flat_map(|point| streams.map(|stream| (stream, *point))).collect();
    let expected: Vec<_> =
        wanted.iter().map(|(stream, point)| stood_at(rows, stream, *point)).collect();
    assert_eq!(log.streams_at(&[], usize::MAX).await, Ok(vec![]));
    for limit_bytes in LIMITS {
        let mut found = Vec::new();
        while found.len() < wanted.len() {
            let rest = &wanted[found.len()..];
            let next = log.streams_at(rest, limit_bytes).await.expect("an answer");
            let (_, before) = next.split_last().unwrap_or_else(|| panic!("no answer"));
            let bytes: usize = before.iter().flatten().map(StoredEvent::weight_bytes).sum();
            assert!(bytes <= limit_bytes, "{bytes} bytes and more within {limit_bytes}");
            found.extend(next);
        }
        for ((wanted, found), expected) in wanted.iter().zip(&found).zip(&expected) {
            assert_eq!(found.as_ref(), *expected, "{wanted:?} within {limit_bytes} bytes");
        }
    }
}

/// What a reader of all events would say.
fn stood_at<'r>(rows: &'r [StoredEvent], stream: &str, point: Point) -> Option<&'r StoredEvent> {
    let end = |position: Position| {
        let row = rows.iter().find(|row| row.position == position)?;
        rows.iter().find(|last| last.position >= row.position && last.part.is_last())
    };
    rows.iter().filter(|row| &*row.stream == stream).rfind(|row| match point {
        Point::Version(version) => row.version == version,
        Point::Time(time) => row.recorded_at <= time,
        Point::Position(position) => row.position <= end(position).map_or(position, |r| r.position),
    })
}
