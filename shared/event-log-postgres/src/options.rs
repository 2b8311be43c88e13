//! Which database, and what for. The password stays in here: nothing of a URL but the names of
//! wrong parameters ever reaches an error, a log or a `Debug`.

use std::borrow::Cow;
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
    /// Where the server is, as errors may name it.
    pub(crate) place: String,
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

/// Why a URL cannot be used: what is said after "the URL" or the name of a setting. It shows nothing
/// of the URL but the names of parameters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WrongUrl(Cow<'static, str>);

impl WrongUrl {
    fn new(why: impl Into<Cow<'static, str>>) -> Self {
        Self(why.into())
    }
}

impl From<WrongUrl> for LogError {
    fn from(wrong: WrongUrl) -> Self {
        Self::Unusable(format!("its URL {wrong}"))
    }
}

/// Says what is wrong with a URL, as far as that shows without the database.
pub fn check_url(url: &str) -> Result<(), WrongUrl> {
    parse(url).map(|_| ())
}

impl Target {
    /// Reads a `postgres://` URL.
    pub(crate) fn parse(url: &str, access: Access) -> Result<Self, LogError> {
        let options = parse(url)?;
        let options = match options.get_application_name() {
            Some(_) => options,
            None => options.application_name("configapi"),
        };
        // Poolers refuse the driver's extra_float_digits; no float is ever read.
        let options = options.extra_float_digits(None).disable_statement_logging();
        let place = place(url, &options);
        Ok(Self { options, place, access })
    }
}

fn parse(url: &str) -> Result<PgConnectOptions, WrongUrl> {
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(WrongUrl::new("must begin with postgres://"));
    }
    check_parameters(url)?;
    // The driver's own text may quote the URL, and with it the password.
    url.parse().map_err(|error| wrong_parameter(url).unwrap_or_else(|| wrong_place(&error)))
}

/// Host and port, or the socket, if there can be no doubt about what of the URL they are: a stray `@`,
/// `/` or `?` may be part of a password, and what stands before it the user.
fn place(url: &str, options: &PgConnectOptions) -> String {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let is_certain = rest
        .split_once('@')
        .is_none_or(|(user, place)| !user.contains(['/', '?', '#']) && !place.contains('@'));
    if !is_certain {
        return "the host of the URL".to_owned();
    }
    let port = options.get_port();
    let directory = match options.get_socket() {
        Some(directory) => directory.display().to_string(),
        None if options.get_host().starts_with('/') => options.get_host().to_owned(),
        None => return format!("{}:{port}", options.get_host()),
    };
    format!("the socket {directory}/.s.PGSQL.{port}")
}

/// The parameters behind the `?`.
fn parameters(url: &str) -> impl Iterator<Item = &str> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    query.split('&').filter(|pair| !pair.is_empty())
}

fn check_parameters(url: &str) -> Result<(), WrongUrl> {
    let mut may_be_secret = url.split_once('?').is_some_and(|(_, query)| query.contains('@'));
    for pair in parameters(url) {
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
fn unknown_parameter(name: Option<&str>) -> WrongUrl {
    match name {
        Some(name) => WrongUrl::new(format!("has the unknown parameter {name:?}")),
        None => WrongUrl::new(
            "has an unknown parameter; percent-encode a password that has a `?`, a `&` or another \
             special character",
        ),
    }
}

/// The first parameter with a value that the driver does not take, if that is what is wrong: each is
/// tried by itself. All of them are known, so that their names are no secret.
fn wrong_parameter(url: &str) -> Option<WrongUrl> {
    let is_wrong = |pair: &&str| {
        let alone: Result<PgConnectOptions, _> = format!("postgres://localhost?{pair}").parse();
        alone.is_err()
    };
    let (name, _) = parameters(url).find(is_wrong)?.split_once('=')?;
    let wants = match name {
        "sslmode" | "ssl-mode" => "disable, allow, prefer, require, verify-ca or verify-full",
        "port" => "a number up to 65535",
        "hostaddr" => "an IP address",
        "statement-cache-capacity" => "a number",
        _ => return Some(WrongUrl::new(format!("has a wrong value for {name:?}"))),
    };
    Some(WrongUrl::new(format!("has a wrong value for {name:?}, which wants {wants}")))
}

/// What is wrong before the `?`, as far as it can be told without repeating it.
fn wrong_place(error: &sqlx::Error) -> WrongUrl {
    let is_of_the_port = match error {
        sqlx::Error::Configuration(why) => why.to_string() == "invalid port number",
        _ => false,
    };
    WrongUrl::new(if is_of_the_port {
        "has a port that is no number up to 65535, or a password that is not percent-encoded"
    } else {
        "must look like postgres://user:password@host:5432/database, with what is special in the \
         user and the password percent-encoded"
    })
}

fn is_plain(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphabetic() || b"-_".contains(&byte))
}
