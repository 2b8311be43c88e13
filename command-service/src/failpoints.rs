//! Where a test can make a write server fail from inside.

use configapi_runtime::failpoints::Failpoint;

/// A batch is decided, and nothing of it was sent.
pub(crate) const BEFORE_BEGIN: Failpoint = Failpoint::new("commit.before-begin");
/// A batch is durable, and nobody was told.
pub(crate) const BEFORE_ANSWER: Failpoint = Failpoint::new("commit.before-answer");

/// All of them.
pub const FAILPOINTS: &[Failpoint] = &[BEFORE_BEGIN, BEFORE_ANSWER];
