//! Failpoints that strike when they are told to.

use std::env;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::orders::{Action, Order, parse};
use super::{Failpoint, Injected, VARIABLE, WrongFailpoints};

static ARMED: OnceLock<Vec<Armed>> = OnceLock::new();

/// An order, and how often its place was passed so far.
#[derive(Debug)]
struct Armed {
    order: Order,
    passed: AtomicU64,
}

/// Arms what the variable asks for, once in the life of a process.
pub fn arm(known: &[Failpoint]) -> Result<(), WrongFailpoints> {
    let Some(text) = env::var_os(VARIABLE) else { return Ok(()) };
    let orders = parse(&text.to_string_lossy(), known)?;
    let armed = orders.into_iter().map(|order| Armed { order, passed: AtomicU64::new(0) });
    let armed = armed.collect();
    ARMED.set(armed).map_err(|_| WrongFailpoints("armed twice".to_owned()))
}

impl Failpoint {
    /// Passes the place; what is armed there strikes.
    pub async fn pass(self) -> Result<(), Injected> {
        if let Some(pause) = self.strike()? {
            tokio::time::sleep(pause).await;
        }
        Ok(())
    }

    /// Passes the place where nothing can be awaited. Other tasks go on during a pause.
    pub fn pass_blocking(self) -> Result<(), Injected> {
        if let Some(pause) = self.strike()? {
            tokio::task::block_in_place(|| std::thread::sleep(pause));
        }
        Ok(())
    }

    /// Strikes, if it is time; answers the pause that is to be made.
    #[expect(clippy::panic, reason = "somebody asked for it")]
    fn strike(self) -> Result<Option<Duration>, Injected> {
        let armed = ARMED.get().into_iter().flatten().find(|armed| armed.order.point == self);
        let Some(Armed { order, passed }) = armed else { return Ok(None) };
        let pass = passed.fetch_add(1, Ordering::Relaxed) + 1;
        if !order.passes.contains(&pass) {
            return Ok(None);
        }
        tracing::warn!(failpoint = self.0, pass, action = ?order.action, "a failpoint strikes");
        match order.action {
            Action::Exit => std::process::abort(),
            Action::Panic => panic!("a failpoint wants a panic"),
            Action::Error => Err(Injected(self.0)),
            Action::Pause(pause) => Ok(Some(pause)),
        }
    }
}
