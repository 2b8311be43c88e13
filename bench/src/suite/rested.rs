//! What a core has forgotten when it was at rest. On a machine that shares its cores with others, whoever
//! has one meanwhile leaves its caches full of something else. Then a request that comes alone costs several
//! times what it costs among others, whatever server it is for.

use std::{
    hint::black_box,
    thread,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

/// What a request may well touch: code, connection, buffers, state.
const LINES: u32 = 2048;
const NUMBERS_PER_LINE: u32 = 16;
/// From line to line, so far that no core guesses the next one, and so that each comes once.
const STEP: u32 = 773;
/// About as long as a lone set waits for the disk, for PostgreSQL and for its client.
const REST: Duration = Duration::from_micros(1_500);
const TRIES: usize = 200;

/// The median times that 128 KiB take to be looked at, line after line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct RestedCore {
    /// By a core that does nothing else.
    pub busy_us: f64,
    /// By one that was at rest for 1.5 ms before.
    pub rested_us: f64,
}

impl RestedCore {
    /// Tries it.
    pub(super) fn find_out() -> Self {
        let lines = lines();
        let times = |rest: Option<Duration>| {
            let time = || {
                rest.into_iter().for_each(thread::sleep);
                let began = Instant::now();
                black_box(walk(&lines));
                began.elapsed()
            };
            let mut times: Vec<_> = std::iter::repeat_with(time).take(TRIES).collect();
            times.sort_unstable();
            times.get(TRIES / 2).map_or(0.0, |time| time.as_secs_f64() * 1e6)
        };
        Self { busy_us: times(None), rested_us: times(Some(REST)) }
    }
}

/// Each line says which one is next.
fn lines() -> Vec<u32> {
    let next = |number: u32| (number / NUMBERS_PER_LINE + STEP) % LINES;
    (0..LINES * NUMBERS_PER_LINE).map(next).collect()
}

/// Visits all lines, none before the one before it has said where it is. Answers where that ends.
fn walk(lines: &[u32]) -> u32 {
    (0..LINES).fold(0, |line, _| {
        lines.get((line * NUMBERS_PER_LINE) as usize).copied().unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_visits_each_line_once_and_comes_back() {
        let mut lines = lines();
        assert_eq!(walk(&lines), 0);
        let mut line = 0;
        for _ in 0..LINES {
            let at = (line * NUMBERS_PER_LINE) as usize;
            line = std::mem::replace(&mut lines[at], u32::MAX);
            assert_ne!(line, u32::MAX);
        }
    }
}
