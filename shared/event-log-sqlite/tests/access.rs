//! Who may open what.

use configapi_event_log::conformance::Factory;
use configapi_event_log::domain::Timestamp;
use configapi_event_log::{AppendError, Beginning, EventLog, Head, LogError};
use configapi_event_log_sqlite::SqliteLog;

use crate::suite::{InFile, NOW};
use crate::writing::{console, events, run};

#[tokio::test]
async fn a_reader_makes_nothing_and_waits_for_the_writer() {
    let file = InFile::fresh().await;
    let error = SqliteLog::open_for_reading(&file.path()).await.unwrap_err();
    let LogError::Unavailable(text) = &error else { panic!("not unavailable: {error}") };
    assert!(text.contains("is not there yet"), "{text}");
    assert!(!file.path().parent().unwrap().exists(), "a reader made a directory");

    std::fs::create_dir_all(file.path().parent().unwrap()).unwrap();
    std::fs::write(file.path(), b"").unwrap();
    let error = SqliteLog::open_for_reading(&file.path()).await.unwrap_err();
    let LogError::Unavailable(text) = &error else { panic!("not unavailable: {error}") };
    assert!(text.contains("holds no log yet"), "{text}");

    let writer = SqliteLog::open(&file.path(), NOW).await.unwrap();
    let reader = SqliteLog::open_for_reading(&file.path()).await.unwrap();
    let head = reader.head().await.unwrap();
    writer.append(&head, &events(&head, 2)).await.unwrap();
    assert_eq!(reader.head().await, writer.head().await);
}

#[tokio::test]
async fn a_reader_writes_nothing() {
    let file = InFile::fresh().await;
    let writer = SqliteLog::open(&file.path(), NOW).await.unwrap();
    let reader = SqliteLog::open_for_reading(&file.path()).await.unwrap();
    let head = reader.head().await.unwrap();
    let refused = reader.append(&head, &events(&head, 1)).await.unwrap_err();
    assert!(matches!(refused, AppendError::Refused(_)), "{refused}");
    assert!(matches!(reader.take_turn().await, Err(LogError::Unusable(_))));
    assert!(matches!(reader.begin_epoch(&head).await, Err(LogError::Unusable(_))));
    assert_eq!(writer.head().await.unwrap(), head);
}

#[tokio::test]
async fn a_log_is_begun_once_however_many_open_it_at_the_same_time() {
    let file = InFile::fresh().await;
    let path = file.path();
    let opened: Vec<_> = (0..4)
        .map(|each| {
            let path = path.clone();
            let now = Timestamp(NOW.0 + each);
            tokio::spawn(async move { SqliteLog::open(&path, now).await.unwrap() })
        })
        .collect();
    let mut identities = Vec::new();
    for log in opened {
        identities.push(log.await.unwrap().identity().await.unwrap());
    }
    assert!(identities.windows(2).all(|pair| pair[0] == pair[1]), "{identities:?}");
}

#[tokio::test]
async fn a_file_of_a_newer_program_is_refused() {
    let file = InFile::fresh().await;
    drop(SqliteLog::open(&file.path(), NOW).await.unwrap());
    run(&mut console(&file.path()).await, "PRAGMA user_version = 99").await.unwrap();
    let write = SqliteLog::open(&file.path(), NOW).await.unwrap_err();
    let read = SqliteLog::open_for_reading(&file.path()).await.unwrap_err();
    let LogError::Unusable(text) = &write else { panic!("not unusable: {write}") };
    assert_eq!(write, read);
    let expected = "was made by a newer program: its schema has version 99, this program knows 6";
    assert!(text.ends_with(expected), "{text}");
}

#[tokio::test]
async fn a_file_of_another_program_is_refused_and_left_alone() {
    let file = InFile::fresh().await;
    std::fs::create_dir_all(file.path().parent().unwrap()).unwrap();
    let mut theirs = console_making(&file.path()).await;
    run(&mut theirs, "CREATE TABLE cookies (a)").await.unwrap();
    let error = SqliteLog::open(&file.path(), NOW).await.unwrap_err();
    let LogError::Unusable(text) = &error else { panic!("not unusable: {error}") };
    assert!(text.ends_with("is a database of another program"), "{text}");
    run(&mut theirs, "CREATE TABLE events (a)").await.unwrap();

    let noise = file.path().with_file_name("noise");
    std::fs::write(&noise, b"no database at all, only some text that is long enough").unwrap();
    let error = SqliteLog::open(&noise, NOW).await.unwrap_err();
    assert!(matches!(error, LogError::Unusable(_)), "{error}");
}

#[tokio::test]
async fn no_log_begins_in_a_file_whose_write_ahead_log_was_left_behind() {
    let file = InFile::fresh().await;
    let log = SqliteLog::open(&file.path(), NOW).await.unwrap();
    let copy = file.directory.path().join("copy.db");
    std::fs::copy(file.path(), &copy).unwrap();
    let wal = |path: &std::path::Path| path.with_extension("db-wal");
    // A reader may have made an empty one by looking.
    for is_empty in [false, true] {
        if is_empty {
            std::fs::write(wal(&copy), b"").unwrap();
        }
        let new = Beginning::new_at(NOW);
        let other = SqliteLog::begin(&copy, &new);
        let (opened, begun) = tokio::join!(SqliteLog::open(&copy, NOW), other);
        for error in [opened.unwrap_err(), begun.unwrap_err()] {
            let LogError::Unusable(text) = &error else { panic!("not unusable: {error}") };
            assert!(text.contains("its -wal may have been left behind"), "{text}");
        }
    }
    std::fs::copy(wal(&file.path()), wal(&copy)).unwrap();
    let copied = SqliteLog::open(&copy, NOW).await.unwrap();
    assert_eq!(copied.identity().await, log.identity().await);

    let empty = file.directory.path().join("empty.db");
    std::fs::write(&empty, b"").unwrap();
    SqliteLog::open(&empty, NOW).await.unwrap();
}

#[tokio::test]
async fn a_file_in_which_another_process_is_about_to_begin_a_log_is_waited_for() {
    let file = InFile::fresh().await;
    std::fs::create_dir_all(file.path().parent().unwrap()).unwrap();
    let mut other = console_making(&file.path()).await;
    run(&mut other, "PRAGMA journal_mode = WAL").await.unwrap();
    let path = file.path();
    let opening = tokio::spawn(async move { SqliteLog::open(&path, NOW).await });
    while !file.path().with_extension("db-shm").exists() {
        assert!(!opening.is_finished(), "it did not wait");
        tokio::task::yield_now().await;
    }
    let log = include_str!("../migrations/0001_log.sql");
    let marks = format!("PRAGMA application_id = {}; PRAGMA user_version = 1", 0x4366_6741);
    run(&mut other, &format!("BEGIN; {log}; {marks}; COMMIT")).await.unwrap();
    let opened = opening.await.unwrap();
    assert!(opened.is_ok(), "{opened:?}");
}

async fn console_making(path: &std::path::Path) -> sqlx::SqliteConnection {
    use sqlx::ConnectOptions;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path).create_if_missing(true);
    options.connect().await.unwrap()
}

/// What a place is refused for, to those who write and to those who read.
async fn refused(path: &std::path::Path) -> [String; 2] {
    let (write, read) = tokio::join!(SqliteLog::open(path, NOW), SqliteLog::open_for_reading(path));
    [write.unwrap_err(), read.unwrap_err()].map(|error| {
        assert!(matches!(error, LogError::Unusable(_)), "{error}");
        error.to_string()
    })
}

#[tokio::test]
async fn a_place_where_no_file_can_be_is_refused() {
    let file = InFile::fresh().await;
    let directory = file.directory.path();
    for text in refused(directory).await {
        assert!(text.ends_with("is a directory"), "{text}");
    }
    let blocker = directory.join("file");
    std::fs::write(&blocker, b"").unwrap();
    let [write, read] = refused(&blocker.join("log.db")).await;
    assert!(write.contains("cannot make the directory"), "{write}");
    assert!(read.contains("Not a directory"), "{read}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_place_that_the_system_refuses_is_told_with_its_reason() {
    use std::os::unix::fs::PermissionsExt as _;
    let set = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let file = InFile::fresh().await;
    let made = SqliteLog::open(&file.path(), NOW).await.unwrap();
    made.close().await;
    let directory = file.path().parent().unwrap().to_owned();
    set(&directory, 0o500);
    // Nothing is refused to root.
    let is_refused = std::fs::write(directory.join("probe"), b"").is_err();
    if is_refused {
        for path in [file.path(), directory.join("new.db")] {
            let error = SqliteLog::open(&path, NOW).await.unwrap_err();
            let LogError::Unusable(text) = &error else { panic!("not unusable: {error}") };
            assert!(text.contains("cannot make files in") && text.contains("denied"), "{text}");
        }
        set(&directory, 0o700);
        set(&file.path(), 0o400);
        let error = SqliteLog::open(&file.path(), NOW).await.unwrap_err();
        assert!(matches!(&error, LogError::Unusable(text) if text.contains("denied")), "{error}");
        set(&file.path(), 0);
        for text in refused(&file.path()).await {
            assert!(text.contains("Permission denied"), "{text}");
        }
    }
    set(&directory, 0o700);
}

/// What somebody finds who may read the file, and make nothing beside it: when it is opened, and after
/// somebody else wrote it.
#[cfg(target_os = "linux")]
async fn found_without_rights(
    path: std::path::PathBuf,
    opened: std::sync::mpsc::Sender<Result<Head, LogError>>,
    written: std::sync::mpsc::Receiver<()>,
) -> Result<Head, LogError> {
    let log = SqliteLog::open_to_read_once(&path).await;
    let head = match &log {
        Ok(log) => log.head().await,
        Err(error) => Err(error.clone()),
    };
    opened.send(head).unwrap();
    written.recv().unwrap();
    log?.head().await
}

/// Nothing is refused to root; this thread, and those that it starts, are somebody else.
#[cfg(target_os = "linux")]
fn as_somebody_else<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> std::thread::JoinHandle<T> {
    std::thread::spawn(move || {
        if rustix::process::geteuid().is_root() {
            let nobody = rustix::process::Uid::from_raw(65_534);
            rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(work)
    })
}

/// What was committed last is in it, and would be missing without a word.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_file_beside_which_a_write_ahead_log_was_left_is_not_read_without_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let set = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let file = InFile::fresh().await;
    SqliteLog::open(&file.path(), NOW).await.unwrap().close().await;
    let log = SqliteLog::open(&file.path(), NOW).await.unwrap();
    let head = log.head().await.unwrap();
    log.append(&head, &events(&head, 1)).await.unwrap();
    // As after a kill.
    let directory = file.directory.path().join("left");
    let left = directory.join("log.db");
    std::fs::create_dir(&directory).unwrap();
    for end in ["db", "db-wal"] {
        std::fs::copy(file.path().with_extension(end), left.with_extension(end)).unwrap();
        set(&left.with_extension(end), 0o644);
    }
    set(file.directory.path(), 0o755);
    set(&directory, 0o555);
    let opened = as_somebody_else(async move { SqliteLog::open_to_read_once(&left).await });
    let error = opened.join().unwrap().unwrap_err();
    let LogError::Unusable(text) = &error else { panic!("not unusable: {error}") };
    assert!(text.contains("cannot make files in"), "{text}");
    set(&directory, 0o755);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_file_that_is_read_as_one_that_nobody_writes_is_not_believed_once_somebody_does() {
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::mpsc::channel;
    let set = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let file = InFile::fresh().await;
    let path = file.path();
    let written = SqliteLog::open(&path, NOW).await.unwrap();
    let head = written.head().await.unwrap();
    written.close().await;
    set(&path, 0o644);
    set(file.directory.path(), 0o755);
    set(path.parent().unwrap(), 0o555);
    let (opened, is_opened) = channel();
    let (write, is_written) = channel();
    let reading = as_somebody_else(found_without_rights(path.clone(), opened, is_written));
    assert_eq!(is_opened.recv().unwrap(), Ok(head));
    set(path.parent().unwrap(), 0o755);
    let writer = SqliteLog::open(&path, NOW).await.unwrap();
    writer.append(&head, &events(&head, 1)).await.unwrap();
    // All of it is in the file, and there is nothing beside it any more.
    writer.close().await;
    write.send(()).unwrap();
    let error = reading.join().unwrap().unwrap_err();
    let LogError::Unavailable(text) = &error else { panic!("not unavailable: {error}") };
    assert!(text.ends_with("was opened to be written while it was read"), "{text}");
}

#[cfg(all(unix, not(target_vendor = "apple")))]
#[tokio::test]
async fn a_new_file_is_for_its_owner_alone_and_one_that_was_there_stays_as_open() {
    use std::os::unix::fs::PermissionsExt as _;
    async fn rights_of_what_is_written(file: &InFile) -> Vec<u32> {
        let log = SqliteLog::open(&file.path(), NOW).await.unwrap();
        let head = log.head().await.unwrap();
        log.append(&head, &events(&head, 1)).await.unwrap();
        let files = std::fs::read_dir(file.path().parent().unwrap()).unwrap();
        let rights = |file: std::io::Result<std::fs::DirEntry>| {
            file.unwrap().metadata().unwrap().permissions().mode() & 0o777
        };
        files.map(rights).collect()
    }
    let new = InFile::fresh().await;
    // The file, its write-ahead log and that one's index.
    assert_eq!(rights_of_what_is_written(&new).await, [0o600; 3]);

    let shared = InFile::fresh().await;
    std::fs::create_dir_all(shared.path().parent().unwrap()).unwrap();
    std::fs::write(shared.path(), b"").unwrap();
    let rights = std::fs::Permissions::from_mode(0o660);
    std::fs::set_permissions(shared.path(), rights).unwrap();
    assert_eq!(rights_of_what_is_written(&shared).await, [0o660; 3]);
}
