//! Outcomes and latencies of a scenario's requests.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;

use super::lock;

/// Outcome of a request.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) enum Outcome {
    /// The function responded with success, `412` or `423`.
    Served,
    /// `429` from the route's throttling.
    RefusedByRoute,
    /// `429` from the account's API Gateway quota.
    RefusedByAccount,
    /// `503` from API Gateway, because Lambda refused to run the function.
    RefusedByLambda,
    /// `503 store-throttled` from the function, because DynamoDB throttled all of its attempts.
    RefusedByDynamoDb,
    /// `503 store-unavailable` from the function, because it ran out of time.
    TimedOut,
    /// Any other response, or none.
    Failed,
}

impl Outcome {
    pub(crate) const ALL: [Self; 7] = [
        Self::Served,
        Self::RefusedByRoute,
        Self::RefusedByAccount,
        Self::RefusedByLambda,
        Self::RefusedByDynamoDb,
        Self::TimedOut,
        Self::Failed,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::RefusedByRoute => "the route's throttling",
            Self::RefusedByAccount => "the account's quota",
            Self::RefusedByLambda => "Lambda",
            Self::RefusedByDynamoDb => "DynamoDB",
            Self::TimedOut => "a time limit",
            Self::Failed => "an error",
        }
    }
}

/// Requests by their outcome.
pub(crate) type Counts = BTreeMap<Outcome, u64>;

/// A scenario's requests. Many tasks can record at the same time.
pub(crate) struct Recording {
    started: Instant,
    records: Mutex<Records>,
}

struct Records {
    /// Latencies of served requests, in microseconds, by route.
    latencies: BTreeMap<String, Histogram<u64>>,
    /// Requests by the second they were due in.
    seconds: Vec<Counts>,
    /// How late requests were sent, in microseconds.
    delays: Histogram<u64>,
}

/// Longest latency that is recorded, in microseconds.
const MAX_LATENCY: u64 = 60_000_000;

impl Recording {
    /// Starts recording after a delay. Requests that were due earlier aren't recorded.
    pub(crate) fn start_in(delay: Duration) -> Self {
        let records = Records { latencies: BTreeMap::new(), seconds: vec![], delays: histogram() };
        Self { started: Instant::now() + delay, records: Mutex::new(records) }
    }

    pub(crate) fn start() -> Self {
        Self::start_in(Duration::ZERO)
    }

    /// Records the outcome of a request now, and its latency since it was due.
    pub(crate) fn record(&self, route: &str, due: Instant, outcome: Outcome) {
        let latency = due.elapsed();
        let Some(since_start) = due.checked_duration_since(self.started) else { return };
        let second = since_start.as_secs() as usize;
        let mut records = self.records();
        if records.seconds.len() <= second {
            records.seconds.resize_with(second + 1, Counts::new);
        }
        if let Some(counts) = records.seconds.get_mut(second) {
            *counts.entry(outcome).or_default() += 1;
        }
        if outcome == Outcome::Served {
            let latencies = records.latencies.entry(route.to_owned()).or_insert_with(histogram);
            latencies.saturating_record(micros(latency));
        }
    }

    /// Records how late a request is sent, now.
    pub(crate) fn sent(&self, due: Instant) {
        if due >= self.started {
            self.records().delays.saturating_record(micros(due.elapsed()));
        }
    }

    /// Returns the requests by outcome, for each second.
    pub(crate) fn seconds(&self) -> Vec<Counts> {
        self.records().seconds.clone()
    }

    /// Returns the latencies of served requests, by route.
    pub(crate) fn latencies(&self) -> BTreeMap<String, Latencies> {
        let records = self.records();
        let latencies = records.latencies.iter();
        latencies.map(|(route, histogram)| (route.clone(), Latencies::of(histogram))).collect()
    }

    /// Returns the latencies of all served requests.
    pub(crate) fn all_latencies(&self) -> Latencies {
        let mut all = histogram();
        for latencies in self.records().latencies.values() {
            all += latencies;
        }
        Latencies::of(&all)
    }

    /// Returns how late requests were sent.
    pub(crate) fn delays(&self) -> Latencies {
        Latencies::of(&self.records().delays)
    }

    fn records(&self) -> MutexGuard<'_, Records> {
        lock(&self.records)
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, MAX_LATENCY, 3).expect("the bounds are valid")
}

fn micros(duration: Duration) -> u64 {
    duration.as_micros().try_into().unwrap_or(MAX_LATENCY)
}

/// Distribution of latencies, in milliseconds.
#[derive(Clone, Default, Serialize)]
pub(crate) struct Latencies {
    pub(crate) requests: u64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) max: f64,
    /// Pairs: a share of the requests, and the latency within which that share was served.
    pub(crate) distribution: Vec<(f64, f64)>,
}

impl Latencies {
    fn of(histogram: &Histogram<u64>) -> Self {
        let ms = |micros: u64| micros as f64 / 1e3;
        let at = |quantile| ms(histogram.value_at_quantile(quantile));
        // Shares that are evenly spaced on the chart's axis: 0, 50, 75 % and so on.
        let steps = (0..=40).map(|step| 1.0 - 0.5_f64.powf(f64::from(step) / 4.0));
        let is_resolved = |share: &f64| (1.0 - share) * histogram.len() as f64 >= 1.0;
        Self {
            requests: histogram.len(),
            p50: at(0.5),
            p99: at(0.99),
            p999: at(0.999),
            max: ms(histogram.max()),
            distribution: steps.take_while(is_resolved).map(|share| (share, at(share))).collect(),
        }
    }
}
