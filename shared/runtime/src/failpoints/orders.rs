//! What failpoints are told to do, from text.

use std::ops::Range;
use std::time::Duration;

use super::{Failpoint, WrongFailpoints};
use crate::settings::duration;

/// What happens at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Exit,
    Panic,
    Error,
    Pause(Duration),
}

/// What is to happen where, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Order {
    pub point: Failpoint,
    pub action: Action,
    /// At which passes, the first of all being 1.
    pub passes: Range<u64>,
}

/// Reads all orders; each must be about a place that is known, and no place may have two.
pub(super) fn parse(text: &str, known: &[Failpoint]) -> Result<Vec<Order>, WrongFailpoints> {
    let mut orders: Vec<Order> = Vec::new();
    for order in text.split(';') {
        let order = parse_one(order.trim(), known)?;
        if orders.iter().any(|earlier| earlier.point == order.point) {
            return Err(WrongFailpoints(format!("{} is named twice", order.point.0)));
        }
        orders.push(order);
    }
    Ok(orders)
}

fn parse_one(text: &str, known: &[Failpoint]) -> Result<Order, WrongFailpoints> {
    let (name, what) = text.split_once('=').unwrap_or((text, ""));
    let point = known.iter().find(|point| point.0 == name).copied().ok_or_else(|| {
        let names: Vec<_> = known.iter().map(|point| point.0).collect();
        let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        WrongFailpoints(format!("there is no failpoint {name:?} here; there is {names}"))
    })?;
    let (action, when) = what.split_once('@').unwrap_or((what, "1"));
    let (first, times) = when.split_once('x').unwrap_or((when, "1"));
    let wrong = || {
        let wanted = "exit, panic, error or pause(500ms), then perhaps @FIRST or @FIRSTxTIMES";
        WrongFailpoints(format!("{name} cannot do {what:?}; it wants {wanted}"))
    };
    let action = action_of(action).ok_or_else(wrong)?;
    let count = |text: &str| text.parse().ok().filter(|count: &u64| *count > 0).ok_or_else(wrong);
    let (first, times) = (count(first)?, count(times)?);
    Ok(Order { point, action, passes: first..first.saturating_add(times) })
}

fn action_of(text: &str) -> Option<Action> {
    match text {
        "exit" => Some(Action::Exit),
        "panic" => Some(Action::Panic),
        "error" => Some(Action::Error),
        _ => {
            let pause = text.strip_prefix("pause(")?.strip_suffix(')')?;
            duration(pause).ok().map(Action::Pause)
        }
    }
}
