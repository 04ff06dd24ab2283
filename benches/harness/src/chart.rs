//! The chart for the README: an SVG that is at home on a light page and on a dark one.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};

use crate::measure::Figures;
use crate::report::{Results, named, smallest};
use crate::subject::name;

const WIDTH: f64 = 760.0;
/// Where the bars begin, and the most that one takes.
const LEFT: f64 = 190.0;
const LONGEST: f64 = 400.0;
const ROW: f64 = 24.0;
const HEAD: f64 = 46.0;

const STYLE: &str = "
  text { font: 13px system-ui, sans-serif; fill: #57606a }
  .head { font-weight: 600; font-size: 14px; fill: #1f2328 }
  .ours { font-weight: 600; fill: #1f2328 }
  rect { fill: #afb8c1 }
  rect.ours { fill: #bf5b16 }
  @media (prefers-color-scheme: dark) {
    text { fill: #9198a1 }
    .head, .ours { fill: #f0f6fc }
    rect { fill: #3d444d }
    rect.ours { fill: #f0883e }
  }
";

/// What a panel shows, and of which functions.
struct Panel {
    head: &'static str,
    value: fn(&Figures) -> Option<f64>,
    unit: &'static str,
    names: &'static [&'static str],
}

const PANELS: [Panel; 3] = [
    Panel {
        head: "Cold start as a caller feels it, at 128 MB: init and the first read",
        value: |figures| smallest(figures).map(|throttled| throttled.cold_ms),
        unit: "ms",
        names: &[name::READ, name::BARE_DEFAULTS, name::NODE_READ, name::PYTHON_READ],
    },
    Panel {
        head: "CPU of a warm read of 2 KB: sealed by the session API, and by nobody else",
        value: |figures| Some(figures.cpu_us),
        unit: "µs",
        names: &[name::READ, name::BARE, name::BARE_DEFAULTS, name::NODE_READ, name::PYTHON_READ],
    },
    Panel {
        head: "Peak memory",
        value: |figures| Some(figures.peak_memory_kib as f64 / 1024.0),
        unit: "MiB",
        names: &[name::READ, name::BARE_DEFAULTS, name::NODE_READ, name::PYTHON_READ],
    },
];

/// Draws each panel whose figures were all measured. The bars of the session API are 1 ×, and all
/// others as many times as long as they are.
pub(crate) fn draw(results: &Results) -> Result<String> {
    let mut panels = String::new();
    let mut y = 0.0;
    for Panel { head, value, unit, names } in PANELS {
        let value = |name| named(&results.functions, name).and_then(value);
        let rows: Option<Vec<_>> = names.iter().map(|&name| Some((name, value(name)?))).collect();
        let Some(rows) = rows else { continue };
        let (_, ours) = *rows.first().context("a panel without rows")?;
        let most = rows.iter().map(|(_, value)| *value).fold(ours, f64::max);
        writeln!(panels, r#"<text class="head" x="0" y="{}">{head}</text>"#, y + 30.0)?;
        y += HEAD;
        for (name, value) in rows {
            let class = if name == name::READ { "ours" } else { "theirs" };
            let length = (value / most * LONGEST).max(2.0);
            let ratio = value / ours;
            let label = if name == name::READ {
                format!("{value:.1} {unit}")
            } else {
                format!("{ratio:.*} × ({value:.0} {unit})", usize::from(ratio < 10.0))
            };
            let text = y + 14.0;
            writeln!(
                panels,
                r#"<text class="{class}" x="{}" y="{text}" text-anchor="end">{name}</text>
<rect class="{class}" x="{LEFT}" y="{y}" width="{length:.1}" height="18" rx="2"/>
<text class="{class}" x="{:.1}" y="{text}">{label}</text>"#,
                LEFT - 10.0,
                LEFT + length + 8.0,
            )?;
            y += ROW;
        }
    }
    writeln!(
        panels,
        r#"<text x="0" y="{}">One run on {}, {}.</text>"#,
        y + 30.0,
        results.machine,
        results.date.split('T').next().unwrap_or_default(),
    )?;
    let height = y + 40.0;
    Ok(format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" aria-label="Cold start, CPU and memory of the session API beside others">
<style>{STYLE}</style>
{panels}</svg>
"#
    ))
}
