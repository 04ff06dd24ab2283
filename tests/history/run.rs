//! Runs many histories at the same time, and counts them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng;
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt as _};

use crate::board::Board;
use crate::client::Client;
use crate::faults::{Faults, MAX_DELAY, Mode};
use crate::generate::Profile;
use crate::harness::{App, Timeouts, engine};
use crate::proxy::Network;
use crate::report::{History, Verdict};

/// Clients per history, and operations per client.
const CLIENTS: usize = 4;
const OPERATIONS: usize = 8;
/// Rounds per history. Between rounds, its clock jumps.
const ROUNDS: [usize; 3] = [1, 2, 4];
/// How far the clock jumps, in seconds: past leases, grace periods, and lifetimes. No sum of up to three jumps comes
/// close to any of those, so nothing expires in the middle of a round.
const JUMPS: [u64; 4] = [70, 350, 4_000, 90_000];
/// Number of histories that run at the same time.
const CONCURRENCY: usize = 12;
/// Progress is reported after this many histories.
const PROGRESS: usize = 100;
/// A history counts as stuck after this long, which is far longer than it takes even on a busy machine.
const MAX_DURATION: Duration = Duration::from_secs(300);
/// Time limit of each request. `DELETE /sessions` retries that long.
const TIME_LIMIT: Duration = Duration::from_secs(3);

/// Derives a history's settings from its seed: the faults, the profile, and the number of rounds.
fn settings(seed: u64) -> (Faults, Profile, usize) {
    let (mode, rest) = choose(&Mode::ALL, seed);
    let (rounds, rest) = choose(&ROUNDS, rest);
    let (profile, rest) = choose(&Profile::ALL, rest);
    let (rarity, _) = choose(&[2, 4], rest);
    (Faults { mode, rarity }, profile, rounds)
}

/// Returns one of the values, and a number for further choices.
fn choose<T: Copy>(values: &[T], number: u64) -> (T, u64) {
    let count = values.len() as u64;
    (values[usize::try_from(number % count).unwrap()], number / count)
}

/// Runs a seed's history on a table.
async fn history(seed: u64, table: &str) -> History {
    let (faults, profile, rounds) = settings(seed);
    let mut random = Rng::with_seed(seed);
    let network = Network::new(faults, random.fork());
    let board = Arc::new(Board::new());
    // Use short time limits only where the faults need them: on a busy machine, they cause faults of their own.
    let timeouts = if faults.mode.is_slow() { Timeouts::Short } else { Timeouts::Long };
    let app = App::connect(table, engine::endpoint(), timeouts);
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let app = app.connected_to(&network.endpoint(number).await, timeouts);
        let app = app.with_time_limit(TIME_LIMIT);
        let about = (faults, profile);
        clients.push(Client::new(number, app, &board, &network, about, random.fork()));
    }
    clients[0].start().await;
    for round in 0..rounds {
        if round > 0 {
            board.jump(JUMPS[random.usize(0..JUMPS.len())]);
        }
        let operations = OPERATIONS / rounds;
        let running = clients.into_iter().map(|client| tokio::spawn(client.run(operations)));
        clients = join_all(running).await.into_iter().map(Result::unwrap).collect();
        // Wait for everything that is still on its way.
        tokio::time::sleep(MAX_DELAY).await;
    }
    let reader = clients.swap_remove(0);
    drop(clients);
    reader.finish().await;
    network.close();
    Arc::into_inner(board).unwrap().into_history()
}

/// Runs the histories of these seeds until the time is up. Prints progress, each history that isn't
/// linearizable, and the counts.
///
/// # Errors
/// The seeds of the histories that are not linearizable.
pub(crate) async fn histories(
    seeds: impl Iterator<Item = u64>,
    time: Option<Duration>,
) -> Result<(), Vec<u64>> {
    let table = engine::create_table().await;
    let started = Instant::now();
    let is_time_left = |_: &u64| time.is_none_or(|time| started.elapsed() < time);
    let run = async |seed| {
        let history = tokio::time::timeout(MAX_DURATION, history(seed, &table)).await;
        let Ok(history) = history else {
            return (seed, Verdict::Wrong("  The history did not end.".to_owned()));
        };
        // A search may take a while, and must not hold up other histories' clients.
        (seed, tokio::task::spawn_blocking(move || history.check()).await.unwrap())
    };
    let mut counts: BTreeMap<Mode, (usize, usize)> = BTreeMap::new();
    let mut wrong = Vec::new();
    let (mut done, mut undecided) = (0, 0);
    let mut histories =
        stream::iter(seeds.take_while(is_time_left)).map(run).buffer_unordered(CONCURRENCY);
    while let Some((seed, verdict)) = histories.next().await {
        let (Faults { mode, .. }, profile, rounds) = settings(seed);
        let (count, count_wrong) = counts.entry(mode).or_default();
        *count += 1;
        done += 1;
        match verdict {
            Verdict::Linearizable => {}
            Verdict::Undecided => undecided += 1,
            Verdict::Wrong(explanation) => {
                *count_wrong += 1;
                wrong.push(seed);
                println!(
                    "seed {seed} is not linearizable. Faults: {mode:?}. Operations: {profile:?}, {rounds} rounds. Repeat it: \
                     SEED={seed} SECONDS=60 cargo test --test history histories -- --nocapture\n{explanation}"
                );
            }
        }
        if done % PROGRESS == 0 {
            let seconds = started.elapsed().as_secs();
            println!("{done} histories in {seconds} s, {} not linearizable", wrong.len());
        }
    }
    for (mode, (count, count_wrong)) in counts {
        println!("{:12} {count:6} histories, {count_wrong} not linearizable", format!("{mode:?}"));
    }
    println!("{undecided} of them were too large to decide");
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}
