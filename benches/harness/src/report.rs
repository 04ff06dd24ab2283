//! The results: as tables for people, as JSON, and against the targets. Ratios are of two things
//! measured in the same run; a time alone says as much about the machine as about the function.

use std::fmt::Write as _;

use anyhow::Result;
use serde::Serialize;

use crate::cost::Cost;
use crate::measure::{Figures, Throttled};
use crate::subject::name;

/// Everything that a run found out.
#[derive(Serialize)]
pub(crate) struct Results {
    /// RFC 3339.
    pub(crate) date: String,
    pub(crate) machine: String,
    pub(crate) targets: Vec<Target>,
    pub(crate) functions: Vec<Figures>,
    pub(crate) costs: Vec<Cost>,
    pub(crate) zips: Vec<Zip>,
    /// What could not be measured here, and why.
    pub(crate) missing: Vec<String>,
}

/// What a function weighs as it is deployed.
#[derive(Serialize)]
pub(crate) struct Zip {
    pub(crate) function: &'static str,
    pub(crate) bytes: u64,
}

/// A limit that a measurement should not exceed.
#[derive(Serialize)]
pub(crate) struct Target {
    what: String,
    limit: f64,
    /// Why the limit is what it is.
    reason: &'static str,
    /// `None` if a part of it was not measured.
    measured: Option<f64>,
    unit: &'static str,
}

impl Target {
    fn ratio(
        what: &str,
        limit: f64,
        reason: &'static str,
        of: Option<f64>,
        to: Option<f64>,
    ) -> Self {
        let measured = of.zip(to).map(|(of, to)| of / to);
        Self { what: what.into(), limit, reason, measured, unit: "×" }
    }

    fn verdict(&self) -> &'static str {
        match self.measured {
            None => "not measured",
            Some(measured) if measured <= self.limit => "met",
            Some(_) => "missed",
        }
    }

    fn show(&self, value: f64) -> String {
        if value < 0.5 {
            format!("1/{:.1}", 1.0 / value).replace(".0", "")
        } else {
            format!("{value:.2} {}", self.unit)
        }
    }
}

impl Results {
    /// The targets, against what was measured.
    pub(crate) fn targets(functions: &[Figures], costs: &[Cost], zips: &[Zip]) -> Vec<Target> {
        type Value = fn(&Figures) -> Option<f64>;
        let init: Value = |figures| Some(figures.init_ms);
        let cold: Value = |figures| smallest(figures).map(|throttled| throttled.cold_ms);
        let first: Value = |figures| smallest(figures).map(|throttled| throttled.first_ms);
        let warm: Value = |figures| smallest(figures).map(|throttled| throttled.warm_p50_ms);
        let cpu: Value = |figures| Some(figures.cpu_us);
        let memory: Value = |figures| Some(figures.peak_memory_kib as f64);
        let init_cpu: Value = |figures| Some(figures.init_cpu_ms);
        let of = |name, value: Value| named(functions, name).and_then(value);
        let against = |what, limit, reason, value, other| {
            Target::ratio(what, limit, reason, of(name::READ, value), of(other, value))
        };
        let write = costs.iter().find(|c| c.operation == "replace" && c.bytes == 10_000);
        let sdk = "the handshake is cheap with ring, and is made during init";
        let interpreter = "an interpreter and an SDK to load";
        let mut targets = vec![
            against(
                "init with the connection made in it, against hello world",
                2.2,
                "a handshake, half of it a wait for the server",
                init,
                name::HELLO,
            ),
            against("CPU of the same", 2.0, "a handshake", init_cpu, name::HELLO),
            Target::ratio(
                "first request after init at 0.07 CPUs, against its own warm median",
                2.0,
                "nothing is left to do that init could have done",
                of(name::READ, first),
                of(name::READ, warm),
            ),
            against(
                "cold start at 0.07 CPUs (init and first request), against a GetItem with the SDK's defaults",
                1.0 / 25.0,
                sdk,
                cold,
                name::BARE_DEFAULTS,
            ),
            against("the same, against Node", 1.0 / 30.0, interpreter, cold, name::NODE_READ),
            against("the same, against Python", 1.0 / 30.0, interpreter, cold, name::PYTHON_READ),
            against(
                "CPU of a warm read of 2 KB, sealed, against a bare GetItem in the same shell",
                1.25,
                "decryption, HTTP's types and the log line",
                cpu,
                name::BARE,
            ),
            against(
                "the same, against Node without sealing",
                1.0 / 8.0,
                "compiled code; the SDK's call is most of it",
                cpu,
                name::NODE_READ,
            ),
            against(
                "the same, against Python without sealing",
                1.0 / 8.0,
                "compiled code; the SDK's call is most of it",
                cpu,
                name::PYTHON_READ,
            ),
            against(
                "peak memory, against Node",
                1.0 / 8.0,
                "no runtime to keep",
                memory,
                name::NODE_READ,
            ),
            Target::ratio(
                "write capacity for 10 KB of session data, against the handler for PHP",
                1.0 / 3.0,
                "compression",
                write.map(|c| c.capacity),
                write.map(|c| c.php_capacity),
            ),
        ];
        targets.extend(zips.iter().map(|zip| Target {
            what: format!("zip of the function {}", zip.function),
            limit: 3.5,
            reason: "a download at each cold start; the SDK is most of it",
            measured: Some(zip.bytes as f64 / 1e6),
            unit: "MB",
        }));
        targets
    }

    /// The results as Markdown.
    pub(crate) fn tables(&self) -> Result<String> {
        let mut text = String::new();
        writeln!(text, "Measured on {}, {}.\n", self.date, self.machine)?;
        let mut rows =
            vec![["what", "target", "measured", "", "because of"].map(str::to_owned).to_vec()];
        for target in &self.targets {
            let measured = target.measured.map_or("-".to_owned(), |value| target.show(value));
            let limit = format!("≤ {}", target.show(target.limit));
            rows.push(vec![
                target.what.clone(),
                limit,
                measured,
                target.verdict().to_owned(),
                target.reason.to_owned(),
            ]);
        }
        table(&mut text, &rows)?;

        text.push('\n');
        let mut heads = [
            "function",
            "init",
            "CPU of it",
            "first",
            "warm p50",
            "p99",
            "CPU",
            "memory",
            "binary",
        ]
        .map(str::to_owned)
        .to_vec();
        if let Some(figures) = self.functions.first() {
            for Throttled { memory_mb, cpus, .. } in &figures.throttled {
                heads.push(format!("cold at {memory_mb} MB ({cpus} CPUs)"));
                heads.push("warm p50".to_owned());
            }
        }
        let mut rows = vec![heads];
        for figures in &self.functions {
            let mut row = vec![
                figures.name.to_owned(),
                ms(figures.init_ms),
                ms(figures.init_cpu_ms),
                ms(figures.first_ms),
                ms(figures.warm_p50_ms),
                ms(figures.warm_p99_ms),
                format!("{:.0} µs", figures.cpu_us),
                format!("{:.1} MiB", figures.peak_memory_kib as f64 / 1024.0),
                figures
                    .binary_bytes
                    .map_or("-".to_owned(), |b| format!("{:.1} MB", b as f64 / 1e6)),
            ];
            for Throttled { init_ms, first_ms, cold_ms, warm_p50_ms, .. } in &figures.throttled {
                row.push(format!("{} ({} + {})", ms(*cold_ms), ms(*init_ms), ms(*first_ms)));
                row.push(ms(*warm_p50_ms));
            }
            rows.push(row);
        }
        table(&mut text, &rows)?;

        text.push('\n');
        let heads = ["operation", "data", "units", "units, PHP"];
        let mut rows = vec![heads.map(str::to_owned).to_vec()];
        for cost in &self.costs {
            let Cost { operation, bytes, capacity, php_capacity } = cost;
            rows.push(vec![
                (*operation).to_owned(),
                format!("{} KB", *bytes as f64 / 1e3),
                capacity.to_string(),
                php_capacity.to_string(),
            ]);
        }
        table(&mut text, &rows)?;
        for missing in &self.missing {
            writeln!(text, "\nNot measured: {missing}")?;
        }
        Ok(text)
    }
}

/// The figures of a function, where it was measured.
pub(crate) fn named<'a>(functions: &'a [Figures], name: &str) -> Option<&'a Figures> {
    functions.iter().find(|figures| figures.name == name)
}

/// The figures at the smallest size of function, where a quota could be set.
pub(crate) fn smallest(figures: &Figures) -> Option<&Throttled> {
    figures.throttled.first()
}

fn ms(ms: f64) -> String {
    let digits = if ms < 10.0 { 2 } else { 0 };
    format!("{ms:.digits$} ms")
}

/// A table in Markdown, its columns aligned for whoever reads it as it is.
fn table(text: &mut String, rows: &[Vec<String>]) -> Result<()> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell: &String| cell.chars().count())
            .max()
    };
    let widths: Vec<_> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
    for (index, row) in rows.iter().enumerate() {
        for (cell, &width) in row.iter().zip(&widths) {
            write!(text, "| {cell:width$} ")?;
        }
        writeln!(text, "|")?;
        if index == 0 {
            for &width in &widths {
                write!(text, "|{:-<1$}", "", width + 2)?;
            }
            writeln!(text, "|")?;
        }
    }
    Ok(())
}
