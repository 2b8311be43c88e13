//! The three checks that old clients look at, each of them really asked of a server.

use std::time::Duration;

use configapi_proto::v1::GetStatusRequest;
use http::header::{CACHE_CONTROL, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use tokio::time::Instant;
use utoipa::ToSchema;

use crate::app::{Answer, App};
use crate::asked::Asked;
use crate::freshness::linearizable;
use crate::json;
use crate::moment::Time;

/// A server that takes longer than this is not healthy.
const CHECK_LIMIT: Duration = Duration::from_secs(2);

/// How everything is doing.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// `healthy` if all checks are.
    status: Verdict,
    /// When this was found out.
    timestamp: Time,
    checks: Checks,
    /// Why, for the checks that are unhealthy.
    #[serde(skip_serializing_if = "Details::is_empty")]
    details: Details,
}

/// What was checked.
#[derive(Debug, Serialize, ToSchema)]
struct Checks {
    /// Whether the command server can append to the log.
    eventstore: Verdict,
    /// Whether a query server has caught up and serves reads.
    projection: Verdict,
    /// Whether the log's store answers at least one of the servers.
    database: Verdict,
}

#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = HealthDetails)]
struct Details {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    eventstore: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    projection: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    database: Option<String>,
}

impl Details {
    fn is_empty(&self) -> bool {
        self.eventstore.is_none() && self.projection.is_none() && self.database.is_none()
    }
}

/// Whether something is well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    /// It is.
    Healthy,
    /// It is not.
    Unhealthy,
}

impl Verdict {
    fn of(problem: Option<&String>) -> Self {
        if problem.is_none() { Self::Healthy } else { Self::Unhealthy }
    }
}

impl Health {
    /// Healthy unless there are details.
    fn of(details: Details) -> Self {
        let checks = Checks {
            eventstore: Verdict::of(details.eventstore.as_ref()),
            projection: Verdict::of(details.projection.as_ref()),
            database: Verdict::of(details.database.as_ref()),
        };
        let status = if details.is_empty() { Verdict::Healthy } else { Verdict::Unhealthy };
        Self { status, timestamp: Time::now(), checks, details }
    }

    /// Of a system that starts: there is nobody to be asked yet, for this reason.
    pub fn of_none(why: &str) -> Self {
        let why = || Some(why.to_owned());
        Self::of(Details { eventstore: why(), projection: why(), database: why() })
    }

    /// As it is told.
    pub fn answer(&self) -> Answer {
        let mut response = json::json(self)?;
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.status == Verdict::Unhealthy {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        }
        Ok(response)
    }
}

/// Asks all servers at once.
pub(crate) async fn check(app: &App, mut asked: Asked) -> Health {
    asked.along.deadline = Instant::now() + CHECK_LIMIT;
    let (commands, reads, store) = tokio::join!(
        app.upstreams.commands.check(CHECK_LIMIT),
        projection(app, &asked),
        store_answers(app, &asked),
    );
    Health::of(Details {
        // A command server that can append has a store that answers, whatever readers say.
        database: if commands.is_ok() { None } else { store.err() },
        eventstore: commands.err(),
        projection: reads.err(),
    })
}

/// Whether a query server serves reads.
async fn projection(app: &App, asked: &Asked) -> Result<(), String> {
    let request = GetStatusRequest { with_state_hash: false, consistency: None };
    let status = app.upstreams.queries.ask(&asked.along, request).await;
    match status.map_err(|error| error.message)? {
        status if status.ready => Ok(()),
        status => Err(status.not_ready_reason),
    }
}

/// Whether a query server gets an answer from the log's store: a linearizable read asks it.
async fn store_answers(app: &App, asked: &Asked) -> Result<(), String> {
    let consistency = Some(linearizable());
    let request = GetStatusRequest { with_state_hash: false, consistency };
    let status = app.upstreams.queries.ask(&asked.along, request).await;
    status.map(drop).map_err(|error| error.message)
}
