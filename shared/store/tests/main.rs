//! Store URLs, and that each opens the log that it names.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use configapi_event_log::domain::{Position, Timestamp};
use configapi_event_log::{Beginning, Epoch, EpochStart, Lineage, LogError, LogId};
use configapi_store::{Access, StoreUrl, begin, open};

const NOW: Timestamp = Timestamp(1_700_000_000_000_000);

fn url(text: &str) -> StoreUrl {
    text.parse().unwrap()
}

#[test]
fn a_url_names_one_of_three_stores() {
    assert_eq!(url("memory:"), StoreUrl::Memory);
    assert_eq!(url("sqlite:data/a.db"), StoreUrl::Sqlite("data/a.db".into()));
    assert_eq!(url("sqlite:///var/a.db"), StoreUrl::Sqlite("/var/a.db".into()));
    assert!(matches!(url("postgres://u@h/d"), StoreUrl::Postgres(_)));
    assert!(matches!(url("postgresql://u@h/d"), StoreUrl::Postgres(_)));
    for wrong in ["", "mysql://h/d", "sqlite:", "sqlite:a?mode=ro", "memory", "/var/a.db"] {
        let error = wrong.parse::<StoreUrl>().unwrap_err();
        assert!(error.to_string().contains("sqlite:path"), "{wrong}");
    }
    for misleading in ["sqlite::memory:", "sqlite:file:a.db", "sqlite://:memory:"] {
        let error = misleading.parse::<StoreUrl>().unwrap_err();
        assert!(error.to_string().ends_with("or memory:"), "{misleading}: {error}");
    }
    assert_eq!(url("sqlite:./file:a.db"), StoreUrl::Sqlite("./file:a.db".into()));
}

#[test]
fn no_text_of_a_url_shows_a_password() {
    for (text, shown) in [
        ("postgres://ada:secret@db:5432/config", "postgres://db:5432/config"),
        ("postgres://ada:secret@db:5432/config?password=secret", "postgres://db:5432/config"),
        ("postgresql://ada:secret@db/config?sslmode=require", "postgres://db/config"),
        ("postgres://db/config", "postgres://db/config"),
        ("postgres://[::1]:5432/config", "postgres://[::1]:5432/config"),
        ("postgres://ada:secret@[::1]/config", "postgres://[::1]/config"),
        ("postgres:///config?host=/run/postgresql", "postgres:///config"),
        // Whatever is not certain is hidden.
        ("postgres://ada:what@secret@db/config", "postgres://(hidden)"),
        ("postgres://db/config?password=what@secret", "postgres://(hidden)"),
    ] {
        let url = url(text);
        assert_eq!(url.to_string(), shown, "{text}");
        assert_eq!(format!("{url:?}"), format!("StoreUrl({shown})"));
    }
}

#[test]
fn a_wrong_url_of_postgres_is_told_without_its_password() {
    let port =
        "has a port that is no number up to 65535, or a password that is not percent-encoded";
    let place = "must look like postgres://user:password@host:5432/database, with what is special in \
                 the user and the password percent-encoded";
    let modes = "disable, allow, prefer, require, verify-ca or verify-full";
    for (text, expected) in [
        ("postgres://db/config?nope=secret", r#"has the unknown parameter "nope""#.to_owned()),
        (
            "postgres://ada:secret@db/config?sslmode=secret",
            format!(r#"has a wrong value for "sslmode", which wants {modes}"#),
        ),
        (
            "postgres://ada:secret@db/config?sslmode=disable&port=99999",
            r#"has a wrong value for "port", which wants a number up to 65535"#.to_owned(),
        ),
        (
            "postgres://db/config?hostaddr=secret",
            r#"has a wrong value for "hostaddr", which wants an IP address"#.to_owned(),
        ),
        ("postgres://ada:secret@db:99999/config", port.to_owned()),
        ("postgres://ada:secret", port.to_owned()),
        ("postgres://ada:secret/db/config", port.to_owned()),
        ("postgres://ada:sec/secret@db/config", port.to_owned()),
        ("postgres://ada:sec#secret@db/config", port.to_owned()),
        ("postgres://ada:secret@db:5432:5433/config", port.to_owned()),
        ("postgres://ada:%ffsecret@db/config", place.to_owned()),
        ("postgres://ada:secret@[::1/config", place.to_owned()),
    ] {
        let error = text.parse::<StoreUrl>().unwrap_err();
        assert_eq!(error.to_string(), expected, "{text}");
        assert!(!format!("{error:?}").contains("secret"), "{text}: {error:?}");
    }
    let error = "postgres://ada:sec?secret@db/config".parse::<StoreUrl>().unwrap_err();
    assert!(error.to_string().starts_with("has an unknown parameter; percent-encode"), "{error}");
}

#[tokio::test]
async fn a_log_in_memory_is_new_each_time() {
    let one = open(&StoreUrl::Memory, Access::Write, NOW).await.unwrap();
    let two = open(&StoreUrl::Memory, Access::Write, NOW).await.unwrap();
    assert_ne!(one.identity().await.unwrap().log_id, two.identity().await.unwrap().log_id);
}

#[tokio::test]
async fn a_log_in_a_file_is_made_by_its_writer_only() {
    let folder = tempfile::tempdir().unwrap();
    let url = url(&format!("sqlite:{}/new/a.db", folder.path().display()));
    let error = open(&url, Access::Read, NOW).await.unwrap_err();
    assert!(matches!(error, LogError::Unavailable(_)), "{error}");
    let writer = open(&url, Access::Write, NOW).await.unwrap();
    let reader = open(&url, Access::Read, NOW).await.unwrap();
    assert_eq!(reader.identity().await.unwrap(), writer.identity().await.unwrap());
    assert_eq!(reader.head().await.unwrap().position, Position::GENESIS);
}

#[tokio::test]
async fn a_log_that_begins_from_elsewhere_has_that_beginning_and_begins_once() {
    let directory = tempfile::tempdir().unwrap();
    let store = StoreUrl::Sqlite(directory.path().join("log.db"));
    let log_id = LogId::new_at(Timestamp(1));
    let starts = [(1, 1), (3, 5), (9, 4)].map(|(epoch, position)| EpochStart {
        epoch: Epoch(epoch),
        first_position: Position(position),
    });
    let lineage = Lineage::from_rows(starts.to_vec());
    let beginning = Beginning { log_id, began_at: NOW, lineage: lineage.clone() };
    let log = begin(&store, &beginning).await.unwrap();
    let identity = log.identity().await.unwrap();
    assert_eq!((identity.log_id, identity.lineage), (log_id, lineage));
    assert_eq!(log.head().await.unwrap().epoch, Epoch(9));
    assert_eq!(log.head().await.unwrap().recorded_at, NOW);
    let again = begin(&store, &beginning).await;
    assert!(matches!(again, Err(LogError::Unusable(_))), "{again:?}");
    let opened = open(&store, Access::Write, Timestamp(2)).await.unwrap();
    assert_eq!(opened.identity().await.unwrap().log_id, log_id);
}
