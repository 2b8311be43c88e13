//! When a load begins and ends: all threads get ready, then start together.

use std::{
    sync::{
        Barrier, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::bail;

use super::Spec;

/// The time that is measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    /// When the load begins, with its warm-up.
    pub begins: Instant,
    /// From when on it counts.
    pub from: Instant,
    /// Until when it counts.
    pub until: Instant,
}

impl Window {
    fn beginning_now(spec: &Spec) -> Self {
        let begins = Instant::now();
        let from = begins + spec.warm_up;
        Self { begins, from, until: from + spec.window }
    }

    /// Whether this moment counts.
    pub fn holds(&self, moment: Instant) -> bool {
        self.from <= moment && moment < self.until
    }

    /// The last moment at which an answer is still waited for.
    pub fn limit(&self, grace: Duration) -> tokio::time::Instant {
        (self.until + grace).into()
    }
}

/// Where the threads of a load meet before it begins.
#[derive(Debug)]
pub(super) struct Start {
    barrier: Barrier,
    failed: AtomicBool,
    window: OnceLock<Window>,
}

impl Start {
    pub fn new(threads: usize) -> Self {
        Self {
            barrier: Barrier::new(threads),
            failed: AtomicBool::new(false),
            window: OnceLock::new(),
        }
    }

    /// Waits for the others with what this thread has prepared. If any thread has failed, all end.
    pub fn together<T>(
        &self,
        spec: &Spec,
        prepared: anyhow::Result<T>,
    ) -> anyhow::Result<(T, Window)> {
        if prepared.is_err() {
            self.failed.store(true, Ordering::SeqCst);
        }
        self.barrier.wait();
        let prepared = prepared?;
        if self.failed.load(Ordering::SeqCst) {
            bail!("another load thread could not begin");
        }
        Ok((prepared, *self.window.get_or_init(|| Window::beginning_now(spec))))
    }

    /// Lets the others know that this thread cannot take part.
    pub fn give_up(&self) {
        self.failed.store(true, Ordering::SeqCst);
        self.barrier.wait();
    }
}
