//! Sends one command, once, to a write server or through the gateway, and says what came of it.

use std::time::Duration;

use anyhow::{Context as _, Result};
use configapi_proto::v1::command_service_client::CommandServiceClient;
use configapi_proto::v1::{self, command, restore_target};
use configapi_proto::{ApiError, Reason, Token, key};
use reqwest::Method;
use serde_json::Value as Json;
use tonic::Request;
use tonic::transport::Channel;

use super::channel;
use crate::checkers::history::{Action, Command, Place, Receipt, Refusal};
use crate::checkers::log::hexadecimal;

/// How long a server has for a command.
const DEADLINE: Duration = Duration::from_secs(2);
/// When a client gives up on it.
const PATIENCE: Duration = Duration::from_millis(2_500);
const CONNECT_LIMIT: Duration = Duration::from_secs(1);

/// What came of one attempt.
#[derive(Debug)]
pub enum Attempt {
    /// It was acknowledged.
    Ok(Vec<Receipt>),
    /// It was refused for good.
    Refused(Refusal, ApiError),
    /// Nothing was written; the same may work later.
    NotNow(String),
    /// It may have been written.
    Unknown(String),
}

/// A way to send commands.
#[derive(Debug, Clone)]
pub enum CommandClient {
    /// To a write server.
    Grpc(CommandServiceClient<Channel>),
    /// Through the gateway: Set and Delete of one config.
    Rest {
        /// The client.
        http: reqwest::Client,
        /// Where the gateway is.
        base: String,
    },
}

impl CommandClient {
    /// To a write server.
    pub fn grpc(address: std::net::SocketAddr) -> Result<Self> {
        Ok(Self::Grpc(CommandServiceClient::new(channel(address)?)))
    }

    /// Through a gateway.
    pub fn rest(address: std::net::SocketAddr) -> Result<Self> {
        let http =
            reqwest::Client::builder().no_proxy().connect_timeout(CONNECT_LIMIT).timeout(PATIENCE);
        Ok(Self::Rest { http: http.build()?, base: format!("http://{address}") })
    }

    /// Whether it can send these commands.
    pub fn can_send(&self, commands: &[Command]) -> bool {
        let is_plain = |it: &Command| matches!(it.action, Action::Set(_) | Action::Delete);
        matches!(self, Self::Grpc(_)) || (commands.len() == 1 && commands.iter().all(is_plain))
    }

    /// Sends them once.
    pub async fn send(&mut self, request_id: &str, commands: &[Command]) -> Attempt {
        let sending = async {
            match self {
                Self::Grpc(client) => send_grpc(client, request_id, commands).await,
                Self::Rest { http, base } => send_rest(http, base, request_id, commands).await,
            }
        };
        let waited = tokio::time::timeout(PATIENCE, sending).await;
        waited.unwrap_or_else(|_| Attempt::Unknown("no answer".to_owned()))
    }
}

fn judged(error: ApiError) -> Attempt {
    let reason = error.reason.to_string();
    match error.reason {
        Reason::OutcomeUnknown | Reason::Internal => Attempt::Unknown(reason),
        it if it.worth_repeating() => Attempt::NotNow(reason),
        _ => {
            let index = error.metadata.get(key::COMMAND_INDEX).and_then(|it| it.parse().ok());
            Attempt::Refused(Refusal { reason, command_index: index }, error)
        }
    }
}

fn name_of(key: &str) -> (String, String) {
    let (namespace, name) = key.split_once('/').unwrap_or(("default", key));
    (namespace.to_owned(), name.to_owned())
}

async fn send_grpc(
    client: &mut CommandServiceClient<Channel>,
    request_id: &str,
    commands: &[Command],
) -> Attempt {
    let request_id = request_id.to_owned();
    let sent = match commands {
        [Command { key, expected_version, action }] => {
            let (namespace, name) = name_of(key);
            let expected_version = *expected_version;
            match action {
                Action::Set(value) => {
                    let value = value.clone();
                    let set = v1::SetRequest {
                        namespace,
                        name,
                        value,
                        expected_version,
                        request_id,
                        ..Default::default()
                    };
                    client
                        .set(timed(set))
                        .await
                        .map(|it| it.into_inner().receipt.into_iter().collect())
                }
                Action::Delete => {
                    let delete = v1::DeleteRequest {
                        namespace,
                        name,
                        expected_version,
                        request_id,
                        ..Default::default()
                    };
                    client
                        .delete(timed(delete))
                        .await
                        .map(|it| it.into_inner().receipt.into_iter().collect())
                }
                Action::RestoreLast | Action::RestoreVersion(_) => {
                    let restore = v1::RestoreRequest {
                        namespace,
                        name,
                        target: target(action),
                        expected_version,
                        request_id,
                        ..Default::default()
                    };
                    client
                        .restore(timed(restore))
                        .await
                        .map(|it| it.into_inner().receipt.into_iter().collect())
                }
            }
        }
        many => {
            let commands = many.iter().map(part_of_apply).collect();
            let apply = v1::ApplyRequest { commands, request_id, ..Default::default() };
            client.apply(timed(apply)).await.map(|it| it.into_inner().receipts)
        }
    };
    match sent {
        Ok(receipts) => acknowledged(receipts),
        Err(status) => judged(ApiError::from_command_status(&status)),
    }
}

fn timed<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(DEADLINE);
    request
}

fn target(action: &Action) -> Option<v1::RestoreTarget> {
    let Action::RestoreVersion(version) = action else { return None };
    Some(v1::RestoreTarget { moment: Some(restore_target::Moment::Version(*version)) })
}

fn part_of_apply(asked: &Command) -> v1::Command {
    let (namespace, name) = name_of(&asked.key);
    let action = match &asked.action {
        Action::Set(value) => {
            command::Action::Set(v1::SetAction { value: value.clone(), ..Default::default() })
        }
        Action::Delete => command::Action::Delete(v1::DeleteAction {}),
        Action::RestoreLast | Action::RestoreVersion(_) => {
            command::Action::Restore(v1::RestoreAction { target: target(&asked.action) })
        }
    };
    let expected_version = asked.expected_version;
    v1::Command { namespace, name, expected_version, action: Some(action) }
}

fn acknowledged(receipts: Vec<v1::Receipt>) -> Attempt {
    let receipts: Option<Vec<Receipt>> = receipts
        .into_iter()
        .map(|it| {
            Some(Receipt {
                key: format!("{}/{}", it.namespace, it.name),
                version: it.version,
                place: place(&it.token)?,
                hash: hexadecimal(&it.hash),
            })
        })
        .collect();
    receipts.map_or_else(|| Attempt::Unknown("a receipt without a token".to_owned()), Attempt::Ok)
}

/// Reads a token.
pub fn place(token: &str) -> Option<Place> {
    let Token { epoch, position } = token.parse().ok()?;
    Some(Place { epoch, position })
}

async fn send_rest(
    http: &reqwest::Client,
    base: &str,
    request_id: &str,
    commands: &[Command],
) -> Attempt {
    let [asked] = commands else { return Attempt::NotNow("REST sends one command".to_owned()) };
    let (namespace, name) = name_of(&asked.key);
    let url = format!("{base}/v1/namespaces/{namespace}/config/{}", name.replace('/', "%2F"));
    let mut request = match &asked.action {
        Action::Set(value) => http
            .request(Method::PUT, url)
            .header("content-type", "application/json")
            .body(serde_json::json!({ "value": value }).to_string()),
        _ => http.request(Method::DELETE, url),
    };
    request = request.header("accept", "application/json").header("idempotency-key", request_id);
    match asked.expected_version {
        Some(0) => request = request.header("if-none-match", "*"),
        Some(version) => request = request.header("if-match", format!("\"{version}\"")),
        None => {}
    }
    match request.send().await {
        Err(error) if error.is_connect() => Attempt::NotNow("no connection".to_owned()),
        Err(_) => Attempt::Unknown("no answer".to_owned()),
        Ok(answer) => {
            let is_success = answer.status().is_success();
            let body = answer.text().await.unwrap_or_default();
            told_by_rest(is_success, &body)
                .unwrap_or_else(|_| Attempt::Unknown("an answer that was cut".to_owned()))
        }
    }
}

fn told_by_rest(is_success: bool, body: &str) -> Result<Attempt> {
    let body: Json = serde_json::from_str(body)?;
    let text = |name: &str| body.get(name).and_then(Json::as_str).unwrap_or_default().to_owned();
    if !is_success {
        let reason: Reason = text("code").parse()?;
        let mut error = ApiError::from(reason);
        for name in [key::ACTUAL_VERSION, key::COMMAND_INDEX] {
            let told = body.get("metadata").and_then(|it| it.get(name)).and_then(Json::as_str);
            if let Some(told) = told {
                error = error.with_metadata(name, told);
            }
        }
        return Ok(judged(error));
    }
    Ok(Attempt::Ok(vec![Receipt {
        key: format!("{}/{}", text("namespace"), text("name")),
        version: body.get("version").and_then(Json::as_u64).context("a receipt has a version")?,
        place: place(&text("token")).context("a receipt has a token")?,
        hash: text("hash"),
    }]))
}
