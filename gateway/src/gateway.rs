//! The gateway put together: upstreams, routes, edge, and the probes that watch the upstreams.

use std::fmt;
use std::sync::Arc;

use axum::Router;
use configapi_runtime::http::{self, HttpLimits, admin};
use configapi_runtime::metrics::Metrics;
use configapi_runtime::shutdown::Lifecycle;
use tokio::net::TcpListener;

use crate::app::App;
use crate::edge::EdgeLayer;
use crate::hosts::Hosts;
use crate::routes;
use crate::settings::GatewayLimits;
use crate::upstream::Upstreams;

/// A gateway, not yet listening.
#[derive(Clone)]
pub struct Gateway {
    router: Router,
    app: App,
    metrics: Metrics,
    life: Lifecycle,
    ready: admin::Ready,
}

impl Gateway {
    /// A gateway to these upstreams. Needs a running tokio runtime.
    pub fn new(
        upstreams: Upstreams,
        limits: GatewayLimits,
        metrics: &Metrics,
        life: &Lifecycle,
    ) -> Self {
        upstreams.watch_over(life);
        let app = App::new(upstreams, limits, metrics, life);
        let ready: admin::Ready = {
            let app = app.clone();
            Arc::new(move || app.readiness())
        };
        let admin = admin::router(metrics, life, Arc::clone(&ready));
        let router = routes::router(app.clone(), admin);
        Self { router, app, metrics: metrics.clone(), life: life.clone(), ready }
    }

    /// Says, whenever asked, whether reads can be answered, and if not, why not.
    pub fn readiness(&self) -> admin::Ready {
        Arc::clone(&self.ready)
    }

    /// Serves HTTP until the life ends.
    pub async fn serve(self, listener: TcpListener, limits: &HttpLimits) {
        let Self { router, app, metrics, life, .. } = self;
        let hosts = Hosts::of(&app.limits.hosts, listener.local_addr().ok());
        let edge = |room| EdgeLayer::new(app, hosts, room);
        http::serve("gateway", listener, router, edge, limits, &metrics, &life).await;
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("life", &self.life).finish_non_exhaustive()
    }
}
