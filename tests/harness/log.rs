//! Captures what the functions log.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, OnceLock};

use serde_json::Value;
use tracing::Dispatch;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;

use super::library::log_subscriber;

/// The current thread's log.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Captures what this thread logs until the guard is dropped.
    pub(crate) fn capture(level: LevelFilter) -> (Self, DefaultGuard) {
        // With only one subscriber in the process, the first thread to reach a log statement decides for all threads
        // whether it's enabled, and that may be another test's thread, which has no subscriber. A second subscriber,
        // which is never dropped, makes `tracing` ask each thread.
        static SECOND: OnceLock<Dispatch> = OnceLock::new();
        SECOND.get_or_init(|| Dispatch::new(log_subscriber(LevelFilter::OFF, io::sink)));
        let log = Self::default();
        let guard = tracing::subscriber::set_default(log_subscriber(level, log.clone()));
        (log, guard)
    }

    /// Returns everything logged so far.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// Returns the lines logged so far.
    pub(crate) fn lines(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
