//! The questions, each answered from one view of the log. What they have in common: which configs
//! are meant, which moment, and how an answer is cut into pages.

mod at_time;
mod diff;
mod get;
mod history;
mod list;
mod moment;
mod page;
mod selection;
mod status;

pub(crate) use self::moment::Moment;
pub(crate) use self::selection::Selection;
