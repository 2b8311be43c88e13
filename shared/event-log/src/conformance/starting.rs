//! How a log begins, and that it stays.

use configapi_domain::{Position, Version};

use super::Factory;
use super::journal::{Journal, written};
use crate::{Epoch, GENESIS_EVENT_TYPE, GENESIS_STREAM, Lineage, PageLimit, Standing, genesis};

/// The genesis row is all there is, and head and page agree on it.
pub async fn an_empty_log_holds_its_genesis_and_nothing_else(factory: &impl Factory) {
    let log = factory.open().await;
    let page = log.read(Position::GENESIS, PageLimit::TAIL).await.expect("a page");
    assert_eq!(page.events.len(), 1);
    assert_eq!((page.epoch, page.is_cut), (Epoch::FIRST, false));
    let row = &page.events[0];
    assert_eq!(row.position, Position::GENESIS);
    assert_eq!((&*row.stream, &*row.event_type), (GENESIS_STREAM, GENESIS_EVENT_TYPE));
    assert_eq!(row.version, Version(1));

    let head = log.head().await.expect("the head");
    assert_eq!(head.epoch, Epoch::FIRST);
    assert_eq!((head.position, head.hash), (Position::GENESIS, row.hash));
    assert_eq!(head.recorded_at, row.recorded_at);
    assert_eq!(log.standing().await, Ok(Standing { head, is_standby: false }));
}

/// All instances agree on whose log it is; the genesis row follows from that.
pub async fn every_instance_tells_the_same_identity(factory: &impl Factory) {
    let (first, second) = (factory.open().await, factory.open().await);
    let identity = first.identity().await.expect("an identity");
    let other = second.identity().await.expect("an identity");
    assert_eq!(identity.log_id, other.log_id);
    assert_eq!(identity.lineage, Lineage::unbroken());
    assert_eq!(other.lineage, Lineage::unbroken());
    assert!(!identity.is_standby);

    let row = &Journal::of(&*second).await.rows[0];
    assert_eq!(*row, genesis(identity.log_id, row.recorded_at));
}

/// A log's id is its own.
pub async fn two_logs_have_two_identities<F: Factory>(factory: &F) {
    let stranger = F::fresh().await;
    let ours = factory.open().await.identity().await.expect("an identity");
    let theirs = stranger.open().await.identity().await.expect("an identity");
    assert_ne!(ours.log_id, theirs.log_id);
}

/// A durable log is the same after all of its instances are gone.
pub async fn the_log_survives_being_opened_again(factory: &impl Factory) {
    if !factory.is_durable() {
        return;
    }
    let log = factory.open().await;
    let identity = log.identity().await.expect("an identity");
    let before = written(&*log, |batch| batch.set("a", "1").large("b", 10).set("a", "2")).await;
    drop(log);

    let log = factory.open().await;
    assert_eq!(log.identity().await.expect("an identity").log_id, identity.log_id);
    assert_eq!(Journal::of(&*log).await.rows, before.rows);
    assert_eq!(log.head().await.expect("the head"), before.head());
    written(&*log, |batch| batch.set("a", "3")).await;
}
