//! Opens the log that a store URL names. The one room that knows every store there is; it never
//! looks inside an event.

mod open;
mod url;

pub use open::{Access, begin, close, migrate, open, open_patiently};
pub use url::{StoreUrl, WrongStoreUrl};
