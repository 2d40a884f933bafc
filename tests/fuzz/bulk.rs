//! Rows by the million: what `rows` tries some hundred times, on all cores and for as long as you like.

use std::env;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use lamplighter::model::name::AppId;
use lamplighter::model::observed::Observed;
use lamplighter::model::row::Row;
use proptest::collection::vec;
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::Value;

use crate::feed::Feed;
use crate::planned::{lives, sight};
use crate::rows::{complaint, id_of, item, page};
use crate::values::{key, row};

/// Rows of one page, which are planned for in one row of sights.
const PAGE: u64 = 50;

#[test]
#[ignore = "a command: ROWS=10000000 cargo test --release --test fuzz bulk -- --ignored --nocapture"]
fn rows_by_the_million() {
    let setting = |name, default: u64| env::var(name).map_or(default, |text| text.parse().unwrap());
    let (rows, seed) = (setting("ROWS", 100_000), setting("SEED", 1));
    let first = setting("FIRST", 0);
    let pages = rows.div_ceil(PAGE);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let (next, done, problems) = (AtomicU64::new(first), AtomicU64::new(0), AtomicU64::new(0));
    let began = Instant::now();
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                let feed = Feed::new();
                loop {
                    let page = next.fetch_add(1, Ordering::Relaxed);
                    if page >= first + pages {
                        return;
                    }
                    let found = one_page(&feed, seed, page);
                    problems.fetch_add(found, Ordering::Relaxed);
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        scope.spawn(|| {
            let mut told = Instant::now();
            while done.load(Ordering::Relaxed) < pages && next.load(Ordering::Relaxed) < first + pages {
                thread::sleep(Duration::from_millis(100));
                if told.elapsed() > Duration::from_secs(10) {
                    told = Instant::now();
                    progress(done.load(Ordering::Relaxed) * PAGE, rows, began);
                }
            }
        });
    });
    progress(done.into_inner() * PAGE, rows, began);
    println!(
        "seed {seed}: {} rows had something wrong with them, and said so",
        problems.into_inner()
    );
}

fn progress(done: u64, rows: u64, began: Instant) {
    let seconds = began.elapsed().as_secs_f64();
    #[allow(clippy::cast_precision_loss, reason = "a figure for people")]
    let rate = done as f64 / seconds;
    println!("{done} of {rows} rows in {seconds:.0} s, {rate:.0} a second");
}

/// How many of its rows have problems.
fn one_page(feed: &Feed, seed: u64, number: u64) -> u64 {
    let replay = format!("replay: SEED={seed} FIRST={number} ROWS={PAGE}");
    let mut entropy = [0; 32];
    entropy[..8].copy_from_slice(&seed.to_le_bytes());
    entropy[8..16].copy_from_slice(&number.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &entropy);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let count = usize::try_from(PAGE).unwrap();
    let given = (vec((key(), row()), count), vec(sight(), count));
    let (items, sights) = given.new_tree(&mut runner).unwrap().current();
    let items: Vec<Value> = items.into_iter().map(item).collect();
    let found = feed.ask(&[page(&items)], async |cloud| cloud.desired.rows().await);
    let found = found.unwrap_or_else(|error| panic!("{}\n{replay}", error.chain()));
    let unreadable = items.iter().filter(|item| id_of(item).is_none()).count();
    assert_eq!(found.unreadable, unreadable, "{replay}");
    for row in found.rows.values() {
        assert_eq!(complaint(row), None, "{row:?}\n{replay}");
    }
    let bad = found.rows.values().filter(|row| !row.problems.is_empty()).count();
    let id = AppId::from_key("a1").unwrap();
    let rows: Vec<Observed<Row>> = found.rows.into_values().map(Observed::Present).collect();
    if let Err(wrong) = lives(&id, &rows, Observed::Absent, &sights) {
        panic!("{wrong}\n{replay}");
    }
    u64::try_from(bad).unwrap()
}
