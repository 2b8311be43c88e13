//! Which database, and what for. The password stays in here: nothing of a URL but the names of
//! wrong parameters ever reaches an error, a log or a `Debug`.

use std::fmt;

use configapi_event_log::LogError;
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;

/// What a log is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// To append and to read. Brings the schema up to date if the role may, and records a new
    /// epoch after a failover or a restore.
    ReadWrite,
    /// To read only: nothing is ever written, a hot standby will do.
    ReadOnly,
}

/// Where a log is.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) options: PgConnectOptions,
    pub(crate) access: Access,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("host", &self.options.get_host())
            .field("port", &self.options.get_port())
            .field("database", &self.options.get_database())
            .field("access", &self.access)
            .finish_non_exhaustive()
    }
}

/// The parameters of a URL that mean something here.
const KNOWN_PARAMETERS: [&str; 18] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

impl Target {
    /// Reads a `postgres://` URL.
    pub(crate) fn parse(url: &str, access: Access) -> Result<Self, LogError> {
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(unusable("its URL must begin with postgres://"));
        }
        check_parameters(url)?;
        // The driver's own text may quote the URL, and with it the password.
        let options: PgConnectOptions = url.parse().map_err(|_| {
            unusable("its URL must look like postgres://user:password@host:5432/database")
        })?;
        let options = match options.get_application_name() {
            Some(_) => options,
            None => options.application_name("configapi"),
        };
        // Poolers refuse the driver's extra_float_digits; no float is ever read.
        let options = options.extra_float_digits(None).disable_statement_logging();
        Ok(Self { options, access })
    }
}

fn check_parameters(url: &str) -> Result<(), LogError> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let mut may_be_secret = query.contains('@');
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let name = pair.split_once('=').map(|(name, _)| name);
        if name
            .is_none_or(|name| !KNOWN_PARAMETERS.contains(&name) && !name.starts_with("options["))
        {
            let name = name.filter(|name| is_plain(name) && !may_be_secret);
            return Err(unknown_parameter(name));
        }
        may_be_secret |= name == Some("password");
    }
    Ok(())
}

/// What looks like a parameter may be a part of a password that has a `?` or a `&`. That is certain
/// not to be so for a plain word with a value, unless an `@` or a password comes around it.
fn unknown_parameter(name: Option<&str>) -> LogError {
    match name {
        Some(name) => unusable(&format!("its URL has the unknown parameter {name:?}")),
        None => unusable(
            "its URL has an unknown parameter; percent-encode a password that has a `?`, a `&` or \
             another special character",
        ),
    }
}

fn is_plain(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphabetic() || b"-_".contains(&byte))
}

fn unusable(why: &str) -> LogError {
    LogError::Unusable(why.to_owned())
}
