//! Finding events by their streams and requests: whether they are in the file's indexes or not yet, whoever
//! asks, and whatever happened to whoever was about to enter them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use configapi_event_log::conformance::Factory;
use configapi_event_log::domain::{Point, Position, Version};
use configapi_event_log::{AppendError, EventLog, Head, LogError, PageLimit, StoredEvent, seal};
use configapi_event_log_sqlite::SqliteLog;
use sqlx::SqliteConnection;

use crate::suite::{InFile, NOW};
use crate::writing::{console, events, run};

/// With names as long as these, some thousand events are enough for a turn of the index.
pub(crate) const STREAMS: u64 = 3_000;
const BATCH: u64 = 700;

pub(crate) fn stream_of(position: Position) -> Arc<str> {
    Arc::from(format!("default/{}/{}", "long".repeat(120), position.0 * 1_777 % STREAMS))
}

/// One of three has none. They lie as far from each other as streams.
pub(crate) fn request_of(position: Position) -> Option<Arc<str>> {
    let id = || Arc::from(format!("request-{}", position.0 * 7_919 % 1_000_003));
    (!position.0.is_multiple_of(3)).then(id)
}

/// Appends so many events to streams that lie far from each other, each time all of them once.
pub(crate) async fn append(log: &dyn EventLog, count: u64) {
    let mut left = count;
    while left > 0 {
        let head = log.head().await.unwrap();
        let rows = next(&head, BATCH.min(left));
        log.append(&head, &rows).await.unwrap();
        left -= BATCH.min(left);
    }
}

pub(crate) fn next(head: &Head, count: u64) -> Vec<StoredEvent> {
    let mut rows = events(head, count);
    let mut before = head.hash;
    for row in &mut rows {
        row.stream = stream_of(row.position);
        row.version = Version((row.position.0 - 1) / STREAMS + 1);
        row.request_id = request_of(row.position);
        seal(before, row);
        before = row.hash;
    }
    rows
}

async fn all(log: &dyn EventLog) -> Vec<StoredEvent> {
    let mut rows: Vec<StoredEvent> = Vec::new();
    loop {
        let from = rows.last().map_or(Position(1), |row| row.position);
        let page = log.read(from, PageLimit::TAIL).await.unwrap();
        let known = rows.len();
        rows.extend(page.events.into_iter().filter(|row| known == 0 || row.position > from));
        if rows.len() == known {
            return rows;
        }
    }
}

/// Compares what is found by streams and by requests with the events themselves.
pub(crate) async fn assert_all_are_found(path: &Path, log: &dyn EventLog) {
    let rows = all(log).await;
    let mut by_stream: HashMap<&str, Vec<&StoredEvent>> = HashMap::new();
    for row in &rows {
        by_stream.entry(&row.stream).or_default().push(row);
    }
    let streams: Vec<&str> = by_stream.keys().copied().collect();
    for asked in streams.chunks(500) {
        let newest = log.newest(asked, usize::MAX).await.unwrap();
        let expected: Vec<_> =
            asked.iter().map(|stream| by_stream[stream].last().unwrap()).collect();
        assert!(
            newest.rows.iter().eq(expected.into_iter().copied()),
            "newest finds something else"
        );
    }
    let of_requests: Vec<_> = rows.iter().filter(|row| row.request_id.is_some()).collect();
    for expected in of_requests.chunks(500) {
        let mut asked: Vec<_> =
            expected.iter().filter_map(|row| row.request_id.as_deref()).collect();
        asked.push("request-none");
        let found = log.requests(&asked, usize::MAX).await.unwrap();
        assert!(found.rows.iter().eq(expected.iter().copied()), "not every request is found");
    }
    // The newest of each stream, and those next to where the index ends.
    let indexed_to = index_of(path).await.0.unsigned_abs();
    let is_asked = |row: &StoredEvent| {
        row.position.0 + STREAMS > rows.len() as u64 || row.position.0.abs_diff(indexed_to) < 10
    };
    let asked: Vec<_> = rows.iter().filter(|row| is_asked(row)).collect();
    let wanted: Vec<_> =
        asked.iter().map(|row| (&*row.stream, Point::Version(row.version))).collect();
    let found = log.streams_at(&wanted, usize::MAX).await.unwrap();
    assert!(found.iter().flatten().eq(asked), "not every version is found");
    for stream in streams.iter().step_by(251) {
        let of_it = &by_stream[stream];
        let mut wanted = vec![(*stream, Point::Version(Version(of_it.len() as u64 + 1)))];
        let mut expected = vec![None];
        for (at, row) in of_it.iter().enumerate() {
            let before = at.checked_sub(1).map(|before| of_it[before].clone());
            let here = Some((*row).clone());
            wanted.push((stream, Point::Version(row.version)));
            wanted.push((stream, Point::Position(row.position)));
            wanted.push((stream, Point::Position(Position(row.position.0 - 1))));
            expected.extend([here.clone(), here, before]);
        }
        let newest_time = of_it.last().unwrap().recorded_at;
        wanted.push((stream, Point::Time(newest_time)));
        expected.push(of_it.iter().rfind(|row| row.recorded_at <= newest_time).copied().cloned());
        let found = log.streams_at(&wanted, usize::MAX).await.unwrap();
        assert!(found == expected, "{stream} stood at something else");
    }
}

/// Up to where the index has everything, and how many events it has.
pub(crate) async fn index_of(path: &Path) -> (i64, i64) {
    let ask = "SELECT (SELECT max(up_to) FROM indexed), (SELECT count(*) FROM versions)";
    sqlx::query_as(ask).fetch_one(&mut console(path).await).await.unwrap()
}

/// As after a kill: nothing is closed, nothing is moved from the write-ahead log.
fn copy(file: &InFile, name: &str) -> PathBuf {
    let copy = file.directory.path().join(name);
    for end in ["", "-wal"] {
        let with_end = |path: &Path| PathBuf::from(format!("{}{end}", path.display()));
        std::fs::copy(with_end(&file.path()), with_end(&copy)).unwrap();
    }
    copy
}

#[tokio::test]
async fn events_are_found_by_their_streams_wherever_the_index_stands() {
    let file = InFile::fresh().await;
    let log = file.open().await;
    let reader = SqliteLog::open_for_reading(&file.path()).await.unwrap();
    let beside = file.open().await;
    let mut stood_at = Vec::new();
    for count in [5_000, 6_000, 3_000, 8_000, 5_000] {
        append(&*log, count).await;
        stood_at.push(index_of(&file.path()).await);
        for asked in [&*log, &*reader, &*file.open().await, &*beside] {
            assert_all_are_found(&file.path(), asked).await;
        }
    }
    let stood = |wherever: fn(&(i64, i64)) -> bool| stood_at.iter().any(wherever);
    let everywhere = stood(|at| *at == (0, 0)) && stood(|at| at.0 < at.1) && stood(|at| at.0 > 0);
    assert!(everywhere, "the index never stood in one of the places: {stood_at:?}");
    // Whoever else writes enters them too.
    append(&*beside, 20_000).await;
    append(&*log, 20_000).await;
    assert!(index_of(&file.path()).await.0 > 40_000);
    for asked in [&*log, &*reader, &*beside] {
        assert_all_are_found(&file.path(), asked).await;
    }
    assert_nothing_is_missing(&mut console(&file.path()).await).await;
}

pub(crate) async fn assert_nothing_is_missing(console: &mut SqliteConnection) {
    let ask = "SELECT count(*) FROM events AS e LEFT JOIN versions AS v \
         ON v.position = e.position AND v.version = e.version \
         WHERE e.position BETWEEN 1 AND (SELECT max(up_to) FROM indexed) AND v.key IS NULL";
    let missing: i64 = sqlx::query_scalar(ask).fetch_one(&mut *console).await.unwrap();
    assert_eq!(missing, 0);
    let ask = "SELECT count(*) FROM events AS e LEFT JOIN requests AS r \
         ON r.request_id = e.request_id \
         WHERE e.position BETWEEN 1 AND (SELECT max(up_to) FROM indexed) \
         AND e.request_id IS NOT NULL AND r.position IS NOT e.position";
    let missing: i64 = sqlx::query_scalar(ask).fetch_one(console).await.unwrap();
    assert_eq!(missing, 0);
}

#[tokio::test]
async fn who_is_killed_while_events_are_entered_goes_on_with_all_of_them() {
    let file = InFile::fresh().await;
    let log = file.open().await;
    append(&*log, 8_400).await;
    while index_of(&file.path()).await.1 == 0 {
        append(&*log, BATCH).await;
    }
    let copy = copy(&file, "copy.db");
    let (indexed_to, entered) = index_of(&copy).await;
    assert_eq!(indexed_to, 0);
    let survivor = SqliteLog::open(&copy, NOW).await.unwrap();
    assert_all_are_found(&copy, &*survivor).await;
    append(&*survivor, 20_000).await;
    let now = index_of(&copy).await;
    assert!(now.0 > entered && now.1 >= now.0, "nothing was entered after {entered}: {now:?}");
    assert_all_are_found(&copy, &*survivor).await;
    assert_nothing_is_missing(&mut console(&copy).await).await;
}

#[tokio::test]
async fn what_is_entered_stays_and_neither_a_version_nor_a_request_id_is_taken_twice() {
    let file = InFile::fresh().await;
    let log = file.open().await;
    append(&*log, 20_000).await;
    let path = file.path();
    assert!(index_of(&path).await.0 > 0);
    let mut console = console(&path).await;
    for sql in [
        "UPDATE versions SET position = 1 WHERE position = 2",
        "DELETE FROM versions WHERE position = 2",
        // What is at 3,002 is of the same stream.
        "INSERT OR REPLACE INTO versions SELECT key, version, 3002 FROM versions WHERE position = 2",
        "UPDATE requests SET position = 1 WHERE position = 2",
        "DELETE FROM requests WHERE position = 2",
        "INSERT OR REPLACE INTO requests SELECT request_id, 1 FROM requests WHERE position = 2",
    ] {
        let refusal = run(&mut console, sql).await.expect_err(sql);
        assert!(refusal.contains("the log is immutable"), "{sql}: {refusal}");
    }
    for log in [log, file.open().await] {
        for taken in [Position(3), log.head().await.unwrap().position] {
            let head = log.head().await.unwrap();
            let mut rows = next(&head, 2);
            rows[1].stream = stream_of(taken);
            rows[1].version = Version((taken.0 - 1) / STREAMS + 1);
            let outcome = log.append(&head, &rows).await;
            let is_right = matches!(&outcome, Err(AppendError::Refused(why)) if why.contains("the version is taken"));
            assert!(is_right, "{taken}: {outcome:?}");
            assert_eq!(log.head().await, Ok(head));
        }
        let end = log.head().await.unwrap().position.0;
        let newest = (end - 1..=end).rev().map(Position).find_map(request_of);
        for taken in [request_of(Position(2)), newest] {
            let head = log.head().await.unwrap();
            let mut rows = next(&head, 2);
            rows[1].request_id = taken;
            assert_eq!(log.append(&head, &rows).await, Err(AppendError::RequestIdTaken));
            assert_eq!(log.head().await, Ok(head));
        }
        // Nor by two of a batch.
        let head = log.head().await.unwrap();
        let mut rows = next(&head, 2);
        rows[1].stream = Arc::clone(&rows[0].stream);
        rows[1].version = rows[0].version;
        assert!(matches!(log.append(&head, &rows).await, Err(AppendError::Refused(_))));
        let mut rows = next(&head, 2);
        for row in &mut rows {
            row.request_id = Some("request-new".into());
        }
        assert_eq!(log.append(&head, &rows).await, Err(AppendError::RequestIdTaken));
        assert_eq!(log.head().await, Ok(head));
    }
}

#[tokio::test]
async fn nothing_is_decided_on_an_index_that_does_not_agree_with_the_log() {
    let file = InFile::fresh().await;
    let log = file.open().await;
    let head = log.head().await.unwrap();
    log.append(&head, &events(&head, 1)).await.unwrap();
    append(&*log, 20_000).await;
    let stream = "default/config/1";
    for log in [&log, &file.open().await] {
        assert_eq!(log.newest(&[stream], usize::MAX).await.unwrap().rows.len(), 1);
    }
    let assert_refused = async |log: &dyn EventLog| {
        let error = log.newest(&[stream], usize::MAX).await.unwrap_err();
        assert!(matches!(&error, LogError::Corrupt { .. }), "{error}");
        assert!(error.to_string().contains("index of streams does not agree"), "{error}");
    };
    let mut console = console(&file.path()).await;
    run(&mut console, "DROP TRIGGER versions_are_not_updated").await.unwrap();
    let key = "SELECT key FROM versions WHERE position = 1";
    let key: i64 = sqlx::query_scalar(key).fetch_one(&mut console).await.unwrap();
    for place in [2, 30_000] {
        let elsewhere = format!("UPDATE versions SET position = {place} WHERE key = {key}");
        assert_eq!(run(&mut console, &elsewhere).await, Ok(1));
        for log in [&log, &file.open().await] {
            assert_refused(&**log).await;
            let first = [(stream, Point::Version(Version(1)))];
            assert_eq!(log.streams_at(&first, 1).await, Ok(vec![None]));
        }
    }
    run(&mut console, &format!("UPDATE versions SET position = 1 WHERE key = {key}"))
        .await
        .unwrap();
    run(&mut console, "DROP TRIGGER requests_are_not_updated").await.unwrap();
    let id = request_of(Position(2)).unwrap();
    for place in [3, 30_000] {
        let elsewhere = format!("UPDATE requests SET position = {place} WHERE request_id = '{id}'");
        assert_eq!(run(&mut console, &elsewhere).await, Ok(1));
        for log in [&log, &file.open().await] {
            let error = log.requests(&[&id], usize::MAX).await.unwrap_err();
            assert!(matches!(&error, LogError::Corrupt { .. }), "{error}");
            assert!(error.to_string().contains("index of requests does not agree"), "{error}");
        }
    }
    assert_eq!(log.newest(&[stream], usize::MAX).await.unwrap().rows.len(), 1);

    run(&mut console, "DROP TRIGGER indexed_is_not_updated").await.unwrap();
    run(&mut console, "UPDATE indexed SET up_to = 20002 WHERE up_to > 0").await.unwrap();
    for log in [&log, &file.open().await] {
        assert_refused(&**log).await;
    }
}

/// The events of a log, in a file as programs of before made it, from these migrations on.
async fn as_of_before(log: &InFile, migrations: &[&'static str]) -> InFile {
    let before = InFile::fresh().await;
    std::fs::create_dir_all(before.path().parent().unwrap()).unwrap();
    std::fs::write(before.path(), b"").unwrap();
    let mut console = console(&before.path()).await;
    run(&mut console, "PRAGMA journal_mode = WAL").await.unwrap();
    for migration in migrations {
        run(&mut console, migration).await.unwrap();
    }
    let marks =
        format!("PRAGMA application_id = 1130784577; PRAGMA user_version = {}", migrations.len());
    let attach = format!("ATTACH '{}' AS later", log.path().display());
    for sql in [
        &*marks,
        &attach,
        "INSERT INTO main.events SELECT * FROM later.events ORDER BY position",
        "INSERT INTO main.epochs VALUES (2, 101)",
    ] {
        run(&mut console, sql).await.unwrap();
    }
    before
}

#[tokio::test]
async fn a_file_of_before_is_read_as_it_is_and_brought_up_to_date_by_its_writer() {
    const LOG: &str = include_str!("../migrations/0001_log.sql");
    const STREAMS: &str = include_str!("../migrations/0002_streams.sql");
    const REQUESTS: &str = include_str!("../migrations/0003_requests.sql");
    const INDEXED: &str = include_str!("../migrations/0004_indexed.sql");
    const PROVEN: &str = include_str!("../migrations/0005_versions.sql");
    const ENTERED: &str = "INSERT INTO streams SELECT stream, version, position FROM events \
         WHERE position BETWEEN 1 AND 5000; INSERT INTO requests SELECT request_id, position FROM events \
         WHERE position <= 5000 AND request_id IS NOT NULL; INSERT INTO indexed VALUES (5000, 1)";
    let log = InFile::fresh().await;
    append(&*log.open().await, 7_000).await;
    let expected = all(&*log.open().await).await;
    // Where streams are was entered at once first, and is entered later since.
    let cases = [
        (&[LOG][..], "", (7_000, 7_000)),
        (&[LOG, STREAMS], "", (0, 0)),
        (&[LOG, STREAMS, REQUESTS, INDEXED, PROVEN], ENTERED, (5_000, 5_000)),
    ];
    for (migrations, entered, indexed) in cases {
        let before = as_of_before(&log, migrations).await;
        run(&mut console(&before.path()).await, entered).await.unwrap();
        let reader = SqliteLog::open_for_reading(&before.path()).await.unwrap();
        let backup = SqliteLog::open_to_read_once(&before.path()).await.unwrap();
        assert!(all(&*reader).await == expected && all(&*backup).await == expected);

        let writer = SqliteLog::open(&before.path(), NOW).await.unwrap();
        assert_eq!(index_of(&before.path()).await, indexed);
        let mut console = console(&before.path()).await;
        let requests = "SELECT count(*) FROM requests";
        let requests: i64 = sqlx::query_scalar(requests).fetch_one(&mut console).await.unwrap();
        assert_eq!(requests, if entered.is_empty() { 4_667 } else { 3_334 });
        assert_eq!(writer.identity().await.unwrap().lineage.current().0, 2);
        for log in [&*writer, &*reader, &*before.open().await] {
            assert!(all(log).await == expected, "other events than before");
            assert_all_are_found(&before.path(), log).await;
        }
        append(&*writer, 12_000).await;
        assert_all_are_found(&before.path(), &*reader).await;
        assert_nothing_is_missing(&mut console).await;
        for sql in ["UPDATE events SET payload = '{}' WHERE position = 1", "DELETE FROM events"] {
            assert!(run(&mut console, sql).await.expect_err(sql).contains("the log is immutable"));
        }
        run(&mut console, "SELECT hash FROM readable").await.unwrap();
    }
}

#[tokio::test]
async fn who_knows_only_an_index_of_before_fails_and_does_not_make_events_look_entered() {
    let file = InFile::fresh().await;
    let log = file.open().await;
    append(&*log, 100).await;
    // As programs did that had the file open when a newer one brought it up to date.
    let mut console = console(&file.path()).await;
    let streams = "INSERT INTO streams SELECT stream, version, position FROM events";
    assert!(run(&mut console, streams).await.unwrap_err().contains("no such table: streams"));
    let indexed = "INSERT INTO indexed (up_to) SELECT 100 \
         WHERE NOT EXISTS (SELECT 1 FROM indexed WHERE up_to = 100)";
    run(&mut console, indexed).await.unwrap();
    for log in [log, file.open().await] {
        assert_all_are_found(&file.path(), &*log).await;
        let head = log.head().await.unwrap();
        let mut rows = next(&head, 1);
        rows[0].request_id = request_of(Position(2));
        assert_eq!(log.append(&head, &rows).await, Err(AppendError::RequestIdTaken));
    }
    append(&*file.open().await, 20_000).await;
    assert!(index_of(&file.path()).await.0 > 100);
    assert_nothing_is_missing(&mut console).await;
}
