//! The state of the log that an answer is about.

use configapi_proto::v1::ReadState;
use serde::Serialize;
use utoipa::ToSchema;

use crate::moment::Time;

/// The state of the log that an answer is about.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = State)]
pub(crate) struct StateView<'a> {
    /// The last position that is part of the answer; 0 is before the first.
    position: u64,
    /// The epoch of the log.
    epoch: u64,
    /// Both as a token.
    token: &'a str,
    /// When the event at that position was recorded; null at position 0.
    #[schema(required)]
    recorded_at: Option<Time>,
}

impl<'a> StateView<'a> {
    pub fn of(state: &'a ReadState) -> Self {
        Self {
            position: state.position,
            epoch: state.epoch,
            token: &state.token,
            recorded_at: Time::of(state.recorded_at.as_ref()),
        }
    }
}
