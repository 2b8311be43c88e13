//! `configapi serve` as its users start it, on a store and on ports of its own.

use super::binary::{Configapi, Running, configapi};

/// All servers in one process, until it is dropped.
pub struct Serving {
    running: Running,
    /// Where the command server listens: `host:port`.
    pub command: String,
    /// Where the query server listens: `host:port`.
    pub query: String,
    /// Where the gateway listens: `http://host:port`.
    pub gateway: String,
}

impl Serving {
    /// Starts them, and waits until they serve.
    pub fn start(store: &str) -> Self {
        Self::start_with(store, &[])
    }

    /// The same with more arguments.
    pub fn start_with(store: &str, more: &[&str]) -> Self {
        Self::start_within(store, more, &[])
    }

    /// The same with more of an environment.
    pub fn start_within(store: &str, more: &[&str], environment: &[(&str, &str)]) -> Self {
        let serving = Self::start_on(store, more, environment);
        for address in [&serving.command, &serving.query] {
            let url = format!("grpc://{address}");
            let is_ready =
                (0..50).any(|_| configapi(["healthcheck", "--url", &url]).ends().code == 0);
            assert!(is_ready, "{address} does not serve");
        }
        serving
    }

    /// The same, whether they come to serve or not.
    pub fn start_on(store: &str, more: &[&str], environment: &[(&str, &str)]) -> Self {
        let any = "127.0.0.1:0";
        let arguments = [
            "serve",
            "--store",
            store,
            "--command-addr",
            any,
            "--query-addr",
            any,
            "--gateway-addr",
            any,
            "--log",
            "warn",
        ];
        let mut configapi_serve = configapi(arguments.iter().chain(more).copied());
        for (name, value) in environment {
            configapi_serve = configapi_serve.env(name, value);
        }
        let mut running = configapi_serve.starts();
        let (mut command, mut query, mut gateway) = (String::new(), String::new(), String::new());
        while query.is_empty() {
            let line = running.line();
            let mut words = line.split_whitespace();
            match (words.next(), words.next()) {
                (Some("REST"), Some(address)) => address.clone_into(&mut gateway),
                (Some("commands"), Some(address)) => address.clone_into(&mut command),
                (Some("queries"), Some(address)) => address.clone_into(&mut query),
                (None, _) => panic!("serve has ended: {:#?}", running.ends()),
                _ => {}
            }
        }
        Self { running, command, query, gateway }
    }

    /// The first line of its log, from here on, with this text.
    pub fn log_with(&self, text: &str) -> String {
        self.running.log_with(text)
    }

    /// Asks it to end; answers what is left of its log.
    pub fn ends_with_log(self) -> String {
        self.running.signal("TERM");
        self.running.rest_of_log()
    }

    /// Asks it to end; answers its exit code.
    pub fn ends(mut self) -> Option<i32> {
        self.running.signal("TERM");
        self.running.child.wait().unwrap().code()
    }

    /// The binary, told where these servers are.
    pub fn configapi<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Configapi {
        configapi(arguments)
            .env("CONFIGAPI_COMMAND_URL", &format!("http://{}", self.command))
            .env("CONFIGAPI_QUERY_URL", &format!("http://{}", self.query))
    }
}

impl Drop for Serving {
    /// Asks it to end, and waits until it has: whoever comes next has the store for itself.
    fn drop(&mut self) {
        if self.running.child.try_wait().unwrap().is_none() {
            self.running.signal("TERM");
            self.running.child.wait().unwrap();
        }
    }
}
