//! The report: results as Markdown tables and as JSON, compared with the targets. Targets for time,
//! CPU and memory are ratios of two values from the same run, because absolute values depend on the
//! machine.

use std::fmt::Write as _;

use anyhow::Result;
use serde::Serialize;

use crate::cost::{Cost, WriteIdCost};
use crate::measure::{Measurements, Throttled};
use crate::subject::name;

/// Results of a run.
#[derive(Serialize)]
pub(crate) struct Results {
    /// Time of the run, in RFC 3339 format.
    pub(crate) date: String,
    pub(crate) machine: String,
    pub(crate) targets: Vec<Target>,
    pub(crate) functions: Vec<Measurements>,
    pub(crate) costs: Vec<Cost>,
    pub(crate) write_ids: Vec<WriteIdCost>,
    pub(crate) zips: Vec<Zip>,
    /// What could not be measured on this machine, and why.
    pub(crate) missing: Vec<String>,
}

/// Size of a function's deployment package.
#[derive(Serialize)]
pub(crate) struct Zip {
    pub(crate) function: &'static str,
    pub(crate) bytes: u64,
}

/// A measurement's target: a limit that it should not exceed.
#[derive(Serialize)]
pub(crate) struct Target {
    what: String,
    limit: f64,
    /// Why the limit is what it is.
    reason: &'static str,
    /// `None` if a value that it depends on was not measured.
    measured: Option<f64>,
    unit: &'static str,
}

impl Target {
    fn ratio(
        what: &str,
        limit: f64,
        reason: &'static str,
        numerator: Option<f64>,
        denominator: Option<f64>,
    ) -> Self {
        let measured = numerator.zip(denominator).map(|(value, base)| value / base);
        Self { what: what.into(), limit, reason, measured, unit: "×" }
    }

    fn verdict(&self) -> &'static str {
        match self.measured {
            None => "not measured",
            Some(measured) if measured <= self.limit => "met",
            Some(_) => "missed",
        }
    }

    fn format_value(&self, value: f64) -> String {
        if value < 0.5 {
            format!("1/{:.1}", 1.0 / value).replace(".0", "")
        } else {
            format!("{value:.2} {}", self.unit)
        }
    }
}

impl Results {
    /// Compares the measurements with the targets.
    pub(crate) fn targets(functions: &[Measurements], costs: &[Cost], zips: &[Zip]) -> Vec<Target> {
        type Value = fn(&Measurements) -> Option<f64>;
        let init: Value = |m| Some(m.init_ms);
        let cold: Value = |m| at_smallest_size(m).map(|throttled| throttled.cold_ms);
        let first: Value = |m| at_smallest_size(m).map(|throttled| throttled.first_ms);
        let warm: Value = |m| at_smallest_size(m).map(|throttled| throttled.warm_p50_ms);
        let cpu: Value = |m| Some(m.cpu_us);
        let memory: Value = |m| Some(m.peak_memory_kib as f64);
        let init_cpu: Value = |m| Some(m.init_cpu_ms);
        let value_of = |name, value: Value| find(functions, name).and_then(value);
        let read_relative_to = |other, what, limit, reason, value| {
            Target::ratio(what, limit, reason, value_of(name::READ, value), value_of(other, value))
        };
        let replace = costs.iter().find(|c| c.operation == "replace" && c.bytes == 10_000);
        let handshake = "ring makes the handshake cheap, and it takes place during init";
        let loading = "Node and Python load an interpreter and an SDK";
        let compiled = "compiled code; most of the time is the SDK's call";
        let mut targets = vec![
            read_relative_to(
                name::HELLO,
                "init, including the connection to DynamoDB, relative to hello world",
                1.7,
                "a TLS handshake, half of which is waiting for the server",
                init,
            ),
            read_relative_to(
                name::HELLO,
                "CPU time of init, relative to hello world",
                2.0,
                "a TLS handshake",
                init_cpu,
            ),
            Target::ratio(
                "first request after init at 0.07 CPUs, relative to the median warm request",
                2.0,
                "init has already done all one-time work",
                value_of(name::READ, first),
                value_of(name::READ, warm),
            ),
            read_relative_to(
                name::GET_ITEM_DEFAULTS,
                "cold start at 0.07 CPUs (init and first request), relative to a GetItem with the SDK's defaults",
                1.0 / 25.0,
                handshake,
                cold,
            ),
            read_relative_to(
                name::NODE_READ,
                "cold start at 0.07 CPUs, relative to Node",
                1.0 / 30.0,
                loading,
                cold,
            ),
            read_relative_to(
                name::PYTHON_READ,
                "cold start at 0.07 CPUs, relative to Python",
                1.0 / 30.0,
                loading,
                cold,
            ),
            read_relative_to(
                name::GET_ITEM,
                "CPU time of a warm read of 2 KB, encrypted, relative to a bare GetItem on the same runtime",
                1.25,
                "decryption, HTTP types and the log line",
                cpu,
            ),
            read_relative_to(
                name::NODE_READ,
                "CPU time of a warm read of 2 KB, relative to Node without encryption",
                1.0 / 5.0,
                compiled,
                cpu,
            ),
            read_relative_to(
                name::PYTHON_READ,
                "CPU time of a warm read of 2 KB, relative to Python without encryption",
                1.0 / 5.0,
                compiled,
                cpu,
            ),
            read_relative_to(
                name::NODE_READ,
                "peak memory, relative to Node",
                1.0 / 8.0,
                "no language runtime in memory",
                memory,
            ),
            Target::ratio(
                "CPU time of a bare UpdateItem with write ids, relative to one without",
                1.1,
                "a longer expression, and one more value",
                value_of(name::UPDATE_ITEM_ONCE, cpu),
                value_of(name::UPDATE_ITEM, cpu),
            ),
            Target::ratio(
                "write capacity for 10 KB of session data, relative to the PHP handler",
                1.0 / 3.0,
                "compression",
                replace.map(|cost| cost.capacity),
                replace.map(|cost| cost.php_capacity),
            ),
        ];
        targets.extend(zips.iter().map(|zip| Target {
            what: format!("zip of the {} function", zip.function),
            limit: 3.5,
            reason: "Lambda downloads it at each cold start; most of it is the SDK",
            measured: Some(zip.bytes as f64 / 1e6),
            unit: "MB",
        }));
        targets
    }

    /// Formats the results as Markdown.
    pub(crate) fn to_markdown(&self) -> Result<String> {
        let mut text = String::new();
        writeln!(text, "Measured on {}, {}.\n", self.date, self.machine)?;
        let mut rows = vec![
            ["measurement", "target", "measured", "", "reason for the target"]
                .map(str::to_owned)
                .to_vec(),
        ];
        for target in &self.targets {
            let measured =
                target.measured.map_or("-".to_owned(), |value| target.format_value(value));
            let limit = format!("≤ {}", target.format_value(target.limit));
            rows.push(vec![
                target.what.clone(),
                limit,
                measured,
                target.verdict().to_owned(),
                target.reason.to_owned(),
            ]);
        }
        write_table(&mut text, &rows)?;

        text.push('\n');
        let mut headings = [
            "function",
            "init",
            "init CPU",
            "first request",
            "warm p50",
            "warm p99",
            "warm CPU",
            "peak memory",
            "binary",
        ]
        .map(str::to_owned)
        .to_vec();
        if let Some(measurements) = self.functions.first() {
            for Throttled { memory_mb, cpus, .. } in &measurements.throttled {
                headings.push(format!("cold start at {memory_mb} MB, {cpus} CPUs (init + first)"));
                headings.push(format!("warm p50 at {memory_mb} MB"));
            }
        }
        let mut rows = vec![headings];
        for measurements in &self.functions {
            let mut row = vec![
                measurements.name.to_owned(),
                ms(measurements.init_ms),
                ms(measurements.init_cpu_ms),
                ms(measurements.first_ms),
                ms(measurements.warm_p50_ms),
                ms(measurements.warm_p99_ms),
                format!("{:.0} µs", measurements.cpu_us),
                format!("{:.1} MiB", measurements.peak_memory_kib as f64 / 1024.0),
                measurements
                    .binary_bytes
                    .map_or("-".to_owned(), |b| format!("{:.1} MB", b as f64 / 1e6)),
            ];
            for Throttled { init_ms, first_ms, cold_ms, warm_p50_ms, .. } in &measurements.throttled
            {
                row.push(format!("{} ({} + {})", ms(*cold_ms), ms(*init_ms), ms(*first_ms)));
                row.push(ms(*warm_p50_ms));
            }
            rows.push(row);
        }
        write_table(&mut text, &rows)?;

        text.push('\n');
        let headings = ["operation", "data size", "capacity units", "capacity units, PHP handler"];
        let mut rows = vec![headings.map(str::to_owned).to_vec()];
        for cost in &self.costs {
            let Cost { operation, bytes, capacity, php_capacity } = cost;
            rows.push(vec![
                (*operation).to_owned(),
                format!("{} KB", *bytes as f64 / 1e3),
                capacity.to_string(),
                php_capacity.to_string(),
            ]);
        }
        write_table(&mut text, &rows)?;
        text.push('\n');
        let headings = ["data size", "units of a write", "units without write ids"];
        let mut rows = vec![headings.map(str::to_owned).to_vec()];
        for WriteIdCost { bytes, capacity, capacity_without } in &self.write_ids {
            let size = format!("{} KB", *bytes as f64 / 1e3);
            rows.push(vec![size, capacity.to_string(), capacity_without.to_string()]);
        }
        write_table(&mut text, &rows)?;
        for missing in &self.missing {
            writeln!(text, "\nNot measured: {missing}")?;
        }
        Ok(text)
    }
}

/// Returns the measurements of a function, or `None` if the run did not include it.
pub(crate) fn find<'a>(functions: &'a [Measurements], name: &str) -> Option<&'a Measurements> {
    functions.iter().find(|measurements| measurements.name == name)
}

/// Returns the measurements at the smallest function size, or `None` if no quota could be set.
pub(crate) fn at_smallest_size(measurements: &Measurements) -> Option<&Throttled> {
    measurements.throttled.first()
}

pub(crate) fn ms(ms: f64) -> String {
    let digits = if ms < 10.0 { 2 } else { 0 };
    format!("{ms:.digits$} ms")
}

/// Writes a Markdown table with aligned columns, so that the source is readable too.
pub(crate) fn write_table(text: &mut String, rows: &[Vec<String>]) -> Result<()> {
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
