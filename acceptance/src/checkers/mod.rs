//! What must be true of everything that clients saw and of the log that was left behind. Each
//! check is a plain function of both; none of them knows how the servers work.

mod config_register;
mod findings;
pub mod history;
pub mod linearizability;
pub mod log;
mod log_form;
mod order;
mod reads;
mod rules;
mod watches;
mod writes;

pub use findings::{Check, Findings, Violation};

use history::History;
use log::Log;

/// What there is to judge by.
#[derive(Debug)]
pub struct Evidence {
    /// What clients saw.
    pub history: History,
    /// What was left behind.
    pub log: Log,
    /// Whether acknowledged events may be gone, provided that the log says so by a new epoch: only
    /// after a standby that lagged was promoted.
    pub tail_may_be_lost: bool,
    /// Configs whose keys begin like this were written to by others, who kept no history.
    pub not_recorded: Option<&'static str>,
}

/// Everything that is wrong.
pub fn check_all(evidence: &Evidence) -> Findings {
    let mut findings = Findings::default();
    log_form::check(&evidence.log, &mut findings);
    writes::check(evidence, &mut findings);
    order::check(evidence, &mut findings);
    reads::check(evidence, &mut findings);
    watches::check(evidence, &mut findings);
    config_register::check(evidence, &mut findings);
    findings
}
