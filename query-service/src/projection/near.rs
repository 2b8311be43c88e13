//! Asking for memory that will be read soon. Nobody waits for it: memory answers many such questions
//! in about the time of one, while the processor does something else.

use std::slice;

use prefetch_index::prefetch_index;

/// How much memory comes near at once, on most processors.
const LINE_BYTES: usize = 64;
/// How many lines of a text are asked for. The processor foresees the others by itself.
const TEXT_LINES: usize = 4;

/// Asks for the line that something begins in. It is not read, so it may be far.
pub(super) fn ask_for<T>(it: &T) {
    prefetch_index(slice::from_ref(it), 0);
}

/// Asks for the first lines of a text.
pub(super) fn ask_for_text(text: &str) {
    let bytes = text.as_bytes();
    for at in (0..bytes.len()).step_by(LINE_BYTES).take(TEXT_LINES) {
        prefetch_index(bytes, at);
    }
    // A text begins anywhere within a line, so its end may lie in one more.
    prefetch_index(bytes, bytes.len().saturating_sub(1));
}
