//! All routes. Each handler converts in, calls, and converts out; its description for the `OpenAPI`
//! document stands beside it, and the document is made of the same list as the router.

mod apply;
mod at;
mod command;
mod config;
mod diff;
mod history;
mod list;
mod operations;
mod params;
mod restore;
mod watch;

use axum::Router;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};
use utoipa_axum::routes;

pub(crate) use self::params::Flag;
use crate::app::App;
use crate::edge;

/// Where routes stand that do not say their namespace.
pub(crate) const VERSIONED: &str = "/v1";
/// Where watches are asked for.
pub(crate) const WATCH: &str = "/v1/watch";
/// Where the same routes stand for any namespace.
pub(crate) const NAMESPACED: &str = "/v1/namespaces/{namespace}";
/// Where old clients look for the original routes.
const UNVERSIONED: &str = "";

/// Everything that the gateway serves, without its edge. Probes and metrics come from the runtime.
pub(crate) fn router(app: App, admin: Router) -> Router {
    let (documented, _description) = documented().split_for_parts();
    let (unversioned, _description) = configs(UNVERSIONED).split_for_parts();
    let (unversioned_health, _description) = health(UNVERSIONED).split_for_parts();
    documented
        .merge(unversioned)
        .merge(unversioned_health)
        .with_state::<()>(app)
        .merge(admin)
        .fallback(edge::no_such_route)
        .method_not_allowed_fallback(edge::no_such_method)
}

/// The routes that the `OpenAPI` document describes.
pub(crate) fn documented() -> OpenApiRouter<App> {
    configs(VERSIONED)
        .merge(configs(NAMESPACED))
        .merge(health(VERSIONED))
        .routes(at(VERSIONED, routes!(apply::apply)))
        .routes(at(VERSIONED, routes!(diff::diff)))
        .routes(at(VERSIONED, routes!(watch::watch)))
        .routes(at(VERSIONED, routes!(operations::status)))
        .routes(routes!(operations::openapi))
        .routes(routes!(operations::docs))
}

/// What can be done with configs.
fn configs(base: &str) -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(at(base, routes!(list::list)))
        .routes(at(base, routes!(config::read, config::write, config::delete)))
        .routes(at(base, routes!(history::history)))
        .routes(at(base, routes!(at::at_time)))
        .routes(at(base, routes!(restore::restore)))
}

fn health(base: &str) -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(at(base, routes!(operations::health)))
}

/// The same routes below a base. Unlike nesting, this costs nothing per request.
fn at(
    base: &str,
    (schemas, mut paths, router): UtoipaMethodRouter<App>,
) -> UtoipaMethodRouter<App> {
    paths.paths =
        paths.paths.into_iter().map(|(path, item)| (format!("{base}{path}"), item)).collect();
    (schemas, paths, router)
}
