//! How long a function takes, and what of the machine.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::function::Function;
use crate::quota::{PERIOD, Quota};
use crate::subject::Subject;

/// A size of function, and the share of a CPU that Lambda gives it.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) memory_mb: u32,
    pub(crate) cpus: f64,
}

/// The smallest function, and the one that the template makes by default.
pub(crate) const SIZES: [Size; 2] =
    [Size { memory_mb: 128, cpus: 0.07 }, Size { memory_mb: 256, cpus: 0.15 }];

/// What was measured of one function. Times are medians unless they say otherwise.
#[derive(Serialize)]
pub(crate) struct Figures {
    pub(crate) name: &'static str,
    /// From the spawn of the process to its first call for an event, without a quota.
    pub(crate) init_ms: f64,
    /// The CPU time of init: the rest of it is spent waiting for DynamoDB.
    pub(crate) init_cpu_ms: f64,
    /// The first request after init, without a quota.
    pub(crate) first_ms: f64,
    pub(crate) warm_p50_ms: f64,
    pub(crate) warm_p99_ms: f64,
    /// User and system time of the process per request, of all its threads.
    pub(crate) cpu_us: f64,
    pub(crate) peak_memory_kib: u64,
    pub(crate) binary_bytes: Option<u64>,
    /// As Lambda runs it; empty where this machine lets nobody set a quota.
    pub(crate) throttled: Vec<Throttled>,
}

/// The same under a share of a CPU, after an init without one.
#[derive(Serialize)]
pub(crate) struct Throttled {
    pub(crate) memory_mb: u32,
    pub(crate) cpus: f64,
    pub(crate) init_ms: f64,
    pub(crate) first_ms: f64,
    /// Init and first request together: a cold start as a caller feels it.
    pub(crate) cold_ms: f64,
    /// Of requests that come one by one, each with the whole of a period's share before it.
    pub(crate) warm_p50_ms: f64,
}

/// How much is measured.
pub(crate) struct Effort {
    /// Cold starts of each function, for each size and without a quota.
    pub(crate) starts: usize,
    /// Rounds of warm requests. The functions take turns, so that a moment in which the machine was
    /// busy with something else is nobody's alone.
    pub(crate) rounds: usize,
    /// Requests in a round.
    pub(crate) requests: usize,
}

/// Requests before anything of a warm function is counted.
const WARM_UP: usize = 200;
/// Warm requests after each cold start under a quota.
const THROTTLED_REQUESTS: usize = 10;

/// Measures all functions, side by side.
pub(crate) async fn measure(
    subjects: &[Subject],
    sizes: &[Size],
    effort: &Effort,
) -> Result<Vec<Figures>> {
    let mut figures = Vec::new();
    let warm = warm(subjects, effort).await?;
    println!("Cold starts without a quota");
    let cold_starts = cold(subjects, None, effort).await?;
    for ((subject, warm), colds) in subjects.iter().zip(warm).zip(cold_starts) {
        figures.push(Figures {
            name: subject.name,
            init_ms: median_ms(&colds, |cold| cold.init),
            init_cpu_ms: median_ms(&colds, |cold| cold.init_cpu),
            first_ms: median_ms(&colds, |cold| cold.first),
            warm_p50_ms: warm.p50_ms,
            warm_p99_ms: warm.p99_ms,
            cpu_us: warm.cpu_us,
            peak_memory_kib: warm.peak_memory_kib,
            binary_bytes: subject.program.size(),
            throttled: vec![],
        });
    }
    for &size in sizes {
        let Size { memory_mb, cpus } = size;
        println!("Cold starts at {cpus} CPUs, as with {memory_mb} MB");
        for (figures, colds) in figures.iter_mut().zip(cold(subjects, Some(size), effort).await?) {
            figures.throttled.push(Throttled {
                memory_mb,
                cpus,
                init_ms: median_ms(&colds, |cold| cold.init),
                first_ms: median_ms(&colds, |cold| cold.first),
                cold_ms: median_ms(&colds, |cold| cold.init + cold.first),
                warm_p50_ms: median(colds.iter().flat_map(|cold| &cold.warm).copied().map(ms)),
            });
        }
    }
    Ok(figures)
}

struct Cold {
    init: Duration,
    init_cpu: Duration,
    first: Duration,
    warm: Vec<Duration>,
}

async fn cold(subjects: &[Subject], size: Option<Size>, effort: &Effort) -> Result<Vec<Vec<Cold>>> {
    let mut all: Vec<_> = subjects.iter().map(|_| Vec::new()).collect();
    // The first start of each reads its files into the page cache, and is not counted.
    for start in 0..=effort.starts {
        for (subject, colds) in subjects.iter().zip(&mut all) {
            let quota = size.map(|size| Quota::new(size.cpus, &std::process::id().to_string()));
            let mut function =
                subject.program.start(quota.transpose()?).await.context(subject.name)?;
            let init_cpu = function.cpu()?;
            let first = subject.invoke(&mut function).await?;
            let mut warm = Vec::new();
            if size.is_some() {
                for _ in 0..THROTTLED_REQUESTS {
                    tokio::time::sleep(2 * PERIOD).await;
                    warm.push(subject.invoke(&mut function).await?);
                }
            }
            if start > 0 {
                colds.push(Cold { init: function.init, init_cpu, first, warm });
            }
            function.stop().await?;
        }
    }
    Ok(all)
}

/// What is measured of a function that has answered for a while.
struct Warm {
    p50_ms: f64,
    p99_ms: f64,
    cpu_us: f64,
    peak_memory_kib: u64,
}

struct Running<'a> {
    subject: &'a Subject,
    function: Function,
    latencies: Vec<Duration>,
    cpu_us: Vec<f64>,
}

async fn warm(subjects: &[Subject], effort: &Effort) -> Result<Vec<Warm>> {
    println!("Warm requests, {} of each function", effort.rounds * effort.requests);
    let mut all = Vec::new();
    for subject in subjects {
        let mut function = subject.program.start(None).await.context(subject.name)?;
        for _ in 0..WARM_UP {
            subject.invoke(&mut function).await?;
        }
        all.push(Running { subject, function, latencies: vec![], cpu_us: vec![] });
    }
    for _ in 0..effort.rounds {
        for Running { subject, function, latencies, cpu_us } in &mut all {
            let before = function.cpu()?;
            for _ in 0..effort.requests {
                latencies.push(subject.invoke(function).await?);
            }
            let spent = function.cpu()? - before;
            cpu_us.push(spent.as_secs_f64() * 1e6 / effort.requests as f64);
        }
    }
    let mut warm = Vec::new();
    for Running { function, mut latencies, cpu_us, .. } in all {
        latencies.sort();
        let at = |share: f64| {
            let rank = (latencies.len() as f64 * share) as usize;
            latencies.get(rank).copied().map(ms).context("no request was made")
        };
        warm.push(Warm {
            p50_ms: at(0.5)?,
            p99_ms: at(0.99)?,
            cpu_us: median(cpu_us),
            peak_memory_kib: function.peak_memory()?,
        });
        function.stop().await?;
    }
    Ok(warm)
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn median_ms(colds: &[Cold], time: fn(&Cold) -> Duration) -> f64 {
    median(colds.iter().map(|cold| ms(time(cold))))
}

fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
