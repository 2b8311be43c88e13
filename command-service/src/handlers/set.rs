//! Set: gives a config a value.

use configapi_proto::ApiError;
use configapi_proto::v1::{SetRequest, SetResponse};

use super::parse::{self, About};
use super::receipt;
use crate::bus::Handler;
use crate::committer::{Receipt, Submission};

/// Gives a config a value.
#[derive(Debug)]
pub struct SetHandler;

impl Handler for SetHandler {
    type Request = SetRequest;
    type Response = SetResponse;
    const NAME: &'static str = "set";

    fn submission(request: SetRequest) -> Result<Submission, ApiError> {
        let action = parse::set("", request.value, &request.content_type);
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

    fn response(receipts: Vec<Receipt>) -> SetResponse {
        SetResponse { receipt: receipts.first().map(receipt::to_wire) }
    }
}
