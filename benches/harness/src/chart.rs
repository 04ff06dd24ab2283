//! The chart in `benches/README.md`: an SVG that supports light and dark color schemes.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};

use crate::measure::Measurements;
use crate::report::{Results, at_smallest_size, find};
use crate::subject::name;

const WIDTH: f64 = 760.0;
/// Left edge of the bars.
const BAR_X: f64 = 190.0;
const MAX_BAR_WIDTH: f64 = 400.0;
const ROW_HEIGHT: f64 = 24.0;
const HEADING_HEIGHT: f64 = 46.0;

const STYLE: &str = "
  text { font: 13px system-ui, sans-serif; fill: #57606a }
  .heading { font-weight: 600; font-size: 14px; fill: #1f2328 }
  .ours { font-weight: 600; fill: #1f2328 }
  rect { fill: #afb8c1 }
  rect.ours { fill: #bf5b16 }
  @media (prefers-color-scheme: dark) {
    text { fill: #9198a1 }
    .heading, .ours { fill: #f0f6fc }
    rect { fill: #3d444d }
    rect.ours { fill: #f0883e }
  }
";

/// A bar chart of one value for several functions.
struct Panel {
    heading: &'static str,
    value: fn(&Measurements) -> Option<f64>,
    unit: &'static str,
    names: &'static [&'static str],
}

const PANELS: [Panel; 3] = [
    Panel {
        heading: "Cold start as seen by a caller, at 128 MB: init and first read",
        value: |measurements| at_smallest_size(measurements).map(|throttled| throttled.cold_ms),
        unit: "ms",
        names: &[name::READ, name::GET_ITEM_DEFAULTS, name::NODE_READ, name::PYTHON_READ],
    },
    Panel {
        heading: "CPU time of a warm read of 2 KB (only the session API encrypts)",
        value: |measurements| Some(measurements.cpu_us),
        unit: "µs",
        names: &[
            name::READ,
            name::GET_ITEM,
            name::GET_ITEM_DEFAULTS,
            name::NODE_READ,
            name::PYTHON_READ,
        ],
    },
    Panel {
        heading: "Peak memory",
        value: |measurements| Some(measurements.peak_memory_kib as f64 / 1024.0),
        unit: "MiB",
        names: &[name::READ, name::GET_ITEM_DEFAULTS, name::NODE_READ, name::PYTHON_READ],
    },
];

/// Draws every panel whose values were all measured. The other functions' labels show the ratio to
/// the session API.
pub(crate) fn draw(results: &Results) -> Result<String> {
    let mut panels = String::new();
    let mut y = 0.0;
    for Panel { heading, value, unit, names } in PANELS {
        let value = |name| find(&results.functions, name).and_then(value);
        let rows: Option<Vec<_>> = names.iter().map(|&name| Some((name, value(name)?))).collect();
        let Some(rows) = rows else { continue };
        let (_, ours) = *rows.first().context("a panel has no rows")?;
        let max = rows.iter().map(|(_, value)| *value).fold(ours, f64::max);
        writeln!(panels, r#"<text class="heading" x="0" y="{}">{heading}</text>"#, y + 30.0)?;
        y += HEADING_HEIGHT;
        for (name, value) in rows {
            let class = if name == name::READ { "ours" } else { "theirs" };
            let width = (value / max * MAX_BAR_WIDTH).max(2.0);
            let ratio = value / ours;
            let label = if name == name::READ {
                format!("{value:.1} {unit}")
            } else {
                format!("{ratio:.*} × ({value:.0} {unit})", usize::from(ratio < 10.0))
            };
            let baseline = y + 14.0;
            writeln!(
                panels,
                r#"<text class="{class}" x="{}" y="{baseline}" text-anchor="end">{name}</text>
<rect class="{class}" x="{BAR_X}" y="{y}" width="{width:.1}" height="18" rx="2"/>
<text class="{class}" x="{:.1}" y="{baseline}">{label}</text>"#,
                BAR_X - 10.0,
                BAR_X + width + 8.0,
            )?;
            y += ROW_HEIGHT;
        }
    }
    writeln!(
        panels,
        r#"<text x="0" y="{}">Single run on {}, {}.</text>"#,
        y + 30.0,
        results.machine,
        results.date.split('T').next().unwrap_or_default(),
    )?;
    let height = y + 40.0;
    Ok(format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" aria-label="Cold start, CPU time and memory of the session API, compared with other functions">
<style>{STYLE}</style>
{panels}</svg>
"#
    ))
}
