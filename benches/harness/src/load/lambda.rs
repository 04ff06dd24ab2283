//! Lambda's scaling: environments that handle one request at a time, cold starts, and the limits on both.

use std::collections::BTreeMap;
use std::sync::Mutex;

use anyhow::{Context as _, Result};
use axum::body::Bytes;
use serde::Serialize;
use tokio::sync::Semaphore;

use super::bucket::Bucket;
use super::lock;
use super::quotas::{PLACEMENT, Quotas, REQUESTS_PER_EXECUTION};
use crate::function::Function;
use crate::program::{Program, Programs};

/// A stack's functions, which have their account to themselves.
pub(crate) struct Lambda {
    pools: BTreeMap<&'static str, Pool>,
    executions: Semaphore,
    /// Requests a second across all functions.
    requests: Bucket,
}

/// One function's environments.
struct Pool {
    program: Program,
    /// Idle environments, the most recently used last.
    idle: Mutex<Vec<Function>>,
    /// Processes for new environments.
    spares: Mutex<Vec<Function>>,
    growth: Bucket,
    counts: Mutex<PoolCounts>,
}

/// How many environments a function had.
#[derive(Clone, Copy, Default, Serialize)]
pub(crate) struct PoolCounts {
    /// Environments that were started.
    pub(crate) cold_starts: usize,
    /// The most environments that handled requests at the same time.
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

impl Lambda {
    /// Returns the functions without any environment.
    pub(crate) fn new(programs: &Programs<'_>, quotas: &Quotas) -> Self {
        let pool = |function| {
            let pool = Pool {
                program: programs.session_api(function),
                idle: Mutex::default(),
                spares: Mutex::default(),
                growth: Bucket::new(quotas.growth / 10.0, quotas.growth),
                counts: Mutex::default(),
            };
            (function, pool)
        };
        let requests = quotas.concurrency * REQUESTS_PER_EXECUTION;
        Self {
            pools: crate::FUNCTIONS.into_iter().map(pool).collect(),
            executions: Semaphore::new(quotas.concurrency as usize),
            requests: Bucket::new(requests, requests),
        }
    }

    /// Starts processes for a function's new environments, one after the other, because on AWS, environments that
    /// start at the same time don't compete for one machine's cores.
    pub(crate) async fn prepare(&self, function: &str, environments: usize) -> Result<()> {
        let pool = self.pool(function)?;
        for _ in 0..environments {
            let spare = pool.program.start(None).await?;
            lock(&pool.spares).push(spare);
        }
        Ok(())
    }

    /// Invokes a function in an idle environment, or else in a new one.
    pub(crate) async fn invoke(&self, function: &str, event: &Bytes) -> Result<Invocation> {
        let pool = self.pool(function)?;
        let Ok(_execution) = self.executions.try_acquire() else {
            return Ok(Invocation::Throttled);
        };
        if !self.requests.take() {
            return Ok(Invocation::Throttled);
        }
        let idle = lock(&pool.idle).pop();
        let mut environment = match idle {
            Some(environment) => environment,
            None if !pool.growth.take() => return Ok(Invocation::Throttled),
            None => pool.cold_start().await?,
        };
        pool.began();
        let result = environment.invoke(event).await;
        lock(&pool.counts).busy -= 1;
        let response = result?;
        lock(&pool.idle).push(environment);
        Ok(Invocation::Response(response.into_payload()))
    }

    /// Returns the counts of each invoked function.
    pub(crate) fn counts(&self) -> BTreeMap<&'static str, PoolCounts> {
        let counts = self.pools.iter().map(|(name, pool)| (*name, *lock(&pool.counts)));
        counts.filter(|(_, counts)| counts.peak > 0).collect()
    }

    /// Resets the counts.
    pub(crate) fn reset_counts(&self) {
        for pool in self.pools.values() {
            let mut counts = lock(&pool.counts);
            *counts = PoolCounts { busy: counts.busy, ..PoolCounts::default() };
        }
    }

    fn pool(&self, function: &str) -> Result<&Pool> {
        self.pools.get(function).context("no such function")
    }
}

impl Pool {
    /// Returns a new environment, after the time it takes to create and initialize one.
    async fn cold_start(&self) -> Result<Function> {
        lock(&self.counts).cold_starts += 1;
        tokio::time::sleep(PLACEMENT).await;
        let spare = lock(&self.spares).pop();
        let Some(environment) = spare else { return self.program.start(None).await };
        tokio::time::sleep(environment.init).await;
        Ok(environment)
    }

    fn began(&self) {
        let mut counts = lock(&self.counts);
        counts.busy += 1;
        counts.peak = counts.peak.max(counts.busy);
    }
}
