//! Load-tests the session API: its functions run behind stand-ins for API Gateway's throttling, Lambda's scaling
//! and DynamoDB's limits. `make load` builds the functions and runs this.

mod arrivals;
mod browse;
mod bucket;
mod chart;
mod gateway;
mod hot_session;
mod lambda;
mod locks;
mod quotas;
mod recording;
mod report;
mod revoke_all;
mod stack;
pub(crate) mod table_limits;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;

use arrivals::Rate;
use browse::Browsing;
use hot_session::HotSession;
use locks::Locks;
use quotas::{Quotas, Throttle};
use recording::Outcome;
use report::{Results, Scenario, percent};
use revoke_all::RevokeAll;
use stack::Stack;

#[derive(Args)]
pub(crate) struct Options {
    /// Directory of the session API's functions, as built by `cargo lambda build`
    #[arg(long, default_value = "target/lambda", value_name = "DIR")]
    functions: PathBuf,
    /// Directory to write the results to
    #[arg(long, default_value = "target/bench/results", value_name = "DIR")]
    results: PathBuf,
    /// Markdown file to update: the results replace the text between `<!-- load -->` and `<!-- /load -->`
    #[arg(long, value_name = "FILE", conflicts_with = "only")]
    update: Option<PathBuf>,
    /// Run only scenarios whose name contains this text
    #[arg(long, default_value = "", value_name = "TEXT")]
    only: String,
    /// Duration of each scenario that has a request rate, in seconds
    #[arg(long, default_value_t = 30, value_name = "N")]
    seconds: u64,
    /// Divide rates and quotas by this, for loads that this machine can't sustain
    #[arg(long, default_value_t = 20.0, value_name = "N")]
    scale: f64,
}

/// How long a steady load runs before it counts, so that environments can be created first.
const WARM_UP: Duration = Duration::from_secs(5);

/// Size of the hot session, in bytes.
const SESSION_BYTES: usize = 10_000;

const STEADY: &str = "steady";
const SPIKE: &str = "from nothing, `ThrottlingRate` 10,000";
const SPIKE_AS_DEPLOYED: &str = "from nothing, as deployed";

pub(crate) async fn run(mut options: Options) -> Result<()> {
    options.functions = options
        .functions
        .canonicalize()
        .with_context(|| format!("no built functions in {}", options.functions.display()))?;
    fs::create_dir_all(&options.results)?;
    let account = Quotas::default_account()?;
    let raised = Quotas { route: Throttle { rate: 10_000.0, burst: 5_000.0 }, ..account.clone() };
    let new_account = Quotas { concurrency: 10.0, ..account.clone() };

    let mut scenarios = Scenarios { options: &options, done: vec![] };
    scenarios.browse(STEADY, &account, 1.0, Rate::Steady(300.0)).await?;
    scenarios
        .browse("growing, as deployed", &account, options.scale, Rate::Growing(4_000.0))
        .await?;
    let growing = "growing, `ThrottlingRate` 10,000";
    scenarios.browse(growing, &raised, options.scale, Rate::Growing(15_000.0)).await?;
    let spike = Rate::Spike(10_000.0);
    scenarios.browse(SPIKE_AS_DEPLOYED, &account, options.scale, spike).await?;
    scenarios.browse(SPIKE, &raised, options.scale, spike).await?;
    for load in [0.5, 1.0, 2.0] {
        scenarios.hot_session(&account, load).await?;
    }
    scenarios.revoke_all(&account, 10_000).await?;
    scenarios.locks("50 pages, one lock", &account).await?;
    scenarios.locks("50 pages, one lock, 10 executions", &new_account).await?;

    let results = Results {
        date: crate::current_time()?,
        machine: crate::describe_machine()?,
        seconds: options.seconds,
        scenarios: scenarios.done,
    };
    let markdown = results.to_markdown()?;
    println!("\n{markdown}");
    let file = |name| options.results.join(name);
    fs::write(file("load.json"), serde_json::to_string_pretty(&results)? + "\n")?;
    fs::write(file("load.svg"), chart::draw(&results, &[STEADY, SPIKE, SPIKE_AS_DEPLOYED])?)?;
    println!("Wrote load.json and load.svg to {}", options.results.display());
    if let Some(document) = &options.update {
        update(document, &markdown).with_context(|| format!("{}", document.display()))?;
    }
    Ok(())
}

/// Runs scenarios one after the other.
struct Scenarios<'a> {
    options: &'a Options,
    done: Vec<Scenario>,
}

impl Scenarios<'_> {
    /// Sends page views at a rate. The rate and the quotas are divided by the scale.
    async fn browse(&mut self, name: &str, quotas: &Quotas, scale: f64, rate: Rate) -> Result<()> {
        if !self.begin(name) {
            return Ok(());
        }
        let time = Duration::from_secs(self.options.seconds);
        let quotas = quotas.scaled_down(scale);
        // More than this can't run at once in any scenario with divided quotas.
        let environments = quotas.concurrency.min(60.0) as usize;
        let stack = Stack::start(&self.options.functions, &quotas, environments).await?;
        let is_steady = matches!(rate, Rate::Steady(_));
        let warm_up = if is_steady { WARM_UP } else { Duration::ZERO };
        let Browsing { recording, lost } =
            browse::run(&stack, rate.divided_by(scale), warm_up, time).await?;
        let mut scenario = Scenario::new(name, &stack, &recording);
        scenario.rate = Some(rate);
        scenario.scale = scale;
        scenario.lost = Some(lost);
        // Retries of writes may arrive after the last page view.
        scenario.seconds.truncate(usize::try_from(self.options.seconds)?);
        let delay = scenario.delays.p99;
        scenario = scenario.at_most("p99 of the delay in sending, in ms", 20.0, delay);
        if let Rate::Spike(_) = rate {
            let last = scenario.seconds.len().saturating_sub(1);
            let [first, last] = [0, last].map(|second| percent(scenario.served_share(second)));
            scenario.remark = format!("{first} served in the first second, {last} in the last");
        }
        if is_steady {
            let refused = scenario.requests() - scenario.count(Outcome::Served);
            let ratio = scenario.latencies.p99 / scenario.latencies.p50;
            scenario = scenario.at_most("requests that are refused", 0.0, refused as f64).at_most(
                "p99 relative to the median",
                3.0,
                ratio,
            );
        }
        self.end(scenario);
        Ok(())
    }

    async fn hot_session(&mut self, quotas: &Quotas, load: f64) -> Result<()> {
        let name = format!("one session, {load} × its limit");
        if !self.begin(&name) {
            return Ok(());
        }
        let scale = self.options.scale;
        let quotas = quotas.scaled_down(scale);
        let stack = Stack::start(&self.options.functions, &quotas, 10).await?;
        let time = Duration::from_secs(self.options.seconds);
        let HotSession { recording, limit } =
            hot_session::run(&stack, &quotas, SESSION_BYTES, time, load).await?;
        let mut scenario = Scenario::new(name, &stack, &recording);
        scenario.scale = scale;
        let limit = limit * scale;
        scenario.rate = Some(Rate::Steady(limit * load));
        let possible = scenario.offered(&scenario.seconds).min(limit);
        let served = scenario.count(Outcome::Served) as f64 / time.as_secs_f64() * scale;
        scenario.remark =
            format!("{served:.0} writes a second are served; the partition admits {limit:.0}");
        let unserved = (1.0 - served / possible).max(0.0);
        let scenario =
            scenario.at_most("share of the admissible writes that failed", 0.1, unserved);
        self.end(scenario);
        Ok(())
    }

    async fn revoke_all(&mut self, quotas: &Quotas, sessions: usize) -> Result<()> {
        let name = format!("logout of {sessions} sessions");
        if !self.begin(&name) {
            return Ok(());
        }
        let stack = Stack::start(&self.options.functions, quotas, 0).await?;
        let RevokeAll { recording, time, requests, left } =
            revoke_all::run(&stack, sessions).await?;
        let mut scenario = Scenario::new(name, &stack, &recording);
        scenario.remark = format!("{requests} requests, {:.0} s", time.as_secs_f64());
        // The index has one partition for the user, and each deletion writes to it.
        let possible = sessions as f64 / quotas.partition_writes;
        let scenario = scenario.at_most("sessions that are left", 0.0, left as f64).at_most(
            "time relative to what the index admits",
            2.0,
            time.as_secs_f64() / possible,
        );
        self.end(scenario);
        Ok(())
    }

    async fn locks(&mut self, name: &str, quotas: &Quotas) -> Result<()> {
        const PAGES: u64 = 50;
        const TURNS: u64 = 4;
        if !self.begin(name) {
            return Ok(());
        }
        let stack = Stack::start(&self.options.functions, quotas, 0).await?;
        let Locks { recording, time, turns, lost } = locks::run(&stack, PAGES, TURNS).await?;
        let mut scenario = Scenario::new(name, &stack, &recording);
        scenario.lost = Some(lost);
        let seconds = time.as_secs_f64();
        let reads = stack.table.counts().read_units / turns.max(1) as f64;
        scenario.remark = format!(
            "{turns} of {} turns in {seconds:.0} s, {reads:.1} read units per turn",
            PAGES * TURNS
        );
        self.end(scenario);
        Ok(())
    }

    /// Prints the name of a scenario. Returns whether it should run.
    fn begin(&self, name: &str) -> bool {
        let is_chosen = name.contains(&self.options.only);
        if is_chosen {
            println!("{name}");
        }
        is_chosen
    }

    fn end(&mut self, scenario: Scenario) {
        println!("  {} requests, {} served", scenario.requests(), scenario.count(Outcome::Served));
        self.done.push(scenario);
    }
}

/// Locks a mutex even if a task panicked while holding it: the scenario fails with that panic anyway.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Replaces the results in a document.
fn update(document: &Path, markdown: &str) -> Result<()> {
    const START: &str = "<!-- load -->\n";
    const END: &str = "<!-- /load -->";
    let text = fs::read_to_string(document)?;
    let (before, rest) = text.split_once(START).context("no <!-- load -->")?;
    let (_, after) = rest.split_once(END).context("no <!-- /load -->")?;
    fs::write(document, format!("{before}{START}{markdown}{END}{after}"))?;
    Ok(())
}
