//! How a command is sent and answered: who asks and why, what must hold first, and the receipt.

use axum::response::Response;
use configapi_proto::Reason;
use configapi_proto::v1::{
    DeleteRequest, DeleteResponse, GetRequest, Receipt, RestoreRequest, RestoreResponse,
    SetRequest, SetResponse,
};
use http::HeaderValue;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::accepts::Format;
use crate::answers::ReceiptView;
use crate::app::{Answer, App};
use crate::asked::{ACTOR, Asked, REASON, flag};
use crate::conditional::{self, NO_VERSION, Precondition};
use crate::existing::{self, IfMissing};
use crate::json;
use crate::problem::Problem;
use crate::query::Parameters;
use crate::routes::Flag;
use crate::upstream::Command;

/// What the query of a write may say. Anything else is refused: a misspelt `dry_run` must not
/// become a write.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct WriteParams {
    /// Check everything, write nothing, and answer as if it had been written.
    #[serde(default, deserialize_with = "flag")]
    #[param(value_type = Option<Flag>, inline)]
    pub dry_run: bool,
    #[serde(rename = "namespace", default)]
    #[param(ignore)]
    _namespace: serde::de::IgnoredAny,
}

impl Parameters for WriteParams {}

/// Who asks for a change, why, and under which id.
pub(crate) struct About {
    pub actor: String,
    pub reason: String,
    pub request_id: String,
}

impl About {
    pub fn of(asked: &Asked) -> Result<Self, Problem> {
        Ok(Self {
            actor: asked.text(&ACTOR)?.to_owned(),
            reason: asked.text(&REASON)?.to_owned(),
            request_id: asked.idempotency_key()?.to_owned(),
        })
    }
}

/// A command about one config.
pub(crate) trait OneConfig: Command {
    const IF_MISSING: IfMissing;
    fn expect(&mut self, version: Option<u64>);
    /// The client's id of it; empty if it has none.
    fn request_id(&self) -> &str;
    /// A read of the same config.
    fn read(&self) -> GetRequest;
    fn receipt(answer: Self::Answer) -> Option<Receipt>;
}

macro_rules! one_config {
    ($($request:ty => $answer:ty, $if_missing:ident;)+) => {
        $(impl OneConfig for $request {
            const IF_MISSING: IfMissing = IfMissing::$if_missing;

            fn expect(&mut self, version: Option<u64>) {
                self.expected_version = version;
            }

            fn request_id(&self) -> &str {
                &self.request_id
            }

            fn read(&self) -> GetRequest {
                let (namespace, name) = (self.namespace.clone(), self.name.clone());
                GetRequest { namespace, name, at: None, consistency: None }
            }

            fn receipt(answer: $answer) -> Option<Receipt> {
                answer.receipt
            }
        })+
    };
}

one_config! {
    SetRequest => SetResponse, Creates;
    DeleteRequest => DeleteResponse, Refuses;
    RestoreRequest => RestoreResponse, BringsBack;
}

/// Sends a command about one config, if its precondition holds, and answers with its receipt.
pub(crate) async fn commit<C: OneConfig>(
    app: &App,
    asked: Asked,
    format: Format,
    mut command: C,
) -> Answer {
    let commands = &app.upstreams.commands;
    let answer = match Precondition::of(&asked.headers)? {
        Precondition::None => commands.send(&asked.along, command).await?,
        Precondition::Version(version) => {
            command.expect(Some(version));
            let sent = commands.send(&asked.along, command).await;
            sent.map_err(Problem::of_conditional)?
        }
        Precondition::Never(why) => {
            command.expect(Some(NO_VERSION));
            let sent = commands.send(&asked.along, command).await;
            sent.map_err(|error| match error.reason {
                Reason::VersionConflict => conditional::failed(why, None, error),
                _ => Problem::of_conditional(error),
            })?
        }
        // Rare: kept apart from what all writes hold.
        Precondition::Exists => Box::pin(existing::send(app, &asked, command)).await?,
    };
    let receipt = C::receipt(answer).ok_or_else(|| Problem::from(Reason::Internal))?;
    app.own_writes.saw(&receipt.token);
    answered(&receipt, format)
}

fn answered(receipt: &Receipt, format: Format) -> Answer {
    let mut response = match format {
        Format::Text => ok(),
        Format::Json => json::json(&ReceiptView::of(receipt))?,
    };
    if !receipt.token.is_empty() {
        let token = HeaderValue::from_str(&receipt.token).ok();
        // That of the value, whichever form the receipt has.
        let tag = conditional::tag_of(receipt.version, Format::Text);
        json::stamp(response.headers_mut(), tag, token);
    }
    Ok(response)
}

/// What old clients know as success.
fn ok() -> Response {
    json::text("OK")
}
