//! The report of a day: gathered from the fleet and its history, for whoever asks and, once a day, for the log. And
//! what of it metrics show at all times.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinSet;

use super::Controller;
use super::handle::{AppSummary, Fleet};
use crate::cloud::{Result, StateStore};
use crate::metrics::Standing;
use crate::model::cost::Cost;
use crate::model::history::Event;
use crate::model::lease::{Held, Shard};
use crate::model::memory::Memory;
use crate::model::name::AppId;
use crate::model::policy::{Policy, Reporting};
use crate::model::schedule::later;
use crate::report::{self, Day, Known, LOOKED_FOR, Report, Subject};

/// How many histories are read at once: a report is in no hurry, and passes read the same table.
const AT_ONCE: usize = 8;
/// How often it is looked whether a day is to be reported, at the least. Clocks jump.
const LOOK_EVERY: Duration = Duration::from_mins(10);
/// How soon it is looked again before the first sweep is over.
const UNSWEPT: Duration = Duration::from_secs(5);
/// How soon it is tried again when a table could not be read, or another replica holds the first shard.
const AGAIN_AFTER: Duration = Duration::from_mins(1);
/// The longest that is counted as saved between two looks. Beyond that nobody looked, or the clock jumped.
const LOOK_GAP_MAX: SignedDuration = SignedDuration::from_mins(10);
/// How many missed days are made up for. Older ones can be asked for.
const MISSED_MAX: usize = 7;
/// How many lines about what is left go to the log.
const LINES_MAX: usize = 50;

impl Fleet {
    /// The report of a day, as of `now`. One query or two of the events table for each app that lived on that day.
    pub async fn report(
        &self,
        day: &Day,
        policy: &Policy,
        store: &Arc<dyn StateStore>,
        now: Timestamp,
    ) -> Result<Report> {
        let mut reads: JoinSet<Result<(AppId, Vec<Event>)>> = JoinSet::new();
        let mut histories = std::collections::BTreeMap::new();
        let to = later(day.to, LOOKED_FOR).min(later(now, SignedDuration::from_secs(1)));
        for id in self
            .apps
            .values()
            .filter(|app| lived(app, day))
            .map(|app| app.id.clone())
        {
            if reads.len() >= AT_ONCE
                && let Some(read) = reads.join_next().await
            {
                let (id, events) = joined(read)?;
                histories.insert(id, events);
            }
            let (store, from) = (Arc::clone(store), day.from);
            reads.spawn(async move {
                let events = store.history(&id, from, to).await?;
                Ok((id, events))
            });
        }
        while let Some(read) = reads.join_next().await {
            let (id, events) = joined(read)?;
            histories.insert(id, events);
        }
        let known = self.known(|id| histories.remove(id).unwrap_or_default(), now);
        Ok(report::of(day, &known, policy, now))
    }

    /// A final report with what is left and what comes next as of `now`. Reads nothing.
    pub fn report_anew(&self, report: &Report, policy: &Policy, now: Timestamp) -> Report {
        report::anew(report.clone(), &self.known(|_| Vec::new(), now), policy, now)
    }

    fn known(&self, mut history: impl FnMut(&AppId) -> Vec<Event>, now: Timestamp) -> Known<'_> {
        let apps = self.apps.values().map(|app| {
            let subject = Subject {
                id: &app.id,
                row: app.row.as_ref(),
                memory: app.memory.as_ref(),
            };
            (subject, history(&app.id))
        });
        Known {
            apps: apps.collect(),
            orphans: self.orphans(now),
        }
    }
}

/// Whether anything can have happened to an app on a day or after it.
fn lived(app: &AppSummary, day: &Day) -> bool {
    let over = app.memory.as_ref().and_then(|memory| memory.over_since);
    over.is_none_or(|over| over >= day.from)
}

/// A reading that panicked is ours, and the report with it.
fn joined<T>(read: std::result::Result<Result<T>, tokio::task::JoinError>) -> Result<T> {
    match read {
        Ok(read) => read,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

impl Controller {
    /// Reports each day once its time has come, until it is aborted. Of several replicas the one that holds the first
    /// shard does. Days that came due while nobody could are made up for; after a start the last one is told once more.
    pub(super) async fn report_days(self: Arc<Self>) {
        let mut told = None;
        loop {
            let now = self.clock.now();
            let reporting = &self.policy.reporting;
            let due = reporting.at.latest(now, &reporting.time_zone);
            if let Some(due) = due {
                self.metrics.day.report_due(due);
            }
            let mut pause = LOOK_EVERY;
            if let Some(due) = due.filter(|due| told.is_none_or(|told| told < *due || now < told)) {
                pause = AGAIN_AFTER;
                if self.state().swept.is_none() {
                    pause = UNSWEPT;
                } else if self.held().holds(Shard(0)) && self.report_until(due, told, now).await {
                    told = Some(due);
                    pause = LOOK_EVERY;
                }
            }
            let next = reporting.at.next(now, &reporting.time_zone);
            let until = next.map(|next| next.duration_since(now));
            let until = until.and_then(|until| Duration::try_from(until).ok());
            tokio::time::sleep(
                until
                    .map_or(pause, |until| until.min(pause))
                    .max(Duration::from_secs(1)),
            )
            .await;
        }
    }

    /// Whether every day could be reported that has come due by `due` and was not, by this process or any before it.
    async fn report_until(&self, due: Timestamp, told: Option<Timestamp>, now: Timestamp) -> bool {
        let stored = self.state().reported;
        // What a clock in the future has reported is not believed.
        let since = told.max(stored).filter(|since| *since <= now);
        let mut days = missed(&self.policy.reporting, since, due);
        if days.is_empty() && told.is_none() {
            days.push(due);
        }
        for at in days {
            if !self.report_day_before(at, now).await {
                return false;
            }
            if let Err(error) = self.cloud.state.set_reported(at).await {
                tracing::warn!(
                    error = error.chain(),
                    "that a day was reported could not be noted; it may be told again"
                );
            }
        }
        true
    }

    /// Whether the day before `due` could be reported.
    async fn report_day_before(&self, due: Timestamp, now: Timestamp) -> bool {
        let Some(day) = Day::before(due, &self.policy.reporting.time_zone) else {
            return true;
        };
        let fleet = self.state().fleet.clone();
        match fleet.report(&day, &self.policy, &self.cloud.state, now).await {
            Ok(report) => {
                log(&report);
                self.metrics.day.reported(now);
                true
            }
            Err(error) => {
                tracing::warn!(day = %day.date, error = error.chain(), "the day could not be reported; it is tried again");
                false
            }
        }
    }

    /// How the ends of days stand, and what runs and what does not is worth.
    pub(super) fn publish_day(&self, fleet: &Fleet, held: &Held, ours: &[&Memory], now: Timestamp) {
        let mut standing = Standing::default();
        let (mut saving, mut saving_cost) = (0_u32, Cost::ZERO);
        for memory in ours {
            let rate = report::hourly(memory, &self.policy).unwrap_or_default();
            if let Some(since) = report::due_since(memory) {
                let late = later(since, self.policy.reporting.late_after) < now;
                standing.overdue += usize::from(late);
            }
            if let Some(running) = report::standing(memory, now) {
                standing.exempt += usize::from(running == report::Running::Exempt);
                *standing.cost_per_hour.entry(running).or_default() += rate;
            } else if report::saves(memory, &self.policy, now) {
                saving += 1;
                saving_cost += rate;
            }
        }
        let orphans = fleet.orphans(now);
        standing.orphans_per_hour = orphans
            .iter()
            .filter_map(|orphan| report::hourly_of_orphan(orphan, &self.policy))
            .sum();
        let passed = self.since_last_told(now);
        // Each replica sees all of them, and counts those of its shards.
        let ours = orphans.iter().filter(|orphan| held.has(&orphan.id)).count();
        let ours = u32::try_from(ours).unwrap_or(u32::MAX);
        standing.orphaned = passed.unsigned_abs().saturating_mul(ours);
        standing.saved = passed.unsigned_abs().saturating_mul(saving);
        standing.saved_cost = saving_cost.over(passed);
        self.metrics.day.stand(&standing);
        let all = fleet.apps.values().filter_map(|app| app.memory.as_ref());
        self.metrics
            .day
            .set_builds(&report::builds(all, &self.policy.costs, now));
    }

    /// How much time has passed since this was last asked, as far as somebody looked.
    fn since_last_told(&self, now: Timestamp) -> SignedDuration {
        let mut told = self
            .told_at
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let before = told.replace(now).unwrap_or(now);
        now.duration_since(before)
            .clamp(SignedDuration::ZERO, LOOK_GAP_MAX)
    }
}

/// When the days came due that were not reported since then, oldest first, the last of them at `due`. Of a table that says
/// nothing, only that one.
fn missed(reporting: &Reporting, since: Option<Timestamp>, due: Timestamp) -> Vec<Timestamp> {
    let before = |at: &Timestamp| {
        let earlier = later(*at, SignedDuration::from_nanos(-1));
        reporting.at.latest(earlier, &reporting.time_zone)
    };
    let all = std::iter::successors(Some(due), before);
    let mut days: Vec<Timestamp> = match since {
        Some(since) => all.take_while(|at| *at > since).take(MISSED_MAX).collect(),
        None => vec![due],
    };
    days.reverse();
    days
}

/// The report as lines of the log: one of sums, and one for each app that is left.
fn log(report: &Report) {
    use crate::report::Outcome;
    let count = |outcome| report.due.iter().filter(|due| due.outcome == outcome).count();
    tracing::info!(
        day = %report.day,
        due = report.due.len(),
        gone = count(Outcome::Gone),
        suspended = count(Outcome::Suspended),
        late = report.due.iter().filter(|due| due.late).count(),
        exempt = report.exempt.len(),
        left = report.left.len(),
        "the report of a day",
    );
    for left in report.left.iter().take(LINES_MAX) {
        tracing::warn!(
            app = %left.which.id.escape_debug(),
            kind = ?left.kind,
            since = left.since.map(tracing::field::display),
            reason = %left.reason.escape_debug(),
            "is left over",
        );
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn each_day_that_was_missed_is_made_up_for_oldest_first_and_no_more_than_seven() {
        let reporting = Reporting {
            at: crate::model::schedule::Cron::parse("0 6 * * *").unwrap(),
            time_zone: jiff::tz::TimeZone::get("Europe/Berlin").unwrap(),
            ..Reporting::default()
        };
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let missed = |since: Option<&str>, due| -> Vec<String> {
            let days = missed(&reporting, since.map(at), at(due));
            days.iter().map(ToString::to_string).collect()
        };
        // Over the night in which clocks go back.
        assert_eq!(
            missed(Some("2026-10-23T04:00:00Z"), "2026-10-26T05:00:00Z"),
            [
                "2026-10-24T04:00:00Z",
                "2026-10-25T05:00:00Z",
                "2026-10-26T05:00:00Z"
            ]
        );
        assert_eq!(
            missed(Some("2026-10-26T05:00:00Z"), "2026-10-26T05:00:00Z"),
            [""; 0]
        );
        assert_eq!(missed(None, "2026-10-26T05:00:00Z"), ["2026-10-26T05:00:00Z"]);
        let many = missed(Some("2026-08-01T04:00:00Z"), "2026-10-26T05:00:00Z");
        assert_eq!((many.len(), many[0].as_str()), (7, "2026-10-20T04:00:00Z"));
    }
}
