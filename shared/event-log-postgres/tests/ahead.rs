//! What a notification tells of is read ahead for the one who follows the log: the same rows as a
//! read would find, and nothing that may have become untrue.

use std::sync::Arc;
use std::time::{Duration, Instant};

use configapi_event_log::domain::Position;
use configapi_event_log::{EventLog, Hash, Page, PageLimit, StoredEvent, Tail};
use configapi_event_log_postgres::PostgresLog;
use sqlx::{AssertSqlSafe, PgConnection, Row, raw_sql};

use crate::harness::Database;
use crate::hints::until_listening;
use crate::writing::{append, append_large, open};

/// Longer than a test waits.
const FOREVER: Duration = Duration::from_mins(10);
/// Within this time a notification comes on the slowest machine.
const PROMPT: Duration = Duration::from_secs(20);
/// How often what must not be is looked for.
const ROUNDS: usize = 10;

/// A log that one writes and another follows.
struct Followed {
    database: Database,
    writer: Arc<PostgresLog>,
    reader: Arc<PostgresLog>,
    /// Where the one who follows stands.
    anchor: StoredEvent,
}

impl Followed {
    async fn new() -> Self {
        let database = Database::create().await;
        let (writer, reader) = (open(&database.url).await, open(&database.url).await);
        append(&*writer, 1).await;
        let mut page = reader.read(Position(1), PageLimit::TAIL).await.expect("a page");
        let anchor = page.events.remove(0);
        Self { database, writer, reader, anchor }
    }

    fn at_hand(&self) -> Option<Page> {
        self.reader.at_hand(self.anchor.position, self.anchor.hash, PageLimit::TAIL)
    }

    /// Waits until it is told of so many events, with values of so many bytes and a few more.
    async fn told_of(&self, events: usize, bytes: usize) {
        let (reader, beyond) = (Arc::clone(&self.reader), self.anchor.position);
        let wait = tokio::spawn(async move { reader.grown(beyond, FOREVER).await });
        append_large(&*self.writer, events, bytes).await;
        wait.await.expect("a wait");
    }

    /// Takes what there is, at hand or not.
    async fn read_on(&mut self) {
        let page = self.reader.read(self.anchor.position, PageLimit::TAIL).await.expect("a page");
        self.anchor = page.events.last().expect("the anchor at least").clone();
    }

    /// Goes on until something is at hand: a poll may be faster now and then.
    async fn until_at_hand(&mut self) -> Page {
        self.until_at_hand_within(PageLimit::TAIL).await
    }

    async fn until_at_hand_within(&mut self, limit: PageLimit) -> Page {
        let begun = Instant::now();
        loop {
            assert!(begun.elapsed() < PROMPT, "nothing is ever at hand");
            self.told_of(3, 0).await;
            let StoredEvent { position, hash, .. } = self.anchor;
            if let Some(page) = self.reader.at_hand(position, hash, limit) {
                return page;
            }
            self.read_on().await;
        }
    }

    /// Goes on until what is told is known to be read ahead, takes all there is, and is told of one
    /// more.
    async fn told_of_one_more(&mut self) {
        self.until_at_hand().await;
        self.read_on().await;
        self.told_of(1, 0).await;
    }
}

#[tokio::test]
async fn what_was_told_is_at_hand_once_and_is_what_is_in_the_log() {
    let mut followed = Followed::new().await;
    let page = followed.until_at_hand().await;
    let read = followed.reader.read(followed.anchor.position, PageLimit::TAIL).await;
    assert_eq!(page, read.expect("a page"));
    assert_eq!(page.events.len(), 4);
    assert_eq!(followed.at_hand(), None);
}

#[tokio::test]
async fn who_stands_elsewhere_is_given_nothing() {
    let mut followed = Followed::new().await;
    for _ in 0..ROUNDS {
        followed.told_of_one_more().await;
        let StoredEvent { position, .. } = followed.anchor;
        assert_eq!(followed.reader.at_hand(position, Hash::ZERO, PageLimit::TAIL), None);
        followed.read_on().await;
    }
}

#[tokio::test]
async fn a_page_is_no_larger_than_was_asked_for() {
    let mut followed = Followed::new().await;
    followed.until_at_hand().await;
    followed.read_on().await;
    let one_event = PageLimit::new(0, 1);
    let page = followed.until_at_hand_within(one_event).await;
    let read = followed.reader.read(followed.anchor.position, one_event).await;
    assert_eq!(page, read.expect("a page"));
    assert_eq!((page.events.len(), page.is_cut), (2, true));
}

#[tokio::test]
async fn much_is_not_read_ahead() {
    let mut followed = Followed::new().await;
    for _ in 0..ROUNDS {
        followed.until_at_hand().await;
        followed.read_on().await;
        followed.told_of(100, 0).await;
        assert_eq!(followed.at_hand(), None);
        followed.read_on().await;
        followed.told_of(3, 100_000).await;
        assert_eq!(followed.at_hand(), None);
        followed.read_on().await;
    }
}

#[tokio::test]
async fn nothing_is_read_ahead_for_who_has_not_asked() {
    let mut followed = Followed::new().await;
    for _ in 0..ROUNDS {
        followed.told_of(1, 0).await;
        followed.read_on().await;
    }
    followed.told_of(1, 0).await;
    assert_eq!(followed.at_hand(), None);
}

#[tokio::test]
async fn what_was_read_before_an_epoch_began_is_not_told() {
    let mut followed = Followed::new().await;
    for _ in 0..ROUNDS {
        followed.told_of_one_more().await;
        let head = followed.reader.head().await.expect("the head");
        followed.reader.begin_epoch(&head).await.expect("an epoch");
        assert_eq!(followed.at_hand(), None);
        followed.read_on().await;
    }
}

/// Ends every connection but this one, and waits until they are gone: others may have come meanwhile.
async fn cut_all(owner: &mut PgConnection) {
    const CUT: &str = "SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity \
                       WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let cut = raw_sql(CUT).fetch_all(&mut *owner).await.expect("they are told to go");
    let cut: Vec<String> = cut.iter().map(|row| row.get::<i32, _>(0).to_string()).collect();
    let cut = cut.join(",");
    let left = format!("SELECT pid FROM pg_stat_activity WHERE pid = ANY ('{{{cut}}}')");
    let left = || raw_sql(AssertSqlSafe(left.clone()));
    while !left().fetch_all(&mut *owner).await.expect("an answer").is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_was_read_over_a_connection_that_is_gone_is_forgotten() {
    let mut followed = Followed::new().await;
    let mut owner = followed.database.connect().await;
    for _ in 0..3 {
        followed.told_of_one_more().await;
        cut_all(&mut owner).await;
        followed.writer = open(&followed.database.url).await;
        let waits = followed.reader.grown(followed.anchor.position.next(), FOREVER);
        tokio::select! {
            () = until_listening(&mut owner) => {}
            () = waits => panic!("woken by nothing"),
        }
        assert_eq!(followed.at_hand(), None);
        followed.read_on().await;
    }
}

#[tokio::test]
async fn one_who_follows_several_writers_meets_each_event_once() {
    const APPENDS: usize = 40;
    let mut followed = Followed::new().await;
    followed.until_at_hand().await;
    followed.read_on().await;
    let writer = Arc::clone(&followed.writer);
    let writing = tokio::spawn(async move {
        for round in 0..APPENDS {
            append(&*writer, [1, 2, 70, 5][round % 4]).await;
        }
        writer.head().await.expect("the head")
    });
    let mut tail = Tail::after(followed.anchor.position, followed.anchor.hash);
    let mut known = Vec::new();
    loop {
        let page = match followed.at_hand() {
            Some(page) => page,
            None => followed.reader.read(tail.position(), PageLimit::TAIL).await.expect("a page"),
        };
        known.extend(tail.advance(page).expect("the next events"));
        followed.anchor = known.last().unwrap_or(&followed.anchor).clone();
        if writing.is_finished() && known.len() == APPENDS / 4 * 78 {
            break;
        }
        followed.reader.grown(tail.position(), Duration::from_millis(20)).await;
    }
    assert_eq!(writing.await.expect("the writer").position, tail.position());
    let first = known[0].position;
    let limit = PageLimit::new(known.len(), 1 << 30);
    assert_eq!(known, followed.reader.read(first, limit).await.expect("a page").events);
}
