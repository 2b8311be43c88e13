//! Which config a path means. Each part of a path is decoded exactly once, after the path was taken
//! apart, so a `/` within a name travels as `%2F`; whether the name is allowed is the servers' to
//! say.

use axum::extract::{FromRequestParts, RawPathParams};
use configapi_proto::ApiError;
use http::Uri;
use http::request::Parts;

use crate::app::App;
use crate::problem::Problem;
use crate::query;

/// The namespace of those who name none.
pub(crate) const DEFAULT_NAMESPACE: &str = "default";

/// What the path names. Parts that the route does not have are empty.
#[derive(Debug, Default)]
pub(crate) struct Target {
    /// Empty means the default one.
    pub namespace: String,
    pub name: String,
    pub timestamp: String,
    /// Whether the query asks for all namespaces, which only some routes allow.
    pub all_namespaces: bool,
}

impl FromRequestParts<App> for Target {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let Ok(params) = RawPathParams::from_request_parts(parts, app).await else {
            return Err(ApiError::invalid("name", "must be UTF-8 once decoded").into());
        };
        let mut target = Self::default();
        for (key, value) in &params {
            match key {
                "namespace" => target.namespace = namespace(value)?,
                "name" => value.clone_into(&mut target.name),
                "timestamp" => value.clone_into(&mut target.timestamp),
                _ => {}
            }
        }
        target.namespace_in(&parts.uri)?;
        Ok(target)
    }
}

impl Target {
    /// The namespace may also be said in the query, but must not be said twice.
    fn namespace_in(&mut self, uri: &Uri) -> Result<(), Problem> {
        for value in query::values(uri, "namespace") {
            if !self.namespace.is_empty() {
                return Err(ApiError::invalid("namespace", "must be said only once").into());
            }
            self.namespace = namespace(&value)?;
            self.all_namespaces = value == ALL_NAMESPACES;
        }
        Ok(())
    }

    /// The namespace as the contract wants it beside `all_namespaces`.
    pub fn one_namespace(&self) -> String {
        if self.all_namespaces { String::new() } else { self.namespace.clone() }
    }
}

/// What stands for all namespaces in a query.
const ALL_NAMESPACES: &str = "*";

/// On the wire an empty namespace means the default one; in a URL it is a mistake.
fn namespace(text: &str) -> Result<String, Problem> {
    if text.is_empty() {
        return Err(ApiError::invalid("namespace", "must not be empty").into());
    }
    Ok(text.to_owned())
}
