//! The event log in PostgreSQL: compare-and-append in one statement, turns by an advisory lock,
//! reads served by indexes, many rows copied out in bulk, wake-ups by notification and poll. Decides
//! nothing about configs.
//!
//! All of it lives in the schema `configapi`. [`migrate`] creates it and brings it up to date, by
//! whichever role owns the schema; `grants.sql` beside this crate is all that the servers' own
//! roles need. A log opened with [`Access::ReadWrite`] migrates by itself if its role may.
//!
//! PgBouncer and its like may stand between, in transaction mode too: a connection that does not
//! keep what belongs to its session is noticed, and used without session state from then on.

mod ahead;
mod append;
mod beat;
mod copy;
mod dial;
mod hint;
mod limits;
mod lineage;
mod log;
mod options;
mod page;
mod pool;
mod read;
mod row;
mod schema;
mod trouble;
mod turn;
mod wake;

pub use log::PostgresLog;
pub use options::{Access, WrongUrl, check_url};
pub use schema::{begin, migrate};
