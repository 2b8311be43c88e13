//! `configapi serve`: the three servers in one process, on one log. The gateway calls the other two
//! straight, without a network in between; all three listen as they would by themselves.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use configapi_command_service::clock::{Clock as _, SystemClock};
use configapi_command_service::committer::Limits;
use configapi_command_service::{COMMAND_ADDR, CommandService, CommandSettings};
use configapi_event_log::EventLog;
use configapi_gateway::{GATEWAY_ADDR, Gateway, GatewaySettings, Starting, Upstreams};
use configapi_proto::FILE_DESCRIPTOR_SET;
use configapi_proto::v1::command_service_server::SERVICE_NAME as COMMAND_SERVICE;
use configapi_proto::v1::query_service_server::SERVICE_NAME as QUERY_SERVICE;
use configapi_query_service::{QUERY_ADDR, QueryService, QuerySettings};
use configapi_runtime::grpc::edge::EdgeLayer;
use configapi_runtime::grpc::{CallLimits, methods};
use configapi_runtime::http::HttpLimits;
use configapi_runtime::http::admin::AdminSettings;
use configapi_runtime::listen::CannotListen;
use configapi_runtime::metrics::Metrics;
use configapi_runtime::shutdown::Lifecycle;
use configapi_runtime::telemetry::{self, LogSettings};
use configapi_runtime::trace::{self, TraceSettings};
use configapi_runtime::{failpoints, process, settings};
use configapi_store::{Access, StoreUrl, close, open_patiently};
use tokio::net::TcpListener;

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
struct Listeners {
    command: TcpListener,
    query: TcpListener,
    gateway: TcpListener,
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
    let listeners = match bind(&arguments).await {
        Ok(listeners) => listeners,
        Err(error) => return process::cannot_start(&error),
    };
    let life = Lifecycle::default();
    let started = start(&arguments, listeners, &life).await;
    process::live(life, started, close).await
}

async fn bind(arguments: &ServeArguments) -> Result<Listeners, CannotListen> {
    Ok(Listeners {
        command: arguments.command.command_addr.bind(COMMAND_ADDR).await?,
        query: arguments.query.query_addr.bind(QUERY_ADDR).await?,
        gateway: arguments.gateway.gateway_addr.bind(GATEWAY_ADDR).await?,
    })
}

async fn start(
    arguments: &ServeArguments,
    listeners: Listeners,
    life: &Lifecycle,
) -> Result<Option<Arc<dyn EventLog>>, Box<dyn std::error::Error + Send + Sync>> {
    life.watch_signals()?;
    let metrics = Metrics::new(SERVICE, VERSION);
    trace::init(&arguments.trace, SERVICE, VERSION, &metrics)?;
    let admin = arguments.admin.start(&metrics, life).await?;
    let gateway = listeners.gateway.into_std()?;
    let starting = TcpListener::from_std(gateway.try_clone()?)?;
    let limits = arguments.gateway.limits();
    let starting = Starting::serve(starting, &limits, admin.readiness(), &metrics, life);
    let opening = open_patiently(&arguments.store, Access::Write, || SystemClock.now());
    let Some(log) = life.soft().run_until_cancelled(opening).await else { return Ok(None) };
    let log = log?;
    let listeners = Listeners { gateway: TcpListener::from_std(gateway)?, ..listeners };
    drop(starting);

    let queries = QueryService::start(Arc::clone(&log), &arguments.query, &metrics, life)?;
    let commands = CommandService::start(
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
    announce(&listeners, &arguments.store)?;

    let (of_command, of_query) = ((metrics.clone(), life.clone()), (metrics, life.clone()));
    life.spawn_critical("command server", async move {
        commands.serve(listeners.command, &of_command.0, &of_command.1).await
    });
    life.spawn_critical("query server", async move {
        queries.serve(listeners.query, &of_query.0, &of_query.1).await
    });
    life.spawn_critical("gateway", async move {
        gateway.serve(listeners.gateway, &HttpLimits::default()).await;
        Ok::<_, std::convert::Infallible>(())
    });
    Ok(Some(log))
}

/// Tells the person who started this where everything is.
fn announce(listeners: &Listeners, store: &StoreUrl) -> std::io::Result<()> {
    let gateway = listeners.gateway.local_addr()?;
    let command = listeners.command.local_addr()?;
    let query = listeners.query.local_addr()?;
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
