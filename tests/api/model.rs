//! Model-based test: random sequences of operations have the outcomes that a simple model of the contract predicts,
//! and no session outlives its absolute lifetime.

mod check;
mod operation;
mod state;

use proptest::test_runner::{Config, TestRunner};

use crate::harness::App;
use check::Checker;
use operation::{Operation, operations};
use state::MAX_LIFETIME;

/// Several threads, because a request that ends all of a user's sessions takes more than a second.
const THREADS: usize = 8;
/// Number of sequences per thread.
const CASES: u32 = 8;

#[test]
fn random_operations_agree_with_the_model() {
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(run);
        }
    });
}

fn run() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&operations(), |operations| {
            runtime.block_on(async {
                let mut checker = Checker::new(App::with_max_lifetime(MAX_LIFETIME).await);
                checker.run(Operation::FIRST).await;
                for operation in operations {
                    checker.run(operation).await;
                    let newest = checker.state.ids.last().unwrap().clone();
                    checker.read(&newest).await;
                }
                let ids = checker.state.ids.clone();
                for id in &ids {
                    checker.read(id).await;
                }
                checker.state.time += u64::from(MAX_LIFETIME);
                assert!(ids.iter().all(|id| checker.state.readable(id).is_none()));
                for id in &ids {
                    checker.read(id).await;
                }
            });
            Ok(())
        })
        .unwrap();
}
