//! Epochs: a position never gets a second meaning without everybody being told.

use configapi_domain::Position;

use super::Factory;
use super::journal::{Journal, written};
use crate::{AppendError, Epoch, EpochStart, LogError};

/// Identity, head and pages of every instance tell the new epoch, and old heads are gone.
pub async fn a_new_epoch_is_told_to_everybody(factory: &impl Factory) {
    let (operator, server) = (factory.open().await, factory.open().await);
    let before = written(&*server, |batch| batch.set("a", "1").set("a", "2")).await;
    let began = operator.begin_epoch(&before.head()).await.expect("a new epoch");
    assert_eq!(began, Epoch(2));

    for log in [&operator, &server] {
        let lineage = log.identity().await.expect("an identity").lineage;
        let second = EpochStart { epoch: Epoch(2), first_position: Position(3) };
        assert_eq!(lineage.current(), Epoch(2));
        assert_eq!(lineage.epochs().get(1), Some(&second));
        assert!(lineage.still_holds(Epoch::FIRST, Position(2)));
        assert!(!lineage.still_holds(Epoch::FIRST, Position(3)));
        assert_eq!(log.head().await.expect("the head").epoch, Epoch(2));
        assert_eq!(Journal::of(&**log).await.head().epoch, Epoch(2));

        let late = before.batch().set("a", "3");
        assert_eq!(late.append(&**log).await, Err(AppendError::HeadGone));
        let turn = log.take_turn().await.expect("a turn");
        assert_eq!(turn.append(&late.head, &late.rows).await, Err(AppendError::HeadGone));
    }
    let after = written(&*server, |batch| batch.set("a", "3")).await;
    assert_eq!((after.position(), after.head().epoch), (Position(3), Epoch(2)));
    let third = server.begin_epoch(&after.head()).await.expect("a third epoch");
    assert_eq!(third, Epoch(3));
}

/// Of two who begin an epoch at one head, or with an append between, one does.
pub async fn an_epoch_begins_only_at_the_head(factory: &impl Factory) {
    let (first, second) = (factory.open().await, factory.open().await);
    let stale = Journal::of(&*first).await;
    let known = written(&*second, |batch| batch.set("a", "1")).await;
    let outcome = first.begin_epoch(&stale.head()).await;
    assert!(matches!(outcome, Err(LogError::Unavailable(_))), "on a stale head: {outcome:?}");

    let head = known.head();
    let (one, two) = tokio::join!(first.begin_epoch(&head), second.begin_epoch(&head));
    let began = [&one, &two].into_iter().filter(|outcome| **outcome == Ok(Epoch(2))).count();
    assert_eq!(began, 1, "{one:?} and {two:?}");
    let epochs = first.identity().await.expect("an identity").lineage;
    assert_eq!(epochs.epochs().len(), 2);
    assert_eq!(Journal::of(&*first).await.rows, known.rows, "an epoch is no event");
}
