//! Who may do what: the servers' roles get by with what `grants.sql` names, and whoever lacks
//! something is told what to do.

use configapi_event_log::domain::Position;
use configapi_event_log::{AppendError, EventLog, LogError};
use configapi_event_log_postgres::{Access, PostgresLog, migrate};

use crate::faults::CUT_ALL;
use crate::harness::{Database, execute};
use crate::writing::{append, batch, verify};

const GRANTS: &str = include_str!("../grants.sql");

/// Makes a role of this test's own; answers its name.
async fn role(database: &Database, purpose: &str) -> String {
    let role = format!("{}_{purpose}", database.name);
    execute(&mut database.connect().await, &format!("CREATE ROLE {role} LOGIN")).await;
    role
}

async fn drop_roles(database: &Database, roles: &[&String]) {
    for role in roles {
        let sql = format!("DROP OWNED BY {role}; DROP ROLE {role}");
        execute(&mut database.connect().await, &sql).await;
    }
}

#[tokio::test]
async fn roles_with_the_documented_grants_can_do_their_work_and_no_more() {
    let database = Database::create().await;
    migrate(&database.url).await.expect("migrated");
    let (command, query) = (role(&database, "command").await, role(&database, "query").await);
    let grants = GRANTS.replace("configapi_command", &command).replace("configapi_query", &query);
    execute(&mut database.connect().await, &grants).await;

    let writer = PostgresLog::open(&database.url_as(&command), Access::ReadWrite).await;
    let writer = writer.expect("a command server may write");
    append(&writer, 3).await;
    let mut turn = writer.take_turn().await.expect("a turn");
    let head = writer.head().await.expect("the head");
    let page = turn.read(head.position, configapi_event_log::PageLimit::TAIL).await;
    assert_eq!(page.expect("a page").events.len(), 1);
    let (rows, end) = batch(&head, 1, Some("keyed"));
    turn.append(&head, &rows).await.expect("appended in turn");
    assert_eq!(writer.requests(&["keyed"], usize::MAX).await.expect("an answer").rows, rows);
    assert_eq!(writer.begin_epoch(&end).await.expect("a new epoch").0, 2);

    let reader = PostgresLog::open(&database.url_as(&query), Access::ReadOnly).await;
    let reader = reader.expect("a query server may read");
    assert_eq!(verify(&reader).await.expect("a sound log").len(), 5);
    let page = reader.read(Position::GENESIS, configapi_event_log::PageLimit::REPLAY).await;
    assert_eq!(page.expect("a page").events.len(), 5);
    reader.grown(Position::GENESIS, std::time::Duration::from_secs(5)).await;

    let mistaken = PostgresLog::open(&database.url_as(&query), Access::ReadWrite).await;
    let mistaken = mistaken.expect("the schema needs no change");
    let head = mistaken.head().await.expect("the head");
    let outcome = mistaken.append(&head, &batch(&head, 1, None).0).await;
    let Err(AppendError::Unavailable(why)) = outcome else { panic!("{outcome:?}") };
    assert!(why.contains("permission denied for table events"), "{why}");
    drop((writer, reader, mistaken));
    drop_roles(&database, &[&command, &query]).await;
}

#[tokio::test]
async fn who_may_not_append_is_told_before_it_tries_and_no_longer_than_that_is_so() {
    let database = Database::create().await;
    migrate(&database.url).await.expect("migrated");
    let command = role(&database, "command").await;
    let mut owner = database.connect().await;
    let grants = format!(
        "GRANT USAGE ON SCHEMA configapi TO {command}; \
         GRANT SELECT ON ALL TABLES IN SCHEMA configapi TO {command}"
    );
    execute(&mut owner, &grants).await;
    let log = PostgresLog::open(&database.url_as(&command), Access::ReadWrite).await;
    let log = log.expect("the schema needs no change");
    let refused = async |expected: &str| {
        let told = log.identity().await.expect("an identity").takes_no_appends;
        assert!(told.as_ref().is_some_and(|why| why.contains(expected)), "{told:?}");
        let head = log.head().await.expect("the head");
        let outcome = log.append(&head, &batch(&head, 1, None).0).await;
        assert!(matches!(outcome, Err(AppendError::Unavailable(_))), "{outcome:?}");
    };
    let taken = async || {
        assert_eq!(log.identity().await.expect("an identity").takes_no_appends, None);
        append(&log, 1).await;
    };
    refused("grants.sql").await;
    execute(&mut owner, &format!("GRANT INSERT ON configapi.events TO {command}")).await;
    taken().await;
    let read_only = format!("ALTER ROLE {command} SET default_transaction_read_only = on");
    execute(&mut owner, &read_only).await;
    execute(&mut owner, CUT_ALL).await;
    refused("default_transaction_read_only").await;
    let may_write = format!("ALTER ROLE {command} RESET ALL");
    execute(&mut owner, &may_write).await;
    // The session that answers first may be of before. It is the last one.
    log.identity().await.expect("an identity");
    taken().await;

    // Those that read may be older than those that write.
    let other = PostgresLog::open(&database.url_as(&command), Access::ReadWrite).await;
    let other = other.expect("a log");
    execute(&mut owner, &read_only).await;
    let head = other.head().await.expect("the head");
    let outcome = other.append(&head, &batch(&head, 1, None).0).await;
    assert!(matches!(outcome, Err(AppendError::Unavailable(_))), "{outcome:?}");
    execute(&mut owner, &may_write).await;
    append(&other, 1).await;

    execute(&mut owner, &read_only).await;
    let reader = PostgresLog::open(&database.url_as(&command), Access::ReadOnly).await;
    let reader = reader.expect("a query server may read");
    assert_eq!(reader.identity().await.expect("an identity").takes_no_appends, None);
    drop((log, other, reader));
    drop_roles(&database, &[&command]).await;
}

#[tokio::test]
async fn a_log_that_is_opened_for_reading_is_never_written() {
    let database = Database::create().await;
    migrate(&database.url).await.expect("migrated");
    let log = PostgresLog::open(&database.url, Access::ReadOnly).await.expect("opened");
    let head = log.head().await.expect("the head");
    let (rows, _) = batch(&head, 1, None);
    assert!(matches!(log.append(&head, &rows).await, Err(AppendError::Unavailable(_))));
    assert!(matches!(log.take_turn().await, Err(LogError::Unavailable(_))));
    assert!(matches!(log.begin_epoch(&head).await, Err(LogError::Unavailable(_))));
    assert_eq!(log.head().await.expect("the head"), head);
}

#[tokio::test]
async fn without_a_log_whoever_may_not_make_one_is_told_what_to_do() {
    let database = Database::create().await;
    let poor = role(&database, "poor").await;
    let outcome = PostgresLog::open(&database.url, Access::ReadOnly).await;
    let Err(LogError::Unavailable(why)) = outcome else { panic!("{outcome:?}") };
    assert!(why.contains("run `configapi migrate`"), "{why}");
    let outcome = PostgresLog::open(&database.url_as(&poor), Access::ReadWrite).await;
    let Err(LogError::Unusable(why)) = outcome else { panic!("{outcome:?}") };
    assert!(why.contains("run `configapi migrate`"), "{why}");
    migrate(&database.url).await.expect("migrated");
    let outcome = PostgresLog::open(&database.url_as(&poor), Access::ReadWrite).await;
    let Err(LogError::Unusable(why)) = outcome else { panic!("{outcome:?}") };
    assert!(why.contains("grants.sql"), "{why}");
    drop_roles(&database, &[&poor]).await;
}

#[tokio::test]
async fn a_schema_of_that_name_that_holds_something_else_is_named_and_left_alone() {
    for theirs in ["events (a int)", "schema_versions (a int)"] {
        let database = Database::create().await;
        let mut owner = database.connect().await;
        execute(&mut owner, "CREATE SCHEMA configapi").await;
        execute(&mut owner, &format!("CREATE TABLE configapi.{theirs}")).await;
        let opened = PostgresLog::open(&database.url, Access::ReadWrite).await.map(|_| ());
        let migrated = migrate(&database.url).await;
        for outcome in [opened, migrated] {
            let Err(LogError::Unusable(why)) = outcome else { panic!("{theirs}: {outcome:?}") };
            assert!(why.contains("something else than a log"), "{why}");
        }
        let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'configapi'";
        let count: i64 = sqlx::query_scalar(tables).fetch_one(&mut owner).await.expect("a count");
        assert_eq!(count, 1, "nothing was made beside it");
    }
}

#[tokio::test]
async fn a_newer_schema_is_not_touched() {
    let database = Database::create().await;
    migrate(&database.url).await.expect("migrated");
    let newer = "INSERT INTO configapi.schema_versions (version) VALUES (99)";
    execute(&mut database.connect().await, newer).await;
    for access in [Access::ReadOnly, Access::ReadWrite] {
        let outcome = PostgresLog::open(&database.url, access).await;
        let Err(LogError::Unusable(why)) = outcome else { panic!("{outcome:?}") };
        assert!(why.contains("use a newer program"), "{why}");
    }
    assert!(matches!(migrate(&database.url).await, Err(LogError::Unusable(_))));
}

#[tokio::test]
async fn a_program_that_runs_while_the_schema_changes_is_refused_when_it_connects_anew() {
    let database = Database::create().await;
    let logs = [Access::ReadWrite, Access::ReadOnly]
        .map(|access| PostgresLog::new(&database.url, access).expect("a URL that can be used"));
    for log in &logs {
        log.head().await.expect("the head");
    }
    let mut owner = database.connect().await;
    execute(&mut owner, "INSERT INTO configapi.schema_versions (version) VALUES (99)").await;
    for log in &logs {
        log.head().await.expect("as long as it is connected");
    }
    execute(&mut owner, CUT_ALL).await;
    for log in &logs {
        let outcome = log.head().await;
        let Err(LogError::Unusable(why)) = outcome else { panic!("{outcome:?}") };
        assert!(why.contains("use a newer program"), "{why}");
    }
    // It is not for a program that runs to make a log where one was.
    execute(&mut owner, "DROP SCHEMA configapi CASCADE").await;
    for log in &logs {
        let outcome = log.head().await;
        let Err(LogError::Unusable(why)) = outcome else { panic!("{outcome:?}") };
        assert!(why.contains("no log by now"), "{why}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_processes_may_migrate_at_once_and_one_log_begins() {
    let database = Database::create().await;
    let mut processes = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let url = database.url.clone();
        processes.spawn(async move {
            let log = PostgresLog::open(&url, Access::ReadWrite).await.expect("opened");
            log.identity().await.expect("an identity").log_id
        });
    }
    let mut ids = processes.join_all().await;
    ids.dedup();
    assert_eq!(ids.len(), 1);
    migrate(&database.url).await.expect("once more changes nothing");
}

#[tokio::test]
async fn no_error_and_no_debug_text_shows_a_password() {
    let secret = "correct-horse-battery";
    let mut texts = Vec::new();
    for url in [
        format!("postgres://me:{secret}@127.0.0.1:1/configapi"),
        format!("postgres://me:{secret}@127.0.0.1:notaport/configapi"),
        format!("postgres://me:{secret}@127.0.0.1:1/configapi?pasword={secret}"),
        format!("postgres://127.0.0.1:1/configapi?password={secret}&sslmode={secret}"),
        format!("mysql://me:{secret}@127.0.0.1:1/configapi"),
        // Whatever is not percent-encoded in a password may look like a parameter of its own.
        format!("postgres://me:what?{secret}@127.0.0.1:1/configapi"),
        format!("postgres://me:what?{secret}=1&more@127.0.0.1:1/configapi"),
        format!("postgres://127.0.0.1:1/configapi?password=what&{secret}"),
        format!("postgres://127.0.0.1:1/configapi?password=what&{secret}=1"),
    ] {
        match PostgresLog::new(&url, Access::ReadOnly) {
            Ok(log) => {
                texts.push(format!("{log:?} {log:#?}"));
                texts.push(format!("{:?}", log.head().await));
            }
            Err(error) => texts.push(format!("{error} {error:?}")),
        }
    }
    assert!(texts.iter().any(|text| text.contains("unknown parameter \"pasword\"")), "{texts:?}");
    for text in texts {
        assert!(!text.contains(secret), "{text}");
    }
}
