//! What compare-and-append writes, and what it refuses.

use configapi_domain::{MAX_VALUE_BYTES, Position, Version};

use super::Factory;
use super::journal::{Journal, written};
use crate::{AppendError, Hash, Head, MAX_EVENTS_PER_COMMAND, seal};

/// Whatever was appended, in however many batches, reads as one dense and chained log.
pub async fn positions_and_versions_are_dense_and_the_chain_holds(factory: &impl Factory) {
    let log = factory.open().await;
    let mut journal = Journal::of(&*log).await;
    for round in 0..20 {
        let batch = journal.batch().set("hot", "again").set(&format!("cold/{round}"), "once");
        let batch = batch.large("warm", round % 5 + 1);
        batch.append(&*log).await.expect("the only writer is not refused");
        journal.read_on(&*log).await;
        assert_eq!(journal.head(), batch.end);
    }
    let again = Journal::of(&*factory.open().await).await;
    assert_eq!(again.rows, journal.rows);
    assert_eq!(log.head().await.expect("the head"), journal.head());
}

/// An append that was acknowledged is seen by every read that begins after it.
pub async fn a_batch_on_the_head_is_visible_at_once_to_everybody(factory: &impl Factory) {
    let (writer, reader) = (factory.open().await, factory.open().await);
    let mut seen = Journal::of(&*reader).await;
    for round in 0..10 {
        let batch = seen.batch().set("a", &round.to_string());
        batch.append(&*writer).await.expect("the only writer is not refused");
        assert_eq!(reader.head().await.expect("the head"), batch.end);
        seen.read_on(&*reader).await;
        assert_eq!(seen.head(), batch.end);
    }
}

/// A writer that is late is told so, and the log is as if it had never tried.
pub async fn a_batch_on_a_stale_head_moves_nothing(factory: &impl Factory) {
    let (fast, slow) = (factory.open().await, factory.open().await);
    let stale = Journal::of(&*slow).await;
    let before = written(&*fast, |batch| batch.set("a", "fast")).await;
    for batch in [stale.batch().set("b", "slow"), stale.batch().set("a", "slow").large("c", 9)] {
        assert_eq!(batch.append(&*slow).await, Err(AppendError::HeadMoved));
        assert_eq!(Journal::of(&*slow).await.rows, before.rows);
    }
    let after = written(&*slow, |batch| batch.set("b", "slow")).await;
    assert_eq!(after.position(), before.position().next(), "the lost race left no hole");
}

/// A head that this log never had, or does not have yet, is gone rather than moved.
pub async fn a_batch_on_a_foreign_head_is_told_that_it_is_gone(factory: &impl Factory) {
    let log = factory.open().await;
    let known = written(&*log, |batch| batch.set("a", "1").set("a", "2")).await;
    let head = known.head();
    let earlier = Head { position: Position(1), ..head };
    let beyond = Head { position: head.position.next(), ..head };
    let foreign = Head { hash: Hash([7; 32]), ..head };
    for gone in [earlier, beyond, foreign] {
        let mut batch = known.batch();
        batch.head = gone;
        batch.end = gone;
        let batch = batch.set("b", "lost");
        assert_eq!(batch.append(&*log).await, Err(AppendError::HeadGone), "on {gone:?}");
    }
    assert_eq!(Journal::of(&*log).await.rows, known.rows);
}

/// A batch that could never be right is refused whole, its good rows too.
pub async fn a_refused_batch_leaves_nothing(factory: &impl Factory) {
    let log = factory.open().await;
    let known = written(&*log, |batch| batch.set("a", "1")).await;

    let mut twice = known.batch().set("b", "1").set("c", "1");
    twice.rows[1].position = twice.rows[0].position;
    let mut gap = known.batch().set("b", "1").set("c", "1");
    gap.rows[1].position = gap.rows[1].position.next();
    let mut torn = known.batch().set("b", "1").large("c", 3);
    torn.rows.pop();
    let mut backwards = known.batch().set("b", "1").set("c", "1");
    backwards.rows[1].recorded_at = known.rows[0].recorded_at;
    backwards.rows[1].recorded_at.0 -= 1;

    for batch in [twice, gap, torn, backwards] {
        let outcome = batch.append(&*log).await;
        assert!(matches!(outcome, Err(AppendError::Refused(_))), "not refused: {outcome:?}");
        assert_eq!(Journal::of(&*log).await.rows, known.rows);
    }
    written(&*log, |batch| batch.set("b", "1")).await;
}

/// Two events cannot be the same version of one stream, whoever says so.
pub async fn a_version_that_is_taken_is_refused(factory: &impl Factory) {
    let log = factory.open().await;
    let known = written(&*log, |batch| batch.set("a", "1").set("a", "2")).await;

    let mut taken = known.batch().set("b", "1").set("a", "2 again");
    taken.rows[1].version = Version(2);
    let mut twice = known.batch().set("b", "1").set("b", "1 again");
    twice.rows[1].version = Version(1);
    for mut batch in [taken, twice] {
        let first = batch.rows[0].hash;
        seal(first, &mut batch.rows[1]);
        let outcome = batch.append(&*log).await;
        assert!(matches!(outcome, Err(AppendError::Refused(_))), "not refused: {outcome:?}");
        assert_eq!(Journal::of(&*log).await.rows, known.rows);
    }
    written(&*log, |batch| batch.set("b", "1")).await;
}

/// A store keeps every byte: of large values, of any language, of JSON within JSON.
pub async fn values_come_back_byte_for_byte(factory: &impl Factory) {
    let large = "x".repeat(MAX_VALUE_BYTES);
    let wide = "🦀".repeat(MAX_VALUE_BYTES / 4);
    let values = [
        "",
        " ",
        "\n\t\r\n",
        "it's \"quoted\" and \\escaped\\ 'twice'",
        r#"{"json":"in \"json\"","null":null,"unicode":"\u0000 is text here"}"#,
        "Grüße, 世界, \u{1F980}, e\u{301}, \u{202E}, \u{FEFF}, \u{FFFF}, \u{10FFFF}, \u{7F}, \u{1}",
        "%s %n ${x} $1 ? ?1 :name -- ; DROP TABLE events; /* */",
        &large,
        &wide,
    ];
    let log = factory.open().await;
    let mut batch = Journal::of(&*log).await.batch();
    for (index, value) in values.iter().enumerate() {
        batch = batch.set(&format!("value/{index}"), value);
    }
    batch.append(&*log).await.expect("the only writer is not refused");
    let journal = Journal::of(&*factory.open().await).await;
    assert!(journal.rows[1..] == batch.rows[..], "every row is read as it was written");
    for (row, value) in journal.rows[1..].iter().zip(values) {
        let recorded = crate::decode(row).expect("a row that can be decoded");
        let content = recorded.event.content().expect("a Set has content");
        assert!(content.value.as_str() == value, "{} came back changed", row.stream);
    }
}

/// The largest command there may be is one batch, and so are several of them.
pub async fn a_thousand_events_are_one_command(factory: &impl Factory) {
    let log = factory.open().await;
    let journal =
        written(&*log, |batch| batch.large("a", MAX_EVENTS_PER_COMMAND).set("b", "1")).await;
    let journal2 = written(&*log, |batch| {
        batch.large("a", MAX_EVENTS_PER_COMMAND).large("c", MAX_EVENTS_PER_COMMAND)
    })
    .await;
    assert_eq!(journal.position(), Position(1_001));
    assert_eq!(journal2.position(), Position(3_001));

    let outcome = journal2.batch().large("d", MAX_EVENTS_PER_COMMAND + 1).append(&*log).await;
    assert!(matches!(outcome, Err(AppendError::Refused(_))), "not refused: {outcome:?}");
}
