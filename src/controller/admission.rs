//! Admission: how many builds run at once, who is next, and when nothing may be started at all.
//!
//! CodeBuild queues builds itself, in an order that AWS calls unpredictable, and refuses more than five
//! times its limit; so builds wait here, where destroys go first and everybody can be told their place.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::{SignedDuration, Timestamp};

use crate::config::AdmissionLimits;
use crate::model::blueprint::BuildKind;
use crate::model::lease::Held;
use crate::model::memory::Memory;
use crate::model::name::AppId;
use crate::model::policy::Admission as Answer;
use crate::model::schedule::later;
use crate::planner::Class;

/// Who may start a build.
#[derive(Debug)]
pub(super) struct Admission {
    /// The whole budget, of all replicas together.
    budget: AdmissionLimits,
    /// Our part of it.
    limits: AdmissionLimits,
    held: Held,
    in_flight: BTreeMap<AppId, BuildKind>,
    /// Granted, and not written down yet as far as we know.
    granted: BTreeSet<AppId>,
    waiting: BTreeMap<AppId, Waiting>,
    started: VecDeque<Timestamp>,
    paused: Option<(Timestamp, String)>,
    sequence: u64,
}

#[derive(Clone, Debug)]
struct Waiting {
    class: Class,
    place: u64,
    asked_at: Timestamp,
}

/// How long an app that waits is put off before it asks again, if nobody wakes it earlier.
const ASK_AGAIN: SignedDuration = SignedDuration::from_secs(15);
/// After which silence an app is no longer waiting: it has been destroyed, refused or changed its mind.
const GIVEN_UP: SignedDuration = SignedDuration::from_secs(60);

impl Admission {
    /// Admission under these limits.
    pub(super) fn new(limits: AdmissionLimits) -> Self {
        Self {
            budget: limits,
            limits,
            held: Held::All,
            in_flight: BTreeMap::new(),
            granted: BTreeSet::new(),
            waiting: BTreeMap::new(),
            started: VecDeque::new(),
            paused: None,
            sequence: 0,
        }
    }

    /// Says which apps are ours. Each shard has its own part of the budget, so that replicas that know nothing of
    /// each other's decisions stay within the whole; what one shard does not use, another can't.
    pub(super) fn hold(&mut self, held: Held) {
        let destroys = held.share(self.budget.reserved_for_destroys);
        let deploys = held.share(self.budget.max_concurrent_builds - self.reserved());
        self.limits = AdmissionLimits {
            max_concurrent_builds: deploys + destroys,
            reserved_for_destroys: destroys,
            starts_per_minute: held.share(self.budget.starts_per_minute),
        };
        self.waiting.retain(|id, _| held.has(id));
        self.held = held;
    }

    fn reserved(&self) -> u32 {
        self.budget
            .reserved_for_destroys
            .min(self.budget.max_concurrent_builds)
    }

    /// Asks for a build. When it is granted, a place is taken at once; [`Admission::note`] corrects it.
    pub(super) fn ask(&mut self, id: &AppId, kind: BuildKind, class: Class, now: Timestamp) -> Answer {
        self.waiting
            .retain(|_, waiting| later(waiting.asked_at, GIVEN_UP) > now);
        if self.in_flight.contains_key(id) {
            return Answer::Granted;
        }
        let sequence = &mut self.sequence;
        let entry = self.waiting.entry(id.clone()).or_insert_with(|| {
            *sequence += 1;
            Waiting {
                class,
                place: *sequence,
                asked_at: now,
            }
        });
        entry.class = class;
        entry.asked_at = now;
        let mine = (class, entry.place);
        let ahead = self
            .waiting
            .values()
            .filter(|other| (other.class, other.place) < mine)
            .count();

        let (reason, until) = if let Some((until, reason)) = self.pause(now) {
            (reason, until)
        } else if let Some(until) = self.start_rate_allows_at(now) {
            ("builds are started at a limited rate".to_owned(), until)
        } else if ahead >= self.free(class) {
            (self.full(class), later(now, ASK_AGAIN))
        } else {
            self.waiting.remove(id);
            self.in_flight.insert(id.clone(), kind);
            self.granted.insert(id.clone());
            self.started.push_back(now);
            return Answer::Granted;
        };
        Answer::Waiting {
            place: ahead + 1,
            reason,
            until,
        }
    }

    /// Whether anything may be sent to `StartBuild` now, for an operation that has its place already.
    pub(super) fn ask_to_send(&mut self, now: Timestamp) -> Answer {
        match self.pause(now) {
            Some((until, reason)) => Answer::Waiting {
                place: 1,
                reason,
                until,
            },
            None => Answer::Granted,
        }
    }

    /// Takes note of what the tables said of an app at some time. What was granted since, they can't know.
    pub(super) fn note_read(&mut self, id: &AppId, memory: Option<&Memory>) {
        if !self.granted.contains(id) {
            self.note(id, memory);
        }
    }

    /// Takes note of what an app's memory says about its operation, at the end of a pass.
    pub(super) fn note(&mut self, id: &AppId, memory: Option<&Memory>) {
        self.granted.remove(id);
        match memory.and_then(Memory::in_flight) {
            Some(operation) => {
                self.in_flight.insert(id.clone(), operation.kind);
                self.waiting.remove(id);
            }
            None => {
                self.in_flight.remove(id);
            }
        }
    }

    /// The pass that was granted a build ended without telling what came of it.
    pub(super) fn pass_was_lost(&mut self, id: &AppId) {
        self.granted.remove(id);
    }

    /// Starts nothing until then. A later end wins.
    pub(super) fn pause_until(&mut self, until: Timestamp, reason: String) {
        if self.paused.as_ref().is_none_or(|(old, _)| *old < until) {
            self.paused = Some((until, reason));
        }
    }

    /// The apps that are next, to be woken when a place became free.
    pub(super) fn next(&self) -> Vec<AppId> {
        let mut line: Vec<(&AppId, &Waiting)> = self.waiting.iter().collect();
        line.sort_by_key(|(_, waiting)| (waiting.class, waiting.place));
        line.into_iter()
            .take(self.max())
            .map(|(id, _)| id.clone())
            .collect()
    }

    /// How many operations of our apps are in flight.
    pub(super) fn in_flight(&self) -> usize {
        let ours = |id: &&AppId| self.held.has(id);
        self.in_flight.keys().filter(ours).count()
    }

    /// How many apps wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Whether starts are paused.
    pub(super) fn is_paused(&self, now: Timestamp) -> bool {
        self.paused.as_ref().is_some_and(|(until, _)| *until > now)
    }

    fn pause(&mut self, now: Timestamp) -> Option<(Timestamp, String)> {
        if !self.is_paused(now) {
            self.paused = None;
        }
        self.paused.clone()
    }

    /// How many builds may run at once, of our part of the budget.
    pub(super) fn max(&self) -> usize {
        usize_of(self.limits.max_concurrent_builds)
    }

    /// How many builds of this class may start. Some places are kept for destroys, so that what costs money
    /// can always be put out.
    fn free(&self, class: Class) -> usize {
        let places = match class {
            Class::Teardown => self.max(),
            Class::Human | Class::Repair => self
                .max()
                .saturating_sub(usize_of(self.limits.reserved_for_destroys)),
        };
        places.saturating_sub(self.in_flight())
    }

    fn full(&self, class: Class) -> String {
        let (busy, most) = (self.in_flight(), self.max());
        match class {
            Class::Human | Class::Repair if busy < most => {
                format!("{busy} of {most} builds are at work and the rest is kept for destroys")
            }
            Class::Teardown | Class::Human | Class::Repair => format!("{busy} of {most} builds are at work"),
        }
    }

    /// When the next start is allowed, if not now.
    fn start_rate_allows_at(&mut self, now: Timestamp) -> Option<Timestamp> {
        let window = SignedDuration::from_mins(1);
        while self.started.front().is_some_and(|at| later(*at, window) <= now) {
            self.started.pop_front();
        }
        let most = usize_of(self.limits.starts_per_minute);
        let first = *self.started.front()?;
        (self.started.len() >= most).then(|| later(first, window))
    }
}

fn usize_of(limit: u32) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::model::lease::Shard;

    fn admission(max: u32, reserved: u32) -> Admission {
        Admission::new(AdmissionLimits {
            max_concurrent_builds: max,
            reserved_for_destroys: reserved,
            starts_per_minute: 100,
        })
    }

    fn id(text: &str) -> AppId {
        AppId::from_key(text).unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn place(answer: &Answer) -> usize {
        match answer {
            Answer::Waiting { place, .. } => *place,
            Answer::Granted | Answer::Unasked => 0,
        }
    }

    #[test]
    fn a_place_that_was_just_granted_is_not_lost_to_a_reading_that_began_before() {
        let mut admission = admission(1, 0);
        assert_eq!(
            admission.ask(&id("a"), BuildKind::Apply, Class::Human, at(0)),
            Answer::Granted
        );
        admission.note_read(&id("a"), None);
        assert_eq!(
            place(&admission.ask(&id("b"), BuildKind::Apply, Class::Human, at(0))),
            1
        );
        // Its pass ended without an operation.
        admission.note(&id("a"), None);
        assert_eq!(
            place(&admission.ask(&id("b"), BuildKind::Apply, Class::Human, at(1))),
            0
        );
    }

    #[test]
    fn destroys_go_first_and_places_are_told() {
        let mut admission = admission(1, 0);
        let mut ask = |name: &str, class| place(&admission.ask(&id(name), BuildKind::Apply, class, at(0)));
        assert_eq!(ask("busy", Class::Human), 0);
        assert_eq!(ask("a", Class::Human), 1);
        assert_eq!(ask("b", Class::Human), 2);
        assert_eq!(ask("gone", Class::Teardown), 1);
        assert_eq!(ask("a", Class::Human), 2);
        admission.note(&id("busy"), None);
        assert_eq!(admission.next(), [id("gone")]);
        let mut ask = |name: &str, class| place(&admission.ask(&id(name), BuildKind::Apply, class, at(1)));
        assert_eq!(ask("a", Class::Human), 2, "a destroy that waits is not overtaken");
        assert_eq!(ask("gone", Class::Teardown), 0);
    }

    #[test]
    fn places_are_kept_for_destroys() {
        let mut admission = admission(2, 1);
        assert_eq!(
            admission.ask(&id("a"), BuildKind::Apply, Class::Human, at(0)),
            Answer::Granted
        );
        assert_eq!(
            place(&admission.ask(&id("b"), BuildKind::Apply, Class::Human, at(0))),
            1
        );
        assert_eq!(
            admission.ask(&id("c"), BuildKind::Destroy, Class::Teardown, at(0)),
            Answer::Granted
        );
    }

    #[test]
    fn a_pause_holds_everybody_until_it_ends() {
        let mut admission = admission(5, 0);
        admission.pause_until(at(60), "the account's limit is reached".to_owned());
        let answer = admission.ask(&id("a"), BuildKind::Destroy, Class::Teardown, at(0));
        assert!(
            matches!(answer, Answer::Waiting { until, .. } if until == at(60)),
            "{answer:?}"
        );
        assert_eq!(place(&admission.ask_to_send(at(59))), 1);
        assert_eq!(admission.ask_to_send(at(60)), Answer::Granted);
        assert_eq!(
            admission.ask(&id("a"), BuildKind::Destroy, Class::Teardown, at(60)),
            Answer::Granted
        );
    }

    #[test]
    fn starts_are_spread_over_the_minute() {
        let mut admission = admission(500, 0);
        admission.limits.starts_per_minute = 2;
        let mut ask =
            |name: &str, second| admission.ask(&id(name), BuildKind::Apply, Class::Human, at(second));
        assert_eq!(ask("a", 0), Answer::Granted);
        assert_eq!(ask("b", 10), Answer::Granted);
        assert!(matches!(ask("c", 11), Answer::Waiting { until, .. } if until == at(60)));
        assert_eq!(ask("c", 60), Answer::Granted);
    }

    #[test]
    fn whoever_stops_asking_leaves_the_line() {
        let mut admission = admission(1, 0);
        let mut ask =
            |name: &str, second| place(&admission.ask(&id(name), BuildKind::Apply, Class::Human, at(second)));
        assert_eq!(ask("busy", 0), 0);
        assert_eq!(ask("left", 0), 1);
        assert_eq!(ask("a", 1), 2);
        assert_eq!(ask("a", 61), 1);
    }

    #[test]
    fn replicas_that_share_the_shards_share_the_budget_and_know_their_own_builds_alone() {
        let replica = |held: &[u16]| {
            let mut admission = admission(5, 1);
            let held = held.iter().map(|n| Shard(*n)).collect();
            admission.hold(Held::Shards { of: 4, held });
            admission
        };
        let granted = |mut admission: Admission| {
            let mut granted = 0;
            for n in 0..200 {
                let id = id(&format!("app-{n}"));
                // Those of others are known from the tables, and count there.
                let mine = admission.held.has(&id);
                if mine && admission.ask(&id, BuildKind::Apply, Class::Human, at(n)) == Answer::Granted {
                    granted += 1;
                }
                if !mine {
                    admission.in_flight.insert(id, BuildKind::Apply);
                }
            }
            granted
        };
        assert_eq!(granted(replica(&[0, 1, 2, 3])), 4, "one is kept for destroys");
        assert_eq!(granted(replica(&[0, 2])), 2);
        assert_eq!(granted(replica(&[1])), 1);
        assert_eq!(granted(replica(&[])), 0);
    }
}
