//! The CPU share that Lambda allots to a function by its memory, enforced by Linux control groups.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

/// Interval at which Lambda replenishes a function's CPU quota, as measured inside a function.
pub(crate) const PERIOD: Duration = Duration::from_millis(20);

/// A control group for one process. It has no limit until [`Quota::enforce`].
pub(crate) struct Quota {
    directory: PathBuf,
    limit: (PathBuf, String),
}

impl Quota {
    /// Creates a group for a limit of `cpus` CPUs.
    pub(crate) fn new(cpus: f64, name: &str) -> Result<Self> {
        let period_us = PERIOD.as_micros();
        let quota_us = (cpus * PERIOD.as_secs_f64() * 1e6).round();
        let (parent, limit, value) = if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
            fs::write("/sys/fs/cgroup/cgroup.subtree_control", "+cpu")
                .context("cannot enable the cpu controller")?;
            ("/sys/fs/cgroup", "cpu.max", format!("{quota_us} {period_us}"))
        } else if Path::new("/sys/fs/cgroup/cpu").exists() {
            ("/sys/fs/cgroup/cpu", "cpu.cfs_quota_us", quota_us.to_string())
        } else {
            bail!("there are no control groups in /sys/fs/cgroup");
        };
        let directory = Path::new(parent).join(format!("session-api-bench-{name}"));
        fs::create_dir_all(&directory)
            .with_context(|| format!("cannot create {}", directory.display()))?;
        let quota = Self { limit: (directory.join(limit), value), directory };
        if limit == "cpu.cfs_quota_us" {
            fs::write(quota.directory.join("cpu.cfs_period_us"), period_us.to_string())?;
        }
        Ok(quota)
    }

    /// Moves a process into the group, with all its threads.
    pub(crate) fn add_process(&self, process: u32) -> Result<()> {
        fs::write(self.directory.join("cgroup.procs"), process.to_string()).with_context(|| {
            format!("cannot move process {process} into {}", self.directory.display())
        })
    }

    /// Enforces the limit from now on.
    pub(crate) fn enforce(&self) -> Result<()> {
        let (file, value) = &self.limit;
        fs::write(file, value).with_context(|| format!("cannot write {}", file.display()))
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        // Only an empty group can be removed, and the kernel needs a moment to remove an exited
        // process from it. A leftover group does no harm.
        for _ in 0..20 {
            if fs::remove_dir(&self.directory).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
