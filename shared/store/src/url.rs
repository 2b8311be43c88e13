//! Store URLs: where a log is kept.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

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

/// A text that names no store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("wants postgres://user@host/database, sqlite:path or memory:")]
pub struct WrongStoreUrl;

impl FromStr for StoreUrl {
    type Err = WrongStoreUrl;

    fn from_str(text: &str) -> Result<Self, WrongStoreUrl> {
        if text == "memory:" {
            return Ok(Self::Memory);
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(PostgresUrl(text.to_owned())));
        }
        let path = text.strip_prefix("sqlite:").ok_or(WrongStoreUrl)?;
        // `sqlite:///var/lib/x.db` is the same as `sqlite:/var/lib/x.db`.
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() || path.contains(['?', '\0']) {
            return Err(WrongStoreUrl);
        }
        Ok(Self::Sqlite(Path::new(path).to_owned()))
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postgres(url) => {
                // What comes before the @ may hold a password, what comes after a ? may too.
                let (scheme, rest) = url.0.split_once("://").unwrap_or(("postgres", ""));
                let place = rest.rsplit('@').next().unwrap_or_default();
                write!(f, "{scheme}://{}", place.split('?').next().unwrap_or_default())
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
