//! What a seed decides: who asks for what and when, what goes wrong, and which daemons run. All of it is
//! drawn before the first step, so that the daemon's behaviour cannot change the world it is tested in.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use lamplighter::config::{AdmissionLimits, Intervals, LeaseSettings};
use lamplighter::model::claim::{OnConflict, Scope};
use simcloud::{Behaviour, Match};

use crate::dice::Dice;
use crate::fringe;
use crate::keeps::{self, Keeping};
use crate::row::RowSpec;
use crate::trouble::{self, Trouble};
use crate::{wish, workload};

/// How deep a simulation goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// The real SDK between daemon and world, for mapping, pages, retries and classes of errors.
    Sdk,
    /// The world right behind the traits of the edge, for the mass of seeds.
    Direct,
}

impl Depth {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sdk => "sdk",
            Self::Direct => "direct",
        }
    }
}

/// One simulation.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
pub(crate) struct Scenario {
    pub(crate) depth: Depth,
    pub(crate) seed: u64,
    pub(crate) begin: Timestamp,
    /// From here on nobody changes anything and nothing goes wrong.
    pub(crate) quiet: Timestamp,
    pub(crate) events: Vec<(Timestamp, Event)>,
    pub(crate) trouble: Trouble,
    pub(crate) replicas: Vec<Replica>,
    pub(crate) scope: Scope,
    pub(crate) on_conflict: OnConflict,
    /// Whether builds ask at the gate.
    pub(crate) gate: bool,
    pub(crate) admission: AdmissionLimits,
    pub(crate) intervals: Intervals,
    /// How replicas share the apps; `None` on half the seeds: all of them act on everything.
    pub(crate) leases: Option<LeaseSettings>,
    pub(crate) workers: usize,
    pub(crate) concurrent_builds: usize,
    pub(crate) memory_retention: SignedDuration,
    /// Whether everybody asks once more when the trouble is over, so that nobody may stay refused or stalled.
    pub(crate) ask_again: bool,
    /// Whether CodeBuild may forget builds that somebody still waits for.
    pub(crate) forgetful: bool,
    /// Whether orphans are destroyed, ten minutes after they were found.
    pub(crate) reaps: bool,
    /// After how many destroys in a row that it survived a service is deleted directly; zero: never.
    pub(crate) force_delete_after: u32,
    /// How far exemptions may reach, and how long before it a stop is told.
    pub(crate) keeps: Keeping,
}

/// A daemon.
#[derive(Clone, Debug)]
pub(crate) struct Replica {
    /// How wrong its clock is.
    pub(crate) skew: SignedDuration,
    pub(crate) seed: u64,
}

/// Something that happens.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// The portal writes a row.
    Put { id: String, row: Box<RowSpec> },
    /// The portal deletes a row.
    Delete { id: String },
    /// Somebody changes the world behind everybody's back; `which` picks among what is there.
    Meddle { what: Meddling, which: u64 },
    /// The next build of that kind goes wrong.
    Build { matching: Match, behaviour: Behaviour },
    /// An app misbehaves until healed.
    Spoil { id: String, how: Spoilt },
    /// It behaves again.
    Heal { id: String },
    /// A daemon dies, `after` that many more calls (zero: at once), and is started anew a while later.
    Crash {
        replica: usize,
        after: u64,
        answered: bool,
        down: SignedDuration,
    },
    /// A daemon sleeps with all that it has in hand, and goes on as if nothing had been.
    Freeze { replica: usize, length: SignedDuration },
    /// The clock of a daemon is wrong by that much from now on.
    ClockJumps { replica: usize, to: SignedDuration },
    /// The credentials of every daemon expire, and new ones come after that long.
    CredentialsExpire { length: SignedDuration },
    /// The table of rows is empty, and nobody has deleted anything, until rows come back.
    TableEmptied,
    /// So many more of the rows that the portal has not deleted are there again.
    TableComesBack { rows: usize },
    /// An operator pauses one app, or all.
    Pause { id: Option<String> },
    /// An operator ends that.
    Resume { id: Option<String> },
    /// An operator gives an app an exemption through the API.
    Keep { id: String, until: Timestamp },
    /// An operator ends what an app was given.
    Unkeep { id: String },
    /// Memory is as binaries of other ages would have written it.
    OtherBinary,
    /// The state table is backed up.
    BackUp,
    /// The state table is empty.
    StateLost,
    /// The state table is what it was when it was backed up.
    StateRestored,
}

/// What a person does to the world.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Meddling {
    Scale(u32),
    DeleteService,
    DetachTargetGroup,
    DeleteTargetGroup,
    StopBuild,
    /// Of a build that has ended: somebody starts it again, or CodeBuild does.
    RetryBuild,
    /// CodeBuild does not know a build any more.
    ForgetBuild,
    KillTasks,
    /// Somebody else uses up what ECS lets the account call.
    ExhaustRates,
}

/// How an app misbehaves.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Spoilt {
    CrashLoop,
    Unhealthy,
    ErrorPage,
}

/// Days on which everything becomes quiet at 00:40 UTC. No zone of the workload has a boundary from then to
/// half past seven in the morning. Two of them are days after a change of the clock.
const DAYS: [&str; 5] = [
    "2027-02-11",
    "2027-03-29",
    "2027-06-18",
    "2026-11-02",
    "2027-01-01",
];

/// Days after a change of the clock: forward and back by half an hour on Lord Howe, back in Berlin, forward in New York.
const CHANGES: [&str; 4] = ["2026-10-05", "2027-04-05", "2026-10-26", "2027-03-15"];

/// On a quarter of the seeds, one of those. Seeds up to 100, among them those that planted bugs are found with, and the
/// stream is one by which those of seeds.txt have none: they stay what they were.
fn day_after_a_change(seed: u64) -> Option<&'static str> {
    let mut dice = Dice::new(seed, 46);
    (dice.percent(25) && seed > 100).then(|| dice.pick(&CHANGES))
}

/// Leases of one to four minutes on half the seeds, in up to three shards. Through the SDK there are none: each look at
/// them would cost a thousand times as much, and renewals could not be told from changes.
fn leases(seed: u64, depth: Depth, admission: AdmissionLimits) -> Option<LeaseSettings> {
    let mut dice = Dice::new(seed, 12);
    let on = dice.percent(50) && depth == Depth::Direct;
    let most = admission.max_concurrent_builds - admission.reserved_for_destroys;
    let shards = dice.between(1, u64::from(most.min(admission.starts_per_minute).min(3)));
    let duration = Duration::from_secs(dice.between(60, 240));
    on.then(|| LeaseSettings {
        shards: u16::try_from(shards).unwrap(),
        duration,
        poll: duration / 12,
    })
}

/// On four of ten seeds, after one to three destroys.
fn force_delete_after(seed: u64) -> u32 {
    let mut dice = Dice::new(seed, 23);
    let after = u32::try_from(dice.between(1, 3)).unwrap();
    if dice.percent(40) { after } else { 0 }
}

impl Scenario {
    pub(crate) fn of(seed: u64, depth: Depth) -> Self {
        let mut dice = Dice::new(seed, 1);
        let day = dice.pick(&DAYS);
        let day = day_after_a_change(seed).unwrap_or(day);
        let quiet: Timestamp = format!("{day}T00:40:00Z").parse().unwrap();
        let hours = match depth {
            Depth::Sdk => dice.between(8, 30),
            Depth::Direct => dice.between(92, 100),
        };
        let begin = quiet - SignedDuration::from_hours(i64::try_from(hours).unwrap());
        let two = dice.percent(35);
        let skewed = dice.percent(35);
        let replicas: Vec<Replica> = (0..if two { 2 } else { 1 })
            .map(|_| Replica {
                skew: if skewed {
                    dice.seconds(-900, 900)
                } else {
                    SignedDuration::ZERO
                },
                seed: dice.next(),
            })
            .collect();
        let secs = |dice: &mut Dice, low, high| Duration::from_secs(dice.between(low, high));
        let intervals = Intervals {
            sweep: secs(&mut dice, 120, 420),
            progress: secs(&mut dice, 8, 40),
            row_poll: secs(&mut dice, 20, 120),
            ready_recheck: secs(&mut dice, 120, 900),
        };
        let concurrent = dice.between(2, 6);
        let admission = AdmissionLimits {
            max_concurrent_builds: u32::try_from(concurrent).unwrap(),
            reserved_for_destroys: u32::from(dice.percent(50)),
            starts_per_minute: u32::try_from(dice.between(2, 20)).unwrap(),
        };
        let mut scenario = Self {
            depth,
            seed,
            begin,
            quiet,
            events: Vec::new(),
            trouble: Trouble::of(seed),
            scope: if dice.percent(25) {
                Scope::UserApp
            } else {
                Scope::User
            },
            on_conflict: if Dice::new(seed, 21).percent(50) {
                OnConflict::Replace
            } else {
                OnConflict::Refuse
            },
            gate: true,
            admission,
            intervals,
            leases: leases(seed, depth, admission),
            workers: usize::try_from(dice.between(1, 8)).unwrap(),
            // Sometimes fewer than admission believes, so that builds queue or are refused.
            concurrent_builds: usize::try_from(dice.between(1, concurrent + 2)).unwrap(),
            memory_retention: if dice.percent(50) {
                SignedDuration::from_mins(20)
            } else {
                SignedDuration::from_hours(30 * 24)
            },
            ask_again: dice.percent(50),
            forgetful: false,
            reaps: Dice::new(seed, 22).percent(30),
            force_delete_after: force_delete_after(seed),
            keeps: Keeping::of(seed),
            replicas,
        };
        workload::draw(&mut scenario);
        trouble::draw(&mut scenario);
        fringe::draw(&mut scenario);
        trouble::draw_more(&mut scenario);
        keeps::draw(&mut scenario);
        keeps::draw_nights(&mut scenario);
        fringe::draw_far(&mut scenario);
        scenario.events.sort_by_key(|(at, _)| *at);
        scenario
    }

    /// Whether CodeBuild may forget a build that has ended then, or not yet.
    pub(crate) fn may_forget(&self, ended: Option<Timestamp>, now: Timestamp) -> bool {
        self.forgetful || ended.is_some_and(|ended| now.duration_since(ended) > SignedDuration::from_hours(2))
    }

    /// How late a daemon may notice a write: any of these. Where nothing goes wrong there is no excuse but how often
    /// it looks.
    pub(crate) fn lags(&self) -> &'static [SignedDuration] {
        let disturbs = |(_, event): &(Timestamp, Event)| {
            matches!(
                event,
                Event::Crash { .. }
                    | Event::Freeze { .. }
                    | Event::ClockJumps { .. }
                    | Event::CredentialsExpire { .. }
                    | Event::Meddle {
                        what: Meddling::ExhaustRates,
                        ..
                    }
                    | Event::StateLost
                    | Event::StateRestored
            )
        };
        let calm = self.trouble.rates.is_empty() && !self.events.iter().any(disturbs);
        let lags = wish::NOTICED_AFTER.as_slice();
        if calm && self.leases.is_none() {
            &lags[..3]
        } else {
            lags
        }
    }

    /// The largest error of any daemon's clock.
    pub(crate) fn skew(&self) -> SignedDuration {
        self.skews().map(SignedDuration::abs).max().unwrap_or_default()
    }

    /// Every error that a daemon's clock has at some time, none, and each a little larger: from a decision to what comes
    /// of it takes some time.
    pub(crate) fn clock_errors(&self, slack: SignedDuration) -> BTreeSet<SignedDuration> {
        self.skews()
            .chain([SignedDuration::ZERO])
            .flat_map(|skew| [skew, skew - slack, skew + slack])
            .collect()
    }

    fn skews(&self) -> impl Iterator<Item = SignedDuration> {
        let later = self.events.iter().filter_map(|(_, event)| match event {
            Event::ClockJumps { to, .. } => Some(*to),
            _ => None,
        });
        self.replicas.iter().map(|replica| replica.skew).chain(later)
    }
}
