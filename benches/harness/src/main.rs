//! Benchmarks the session API against minimal functions (the floor) and equivalent functions in Node
//! and Python (the peers), under Lambda's conditions, and load-tests it against AWS's limits.
//! `make bench` and `make load` build everything and run them.

mod chart;
mod cost;
mod dynamodb;
mod function;
mod load;
mod measure;
mod program;
mod quota;
mod report;
mod session_data;
mod subject;
#[path = "../../../examples/local/table.rs"]
mod table;
mod train;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

use anyhow::{Context as _, Result};
use clap::{Args, Parser};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use dynamodb::DynamoDb;
use measure::{FUNCTION_SIZES, Sampling};
use program::Programs;
use quota::Quota;
use report::{Results, Zip};
use subject::Subject;

/// Measures the session API under Lambda's conditions.
#[derive(Parser)]
enum Command {
    /// Measure the API's functions, minimal functions, and functions in Node and Python
    Functions(Options),
    /// Load-test the functions behind stand-ins that enforce AWS's limits
    Load(load::Options),
    /// Send the requests that profile-guided optimization learns from
    Train(train::Options),
}

#[derive(Args)]
struct Options {
    #[command(flatten)]
    directories: Directories,
    /// Directory of the zips that `make package` makes of the functions
    #[arg(long, value_name = "DIR")]
    zips: PathBuf,
    /// Directory to write the results to
    #[arg(long, default_value = "target/bench/results", value_name = "DIR")]
    results: PathBuf,
    /// Measure only functions whose name contains this text
    #[arg(long, default_value = "", value_name = "TEXT")]
    only: String,
    /// Cold starts of each function at each function size
    #[arg(long, default_value_t = 10, value_name = "N")]
    starts: usize,
    /// Warm requests to each function
    #[arg(long, default_value_t = 5_000, value_name = "N")]
    requests: usize,
}

/// What is measured.
#[derive(Args, Default)]
struct Directories {
    /// Directory of the session API's functions, as built by `make package`
    #[arg(long, value_name = "DIR")]
    functions: PathBuf,
    /// Directory of the session API's functions, as built by `cargo lambda build`, without a
    /// recorded profile
    #[arg(long, default_value = "target/lambda", value_name = "DIR")]
    plain: PathBuf,
    /// Directory of the functions in `benches/floor`, once built
    #[arg(long, default_value = "target/bench/floor", value_name = "DIR")]
    floor: PathBuf,
    /// Directory of the peers, as installed by `benches/peers/install`
    #[arg(long, default_value = ".tools/peers", value_name = "DIR")]
    peers: PathBuf,
}

const FUNCTIONS: [&str; 3] = ["read", "write", "destroy"];
/// Number of rounds that the warm requests are divided into.
const ROUNDS: usize = 50;

#[tokio::main]
async fn main() -> Result<()> {
    match Command::parse() {
        Command::Functions(options) => measure_functions(options).await,
        Command::Load(options) => load::run(options).await,
        Command::Train(options) => train::run(options).await,
    }
}

async fn measure_functions(mut options: Options) -> Result<()> {
    let directories = &mut options.directories;
    for directory in [&mut directories.functions, &mut directories.plain, &mut directories.floor] {
        *directory = directory
            .canonicalize()
            .with_context(|| format!("no built functions in {}", directory.display()))?;
    }
    let mut missing = Vec::new();
    directories.peers = std::path::absolute(&directories.peers)?;
    let has_peers = ["python/installed", "node/build/handler.mjs"]
        .iter()
        .all(|part| directories.peers.join(part).exists());
    if !has_peers {
        missing.push("the peers: benches/peers/install did not complete".to_owned());
    }
    let sizes: &[_] = match Quota::new(1.0, "probe") {
        Ok(_) => &FUNCTION_SIZES,
        Err(error) => {
            missing
                .push(format!("the effect of Lambda's CPU limit, which requires root: {error:#}"));
            &[]
        }
    };
    fs::create_dir_all(&options.results)?;

    let dynamodb = DynamoDb::start(None).await?;
    let scratch = tempfile::tempdir()?;
    let programs = Programs::new(&options.directories, &dynamodb, scratch.path())?;
    subject::prepare(&programs, &dynamodb).await?;
    let mut subjects = Subject::all(&programs, has_peers)?;
    subjects.retain(|subject| subject.name.contains(&options.only));
    let requests_per_round = options.requests.div_ceil(ROUNDS);
    let sampling = Sampling { starts: options.starts, rounds: ROUNDS, requests_per_round };
    let functions = measure::measure(&subjects, sizes, &sampling).await?;
    println!("Consumed capacity");
    let costs = cost::measure(&programs, &dynamodb).await?;
    let zips = zip_sizes(&options.zips)?;

    let results = Results {
        date: current_time()?,
        machine: describe_machine()?,
        targets: Results::targets(&functions, &costs.operations, &zips),
        functions,
        costs: costs.operations,
        write_ids: costs.write_ids,
        zips,
        missing,
    };
    let markdown = results.to_markdown()?;
    println!("\n{markdown}");
    let file = |name| options.results.join(name);
    fs::write(file("results.md"), &markdown)?;
    fs::write(file("results.json"), serde_json::to_string_pretty(&results)? + "\n")?;
    fs::write(file("chart.svg"), chart::draw(&results)?)?;
    println!("Wrote results.md, results.json and chart.svg to {}", options.results.display());
    Ok(())
}

/// Returns the size of each function's deployment package.
fn zip_sizes(zips: &Path) -> Result<Vec<Zip>> {
    let zip = |function| {
        let path = zips.join(function).with_extension("zip");
        let file =
            fs::metadata(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Zip { function, bytes: file.len() })
    };
    FUNCTIONS.into_iter().map(zip).collect()
}

/// Returns the current time, in RFC 3339 format.
fn current_time() -> Result<String> {
    Ok(OffsetDateTime::now_utc().replace_nanosecond(0)?.format(&Rfc3339)?)
}

/// Describes the machine that runs the benchmark.
fn describe_machine() -> Result<String> {
    let info = fs::read_to_string("/proc/cpuinfo")?;
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or(std::env::consts::ARCH, |(_, model)| model);
    Ok(format!("{} cores of {model}, Linux", available_parallelism()?))
}
