//! The share of a CPU that Lambda gives a function by its memory, by way of Linux control groups.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

/// How often Lambda's scheduler fills up a function's share, as measured on Lambda from inside.
pub(crate) const PERIOD: Duration = Duration::from_millis(20);

/// A control group for one process, without a limit until [`Quota::impose`].
pub(crate) struct Quota {
    group: PathBuf,
    limit: (PathBuf, String),
}

impl Quota {
    /// A group that will have this many CPUs.
    pub(crate) fn new(cpus: f64, name: &str) -> Result<Self> {
        let period = PERIOD.as_micros();
        let quota = (cpus * PERIOD.as_secs_f64() * 1e6).round();
        let (parent, limit, value) = if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
            fs::write("/sys/fs/cgroup/cgroup.subtree_control", "+cpu")
                .context("the cpu controller cannot be handed on")?;
            ("/sys/fs/cgroup", "cpu.max", format!("{quota} {period}"))
        } else if Path::new("/sys/fs/cgroup/cpu").exists() {
            ("/sys/fs/cgroup/cpu", "cpu.cfs_quota_us", quota.to_string())
        } else {
            bail!("this machine has no control groups under /sys/fs/cgroup");
        };
        let group = Path::new(parent).join(format!("session-api-bench-{name}"));
        fs::create_dir_all(&group).with_context(|| format!("no group {}", group.display()))?;
        let this = Self { limit: (group.join(limit), value), group };
        if limit == "cpu.cfs_quota_us" {
            fs::write(this.group.join("cpu.cfs_period_us"), period.to_string())?;
        }
        Ok(this)
    }

    /// Moves a process in, with all its threads.
    pub(crate) fn admit(&self, process: u32) -> Result<()> {
        fs::write(self.group.join("cgroup.procs"), process.to_string())
            .with_context(|| format!("process {process} cannot join {}", self.group.display()))
    }

    /// Lets the limit begin.
    pub(crate) fn impose(&self) -> Result<()> {
        let (file, value) = &self.limit;
        fs::write(file, value).with_context(|| format!("{} cannot be set", file.display()))
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        // Only an empty group can be removed, and the kernel empties it a moment after the process
        // has ended. What is left behind costs nothing.
        for _ in 0..20 {
            if fs::remove_dir(&self.group).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
