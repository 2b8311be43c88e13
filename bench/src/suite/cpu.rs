//! How much CPU time processes have used: what is left to do when throughput alone does not tell who
//! it was spent on.

use std::{fs, time::Duration};

/// What Linux counts CPU time in, on every machine.
const TICK: Duration = Duration::from_millis(10);

/// The CPU time of one process, and with `and_its_children` of those that it has started.
pub(super) fn time_of(id: u32, and_its_children: bool) -> Duration {
    let Some(own) = Times::of(id) else { return Duration::ZERO };
    if !and_its_children {
        return TICK * own.ticks;
    }
    let children: u32 = processes()
        .filter_map(Times::of)
        .filter(|times| times.parent == id)
        .map(|times| times.ticks)
        .sum();
    TICK * (own.ticks + own.ticks_of_ended_children + children)
}

/// How much memory a process holds, in bytes.
pub(super) fn memory_of(id: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kibibytes * 1024)
}

struct Times {
    parent: u32,
    ticks: u32,
    ticks_of_ended_children: u32,
}

impl Times {
    fn of(id: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // The name, in parentheses, may hold spaces; the fields after it are counted from 3.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u32>().ok();
        Some(Self {
            parent: field(4)?,
            ticks: field(14)? + field(15)?,
            ticks_of_ended_children: field(16)? + field(17)?,
        })
    }
}

fn processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}
