//! Days on which no daemon could report: each is made up for when one is back, oldest first, and none is told that was.

use std::io::Write;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;

use crate::lab::{Lab, Setup};

/// A log in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// The days that were reported since this was last asked.
    fn days(&self) -> Vec<String> {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap());
        let text = String::from_utf8(bytes).unwrap();
        let lines = text.lines().filter(|line| line.contains("the report of a day"));
        let day = |line: &str| line.split_once(" day=").unwrap().1[..10].to_owned();
        lines.map(day).collect()
    }
}

/// The days that a daemon reports which is started at `time` and stopped when it has told the one that came due at `due`.
async fn reported(lab: &Lab, log: &Log, time: &str, due: &str) -> Vec<String> {
    let due: Timestamp = due.parse().unwrap();
    lab.clock.set(time.parse().unwrap());
    lab.start().await;
    lab.eventually("the last day is told", async || {
        let told = lab.metric("lamplighter_last_report_timestamp_seconds").await > 0;
        told && lab.snapshot().await.reported == Some(due)
    })
    .await;
    lab.stop().await;
    log.days()
}

/// On one thread, so that the log of this lab's daemons is caught and that of no other.
#[tokio::test]
async fn each_day_that_was_missed_is_reported_when_a_daemon_is_back() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false);
    let subscriber = subscriber.with_writer(move || writer.clone()).finish();
    let _caught = tracing::subscriber::set_default(subscriber);
    let lab = Lab::with(Setup {
        config: "[report]\nat = \"0 6 * * *\"\ntime_zone = \"Europe/Berlin\"\n".to_owned(),
        ..Setup::default()
    })
    .await;
    let (first, fifth, last) = (
        "2027-02-10T05:00:00Z",
        "2027-02-14T05:00:00Z",
        "2027-03-20T05:00:00Z",
    );
    let days = reported(&lab, &log, "2027-02-10T09:00:00Z", first).await;
    assert_eq!(days, ["2027-02-09"], "nothing is known of earlier ones");
    let days = reported(&lab, &log, "2027-02-10T12:00:00Z", first).await;
    assert_eq!(days, ["2027-02-09"], "once more after a start");
    let days = reported(&lab, &log, "2027-02-14T09:00:00Z", fifth).await;
    assert_eq!(days, ["2027-02-10", "2027-02-11", "2027-02-12", "2027-02-13"]);
    let days = reported(&lab, &log, "2027-03-20T09:00:00Z", last).await;
    assert_eq!(
        (days.len(), days[0].as_str(), days[6].as_str()),
        (7, "2027-03-13", "2027-03-19")
    );
}
