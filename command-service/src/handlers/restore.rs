//! Restore: brings a config back, or rolls it back.

use configapi_proto::ApiError;
use configapi_proto::v1::{RestoreRequest, RestoreResponse};

use super::parse::{self, About};
use super::receipt;
use crate::bus::Handler;
use crate::committer::{Receipt, Submission};

/// Brings a config back, or rolls it back.
#[derive(Debug)]
pub struct RestoreHandler;

impl Handler for RestoreHandler {
    type Request = RestoreRequest;
    type Response = RestoreResponse;
    const NAME: &'static str = "restore";

    fn submission(request: RestoreRequest) -> Result<Submission, ApiError> {
        let action = parse::restore("", request.target.as_ref());
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

    fn response(receipts: Vec<Receipt>) -> RestoreResponse {
        RestoreResponse { receipt: receipts.first().map(receipt::to_wire) }
    }
}
