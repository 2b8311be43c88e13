//! Asks a read server once, and puts its answer as histories have it.

use std::time::Duration;

use anyhow::Result;
use configapi_proto::v1::query_service_client::QueryServiceClient;
use configapi_proto::v1::{self, consistency, point_in_time};
use configapi_proto::{ApiError, Reason, key};
use tonic::transport::Channel;
use tonic::{Request, Status};

use super::channel;
use super::command_client::place;
use crate::checkers::history::{Answer, Found, Place, Selection, Wish};

const DEADLINE: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_millis(2_500);
/// More than a prefix of the workload ever has, so that one page is all.
const PAGE_SIZE: u32 = 2_000;

/// A client of one read server.
#[derive(Debug, Clone)]
pub struct QueryClient {
    /// What the server is called.
    pub server: String,
    /// The connection.
    pub grpc: QueryServiceClient<Channel>,
}

impl QueryClient {
    /// A client of the server at an address.
    pub fn new(server: &str, address: std::net::SocketAddr) -> Result<Self> {
        let grpc = QueryServiceClient::new(channel(address)?);
        Ok(Self { server: server.to_owned(), grpc })
    }

    /// Reads; tells why there is no answer.
    pub async fn read(
        &mut self,
        selection: &Selection,
        wish: Wish,
        at: Option<u64>,
    ) -> Result<Answer, String> {
        let reading = async {
            match selection {
                Selection::Key(key) => self.get(key, wish, at).await,
                Selection::Prefix(prefix) => self.list(prefix, wish, at).await,
            }
        };
        tokio::time::timeout(PATIENCE, reading)
            .await
            .unwrap_or_else(|_| Err("no answer".to_owned()))
    }

    async fn get(&mut self, key: &str, wish: Wish, at: Option<u64>) -> Result<Answer, String> {
        let (namespace, name) = key.split_once('/').unwrap_or(("default", key));
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        let get =
            v1::GetRequest { namespace, name, at: moment(at), consistency: consistency(wish) };
        match self.grpc.get(timed(get)).await {
            Ok(response) => {
                let response = response.into_inner();
                let found = response.config.into_iter().map(found).collect();
                Ok(Answer { place: state_place(response.state), found })
            }
            Err(status) => not_found(&status),
        }
    }

    async fn list(&mut self, prefix: &str, wish: Wish, at: Option<u64>) -> Result<Answer, String> {
        let (namespace, prefix) = prefix.split_once('/').unwrap_or((prefix, ""));
        let list = v1::ListRequest {
            namespace: namespace.to_owned(),
            prefix: prefix.to_owned(),
            at: moment(at),
            page_size: PAGE_SIZE,
            consistency: consistency(wish),
            ..Default::default()
        };
        let response = self.grpc.list(timed(list)).await.map_err(|status| reason(&status))?;
        let response = response.into_inner();
        if !response.next_page_token.is_empty() {
            return Err("more than a page".to_owned());
        }
        let found = response.configs.into_iter().map(found).collect();
        Ok(Answer { place: state_place(response.state), found })
    }

    /// The state that the server has reached, and a digest of all that it holds.
    pub async fn status(&mut self) -> Result<(Place, String), String> {
        let request = v1::GetStatusRequest { with_state_hash: true, consistency: None };
        let asking = self.grpc.get_status(timed(request));
        let answer = tokio::time::timeout(PATIENCE, asking).await;
        let answer = answer.map_err(|_| "no answer".to_owned())?.map_err(|it| reason(&it))?;
        let answer = answer.into_inner();
        let place = state_place(answer.state).ok_or("a status without a place")?;
        Ok((place, answer.state_hash.unwrap_or_default()))
    }
}

fn timed<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(DEADLINE);
    request
}

fn moment(at: Option<u64>) -> Option<v1::PointInTime> {
    let moment = point_in_time::Moment::Position(at?);
    Some(v1::PointInTime { moment: Some(moment) })
}

fn consistency(wish: Wish) -> Option<v1::Consistency> {
    let wish = match wish {
        Wish::Any => return None,
        Wish::AtLeast(place) => consistency::Wish::AtLeastToken(token(place)),
        Wish::Linearizable => consistency::Wish::Linearizable(consistency::Linearizable {}),
    };
    Some(v1::Consistency { wish: Some(wish) })
}

/// A place as a token.
pub fn token(place: Place) -> String {
    format!("{}-{}", place.epoch, place.position)
}

/// The place of a state.
pub fn state_place(state: Option<v1::ReadState>) -> Option<Place> {
    place(&state?.token)
}

/// A config as histories have it.
pub fn found(config: v1::Config) -> Found {
    Found {
        key: format!("{}/{}", config.namespace, config.name),
        version: config.version,
        position: config.position,
        value: config.value,
    }
}

/// Why a query failed.
pub fn reason(status: &Status) -> String {
    ApiError::from_status(status).reason.to_string()
}

/// "Not found" is an answer too. It states its place only if the server tells it.
fn not_found(status: &Status) -> Result<Answer, String> {
    let error = ApiError::from_status(status);
    if error.reason != Reason::ConfigNotFound {
        return Err(error.reason.to_string());
    }
    let place = error.metadata.get(key::TOKEN).and_then(|token| place(token));
    Ok(Answer { place, found: Vec::new() })
}
