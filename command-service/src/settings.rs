//! What the command server is told at start.

use configapi_runtime::listen::ListenAddress;

/// What errors call the setting of where it listens.
pub const COMMAND_ADDR: &str = "--command-addr (CONFIGAPI_COMMAND_ADDR)";

/// The settings of a command server.
#[derive(Debug, Clone, clap::Args)]
pub struct CommandSettings {
    /// Where the command server listens for gRPC
    #[arg(
        long,
        env = "CONFIGAPI_COMMAND_ADDR",
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:50051"
    )]
    pub command_addr: ListenAddress,
}
