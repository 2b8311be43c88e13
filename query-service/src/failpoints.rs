//! Where a test can make a read server fail from inside.

use configapi_runtime::failpoints::Failpoint;

/// A page was read from the log, and nothing of it is applied.
pub(crate) const AFTER_FETCH: Failpoint = Failpoint::new("tail.after-fetch");
/// Some events of a page are applied, others are not.
pub(crate) const MID_PAGE: Failpoint = Failpoint::new("tail.mid-page");
/// A snapshot is on the disk, and does not have its name yet.
pub(crate) const BEFORE_RENAME: Failpoint = Failpoint::new("snapshot.before-rename");
/// Events were found for a watch, and are not sent.
pub(crate) const BEFORE_SEND: Failpoint = Failpoint::new("watch.before-send");
/// A watch is to be told how far it is, and was not.
pub(crate) const BEFORE_PROGRESS: Failpoint = Failpoint::new("watch.before-progress");

/// All of them.
pub const FAILPOINTS: &[Failpoint] =
    &[AFTER_FETCH, MID_PAGE, BEFORE_RENAME, BEFORE_SEND, BEFORE_PROGRESS];
