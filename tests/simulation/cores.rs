//! Work on every core, and what it cost.

use std::sync::atomic::{AtomicUsize, Ordering};

/// What running something cost.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    pub(crate) wall: f64,
    /// Of the processors, by all threads together. As much as the wall shows where the system does not tell.
    pub(crate) cpu: f64,
}

/// Calls `work` with 0, 1, 2… below `count` on every core, in order.
pub(crate) fn on_every_core(count: usize, work: impl Fn(usize) + Sync) -> Cost {
    #[allow(
        clippy::disallowed_methods,
        reason = "measures the test itself, not the simulation"
    )]
    let begin = std::time::Instant::now();
    let next = AtomicUsize::new(0);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let spent = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores)
            .map(|_| {
                scope.spawn(|| {
                    loop {
                        let n = next.fetch_add(1, Ordering::SeqCst);
                        if n >= count {
                            return thread_seconds();
                        }
                        work(n);
                    }
                })
            })
            .collect();
        let spent = threads.into_iter().map(|thread| thread.join().unwrap());
        spent.sum::<Option<f64>>()
    });
    let wall = begin.elapsed().as_secs_f64();
    Cost {
        wall,
        cpu: spent.unwrap_or(wall),
    }
}

/// How long this thread has kept a processor busy. Tests of one binary run side by side, so the process as a whole
/// does not tell.
fn thread_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").ok()?;
    // proc(5): after the name in brackets, utime and stime are fields 12 and 13, in hundredths of a second.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u32>().ok();
    Some(f64::from(ticks()? + ticks()?) / 100.0)
}
