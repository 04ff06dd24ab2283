//! A load test's report: what was served and what was refused, compared with the targets.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Result;
use serde::Serialize;

use super::arrivals::Rate;
use super::lambda::PoolCounts;
use super::quotas::{PLACEMENT, READ_TIME, WRITE_TIME};
use super::recording::{Counts, Latencies, Outcome, Recording};
use super::stack::Stack;
use super::table_limits::TableCounts;
use crate::report::{ms, write_table};

/// Seconds over which a growing rate is averaged.
const WINDOW: usize = 3;

/// Results of a run.
#[derive(Serialize)]
pub(crate) struct Results {
    /// Time of the run, in RFC 3339 format.
    pub(crate) date: String,
    pub(crate) machine: String,
    /// Length of each scenario with a given rate.
    pub(crate) seconds: u64,
    pub(crate) scenarios: Vec<Scenario>,
}

/// Result of a scenario.
#[derive(Serialize)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    /// Configured rate in requests a second, if the scenario has one. It is multiplied by the scale, like all rates in
    /// the report.
    pub(crate) rate: Option<Rate>,
    /// What rates and quotas were divided by.
    pub(crate) scale: f64,
    pub(crate) counts: Counts,
    /// Requests by the second they were due in.
    pub(crate) seconds: Vec<Counts>,
    /// Latencies of served requests.
    pub(crate) latencies: Latencies,
    pub(crate) latencies_by_route: BTreeMap<String, Latencies>,
    /// How late requests were sent. If this is high, the machine was too slow for the load.
    pub(crate) delays: Latencies,
    pub(crate) environments: BTreeMap<&'static str, PoolCounts>,
    /// Capacity, and calls that DynamoDB refused, including those that the function then retried.
    pub(crate) table: TableCounts,
    /// Confirmed changes that are missing from the table.
    pub(crate) lost: Option<u64>,
    /// Other results, in words.
    pub(crate) remark: String,
    pub(crate) targets: Vec<Target>,
}

/// A scenario's target.
#[derive(Serialize)]
pub(crate) struct Target {
    pub(crate) what: &'static str,
    pub(crate) limit: String,
    pub(crate) measured: String,
    pub(crate) is_met: bool,
}

impl Scenario {
    /// Reads the result of a finished scenario.
    pub(crate) fn new(name: impl Into<String>, stack: &Stack, recording: &Recording) -> Self {
        let seconds = recording.seconds();
        let mut counts = Counts::new();
        for (outcome, number) in seconds.iter().flatten() {
            *counts.entry(*outcome).or_default() += number;
        }
        Self {
            name: name.into(),
            rate: None,
            scale: 1.0,
            counts,
            seconds,
            latencies: recording.all_latencies(),
            latencies_by_route: recording.latencies(),
            delays: recording.delays(),
            environments: stack.gateway.lambda.counts(),
            table: stack.table.counts(),
            lost: None,
            remark: String::new(),
            targets: vec![],
        }
    }

    /// Adds a target for a number that should not exceed a limit.
    pub(crate) fn at_most(mut self, what: &'static str, limit: f64, measured: f64) -> Self {
        let is_met = measured <= limit;
        let (limit, measured) = (format!("≤ {}", number(limit)), number(measured));
        self.targets.push(Target { what, limit, measured, is_met });
        self
    }

    pub(crate) fn count(&self, outcome: Outcome) -> u64 {
        self.counts.get(&outcome).copied().unwrap_or_default()
    }

    pub(crate) fn requests(&self) -> u64 {
        self.counts.values().sum()
    }

    /// Returns the share of a second's requests that was served.
    pub(crate) fn served_share(&self, second: usize) -> f64 {
        let counts = self.seconds.get(second);
        let served = counts.and_then(|counts| counts.get(&Outcome::Served)).copied();
        let all: u64 = counts.into_iter().flatten().map(|(_, number)| number).sum();
        served.unwrap_or_default() as f64 / all.max(1) as f64
    }

    /// Returns the average offered rate over these seconds. It can be lower than the configured rate, because a page
    /// view doesn't write if its read is refused.
    pub(crate) fn offered(&self, seconds: &[Counts]) -> f64 {
        let requests: u64 = seconds.iter().flat_map(Counts::values).sum();
        requests as f64 / seconds.len().max(1) as f64 * self.scale
    }

    /// Returns the offered rate at which each limit began to refuse requests, in a scenario with a growing rate: the
    /// rate in the first three seconds in a row in which the limit refused at least 1 %.
    fn first_refusals(&self) -> Vec<(Outcome, f64)> {
        if !matches!(self.rate, Some(Rate::Growing(_))) {
            return vec![];
        }
        let mut refusals: Vec<_> = Outcome::ALL
            .into_iter()
            .filter(|outcome| *outcome != Outcome::Served)
            .filter_map(|outcome| {
                let is_refused = |counts: &Counts| {
                    let refused = counts.get(&outcome).copied().unwrap_or_default();
                    refused * 100 >= counts.values().sum() && refused > 0
                };
                let mut windows = self.seconds.windows(WINDOW);
                let first = windows.find(|window| window.iter().all(is_refused))?;
                Some((outcome, self.offered(first)))
            })
            .collect();
        refusals.sort_by(|(_, one), (_, other)| one.total_cmp(other));
        refusals
    }

    fn row(&self) -> Vec<String> {
        let last = self.seconds.len().saturating_sub(WINDOW);
        let rate = match self.rate {
            Some(Rate::Growing(_)) => {
                let end = self.offered(self.seconds.get(last..).unwrap_or_default());
                format!("0 to {}", number(end))
            }
            Some(_) => number(self.offered(&self.seconds)),
            None => "–".to_owned(),
        };
        let share = |outcome| self.count(outcome) as f64 / self.requests().max(1) as f64;
        let refused: Vec<_> = Outcome::ALL
            .into_iter()
            .filter(|outcome| *outcome != Outcome::Served && self.count(*outcome) > 0)
            .map(|outcome| format!("{} by {}", percent(share(outcome)), outcome.name()))
            .collect();
        let Latencies { p50, p99, p999, .. } = self.latencies;
        let cold_starts: usize = self.environments.values().map(|one| one.cold_starts).sum();
        let cold_starts = cold_starts as f64 * self.scale;
        vec![
            self.name.clone(),
            rate,
            percent(share(Outcome::Served)),
            if refused.is_empty() { "–".to_owned() } else { refused.join(", ") },
            ms(p50),
            ms(p99),
            ms(p999),
            format!("{cold_starts:.0}"),
            self.lost.map_or("–".to_owned(), |lost| lost.to_string()),
            self.remark.clone(),
        ]
    }
}

impl Results {
    /// Formats the results as Markdown.
    pub(crate) fn to_markdown(&self) -> Result<String> {
        let mut text = String::from("\n");
        let headings = [
            "scenario",
            "requests a second",
            "served",
            "refused",
            "p50",
            "p99",
            "p99.9",
            "cold starts",
            "lost changes",
            "",
        ];
        let mut rows = vec![headings.map(str::to_owned).to_vec()];
        rows.extend(self.scenarios.iter().map(Scenario::row));
        write_table(&mut text, &rows)?;
        text.push('\n');

        let headings = ["target", "scenario", "limit", "measured", ""];
        let mut rows = vec![headings.map(str::to_owned).to_vec()];
        for (what, total) in self.totals() {
            let verdict = if total == 0 { "met" } else { "missed" };
            rows.push([what, "all", "0", &total.to_string(), verdict].map(str::to_owned).to_vec());
        }
        for scenario in &self.scenarios {
            for Target { what, limit, measured, is_met } in &scenario.targets {
                let verdict = if *is_met { "met" } else { "missed" };
                let row = [what, scenario.name.as_str(), limit, measured, verdict];
                rows.push(row.map(str::to_owned).to_vec());
            }
        }
        write_table(&mut text, &rows)?;
        text.push('\n');

        let headings = ["scenario", "limit", "first refuses at, in requests a second"];
        let mut rows = vec![headings.map(str::to_owned).to_vec()];
        for scenario in &self.scenarios {
            for (outcome, rate) in scenario.first_refusals() {
                let row = [scenario.name.clone(), outcome.name().to_owned(), number(rate)];
                rows.push(row.to_vec());
            }
        }
        write_table(&mut text, &rows)?;
        let day = self.date.split('T').next().unwrap_or_default();
        let seconds = self.seconds;
        let [placement, read, write] =
            [PLACEMENT, READ_TIME, WRITE_TIME].map(|time| time.as_millis());
        writeln!(
            text,
            "\nA growing rate reaches its maximum after {seconds} s. Bursts absorb the first excess requests, so refusals begin \
             above the limit. Measured on {}, {day}. Assumed: Lambda takes {placement} ms to create an environment, and DynamoDB \
             takes {read} ms to read and {write} ms to write. The functions' CPU is not limited, and they share the machine \
             with the load generator and the stand-ins.",
            self.machine,
        )?;
        Ok(text)
    }

    /// Returns the totals that must be zero.
    fn totals(&self) -> [(&'static str, u64); 2] {
        let lost = self.scenarios.iter().filter_map(|scenario| scenario.lost).sum();
        let failed = self.scenarios.iter().map(|scenario| scenario.count(Outcome::Failed)).sum();
        [("lost changes that had been confirmed", lost), ("unexpected responses", failed)]
    }
}

/// Formats a share as a percentage, with decimals close to 0 % and 100 %.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let is_whole = percent == 0.0 || percent == 100.0;
    let digits = match percent.min(100.0 - percent) {
        _ if is_whole => 0,
        ..0.1 => 2,
        ..10.0 => 1,
        _ => 0,
    };
    format!("{percent:.digits$} %")
}

/// Formats a number, rounded to its significant digits.
pub(crate) fn number(value: f64) -> String {
    if value >= 1_000.0 {
        let rounded = (value / 100.0).round() as u64 * 100;
        format!("{},{:03}", rounded / 1_000, rounded % 1_000)
    } else if value.fract() == 0.0 || value >= 100.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}
