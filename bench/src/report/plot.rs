//! The results as a picture: one group of bars for each measurement, the longest bar being its best
//! throughput, or where latency is the point, its worst latency.

use std::fmt::{self, Write as _};

use super::{Measured, Results, shown};
use crate::suite::Subject;

const WIDTH: f64 = 980.0;
const TITLE_WIDTH: f64 = 210.0;
const LONGEST_BAR: f64 = 520.0;
const BAR_HEIGHT: f64 = 13.0;
const GROUP_GAP: f64 = 12.0;
const TOP: f64 = 64.0;

/// The picture, as SVG.
pub fn plot(results: &Results) -> String {
    let groups = groups(results);
    let mut body = String::new();
    let mut y = TOP;
    for group in &groups {
        // Writing to a string cannot fail.
        let _ = write_group(&mut body, group, &mut y);
    }
    let mut picture = String::new();
    let _ = write_frame(&mut picture, results, y);
    picture + &body + "</svg>\n"
}

/// Measurements with something to compare, in their order.
fn groups(results: &Results) -> Vec<Vec<&Measured>> {
    let mut groups: Vec<Vec<&Measured>> = Vec::new();
    for measured in &results.measured {
        match groups.last_mut() {
            Some(group) if group.first().is_some_and(|first| first.id == measured.id) => {
                group.push(measured);
            }
            _ => groups.push(vec![measured]),
        }
    }
    groups.retain(|group| group.len() > 1);
    groups
}

fn write_frame(picture: &mut String, results: &Results, height: f64) -> fmt::Result {
    writeln!(
        picture,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" font-family=\"system-ui, sans-serif\" font-size=\"11\">"
    )?;
    writeln!(picture, "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>")?;
    writeln!(
        picture,
        "<text x=\"12\" y=\"22\" font-size=\"14\" font-weight=\"600\">{} · {} × {}</text>",
        results.date.strftime("%Y-%m-%d %H:%M UTC"),
        results.conditions.cores,
        escaped(&results.conditions.cpu),
    )?;
    let mut x = 12.0;
    let is_there =
        |subject: &Subject| results.measured.iter().any(|measured| measured.subject == *subject);
    for subject in Subject::ALL.into_iter().filter(is_there) {
        let (color, title) = (color(subject), subject.title());
        writeln!(
            picture,
            "<rect x=\"{x}\" y=\"36\" width=\"10\" height=\"10\" fill=\"{color}\"/>\
             <text x=\"{}\" y=\"45\">{title}</text>",
            x + 15.0
        )?;
        x += 190.0;
    }
    Ok(())
}

fn write_group(body: &mut String, group: &[&Measured], y: &mut f64) -> fmt::Result {
    let Some(first) = group.first() else { return Ok(()) };
    let about_latency = first.is_about_latency();
    let figure = |measured: &Measured| {
        if about_latency { measured.p50_us } else { measured.per_second }
    };
    let longest = group.iter().map(|measured| figure(measured)).fold(f64::MIN_POSITIVE, f64::max);
    let (unit, what) = if about_latency { (" µs", ", p50") } else { ("/s", "") };
    writeln!(
        body,
        "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}{what}</text>",
        TITLE_WIDTH - 8.0,
        *y + BAR_HEIGHT - 3.0,
        escaped(&first.title)
    )?;
    for measured in group {
        let length = LONGEST_BAR * figure(measured) / longest;
        writeln!(
            body,
            "<rect x=\"{TITLE_WIDTH}\" y=\"{:.1}\" width=\"{length:.1}\" height=\"{}\" fill=\"{}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\">{}{unit}</text>",
            *y,
            BAR_HEIGHT - 2.0,
            color(measured.subject),
            TITLE_WIDTH + length + 5.0,
            *y + BAR_HEIGHT - 3.0,
            shown(figure(measured)),
        )?;
        *y += BAR_HEIGHT;
    }
    *y += GROUP_GAP;
    Ok(())
}

fn color(subject: Subject) -> &'static str {
    match subject {
        Subject::Echo => "#b8b8b8",
        Subject::Postgres => "#2f6fb3",
        Subject::PostgresFew => "#8fb4dd",
        Subject::Sqlite => "#3f9e6b",
        Subject::Etcd => "#d9822b",
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
