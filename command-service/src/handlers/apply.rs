//! Apply: many commands as one change.

use configapi_event_log::MAX_EVENTS_PER_COMMAND;
use configapi_proto::v1::command::Action;
use configapi_proto::v1::{ApplyRequest, ApplyResponse, Command};
use configapi_proto::{ApiError, key};

use super::parse::{self, About};
use super::receipt;
use crate::bus::Handler;
use crate::committer::{Receipt, Submission, Wish, WishedAction};

/// Does many commands as one: all or none.
#[derive(Debug)]
pub struct ApplyHandler;

impl Handler for ApplyHandler {
    type Request = ApplyRequest;
    type Response = ApplyResponse;
    const NAME: &'static str = "apply";
    const IS_GROUP: bool = true;

    fn submission(request: ApplyRequest) -> Result<Submission, ApiError> {
        let about = About {
            request_id: &request.request_id,
            validate_only: request.validate_only,
            actor: &request.actor,
            reason: &request.reason,
        };
        parse::submission(wishes(request.commands), &about)
    }

    fn response(receipts: Vec<Receipt>) -> ApplyResponse {
        ApplyResponse { receipts: receipts.iter().map(receipt::to_wire).collect() }
    }
}

/// All wishes, or what is wrong with any of them: as much as an error tells.
fn wishes(commands: Vec<Command>) -> Result<Vec<Wish>, ApiError> {
    let count = commands.len();
    if count == 0 || count > MAX_EVENTS_PER_COMMAND {
        let wants = format!("must be 1 to {MAX_EVENTS_PER_COMMAND}, are {count}");
        return Err(ApiError::invalid("commands", wants));
    }
    let mut wishes = Vec::with_capacity(count);
    let mut wrong: Option<ApiError> = None;
    for (index, command) in commands.into_iter().enumerate() {
        match wish(index, command) {
            Ok(wish) => wishes.push(wish),
            Err(error) => {
                wrong = Some(match wrong.take() {
                    None => error.with_metadata(key::COMMAND_INDEX, index),
                    Some(first) => first.with_violations_of(error),
                });
            }
        }
    }
    wrong.map_or(Ok(wishes), Err)
}

fn wish(index: usize, command: Command) -> Result<Wish, ApiError> {
    let at = format!("commands[{index}].");
    let action = match command.action {
        None => {
            let wants = "must be one of set, delete and restore";
            Err(ApiError::invalid(format!("{at}action"), wants))
        }
        Some(Action::Set(set)) => parse::set(&format!("{at}set."), set.value, &set.content_type),
        Some(Action::Delete(_)) => Ok(WishedAction::Delete),
        Some(Action::Restore(restore)) => {
            parse::restore(&format!("{at}restore."), restore.target.as_ref())
        }
    };
    parse::wish(&at, &command.namespace, &command.name, command.expected_version, action)
}
