//! Store URLs: where a log is kept.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use configapi_event_log_postgres::{WrongUrl, check_url};

/// Where a log is kept. Its texts never show a password.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// `postgres://…` or `postgresql://…`: a PostgreSQL database.
    Postgres(PostgresUrl),
    /// `sqlite:path`: a file.
    Sqlite(PathBuf),
    /// `memory:`: this process, for tests and demonstrations.
    Memory,
}

/// The URL of a PostgreSQL database, which may hold a password.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl(String);

impl PostgresUrl {
    /// The whole URL, for the driver only.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

/// A text that names no store. What it says is said after the name of a setting, and never repeats
/// what may be secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WrongStoreUrl {
    /// There is nothing of it.
    #[error("is empty; give postgres://user@host/database, sqlite:path or memory:")]
    Empty,
    /// It is a URL of no kind of store.
    #[error("is none of postgres://user@host/database, sqlite:path (no URI, no :name:) or memory:")]
    NoStore,
    /// It is meant for PostgreSQL, and no connection could be made with it.
    #[error(transparent)]
    Postgres(#[from] WrongUrl),
}

impl FromStr for StoreUrl {
    type Err = WrongStoreUrl;

    fn from_str(text: &str) -> Result<Self, WrongStoreUrl> {
        if text.is_empty() {
            return Err(WrongStoreUrl::Empty);
        }
        if text == "memory:" {
            return Ok(Self::Memory);
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            check_url(text)?;
            return Ok(Self::Postgres(PostgresUrl(text.to_owned())));
        }
        let path = text.strip_prefix("sqlite:").ok_or(WrongStoreUrl::NoStore)?;
        // `sqlite:///var/lib/x.db` is the same as `sqlite:/var/lib/x.db`.
        let path = path.strip_prefix("//").unwrap_or(path);
        // To SQLite these are no paths: a database without a file, or a URI with settings of its own.
        let is_special = path.starts_with(':') || path.starts_with("file:");
        if path.is_empty() || path.contains(['?', '\0']) || is_special {
            return Err(WrongStoreUrl::NoStore);
        }
        Ok(Self::Sqlite(Path::new(path).to_owned()))
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postgres(url) => {
                write!(f, "postgres://{}", shown(&url.0).unwrap_or("(hidden)"))
            }
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Memory => f.write_str("memory:"),
        }
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreUrl({self})")
    }
}

/// Host, port and database of a URL in which there can be no doubt about what is what. A stray `@`,
/// `/` or `?` may be part of a password, and then nothing is shown.
fn shown(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let place = match rest.split_once('@') {
        Some((user, place)) if !user.contains(['/', '?', '#']) => place,
        Some(_) => return None,
        None => rest,
    };
    if place.contains('@') {
        return None;
    }
    let place = place.split_once('?').map_or(place, |(place, _)| place);
    let host = place.split_once('/').map_or(place, |(host, _)| host);
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        Some(_) if host.ends_with(']') => host,
        Some(_) => return None,
        None => host,
    };
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-._%[]:,".contains(&b);
    name.bytes().all(is_plain).then_some(place)
}
