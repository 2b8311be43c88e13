//! The look into Postgres's protocol, on bytes as drivers send them.

use configapi_acceptance::chaos::postgres_wire::{CommitRequest, Frontend};

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[kind], &length.to_be_bytes()[..], body].concat()
}

fn startup(code: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 8).unwrap();
    [&length.to_be_bytes()[..], &code.to_be_bytes()[..], body].concat()
}

/// A session that has begun and prepared the statement that appends.
fn prepared() -> Frontend {
    let mut frontend = Frontend::default();
    let hello = [startup(80_877_103, b""), startup(196_608, b"user\0postgres\0\0")].concat();
    assert_eq!(frontend.take(&hello), None);
    let insert = b"s1\0WITH turn AS (SELECT 1) INSERT INTO configapi.events (position) SELECT $1\0";
    let select = b"s2\0SELECT max(position) FROM configapi.events\0";
    let prepare = [message(b'P', insert), message(b'P', select), message(b'S', b"")].concat();
    assert_eq!(frontend.take(&prepare), None);
    frontend
}

fn execute(statement: &[u8]) -> Vec<u8> {
    let bind = [b"\0", statement, b"\0rest"].concat();
    [message(b'B', &bind), message(b'E', b"\0\0\0\0\0"), message(b'S', b"")].concat()
}

#[test]
fn a_statement_that_inserts_events_commits_with_its_sync() {
    let mut frontend = prepared();
    let bytes = execute(b"s1");
    let end = bytes.len();
    assert_eq!(frontend.take(&bytes), Some(CommitRequest { before: end - 5, end }));
    assert_eq!(frontend.take(&execute(b"s2")), None);
}

#[test]
fn bytes_may_come_in_any_pieces() {
    let mut frontend = prepared();
    let bytes = execute(b"s1");
    let (last, rest) = bytes.split_last().unwrap();
    for byte in rest {
        assert_eq!(frontend.take(&[*byte]), None);
    }
    assert!(frontend.take(&[*last]).is_some());
}

#[test]
fn in_a_transaction_the_commit_is_what_counts() {
    let mut frontend = prepared();
    assert_eq!(frontend.take(&message(b'Q', b"BEGIN ISOLATION LEVEL READ COMMITTED\0")), None);
    assert_eq!(frontend.take(&execute(b"s1")), None);
    assert!(frontend.take(&message(b'Q', b"COMMIT\0")).is_some());
}

#[test]
fn a_transaction_that_inserted_nothing_is_of_no_interest() {
    let mut frontend = prepared();
    frontend.take(&message(b'Q', b"BEGIN\0"));
    frontend.take(&execute(b"s2"));
    assert_eq!(frontend.take(&message(b'Q', b"COMMIT\0")), None);
    frontend.take(&message(b'Q', b"BEGIN\0"));
    frontend.take(&execute(b"s1"));
    frontend.take(&message(b'Q', b"ROLLBACK\0"));
    assert_eq!(frontend.take(&execute(b"s2")), None);
}
