//! What a process knows beside the index: never more than it may hold, and nothing that the log lost.

use crate::index::{append, assert_all_are_found, assert_nothing_is_missing, index_of};
use crate::suite::InFile;
use crate::writing::console;
use configapi_event_log::conformance::Factory;

/// Events with names as long as theirs of which a turn of the index is made.
const TURN: i64 = 8_600;

#[tokio::test]
async fn the_index_keeps_up_however_often_its_writer_starts_anew() {
    let file = InFile::fresh().await;
    let mut lacks = Vec::new();
    for _ in 0..8 {
        // Too few for the index to be told of all that was there.
        let log = file.open().await;
        append(&*log, 7_000).await;
        let end = log.head().await.unwrap().position.0.cast_signed();
        lacks.push(end - index_of(&file.path()).await.0);
    }
    assert!(
        lacks.iter().all(|lacks| *lacks < 3 * TURN),
        "the index lacks more and more: {lacks:?}"
    );
    let log = file.open().await;
    assert_all_are_found(&file.path(), &*log).await;
    assert_nothing_is_missing(&mut console(&file.path()).await).await;
}
