//! Lambda's scaling: environments that handle one request at a time, cold starts, and the limits on both.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result};
use axum::body::Bytes;
use serde::Serialize;

use super::bucket::Bucket;
use super::quotas::{PLACEMENT, Quotas, REQUESTS_PER_EXECUTION};
use crate::function::Function;
use crate::program::{Program, Programs};

/// The functions of a stack, in an account of their own.
pub(crate) struct Lambda {
    pools: BTreeMap<&'static str, Pool>,
    executions: AtomicUsize,
    max_executions: usize,
    /// Requests a second over all functions.
    requests: Bucket,
}

/// Environments of one function.
struct Pool {
    program: Program,
    /// Those that wait for a request. The one that was used last is used first.
    idle: Mutex<Vec<Function>>,
    growth: Bucket,
    counts: Mutex<PoolCounts>,
}

/// What became of a function's environments.
#[derive(Clone, Copy, Default, Serialize)]
pub(crate) struct PoolCounts {
    /// Environments that were started.
    pub(crate) cold_starts: usize,
    /// Most environments that handled a request at the same time.
    pub(crate) peak: usize,
    #[serde(skip)]
    busy: usize,
}

/// Result of an invocation.
pub(crate) enum Invocation {
    /// The function responded, in the format that API Gateway expects.
    Response(Bytes),
    /// Lambda refused to run the function.
    Throttled,
}

/// Counts a value until it is dropped.
struct Running<'a>(&'a AtomicUsize);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Lambda {
    /// Returns the functions without any environment.
    pub(crate) fn new(programs: &Programs<'_>, quotas: &Quotas) -> Self {
        let pool = |function| {
            let pool = Pool {
                program: programs.session_api(function),
                idle: Mutex::default(),
                growth: Bucket::new(quotas.growth / 10.0, quotas.growth),
                counts: Mutex::default(),
            };
            (function, pool)
        };
        let requests = quotas.concurrency * REQUESTS_PER_EXECUTION;
        Self {
            pools: crate::FUNCTIONS.into_iter().map(pool).collect(),
            executions: AtomicUsize::new(0),
            max_executions: quotas.concurrency as usize,
            requests: Bucket::new(requests, requests),
        }
    }

    /// Invokes a function, in an environment that is idle or else in a new one.
    pub(crate) async fn invoke(&self, function: &str, event: &Bytes) -> Result<Invocation> {
        let pool = self.pools.get(function).context("no such function")?;
        let running = Running(&self.executions);
        let is_below_quota = self.executions.fetch_add(1, Ordering::Relaxed) < self.max_executions;
        if !is_below_quota || !self.requests.take() {
            return Ok(Invocation::Throttled);
        }
        let idle = pool.idle().pop();
        let mut environment = match idle {
            Some(environment) => environment,
            None if !pool.growth.take() => return Ok(Invocation::Throttled),
            None => {
                pool.counts().cold_starts += 1;
                tokio::time::sleep(PLACEMENT).await;
                pool.program.start(None).await?
            }
        };
        pool.began();
        let result = environment.invoke(event).await;
        pool.counts().busy -= 1;
        drop(running);
        let response = result?;
        pool.idle().push(environment);
        Ok(Invocation::Response(response.into_payload()))
    }

    /// Returns what became of the environments of each function that was invoked.
    pub(crate) fn counts(&self) -> BTreeMap<&'static str, PoolCounts> {
        let counts = self.pools.iter().map(|(name, pool)| (*name, *pool.counts()));
        counts.filter(|(_, counts)| counts.peak > 0).collect()
    }
}

impl Pool {
    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Function>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn counts(&self) -> std::sync::MutexGuard<'_, PoolCounts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn began(&self) {
        let mut counts = self.counts();
        counts.busy += 1;
        counts.peak = counts.peak.max(counts.busy);
    }
}
