//! The AWS limits that the stand-ins enforce, and the times they add.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Serialize;

/// How many requests are let through: a rate, and a burst above it. AWS enforces it on a best-effort basis,
/// the stand-in exactly.
#[derive(Clone, Copy, Serialize)]
pub(crate) struct Throttle {
    /// Requests a second.
    pub(crate) rate: f64,
    pub(crate) burst: f64,
}

/// An account's and a stack's limits.
#[derive(Clone, Serialize)]
pub(crate) struct Quotas {
    /// Each route of the stack: the template's parameters.
    pub(crate) route: Throttle,
    /// All requests at [API Gateway](https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html).
    pub(crate) account: Throttle,
    /// Concurrent executions in
    /// [Lambda](https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html).
    pub(crate) concurrency: f64,
    /// Execution environments that each function [gains in ten
    /// seconds](https://docs.aws.amazon.com/lambda/latest/dg/scaling-behavior.html). AWS also allows growth by
    /// 10,000 requests a second. This test ignores that, because the limits above are reached first.
    pub(crate) growth: f64,
    /// Partitions of a new on-demand table. Together they allow its
    /// [4,000 write units and 12,000 read units](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html).
    pub(crate) partitions: usize,
    /// [Units a second of each
    /// partition](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html).
    pub(crate) partition_reads: f64,
    pub(crate) partition_writes: f64,
}

/// Requests a second that Lambda allows per execution in the quota.
pub(crate) const REQUESTS_PER_EXECUTION: f64 = 10.0;
/// Time that Lambda takes to create an execution environment, before its process starts. AWS documents
/// [cold starts of under 100 ms to over 1 s](https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html),
/// which include a function's init. An assumption: nothing here can measure it.
pub(crate) const PLACEMENT: Duration = Duration::from_millis(100);
/// Duration of a read and of a write in DynamoDB, which AWS describes as
/// [single-digit milliseconds](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Introduction.html).
/// Also an assumption. The embedded engine takes a fraction of a millisecond.
pub(crate) const READ_TIME: Duration = Duration::from_millis(4);
pub(crate) const WRITE_TIME: Duration = Duration::from_millis(7);

impl Quotas {
    /// Returns an account's default quotas, and the template's default throttling.
    pub(crate) fn default_account() -> Result<Self> {
        Ok(Self {
            route: Throttle {
                rate: template_default("ThrottlingRate")?,
                burst: template_default("ThrottlingBurst")?,
            },
            account: Throttle { rate: 10_000.0, burst: 5_000.0 },
            concurrency: 1_000.0,
            growth: 1_000.0,
            partitions: 4,
            partition_reads: 3_000.0,
            partition_writes: 1_000.0,
        })
    }

    /// Divides all limits except the number of partitions by `scale`. If the load is divided too, about the same share
    /// of it is refused, or slightly more, because random peaks are relatively higher at low rates.
    pub(crate) fn scaled_down(&self, scale: f64) -> Self {
        let throttle =
            |Throttle { rate, burst }| Throttle { rate: rate / scale, burst: burst / scale };
        Self {
            route: throttle(self.route),
            account: throttle(self.account),
            concurrency: self.concurrency / scale,
            growth: self.growth / scale,
            partitions: self.partitions,
            partition_reads: self.partition_reads / scale,
            partition_writes: self.partition_writes / scale,
        }
    }
}

/// Returns the default of a template parameter.
fn template_default(parameter: &str) -> Result<f64> {
    let template = include_str!("../../../../template.yaml");
    let template: serde_yaml_ng::Value = serde_yaml_ng::from_str(template)?;
    let default = template.get("Parameters").and_then(|all| all.get(parameter)?.get("Default"));
    default
        .and_then(serde_yaml_ng::Value::as_f64)
        .with_context(|| format!("template.yaml has no number as the default of {parameter}"))
}
