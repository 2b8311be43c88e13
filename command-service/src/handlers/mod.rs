//! One handler for each command: what a request asks for, and how it is answered.

mod apply;
mod delete;
mod parse;
mod receipt;
mod restore;
mod set;

pub use apply::ApplyHandler;
pub use delete::DeleteHandler;
pub use receipt::token_of;
pub use restore::RestoreHandler;
pub use set::SetHandler;
