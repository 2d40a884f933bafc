//! The real SDK's clients in front of made-up answers, on paused time: what would hang for a day ends at once, and
//! says so.

use std::env;
use std::fmt::Debug;
use std::time::Duration;

use lamplighter::cloud::{Cloud, Error};
use proptest::strategy::Strategy;
use proptest::test_runner::{
    Config, FileFailurePersistence, RngAlgorithm, TestCaseError, TestRng, TestRunner,
};
use tokio::runtime::{Builder, Runtime};

use crate::canned::{Answer, Canned};

/// Longer than any call of ours may take, retries included.
const PATIENCE: Duration = Duration::from_hours(2);

/// Where what failed once is kept; every test tries it first.
const REGRESSIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/proptest-regressions/fuzz.txt");

pub(crate) struct Feed {
    runtime: Runtime,
    canned: Canned,
    cloud: Cloud,
}

impl Feed {
    pub(crate) fn new() -> Self {
        let mut runtime = Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        let canned = Canned::new([Answer::Broken]);
        let cloud = {
            let _inside = runtime.enter();
            canned.cloud().0
        };
        Self {
            runtime,
            canned,
            cloud,
        }
    }

    /// What a call comes to when AWS answers so; the last answer is given again and again.
    pub(crate) fn ask<T>(&self, answers: &[Answer], call: impl AsyncFnOnce(&Cloud) -> T) -> T {
        self.canned.answer_with(answers.iter().cloned());
        let answered = async { tokio::time::timeout(PATIENCE, call(&self.cloud)).await };
        self.runtime.block_on(answered).expect("the call ends")
    }
}

/// Tries so many cases of it, the same in every run; others, and `FUZZ_TIMES` times as many, if that is set. What fails
/// is cut down and kept in `proptest-regressions/fuzz.txt`.
#[track_caller]
pub(crate) fn check<S: Strategy>(cases: u32, given: &S, holds: impl Fn(S::Value) -> Result<(), TestCaseError>)
where
    S::Value: Debug,
{
    let times: Option<u32> = env::var("FUZZ_TIMES").ok().map(|times| times.parse().unwrap());
    let config = Config {
        cases: cases * times.unwrap_or(1),
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(REGRESSIONS))),
        max_shrink_iters: 20_000,
        ..Config::default()
    };
    let mut runner = match times {
        None => TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
        Some(_) => TestRunner::new(config),
    };
    if let Err(failure) = runner.run(given, holds) {
        panic!("{failure}");
    }
}

/// An error says which call it was.
pub(crate) fn names_the_call(error: &Error, service: &str) -> Result<(), TestCaseError> {
    let chain = error.chain();
    proptest::prop_assert!(chain.contains(service), "whose error is this: {chain}");
    proptest::prop_assert!(!chain.contains('\n') && chain.chars().count() <= 1_001, "{chain}");
    Ok(())
}
