//! Measures the session API beside the floor and its peers, as Lambda runs them. `make bench` builds
//! everything and starts it.

mod chart;
mod cost;
mod dynamodb;
mod function;
mod measure;
mod program;
mod quota;
mod report;
mod session_data;
mod subject;
#[path = "../../../examples/local/table.rs"]
mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

use anyhow::{Context as _, Result};
use clap::Parser;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use dynamodb::DynamoDb;
use measure::{Effort, SIZES};
use program::Programs;
use quota::Quota;
use report::{Results, Zip};
use subject::Subject;

/// Measures the session API beside the floor and its peers, as Lambda runs them.
#[derive(Parser)]
struct Options {
    /// Folder of the session API's functions, as `cargo lambda build` leaves them
    #[arg(long, default_value = "target/lambda", value_name = "DIR")]
    functions: PathBuf,
    /// Folder of the functions of the floor
    #[arg(long, default_value = "target/bench/floor", value_name = "DIR")]
    floor: PathBuf,
    /// Folder of the peers, as `benches/peers/install` leaves them
    #[arg(long, default_value = ".tools/peers", value_name = "DIR")]
    peers: PathBuf,
    /// Folder that the results go to
    #[arg(long, default_value = "target/bench/results", value_name = "DIR")]
    results: PathBuf,
    /// Measure only the functions whose names contain this
    #[arg(long, default_value = "", value_name = "TEXT")]
    only: String,
    /// Cold starts of each function, for each size of function
    #[arg(long, default_value_t = 10, value_name = "N")]
    starts: usize,
    /// Warm requests to each function
    #[arg(long, default_value_t = 5_000, value_name = "N")]
    requests: usize,
}

const FUNCTIONS: [&str; 4] = ["read", "write", "rotate", "destroy"];
/// Rounds that the warm requests are made in.
const ROUNDS: usize = 50;

#[tokio::main]
async fn main() -> Result<()> {
    let mut options = Options::parse();
    for folder in [&mut options.functions, &mut options.floor] {
        *folder = folder
            .canonicalize()
            .with_context(|| format!("nothing is built in {}", folder.display()))?;
    }
    let mut missing = Vec::new();
    options.peers = std::path::absolute(&options.peers)?;
    let has_peers = ["python/installed", "node/build/handler.mjs"]
        .iter()
        .all(|part| options.peers.join(part).exists());
    if !has_peers {
        missing.push("the peers: benches/peers/install did not come to its end".to_owned());
    }
    let sizes: &[_] = match Quota::new(1.0, "probe") {
        Ok(_) => &SIZES,
        Err(error) => {
            missing.push(format!("a CPU's share: {error:#}; it takes root"));
            &[]
        }
    };
    fs::create_dir_all(&options.results)?;

    let dynamodb = DynamoDb::start().await?;
    let scratch = tempfile::tempdir()?;
    let programs = Programs::new(&options, &dynamodb, scratch.path())?;
    subject::prepare(&programs, &dynamodb).await?;
    let mut subjects = Subject::all(&programs, has_peers)?;
    subjects.retain(|subject| subject.name.contains(&options.only));
    let requests = options.requests.div_ceil(ROUNDS);
    let effort = Effort { starts: options.starts, rounds: ROUNDS, requests };
    let functions = measure::measure(&subjects, sizes, &effort).await?;
    println!("What it costs");
    let costs = cost::measure(&programs, &dynamodb).await?;
    let zips = zips(&options.functions)?;

    let results = Results {
        date: OffsetDateTime::now_utc().replace_nanosecond(0)?.format(&Rfc3339)?,
        machine: machine()?,
        targets: Results::targets(&functions, &costs, &zips),
        functions,
        costs,
        zips,
        missing,
    };
    let tables = results.tables()?;
    println!("\n{tables}");
    let file = |name| options.results.join(name);
    fs::write(file("results.md"), &tables)?;
    fs::write(file("results.json"), serde_json::to_string_pretty(&results)? + "\n")?;
    fs::write(file("chart.svg"), chart::draw(&results)?)?;
    println!("Written to {}: results.md, results.json, chart.svg", options.results.display());
    Ok(())
}

/// What of each function goes up to Lambda.
fn zips(functions: &Path) -> Result<Vec<Zip>> {
    let zip = |function| {
        let path = functions.join(function).join("bootstrap.zip");
        let file = fs::metadata(&path).with_context(|| format!("no {}", path.display()))?;
        Ok(Zip { function, bytes: file.len() })
    };
    FUNCTIONS.into_iter().map(zip).collect()
}

/// What this was measured on.
fn machine() -> Result<String> {
    let info = fs::read_to_string("/proc/cpuinfo")?;
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or(std::env::consts::ARCH, |(_, model)| model);
    Ok(format!("{} cores of {model}, Linux", available_parallelism()?))
}
