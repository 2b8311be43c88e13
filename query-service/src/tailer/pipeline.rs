//! From pages of rows to events that can be applied. In a replay, one page is fetched while another
//! is checked and understood and a third one is applied.

use std::sync::Arc;

use configapi_domain::Position;
use configapi_event_log::{Asking, Epoch, EventLog, Page, PageLimit, Tail, Texts};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::trouble::Trouble;
use crate::projection::{Anchor, Decoded};

/// Pages that wait between two stages. More would only cost memory.
const PAGES_AHEAD: usize = 1;

/// A page that was checked and understood.
#[derive(Debug)]
pub(super) struct Batch {
    pub events: Vec<Decoded>,
    pub epoch: Epoch,
    /// Whether the log goes on after this page.
    pub is_cut: bool,
}

/// Checks a page against the place it was read from, and understands every row. Of an older epoch
/// than the known one nothing is looked at.
pub(super) fn understand(
    mut tail: Tail,
    page: Page,
    known: Epoch,
    texts: &mut Texts,
) -> Result<(Batch, Tail), Trouble> {
    let (epoch, is_cut) = (page.epoch, page.is_cut);
    Trouble::unless_older(epoch, known)?;
    let may_come_yet = page.events.is_empty() && page.reach.may_lag();
    let rows = tail.advance(page).map_err(|error| Trouble::of_tail(&error, epoch, may_come_yet))?;
    let mut events = Vec::with_capacity(rows.len());
    for row in &rows {
        events.push(Decoded::from_row(row, texts)?);
    }
    Ok((Batch { events, epoch, is_cut }, tail))
}

/// The pages after an anchor, up to where the log ends.
#[derive(Debug)]
pub(super) struct Pages {
    batches: mpsc::Receiver<Result<Batch, Trouble>>,
    /// Ended when this is dropped.
    _stages: JoinSet<()>,
}

impl Pages {
    pub fn start(log: Arc<dyn EventLog>, anchor: Anchor, known: Epoch, asking: Asking) -> Self {
        let (page_sender, pages) = mpsc::channel(PAGES_AHEAD);
        let (batch_sender, batches) = mpsc::channel(PAGES_AHEAD);
        let tail = Tail::after(anchor.position, anchor.hash);
        let mut stages = JoinSet::new();
        stages.spawn(fetch(log, anchor.position, asking, page_sender));
        // On a thread of its own: it hardly ever waits, and whom it wakes must not wait for it.
        stages.spawn_blocking(move || digest(tail, known, pages, &batch_sender));
        Self { batches, _stages: stages }
    }

    pub async fn next(&mut self) -> Option<Result<Batch, Trouble>> {
        self.batches.recv().await
    }
}

async fn fetch(
    log: Arc<dyn EventLog>,
    mut from: Position,
    asking: Asking,
    pages: mpsc::Sender<Result<Page, Trouble>>,
) {
    loop {
        let page = asking.page(&*log, from, PageLimit::REPLAY).await.map_err(Trouble::from);
        let next = match &page {
            Ok(page) if page.is_cut => page.events.last().map(|row| row.position),
            Ok(_) | Err(_) => None,
        };
        // Whoever takes the pages may have seen enough.
        let is_wanted = pages.send(page).await.is_ok();
        match next {
            Some(next) if is_wanted && next > from => from = next,
            _ => return,
        }
    }
}

/// Ends when nobody fetches pages or nobody takes batches any more.
fn digest(
    mut tail: Tail,
    known: Epoch,
    mut pages: mpsc::Receiver<Result<Page, Trouble>>,
    batches: &mpsc::Sender<Result<Batch, Trouble>>,
) {
    let mut texts = Texts::default();
    while let Some(page) = pages.blocking_recv() {
        let understood =
            match page.and_then(|page| understand(tail.clone(), page, known, &mut texts)) {
                Ok((batch, after)) => {
                    tail = after;
                    Ok(batch)
                }
                Err(trouble) => Err(trouble),
            };
        let is_last = understood.is_err();
        if batches.blocking_send(understood).is_err() || is_last {
            return;
        }
    }
}
