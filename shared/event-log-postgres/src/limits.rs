//! Every bound of this adapter: connections, waits, polls. Nothing here waits or grows without one.

use std::time::Duration;

/// Connections that append, and look up what is decided on. Appends take turns in the database; the
/// second one lets an ambiguous append be looked up while the first is stuck, the third what the next
/// one needs to know.
pub(crate) const WRITER_CONNECTIONS: usize = 3;
/// Connections that read.
pub(crate) const READER_CONNECTIONS: usize = 4;

/// How long a connection may take to be made and checked.
pub(crate) const CONNECT_BOUND: Duration = Duration::from_secs(5);
/// How long a caller waits for a connection that others use.
pub(crate) const LEASE_BOUND: Duration = Duration::from_secs(5);
/// The first pause after a connection could not be made.
pub(crate) const BACKOFF_MIN: Duration = Duration::from_millis(10);
/// The longest one.
pub(crate) const BACKOFF_MAX: Duration = Duration::from_millis(500);
/// A connection that was idle for so long is asked whether it lives before it is used.
pub(crate) const PING_AFTER: Duration = Duration::from_secs(1);
/// How long it may take to say so.
pub(crate) const PING_BOUND: Duration = Duration::from_secs(1);

/// How long a look-up or a page may take.
pub(crate) const READ_BOUND: Duration = Duration::from_secs(30);
/// How long an append may take, its wait for the turn included. After that its outcome is unknown.
pub(crate) const APPEND_BOUND: Duration = Duration::from_secs(15);
/// A batch that weighs more may be on its way for longer than the database lets a turn be idle, over a slow
/// link: it knows of nothing that has not come to its end. Then it lets it be idle for as long as an append may
/// take.
pub(crate) const MAX_QUICK_BYTES: usize = 1 << 20;
/// How long it may take to get a turn or to begin an epoch.
pub(crate) const TURN_BOUND: Duration = Duration::from_secs(10);
/// How long a migration may take, its wait for other migrations included.
pub(crate) const MIGRATE_BOUND: Duration = Duration::from_mins(10);
/// How long a turn that was dropped may take to be given back before its connection is cut.
pub(crate) const ROLLBACK_BOUND: Duration = Duration::from_secs(1);

/// How long nobody is told of appends after the database had no room for that.
pub(crate) const SILENT_FOR: Duration = Duration::from_mins(1);

/// Rows of a page that are asked for at least, however large they seem to be.
pub(crate) const MIN_CHUNK_ROWS: usize = 16;
/// What is on its way beyond a full page is let in up to here; beyond, the connection is cut.
pub(crate) const MAX_SURPLUS_BYTES: usize = 4 << 20;

/// Rows that are read ahead at most, the one where the reader stands among them. What is more is
/// better read in one go.
pub(crate) const AHEAD_ROWS: usize = 64;
/// Their bytes.
pub(crate) const AHEAD_BYTES: usize = 256 << 10;
/// How long that may take before the connection is given up. Who waits is woken by a look meanwhile.
pub(crate) const AHEAD_BOUND: Duration = Duration::from_secs(5);

/// The pause between two looks at the head while the log grows.
pub(crate) const POLL_MIN: Duration = Duration::from_millis(2);
/// The longest pause while somebody waits and nothing but polling tells.
pub(crate) const POLL_MAX: Duration = Duration::from_millis(100);
/// The pause while notifications have proven to come.
pub(crate) const POLL_BESIDE_NOTIFICATIONS: Duration = Duration::from_millis(250);
/// Notifications that do not come for so long while the log grows are asked for anew.
pub(crate) const DEAF_FOR: Duration = Duration::from_secs(2);
/// How often the connection that listens is asked whether it lives, however much is heard elsewhere.
pub(crate) const LISTEN_CHECK_EVERY: Duration = Duration::from_secs(5);
/// The longest pause between two tries to listen.
pub(crate) const LISTEN_BACKOFF_MAX: Duration = Duration::from_secs(15);
/// How long the watch on the log outlives the last one who waited.
pub(crate) const LINGER: Duration = Duration::from_secs(10);

/// How often a standby learns that it has all, while nobody writes.
pub(crate) const BEAT_EVERY: Duration = Duration::from_secs(1);
/// How often a writer looks whether there are standbys, as long as there are none.
pub(crate) const STANDBY_SOUGHT_EVERY: Duration = Duration::from_secs(5);
