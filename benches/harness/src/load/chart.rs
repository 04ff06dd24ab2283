//! The load test's chart in `benches/results/load.md`: latencies by percentile, and requests by outcome over time.

use std::fmt::Write as _;

use anyhow::Result;

use super::arrivals::Rate;
use super::recording::Outcome;
use super::report::{Results, Scenario, number};

const WIDTH: f64 = 860.0;
/// A panel's area, without heading and labels.
const LEFT: f64 = 60.0;
const PLOT_WIDTH: f64 = 560.0;
const PLOT_HEIGHT: f64 = 150.0;
const HEADING_HEIGHT: f64 = 50.0;
const LABELS_HEIGHT: f64 = 40.0;

const STYLE: &str = "
  text { font: 12px system-ui, sans-serif; fill: #57606a }
  .heading { font-weight: 600; font-size: 14px; fill: #1f2328 }
  .axis { stroke: #d0d7de }
  rect, .key { fill: currentColor }
  polyline { fill: none; stroke: currentColor; stroke-width: 2 }
  .c0 { color: #bf5b16 } .c1 { color: #6e7781 } .c2 { color: #8250df }
  .c3 { color: #0969da } .c4 { color: #1a7f37 } .c5 { color: #9a6700 } .c6 { color: #cf222e }
  @media (prefers-color-scheme: dark) {
    text { fill: #9198a1 }
    .heading { fill: #f0f6fc }
    .axis { stroke: #3d444d }
    .c0 { color: #f0883e } .c1 { color: #9198a1 } .c2 { color: #a371f7 }
    .c3 { color: #58a6ff } .c4 { color: #3fb950 } .c5 { color: #d29922 } .c6 { color: #f85149 }
  }
";

/// Draws the named scenarios' latencies, and the outcomes over time of those with a spike or a growing rate.
pub(crate) fn draw(results: &Results, latencies_of: &[&str]) -> Result<String> {
    let mut panels = String::new();
    let mut y = 0.0;
    let named = |name: &&str| results.scenarios.iter().find(|scenario| scenario.name == **name);
    let scenarios: Vec<_> = latencies_of.iter().filter_map(named).collect();
    if !scenarios.is_empty() {
        draw_latencies(&mut panels, y, &scenarios)?;
        y += HEADING_HEIGHT + PLOT_HEIGHT + LABELS_HEIGHT;
    }
    for scenario in &results.scenarios {
        if matches!(scenario.rate, Some(Rate::Growing(_) | Rate::Spike(_))) {
            draw_outcomes(&mut panels, y, scenario)?;
            y += HEADING_HEIGHT + PLOT_HEIGHT + LABELS_HEIGHT;
        }
    }
    let day = results.date.split('T').next().unwrap_or_default();
    writeln!(
        panels,
        r#"<text x="0" y="{}">Single run on {}, {day}. Rates are shown at full scale.</text>"#,
        y + 20.0,
        results.machine,
    )?;
    let height = y + 30.0;
    Ok(format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" aria-label="Latencies and refused requests under load">
<style>{STYLE}</style>
{panels}</svg>
"#
    ))
}

/// Draws a line for each scenario: the latency (logarithmic) within which a share of the requests is served.
fn draw_latencies(panels: &mut String, y: f64, scenarios: &[&Scenario]) -> Result<()> {
    let heading = "Latency in ms, by percentile";
    writeln!(panels, r#"<text class="heading" x="0" y="{}">{heading}</text>"#, y + 30.0)?;
    let top = y + HEADING_HEIGHT;
    let bottom = top + PLOT_HEIGHT;
    // From 1 ms to 10 s, and from no request to one in 1,024.
    let x_of = |share: f64| LEFT + PLOT_WIDTH * (1.0 / (1.0 - share)).log2() / 10.0;
    let y_of = |ms: f64| bottom - PLOT_HEIGHT * ms.clamp(1.0, 1e4).log10() / 4.0;
    for ms in [1.0, 10.0, 100.0, 1_000.0, 1e4] {
        draw_grid_line(panels, y_of(ms), ms)?;
    }
    for (share, label) in [(0.0, "0"), (0.5, "50"), (0.9, "90"), (0.99, "99"), (0.999, "99.9 %")] {
        let x = x_of(share);
        writeln!(
            panels,
            r#"<text x="{x:.1}" y="{}" text-anchor="middle">{label}</text>"#,
            bottom + 18.0
        )?;
    }
    for (index, scenario) in scenarios.iter().enumerate() {
        let points = scenario.latencies.distribution.iter();
        let points = points.map(|(share, ms)| format!("{:.1},{:.1}", x_of(*share), y_of(*ms)));
        let points: Vec<_> = points.collect();
        writeln!(panels, r#"<polyline class="c{index}" points="{}"/>"#, points.join(" "))?;
        draw_key(panels, top, index, index, &plain(&scenario.name))?;
    }
    Ok(())
}

/// Draws stacked bars for each second: what was served, and what was refused by which limit.
fn draw_outcomes(panels: &mut String, y: f64, scenario: &Scenario) -> Result<()> {
    let outcomes: Vec<_> =
        Outcome::ALL.into_iter().filter(|outcome| scenario.count(*outcome) > 0).collect();
    writeln!(
        panels,
        r#"<text class="heading" x="0" y="{}">Requests a second: {}</text>"#,
        y + 30.0,
        plain(&scenario.name)
    )?;
    let top = y + HEADING_HEIGHT;
    let bottom = top + PLOT_HEIGHT;
    let requests = |second: usize| {
        let counts = scenario.seconds.get(second).into_iter().flatten();
        counts.map(|(_, number)| *number as f64 * scenario.scale).sum::<f64>()
    };
    let seconds = scenario.seconds.len();
    let max = (0..seconds).map(requests).fold(1.0, f64::max);
    let step = 10_f64.powf(max.log10().floor());
    let step = match max / step {
        ..2.0 => step / 2.0,
        2.0..5.0 => step,
        _ => step * 2.0,
    };
    let mut value = 0.0;
    while value <= max {
        draw_grid_line(panels, bottom - PLOT_HEIGHT * value / max, value)?;
        value += step;
    }
    let width = PLOT_WIDTH / seconds.max(1) as f64;
    for (second, counts) in scenario.seconds.iter().enumerate() {
        let mut y = bottom;
        for (outcome, number) in counts {
            let height = PLOT_HEIGHT * *number as f64 * scenario.scale / max;
            y -= height;
            writeln!(
                panels,
                r#"<rect class="c{}" x="{:.1}" y="{y:.1}" width="{:.1}" height="{height:.1}"/>"#,
                *outcome as usize,
                LEFT + width * second as f64,
                width - 1.0,
            )?;
        }
    }
    writeln!(
        panels,
        r#"<text x="{LEFT}" y="{0}">0 s</text><text x="{1}" y="{0}" text-anchor="end">{seconds} s</text>"#,
        bottom + 18.0,
        LEFT + PLOT_WIDTH,
    )?;
    for (line, outcome) in outcomes.iter().enumerate() {
        draw_key(panels, top, line, *outcome as usize, outcome.name())?;
    }
    Ok(())
}

/// Draws a horizontal line across a panel, with its value on the left.
fn draw_grid_line(panels: &mut String, y: f64, value: f64) -> Result<()> {
    Ok(writeln!(
        panels,
        r#"<line class="axis" x1="{LEFT}" y1="{y:.1}" x2="{}" y2="{y:.1}"/><text x="{}" y="{:.1}" text-anchor="end">{}</text>"#,
        LEFT + PLOT_WIDTH,
        LEFT - 8.0,
        y + 4.0,
        number(value),
    )?)
}

/// Draws a line of the key next to a panel.
fn draw_key(panels: &mut String, top: f64, line: usize, color: usize, text: &str) -> Result<()> {
    let (x, y) = (LEFT + PLOT_WIDTH + 12.0, top + 12.0 + 18.0 * line as f64);
    Ok(writeln!(panels, r#"<text class="key c{color}" x="{x}" y="{y}">{text}</text>"#)?)
}

/// Removes the backticks from a name.
fn plain(name: &str) -> String {
    name.replace('`', "")
}
