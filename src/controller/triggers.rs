//! Ticks. The scheduler's jobs run in UTC and do nothing but send on a channel: user schedules are computed
//! by the planner, since `tokio-cron-scheduler` keeps the UTC offset a job was made with across changes of
//! the clock, lets jobs overlap and may drop ticks. A tick that is lost costs latency only.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};

/// What a tick asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tick {
    /// Read everything.
    Sweep,
    /// Wake what is due by wall time.
    Minute,
}

/// Starts the ticker. Ticks stop when the scheduler is dropped or shut down.
pub async fn start(sweep: Duration, ticks: mpsc::Sender<Tick>) -> Result<JobScheduler, JobSchedulerError> {
    let scheduler = JobScheduler::new().await?;
    for (cron, tick) in [
        (cron_for(sweep), Tick::Sweep),
        ("0 * * * * *".to_owned(), Tick::Minute),
    ] {
        let ticks = ticks.clone();
        let job = Job::new_async(cron.as_str(), move |_, _| {
            let ticks = ticks.clone();
            // A full channel means that the same tick is waiting already.
            Box::pin(async move {
                let _ = ticks.try_send(tick);
            })
        })?;
        scheduler.add(job).await?;
    }
    scheduler.start().await?;
    Ok(scheduler)
}

/// The cron expression that ticks at least as often as `interval`: cron can only divide a minute or an hour.
fn cron_for(interval: Duration) -> String {
    const DIVISORS: [u64; 11] = [30, 20, 15, 12, 10, 6, 5, 4, 3, 2, 1];
    let seconds = interval.as_secs().max(1);
    let largest = |most: u64| DIVISORS.into_iter().find(|divisor| *divisor <= most).unwrap_or(1);
    match seconds {
        0..60 => format!("0/{} * * * * *", largest(seconds)),
        60..3600 => format!("0 0/{} * * * *", largest(seconds / 60)),
        _ => "0 0 * * * *".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_come_at_least_as_often_as_asked() {
        let check = |seconds, expected| assert_eq!(cron_for(Duration::from_secs(seconds)), expected);
        check(0, "0/1 * * * * *");
        check(5, "0/5 * * * * *");
        check(59, "0/30 * * * * *");
        check(60, "0 0/1 * * * *");
        check(100, "0 0/1 * * * *");
        check(600, "0 0/10 * * * *");
        check(90_000, "0 0 * * * *");
    }
}
