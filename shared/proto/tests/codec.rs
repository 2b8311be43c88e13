//! How servers take requests in: what would take far more memory than it has bytes is not decoded.

use configapi_proto::v1::{ApplyRequest, Command};
use configapi_proto::{ApiError, Reason, ServerCodec};
use http_body_util::Full;
use prost::Message as _;
use prost::bytes::Bytes;
use tonic::codec::{Codec as _, Streaming};
use tonic::{Code, Status};

/// What a server makes of these bytes.
async fn decoded(message: Vec<u8>) -> Result<Option<ApplyRequest>, Status> {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut frame = vec![0];
    frame.extend(length.to_be_bytes());
    frame.extend(message);
    let decoder = ServerCodec::<ApplyRequest, ApplyRequest>::default().decoder();
    let body = Full::new(Bytes::from(frame));
    Streaming::new_request(decoder, body, None, Some(64 << 20)).message().await
}

fn with_commands(count: usize) -> ApplyRequest {
    let commands = vec![Command::default(); count];
    ApplyRequest { commands, actor: "somebody".to_owned(), ..ApplyRequest::default() }
}

/// An empty command has two bytes here, and more than a hundred once it is decoded. The last field is
/// none: whoever decodes all of them hears of that.
#[tokio::test]
async fn far_more_commands_than_a_request_may_have_are_not_even_decoded() {
    let mut message = with_commands(10_000).encode_to_vec();
    message.push(0x07);
    let error = ApiError::from_status(&decoded(message).await.unwrap_err());
    assert_eq!(error.reason, Reason::InvalidArgument);
    assert_eq!(error.field_violations[0].field, "commands");
    assert!(error.message.contains("must be 1 to 1000"), "{}", error.message);
}

#[tokio::test]
async fn what_has_fewer_fields_is_decoded_whatever_it_weighs() {
    for count in [0, 1_000, 4_000] {
        let request = with_commands(count);
        assert_eq!(decoded(request.encode_to_vec()).await.unwrap(), Some(request));
    }
    let mut heavy = with_commands(1);
    heavy.commands[0].name = "n".repeat(1 << 20);
    assert_eq!(decoded(heavy.encode_to_vec()).await.unwrap(), Some(heavy));
}

#[tokio::test]
async fn what_is_no_message_is_refused_as_ever() {
    for message in [vec![0x07; 20_000], vec![0x0a; 20_000], vec![0xff; 20_000], vec![0x0d]] {
        assert_eq!(decoded(message).await.unwrap_err().code(), Code::Internal);
    }
}
