//! The properties that every store must have, whatever it is made of. An adapter's tests say how
//! to make a log, and get one test per property from [`conformance_tests!`](crate::conformance_tests).
//! Never part of a server: the feature `conformance` is for tests of adapters only.

#![expect(
    clippy::missing_panics_doc,
    clippy::expect_used,
    clippy::panic,
    reason = "a suite of tests: a panic is how a property says that it does not hold"
)]

mod appending;
mod epochs;
mod following;
mod journal;
mod racing;
mod reading;
mod requests;
mod starting;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::EventLog;

pub use appending::*;
pub use epochs::*;
pub use following::*;
pub use racing::*;
pub use reading::*;
pub use requests::*;
pub use starting::*;

/// One log under test, and how to come by it.
#[async_trait]
pub trait Factory: Send + Sync + Sized + 'static {
    /// A fresh, empty log that no other test knows. It goes away when the factory is dropped.
    async fn fresh() -> Self;

    /// Opens this very log for writing, independently of every earlier call, as another process
    /// would. A store that lives inside one process answers the same one each time.
    async fn open(&self) -> Arc<dyn EventLog>;

    /// Whether the log outlives all of its instances.
    fn is_durable(&self) -> bool;
}

/// Ends a property that hangs.
pub async fn within_limits(property: impl Future<Output = ()>) {
    const LIMIT: Duration = Duration::from_mins(3);
    tokio::time::timeout(LIMIT, property).await.expect("the property is decided in time");
}

/// Makes one `#[tokio::test]` of each property, for one [`Factory`](crate::conformance::Factory).
#[macro_export]
macro_rules! conformance_tests {
    ($factory:ty) => {
        $crate::conformance_tests! { @each $factory;
            an_empty_log_holds_its_genesis_and_nothing_else
            every_instance_tells_the_same_identity
            two_logs_have_two_identities
            the_log_survives_being_opened_again

            positions_and_versions_are_dense_and_the_chain_holds
            a_batch_on_the_head_is_visible_at_once_to_everybody
            a_batch_on_a_stale_head_moves_nothing
            a_batch_on_a_foreign_head_is_told_that_it_is_gone
            a_refused_batch_leaves_nothing
            a_version_that_is_taken_is_refused
            values_come_back_byte_for_byte
            a_thousand_events_are_one_command

            reading_beyond_the_head_is_an_empty_page
            a_page_never_tears_a_command_at_its_row_limit
            a_page_never_tears_a_command_at_its_byte_limit
            a_page_for_a_replay_never_tears_a_command
            a_page_for_a_replay_holds_the_same_rows
            newest_finds_the_last_event_of_each_stream
            newest_ends_at_its_limit_and_goes_on_from_there
            streams_can_be_read_at_any_version_time_or_position

            a_request_id_is_taken_once
            requests_come_back_as_whole_commands
            requests_end_at_their_limit_and_go_on_from_there
            many_callers_with_one_request_id_leave_one_event

            of_many_writers_with_one_anchor_exactly_one_wins
            many_writers_all_finish_and_the_log_is_dense
            nobody_can_pass_a_writer_that_has_its_turn
            a_turn_keeps_no_reader_waiting
            a_turn_that_is_dropped_is_given_back_and_leaves_nothing
            an_append_that_is_dropped_leaves_the_log_whole

            waiting_ends_at_once_if_the_log_has_grown_already
            waiting_ends_when_patience_does
            waiting_at_the_end_of_the_log_is_no_work
            waiting_ends_soon_after_another_instance_appends
            a_wait_that_is_dropped_harms_no_other_wait
            a_follower_beside_busy_writers_misses_nothing

            a_new_epoch_is_told_to_everybody
            an_epoch_begins_only_at_the_head
        }
    };
    (@each $factory:ty; $($property:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $property() {
                $crate::conformance::within_limits(async {
                    let factory = <$factory as $crate::conformance::Factory>::fresh().await;
                    $crate::conformance::$property(&factory).await;
                })
                .await;
            }
        )*
    };
}
