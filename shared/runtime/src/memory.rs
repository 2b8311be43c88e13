//! In which pages a process has its memory. A process that holds little is best off with small ones:
//! of large ones, most would be empty. One that holds much, all over the place, is slower with them,
//! since the processor has to look up again and again where they lie.

use std::sync::atomic::{AtomicBool, Ordering};

static HOLDS_MUCH: AtomicBool = AtomicBool::new(false);

/// What a process begins with, and most stay with: small pages only.
pub fn stay_small() {
    ask_for_large_pages(false);
}

/// From now on memory comes in large pages, where the system has them.
pub fn hold_much() {
    if !HOLDS_MUCH.swap(true, Ordering::Relaxed) {
        ask_for_large_pages(true);
    }
}

/// Asks, and takes no for an answer: it is about speed alone.
#[cfg(target_os = "linux")]
fn ask_for_large_pages(large: bool) {
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(!large) {
        tracing::debug!(%error, large, "the system lets nobody choose the pages of memory");
    }
}

#[cfg(not(target_os = "linux"))]
fn ask_for_large_pages(_: bool) {}
