//! Delete: deletes a config.

use configapi_proto::ApiError;
use configapi_proto::v1::{DeleteRequest, DeleteResponse};

use super::parse::{self, About};
use super::receipt;
use crate::bus::Handler;
use crate::committer::{Receipt, Submission, WishedAction};

/// Deletes a config.
#[derive(Debug)]
pub struct DeleteHandler;

impl Handler for DeleteHandler {
    type Request = DeleteRequest;
    type Response = DeleteResponse;
    const NAME: &'static str = "delete";

    fn submission(request: DeleteRequest) -> Result<Submission, ApiError> {
        let action = Ok(WishedAction::Delete);
        let (namespace, name) = (&request.namespace, &request.name);
        let wish = parse::wish("", namespace, name, request.expected_version, action);
        let about = About {
            request_id: &request.request_id,
            validate_only: request.validate_only,
            actor: &request.actor,
            reason: &request.reason,
        };
        parse::submission(wish.map(|wish| vec![wish]), &about)
    }

    fn response(receipts: Vec<Receipt>) -> DeleteResponse {
        DeleteResponse { receipt: receipts.first().map(receipt::to_wire) }
    }
}
