//! Reports that were made lately, so that who asks again reads no history. One is made at a time, and whoever waits for
//! it mostly finds it made.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::SignedDuration;
use jiff::Timestamp;
use jiff::civil::Date;
use tokio::sync::Mutex;

use crate::cloud::{Result, StateStore};
use crate::controller::handle::Fleet;
use crate::model::policy::Policy;
use crate::report::{Day, Report};

/// How many days are kept: those that were made last.
const KEPT_MAX: usize = 8;
/// For how long the report of a day that can still change is told again as it was.
const FRESH: SignedDuration = SignedDuration::from_mins(1);

/// Reports that were made lately, by day.
#[derive(Debug, Default)]
pub struct Reports(Mutex<BTreeMap<Date, Arc<Report>>>);

impl Reports {
    /// The report of `day`. What is left and what comes next is always as of `now`, save for a minute.
    pub(super) async fn of(
        &self,
        day: &Day,
        fleet: &Fleet,
        policy: &Policy,
        store: &Arc<dyn StateStore>,
        now: Timestamp,
    ) -> Result<Arc<Report>> {
        let mut kept = self.0.lock().await;
        if let Some(report) = kept.get(&day.date) {
            let age = now.duration_since(report.as_of);
            if SignedDuration::ZERO <= age && age < FRESH {
                return Ok(Arc::clone(report));
            }
            if report.is_final() && age >= FRESH {
                return Ok(Arc::new(fleet.report_anew(report, policy, now)));
            }
        }
        let report = Arc::new(fleet.report(day, policy, store, now).await?);
        kept.insert(day.date, Arc::clone(&report));
        if kept.len() > KEPT_MAX {
            let oldest = kept.iter().min_by_key(|(_, report)| report.as_of);
            if let Some(date) = oldest.map(|(date, _)| *date) {
                kept.remove(&date);
            }
        }
        Ok(report)
    }
}
