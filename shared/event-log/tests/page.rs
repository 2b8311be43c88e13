//! A page is whole commands, makes progress, and says why it ends.

use configapi_event_log::domain::Position;
use configapi_event_log::{
    CommandPart, Epoch, LogError, MAX_EVENTS_PER_COMMAND, Page, PageBuilder, PageLimit, Reach,
    StoredEvent,
};

use crate::rows::log;

fn built(rows: &[StoredEvent], limit: PageLimit) -> Result<Page, LogError> {
    let mut page = PageBuilder::new(limit);
    for row in rows {
        if !page.push(row.clone()) {
            break;
        }
    }
    page.finish(Epoch(3))
}

#[test]
fn a_short_log_is_one_page() {
    let rows = log(&[1, 5, 1]);
    let page = built(&rows, PageLimit::TAIL).unwrap();
    assert_eq!(page, Page { events: rows, epoch: Epoch(3), is_cut: false, reach: Reach::Asked });
    assert_eq!(built(&[], PageLimit::TAIL).unwrap().events, vec![]);
}

#[test]
fn every_limit_has_room_for_the_anchor_and_the_largest_command() {
    assert_eq!(PageLimit::new(0, 0).events(), MAX_EVENTS_PER_COMMAND + 1);
    assert_eq!(PageLimit::new(7_000, 9), PageLimit::new(7_000, 9));
    assert_eq!((PageLimit::new(7_000, 9).events(), PageLimit::new(7_000, 9).bytes()), (7_000, 9));
    let rows = log(&[1_000, 1]);
    let page = built(&rows, PageLimit::new(0, usize::MAX)).unwrap();
    assert_eq!((page.events.len(), page.is_cut), (1_001, true));
}

#[test]
fn a_command_that_does_not_fit_waits_for_the_next_page() {
    let rows = log(&[999, 2, 1]);
    let page = built(&rows, PageLimit::new(0, usize::MAX)).unwrap();
    assert_eq!(page.events, rows[..1_000], "the command of two is torn");
    assert!(page.is_cut);
}

#[test]
fn a_full_page_ends_after_the_command_that_filled_it() {
    let rows = log(&[3, 3, 3]);
    let weight: usize = rows[..3].iter().map(StoredEvent::weight_bytes).sum();
    let page = built(&rows, PageLimit::new(0, weight)).unwrap();
    assert_eq!((page.events.len(), page.is_cut), (4, true));
    let page = built(&rows, PageLimit::new(0, 1)).unwrap();
    assert_eq!((page.events.len(), page.is_cut), (4, true), "one command at least");
    let weight: usize = rows[..5].iter().map(StoredEvent::weight_bytes).sum();
    assert_eq!(built(&rows, PageLimit::new(0, weight)).unwrap().events.len(), 7);
}

#[test]
fn a_log_that_ends_within_a_command_is_corrupt() {
    let rows = log(&[1, 3]);
    let error = built(&rows[..4], PageLimit::TAIL).unwrap_err();
    let problem = "the log ends within a command".to_owned();
    assert_eq!(error, LogError::Corrupt { position: Position(3), problem });
}

#[test]
fn a_command_larger_than_any_is_corrupt() {
    let mut rows = log(&[1_001]);
    for row in &mut rows {
        row.part = CommandPart { index: 0, size: 9_999 };
    }
    let error = built(&rows, PageLimit::new(0, usize::MAX)).unwrap_err();
    let problem = "a command has more events than any command may have".to_owned();
    assert_eq!(error, LogError::Corrupt { position: Position(1_000), problem });
}
