//! `configapi serve`: the three servers in one process, on one log. The gateway calls the other two
//! straight, without a network in between; all three listen as they would by themselves.

use std::error::Error;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use configapi_command_service::clock::{Clock as _, SystemClock};
use configapi_command_service::committer::Limits;
use configapi_command_service::{COMMAND_ADDR, CommandService, CommandSettings};
use configapi_event_log::EventLog;
use configapi_gateway::{GATEWAY_ADDR, Gateway, GatewayLimits, GatewaySettings, Upstreams};
use configapi_proto::FILE_DESCRIPTOR_SET;
use configapi_proto::v1::command_service_server::SERVICE_NAME as COMMAND_SERVICE;
use configapi_proto::v1::query_service_server::SERVICE_NAME as QUERY_SERVICE;
use configapi_query_service::{QUERY_ADDR, QueryService, QuerySettings};
use configapi_runtime::grpc::edge::EdgeLayer;
use configapi_runtime::grpc::{CallLimits, methods};
use configapi_runtime::http::HttpLimits;
use configapi_runtime::http::admin::{AdminSettings, Ready};
use configapi_runtime::metrics::Metrics;
use configapi_runtime::shutdown::{Lifecycle, StopSettings};
use configapi_runtime::starting::{self, Reserved, StandIn, refusing_calls};
use configapi_runtime::telemetry::{self, LogSettings};
use configapi_runtime::trace::{self, TraceSettings};
use configapi_runtime::{failpoints, process, settings};
use configapi_store::{Access, StoreUrl, close, open_patiently};

const SERVICE: &str = "configapi";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Start all servers in one process.
///
/// Commands, queries and REST on three ports, on one log: an SQLite file by default, made if it is
/// not there.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct ServeArguments {
    /// Where the log is kept (`postgres://user@host/database`, `sqlite:path` or `memory:`)
    #[arg(
        long,
        env = "CONFIGAPI_STORE",
        value_name = "URL",
        hide_env_values = true,
        default_value = "sqlite:data/configapi.db"
    )]
    store: StoreUrl,

    #[command(flatten)]
    command: CommandSettings,

    #[command(flatten)]
    query: QuerySettings,

    #[command(flatten)]
    gateway: GatewaySettings,

    #[command(flatten)]
    admin: AdminSettings,

    #[command(flatten)]
    stop: StopSettings,

    #[command(flatten)]
    log: LogSettings,

    #[command(flatten)]
    trace: TraceSettings,
}

const HELP: &str = "\
Examples:
  configapi serve
  configapi serve --store sqlite:/var/lib/configapi/log.db --gateway-addr 0.0.0.0:4000
  CONFIGAPI_STORE=postgres://configapi@localhost/configapi configapi serve";

/// The places where the servers listen.
struct Places {
    command: Reserved,
    query: Reserved,
    gateway: Reserved,
}

/// Runs until the process is asked to end.
pub async fn run(arguments: ServeArguments) -> ExitCode {
    let known = [configapi_command_service::FAILPOINTS, configapi_query_service::FAILPOINTS];
    if let Err(error) = failpoints::arm(&known.concat()) {
        return settings::wrong(&error.to_string());
    }
    if let Err(error) = telemetry::init(&arguments.log, SERVICE, VERSION) {
        return settings::wrong(&telemetry::chain(&error).to_string());
    }
    let life = arguments.stop.life();
    let started = start(&arguments, &life).await;
    process::live(life, started, close).await
}

impl Places {
    async fn of(arguments: &ServeArguments) -> Result<Self, Box<dyn Error + Send + Sync>> {
        Ok(Self {
            command: Reserved::new(arguments.command.command_addr.bind(COMMAND_ADDR).await?)?,
            query: Reserved::new(arguments.query.query_addr.bind(QUERY_ADDR).await?)?,
            gateway: Reserved::new(arguments.gateway.gateway_addr.bind(GATEWAY_ADDR).await?)?,
        })
    }

    /// Answers at all of them that nothing can be answered yet, as `ready` says why.
    fn refuse(
        &self,
        limits: &GatewayLimits,
        ready: &Ready,
        metrics: &Metrics,
        life: &Lifecycle,
    ) -> std::io::Result<[StandIn; 3]> {
        let calls = || refusing_calls(Arc::clone(ready));
        let address = self.gateway.address()?;
        let requests = configapi_gateway::starting(limits, address, ready.clone(), metrics, life);
        Ok([
            self.command.stand_in("starting command", calls(), life)?,
            self.query.stand_in("starting query", calls(), life)?,
            self.gateway.stand_in("starting gateway", requests, life)?,
        ])
    }
}

async fn start(
    arguments: &ServeArguments,
    life: &Lifecycle,
) -> Result<Option<Arc<dyn EventLog>>, Box<dyn Error + Send + Sync>> {
    life.watch_signals()?;
    let places = Places::of(arguments).await?;
    let metrics = Metrics::new(SERVICE, VERSION);
    trace::init(&arguments.trace, SERVICE, VERSION, &metrics)?;
    let admin = arguments.admin.start(&metrics, life).await?;
    let limits = arguments.gateway.limits();
    let opening = open_patiently(&arguments.store, Access::Write, || SystemClock.now());
    let opening = life.soft().run_until_cancelled(opening);
    let refusing = || places.refuse(&limits, &admin.readiness(), &metrics, life);
    let Some(log) = starting::until(opening, refusing).await? else { return Ok(None) };
    let log = log?;

    let queries = QueryService::start(Arc::clone(&log), &arguments.query, &metrics, life)?;
    let commands = CommandService::start_beside(
        queries.verdict(),
        Arc::clone(&log),
        Arc::new(SystemClock),
        Limits::default(),
        &metrics,
        life,
    );
    let methods = methods(FILE_DESCRIPTOR_SET, &[COMMAND_SERVICE, QUERY_SERVICE])?;
    let edge = EdgeLayer::new(CallLimits::default(), &methods, &metrics);
    let upstreams = Upstreams::in_process(
        commands.within(),
        Arc::new(commands.readiness()),
        queries.within(),
        Arc::new(queries.readiness()),
        &edge,
    );
    let gateway = Gateway::new(upstreams, limits, &metrics, life);
    admin.ready_as(gateway.readiness());
    announce(&places, &arguments.store)?;

    let (command, query) = (places.command.take()?, places.query.take()?);
    let rest = places.gateway.take()?;
    let (of_command, of_query) = ((metrics.clone(), life.clone()), (metrics, life.clone()));
    life.spawn_critical("command server", async move {
        commands.serve(command, &of_command.0, &of_command.1).await
    });
    life.spawn_critical("query server", async move {
        queries.serve(query, &of_query.0, &of_query.1).await
    });
    life.spawn_critical("gateway", async move {
        gateway.serve(rest, &HttpLimits::default()).await;
        Ok::<_, std::convert::Infallible>(())
    });
    Ok(Some(log))
}

/// Tells the person who started this where everything is.
fn announce(places: &Places, store: &StoreUrl) -> std::io::Result<()> {
    let gateway = places.gateway.address()?;
    let command = places.command.address()?;
    let query = places.query.address()?;
    let text = format!(
        "ConfigApi keeps its log in {store}\n\
         \x20 REST      http://{gateway}   (see http://{gateway}/docs)\n\
         \x20 commands  {command}   gRPC, configapi.v1.CommandService\n\
         \x20 queries   {query}   gRPC, configapi.v1.QueryService\n\
         Try it:\n\
         \x20 curl -X PUT {gateway}/v1/config/foo -H 'Content-Type: application/json' \
         -d '{{\"value\":\"bar\"}}'\n\
         \x20 curl {gateway}/v1/config/foo\n"
    );
    // A closed stdout is no reason not to serve.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(())
}
