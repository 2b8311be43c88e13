//! What the suite found, as a file for machines, a table for people and a plot. The table and the
//! plot are made from the file alone.

mod goals;
mod plot;
mod results;
mod table;

use std::{fs, path::Path};

use anyhow::Context as _;

pub use self::{
    goals::{Goal, Verdict, judged},
    plot::plot,
    results::{CpuPerOperation, Measured, Results, Run, RunSettings, ServerStart},
    table::table,
};
use crate::cli::say;

/// Writes the results and what is made from them, named by their date.
pub(crate) fn write(results: &Results, directory: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(directory).context("no directory for the results")?;
    let path = directory.join(format!("{}.json", results.name()));
    fs::write(&path, results.to_json()?)?;
    say(&format!("wrote {}", path.display()));
    rewrite(&path)
}

/// Writes the table and the plot beside a results file.
pub fn rewrite(path: &Path) -> anyhow::Result<()> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let results: Results = serde_json::from_str(&text).context("this is no results file")?;
    for (extension, content) in [("md", table(&results)), ("svg", plot(&results))] {
        let beside = path.with_extension(extension);
        fs::write(&beside, content)?;
        say(&format!("wrote {}", beside.display()));
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "counts here stay far below 2^53")]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}

/// A number as people write it: three digits that mean something, thousands set apart.
pub(crate) fn shown(number: f64) -> String {
    if number < 10.0 {
        return format!("{number:.2}");
    }
    if number < 100.0 {
        return format!("{number:.1}");
    }
    set_apart(&format!("{number:.0}"))
}

/// A count as people write it.
pub(crate) fn grouped(count: u64) -> String {
    set_apart(&count.to_string())
}

fn set_apart(digits: &str) -> String {
    let mut shown = String::new();
    for (place, digit) in digits.char_indices() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}
