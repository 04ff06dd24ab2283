//! Latency, CPU time and memory of each function.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::function::Function;
use crate::quota::{PERIOD, Quota};
use crate::subject::Subject;

/// A function's memory size, and the CPU share that Lambda allots to it.
#[derive(Clone, Copy)]
pub(crate) struct FunctionSize {
    pub(crate) memory_mb: u32,
    pub(crate) cpus: f64,
}

/// The smallest size that Lambda offers, and the template's default.
pub(crate) const FUNCTION_SIZES: [FunctionSize; 2] =
    [FunctionSize { memory_mb: 128, cpus: 0.07 }, FunctionSize { memory_mb: 256, cpus: 0.15 }];

/// Measurements of one function. Times are medians unless stated otherwise.
#[derive(Serialize)]
pub(crate) struct Measurements {
    pub(crate) name: &'static str,
    /// Time from the start of the process to its first request for an event, without a quota.
    pub(crate) init_ms: f64,
    /// CPU time of init. The rest of init is spent waiting for DynamoDB.
    pub(crate) init_cpu_ms: f64,
    /// Duration of the first request after init, without a quota.
    pub(crate) first_ms: f64,
    pub(crate) warm_p50_ms: f64,
    pub(crate) warm_p99_ms: f64,
    /// CPU time per warm request: user and system time of all threads.
    pub(crate) cpu_us: f64,
    pub(crate) peak_memory_kib: u64,
    pub(crate) binary_bytes: Option<u64>,
    /// Measurements with Lambda's CPU quota. Empty if this process cannot set one.
    pub(crate) throttled: Vec<Throttled>,
}

/// Measurements with a CPU quota, which applies from the end of init.
#[derive(Serialize)]
pub(crate) struct Throttled {
    pub(crate) memory_mb: u32,
    pub(crate) cpus: f64,
    pub(crate) init_ms: f64,
    pub(crate) first_ms: f64,
    /// Init and first request together: a cold start as seen by a caller.
    pub(crate) cold_ms: f64,
    /// Latency of requests that are far enough apart for each to start with an unused quota.
    pub(crate) warm_p50_ms: f64,
}

/// Number of samples to take.
pub(crate) struct Sampling {
    /// Cold starts of each function, both without a quota and for each function size.
    pub(crate) starts: usize,
    /// Rounds of warm requests. The functions take turns, so that other load on the machine affects
    /// them all equally.
    pub(crate) rounds: usize,
    /// Requests to each function in a round.
    pub(crate) requests_per_round: usize,
}

/// Requests that warm a function up before the measurement begins.
const WARM_UP_REQUESTS: usize = 200;
/// Warm requests after each cold start with a quota.
const THROTTLED_REQUESTS: usize = 10;

/// Measures all functions. They take turns, so that the results are comparable.
pub(crate) async fn measure(
    subjects: &[Subject],
    sizes: &[FunctionSize],
    sampling: &Sampling,
) -> Result<Vec<Measurements>> {
    let mut all = Vec::new();
    let warm = measure_warm(subjects, sampling).await?;
    println!("Cold starts without a quota");
    let cold_starts = measure_cold_starts(subjects, None, sampling).await?;
    for ((subject, warm), starts) in subjects.iter().zip(warm).zip(cold_starts) {
        all.push(Measurements {
            name: subject.name,
            init_ms: median_ms(&starts, |start| start.init),
            init_cpu_ms: median_ms(&starts, |start| start.init_cpu),
            first_ms: median_ms(&starts, |start| start.first),
            warm_p50_ms: warm.p50_ms,
            warm_p99_ms: warm.p99_ms,
            cpu_us: warm.cpu_us,
            peak_memory_kib: warm.peak_memory_kib,
            binary_bytes: subject.program.binary_size(),
            throttled: vec![],
        });
    }
    for &size in sizes {
        let FunctionSize { memory_mb, cpus } = size;
        println!("Cold starts at {memory_mb} MB ({cpus} CPUs)");
        let cold_starts = measure_cold_starts(subjects, Some(size), sampling).await?;
        for (measurements, starts) in all.iter_mut().zip(cold_starts) {
            measurements.throttled.push(Throttled {
                memory_mb,
                cpus,
                init_ms: median_ms(&starts, |start| start.init),
                first_ms: median_ms(&starts, |start| start.first),
                cold_ms: median_ms(&starts, |start| start.init + start.first),
                warm_p50_ms: median(starts.iter().flat_map(|start| &start.warm).copied().map(ms)),
            });
        }
    }
    Ok(all)
}

/// Timings of one cold start, and of the warm requests after it.
struct ColdStart {
    init: Duration,
    init_cpu: Duration,
    first: Duration,
    warm: Vec<Duration>,
}

/// Returns the cold starts of each subject, without a quota if `size` is `None`.
async fn measure_cold_starts(
    subjects: &[Subject],
    size: Option<FunctionSize>,
    sampling: &Sampling,
) -> Result<Vec<Vec<ColdStart>>> {
    let mut all: Vec<_> = subjects.iter().map(|_| Vec::new()).collect();
    // Ignore each function's first start, which reads the files into the page cache.
    for round in 0..=sampling.starts {
        for (subject, starts) in subjects.iter().zip(&mut all) {
            let quota = size.map(|size| Quota::new(size.cpus, &std::process::id().to_string()));
            let mut function =
                subject.program.start(quota.transpose()?).await.context(subject.name)?;
            let init_cpu = function.cpu_time()?;
            let first = subject.invoke(&mut function).await?;
            let mut warm = Vec::new();
            if size.is_some() {
                for _ in 0..THROTTLED_REQUESTS {
                    tokio::time::sleep(2 * PERIOD).await;
                    warm.push(subject.invoke(&mut function).await?);
                }
            }
            if round > 0 {
                starts.push(ColdStart { init: function.init, init_cpu, first, warm });
            }
            function.stop().await?;
        }
    }
    Ok(all)
}

/// Statistics of a function's warm requests.
struct WarmStats {
    p50_ms: f64,
    p99_ms: f64,
    cpu_us: f64,
    peak_memory_kib: u64,
}

/// A warmed-up function and its samples.
struct WarmFunction<'a> {
    subject: &'a Subject,
    function: Function,
    latencies: Vec<Duration>,
    cpu_us: Vec<f64>,
}

async fn measure_warm(subjects: &[Subject], sampling: &Sampling) -> Result<Vec<WarmStats>> {
    println!("Warm requests, {} to each function", sampling.rounds * sampling.requests_per_round);
    let mut all = Vec::new();
    for subject in subjects {
        let mut function = subject.program.start(None).await.context(subject.name)?;
        for _ in 0..WARM_UP_REQUESTS {
            subject.invoke(&mut function).await?;
        }
        all.push(WarmFunction { subject, function, latencies: vec![], cpu_us: vec![] });
    }
    for _ in 0..sampling.rounds {
        for WarmFunction { subject, function, latencies, cpu_us } in &mut all {
            let cpu_before = function.cpu_time()?;
            for _ in 0..sampling.requests_per_round {
                latencies.push(subject.invoke(function).await?);
            }
            let cpu_time = function.cpu_time()? - cpu_before;
            cpu_us.push(cpu_time.as_secs_f64() * 1e6 / sampling.requests_per_round as f64);
        }
    }
    let mut stats = Vec::new();
    for WarmFunction { function, mut latencies, cpu_us, .. } in all {
        latencies.sort();
        let percentile = |share: f64| {
            let rank = (latencies.len() as f64 * share) as usize;
            latencies.get(rank).copied().map(ms).context("no requests were sent")
        };
        stats.push(WarmStats {
            p50_ms: percentile(0.5)?,
            p99_ms: percentile(0.99)?,
            cpu_us: median(cpu_us),
            peak_memory_kib: function.peak_memory_kib()?,
        });
        function.stop().await?;
    }
    Ok(stats)
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn median_ms(starts: &[ColdStart], time: fn(&ColdStart) -> Duration) -> f64 {
    median(starts.iter().map(|start| ms(time(start))))
}

fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
