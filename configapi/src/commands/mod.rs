//! The commands, one file for each: its arguments with their help, and what it does.

pub mod apply;
pub mod at;
pub mod completions;
mod confirm;
pub mod delete;
pub mod diff;
mod differences;
pub mod export;
pub mod get;
pub mod healthcheck;
pub mod history;
pub mod import;
pub mod list;
pub mod manual;
mod receipts;
mod records;
pub mod restore;
pub mod revert;
pub mod set;
pub mod source;
pub mod status;
pub mod watch;

pub use self::records::hex;
