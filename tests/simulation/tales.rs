//! Short scenarios in which one thing happens to one or two apps. Their calls are where single faults are placed,
//! so every host name is given and nothing is left to chance.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use lamplighter::config::{AdmissionLimits, Intervals, LeaseSettings};
use lamplighter::model::claim::{OnConflict, Scope};
use lamplighter::model::row::Desired;
use simcloud::{Behaviour, Match, Phase};

use crate::keeps::Keeping;
use crate::row::{Broken, RowSpec};
use crate::scenario::{Depth, Event, Meddling, Replica, Scenario, Spoilt};
use crate::trouble::Trouble;

/// A scenario by its name.
pub(crate) struct Tale {
    pub(crate) name: &'static str,
    begin: &'static str,
    minutes: f64,
    replicas: usize,
    on_conflict: OnConflict,
    leases: Option<LeaseSettings>,
    events: Vec<(f64, Event)>,
}

/// A Tuesday morning, hours away from any end of a day.
const MORNING: &str = "2027-02-09T09:00:00Z";
/// Ten minutes before the day of `shop` and `desk` ends.
const EVENING: &str = "2027-02-09T17:50:00Z";
/// Ten minutes before the day of `wiki` ends.
const NIGHT: &str = "2027-02-09T23:20:00Z";

impl Tale {
    fn new(name: &'static str, minutes: f64, events: Vec<(f64, Event)>) -> Self {
        Self {
            name,
            begin: MORNING,
            minutes,
            replicas: 1,
            on_conflict: OnConflict::Refuse,
            leases: None,
            events,
        }
    }

    fn begins(self, begin: &'static str) -> Self {
        Self { begin, ..self }
    }

    fn with_two_replicas(self) -> Self {
        Self { replicas: 2, ..self }
    }

    fn replacing(self) -> Self {
        Self {
            on_conflict: OnConflict::Replace,
            ..self
        }
    }

    /// Two replicas that share the apps by leases of a minute.
    fn with_leases(self) -> Self {
        let duration = Duration::from_mins(1);
        let leases = Some(LeaseSettings {
            shards: 1,
            duration,
            poll: duration / 12,
        });
        Self {
            leases,
            ..self.with_two_replicas()
        }
    }

    pub(crate) fn scenario(&self) -> Scenario {
        let begin: Timestamp = self.begin.parse().unwrap();
        let at = |minutes: f64| begin + SignedDuration::from_secs_f64(minutes * 60.0);
        Scenario {
            depth: Depth::Direct,
            seed: 7,
            begin,
            quiet: at(self.minutes),
            events: self
                .events
                .iter()
                .map(|(minutes, event)| (at(*minutes), dated(event, at(*minutes))))
                .collect(),
            trouble: Trouble::none(),
            replicas: (0..self.replicas)
                .map(|n| Replica {
                    skew: SignedDuration::ZERO,
                    seed: n as u64,
                })
                .collect(),
            scope: Scope::User,
            on_conflict: self.on_conflict,
            gate: true,
            admission: AdmissionLimits {
                max_concurrent_builds: 4,
                reserved_for_destroys: 1,
                starts_per_minute: 20,
            },
            intervals: Intervals {
                sweep: Duration::from_mins(2),
                progress: Duration::from_secs(20),
                row_poll: Duration::from_secs(30),
                ready_recheck: Duration::from_mins(5),
            },
            leases: self.leases,
            workers: 2,
            concurrent_builds: 5,
            memory_retention: SignedDuration::from_hours(30 * 24),
            ask_again: false,
            forgetful: true,
            reaps: false,
            force_delete_after: 0,
            keeps: Keeping::PLAIN,
        }
    }

    /// Whether nothing happens after its beginning, the end of a day neither.
    pub(crate) fn is_told_at_once(&self) -> bool {
        self.begin == MORNING && self.events.iter().all(|(at, _)| *at < 0.01)
    }

    /// Whether it lasts for days, so that few faults must do.
    pub(crate) fn is_long(&self) -> bool {
        self.minutes > 24.0 * 60.0
    }
}

/// A row's request is as old as its writing.
fn dated(event: &Event, at: Timestamp) -> Event {
    match event.clone() {
        Event::Put { id, mut row } => {
            row.requested_at = Some(at);
            row.expires_at = row.expires_at.map(|_| at + SignedDuration::from_mins(8));
            Event::Put { id, row }
        }
        other => other,
    }
}

fn row(user: &str, app: &'static str, host: &'static str, desired: Desired) -> RowSpec {
    RowSpec {
        user: user.to_owned(),
        app,
        desired,
        generation: None,
        requested_at: None,
        host: Some(host),
        size: None,
        zone: None,
        keep_until: None,
        expires_at: None,
        away: false,
        broken: None,
    }
}

/// The one app of most tales.
fn ann(app: &'static str, desired: Desired) -> Event {
    put("ann", row("ann", app, "tea.apps.example", desired))
}

fn put(id: &str, row: RowSpec) -> Event {
    Event::Put {
        id: id.to_owned(),
        row: Box::new(row),
    }
}

fn delete(id: &str) -> Event {
    Event::Delete { id: id.to_owned() }
}

fn meddle(what: Meddling) -> Event {
    Event::Meddle { what, which: 0 }
}

fn build(action: &str, behaviour: Behaviour) -> Event {
    Event::Build {
        matching: Match::any().action(action),
        behaviour,
    }
}

/// All of them.
pub(crate) fn all() -> Vec<Tale> {
    let mut all = plain();
    all.extend(misbehaving_builds());
    all.extend(meddled_with());
    all.extend(second_thoughts());
    all.extend(replacements());
    all.extend(ends_on_the_way());
    all.extend(shared());
    all.extend(troubled());
    all
}

fn up() -> (f64, Event) {
    (0.0, ann("shop", Desired::Running))
}

fn plain() -> Vec<Tale> {
    use Desired::{Destroyed, Running, Suspended};
    vec![
        Tale::new("deploy", 7.0, vec![up()]),
        Tale::new("deploy-with-two", 7.0, vec![up()]).with_two_replicas(),
        Tale::new(
            "two-projects",
            12.0,
            vec![(0.0, ann("desk", Running)), (7.0, ann("desk", Destroyed))],
        ),
        Tale::new("destroy", 12.0, destroyed()),
        Tale::new("destroy-with-two", 12.0, destroyed()).with_two_replicas(),
        Tale::new("row-deleted", 14.0, vec![up(), (7.0, delete("ann"))]),
        Tale::new(
            "suspend-and-resume",
            12.0,
            vec![up(), (6.0, ann("shop", Suspended)), (9.0, ann("shop", Running))],
        ),
        Tale::new("changed", 13.0, vec![up(), (6.0, put("ann", larger()))]),
        Tale::new("expires", 13.0, vec![(0.0, put("ann", expiring()))]),
        Tale::new("end-of-day", 17.0, vec![up()]).begins(EVENING),
        Tale::new("nap", 15.0, vec![(0.0, ann("wiki", Running))]).begins(NIGHT),
        Tale::new(
            "one-user-two-apps",
            24.0,
            vec![
                up(),
                (8.0, put("amy", row("ann", "blog", "milk.apps.example", Running))),
                (11.0, ann("shop", Destroyed)),
            ],
        ),
        Tale::new(
            "two-users-one-host",
            24.0,
            vec![
                up(),
                (8.0, put("bob", row("bob", "blog", "tea.apps.example", Running))),
                (11.0, delete("ann")),
            ],
        ),
    ]
}

fn destroyed() -> Vec<(f64, Event)> {
    vec![up(), (7.0, ann("shop", Desired::Destroyed))]
}

fn misbehaving_builds() -> Vec<Tale> {
    let first = |name, minutes, behaviour| {
        let events = vec![(0.0, build("apply", behaviour)), up()];
        Tale::new(name, minutes, events)
    };
    let last = |name, minutes, behaviour| {
        let mut events = destroyed();
        events.insert(1, (7.0, build("destroy", behaviour)));
        Tale::new(name, minutes, events)
    };
    vec![
        first("deploy-fails", 12.0, Behaviour::fail_before_applying()),
        first("deploy-fails-late", 12.0, Behaviour::fail_after_applying()),
        first("deploy-faults", 12.0, Behaviour::Fault(Phase::Build)),
        first("deploy-hangs", 26.0, Behaviour::hang_in(Phase::Build)),
        first("never-provisioned", 26.0, Behaviour::hang_in(Phase::Provisioning)),
        first("no-network", 10.0, Behaviour::ClientError),
        first("gate-unreachable", 12.0, Behaviour::GateUnreachable),
        first("gate-answer-lost", 12.0, Behaviour::GateAnswerLost),
        first("deploy-leaves-nothing", 20.0, Behaviour::LeavesNothing),
        last("destroy-fails", 16.0, Behaviour::fail_before_applying()),
        last("destroy-leaves-it", 18.0, Behaviour::LeavesService),
    ]
}

fn meddled_with() -> Vec<Tale> {
    let tale = |name, minutes, at, what| Tale::new(name, minutes, vec![up(), (at, meddle(what))]);
    vec![
        tale("service-deleted", 14.0, 6.0, Meddling::DeleteService),
        tale("route-lost", 16.0, 6.0, Meddling::DetachTargetGroup),
        tale("scaled-by-hand", 10.0, 6.0, Meddling::Scale(0)),
        tale("stopped-by-hand", 12.0, 1.5, Meddling::StopBuild),
        tale("stopped-in-the-build", 14.0, 2.5, Meddling::StopBuild),
        tale("target-group-deleted", 16.0, 6.0, Meddling::DeleteTargetGroup),
        tale("tasks-killed", 10.0, 6.0, Meddling::KillTasks),
        // A build that is not known any more is taken for running as long as CodeBuild lets any build run.
        tale("build-forgotten", 46.0 * 60.0, 2.5, Meddling::ForgetBuild),
        tale("build-started-again", 12.0, 5.0, Meddling::RetryBuild),
        Tale::new(
            "failed-build-started-again",
            16.0,
            vec![
                (0.0, build("apply", Behaviour::fail_before_applying())),
                up(),
                (4.5, meddle(Meddling::RetryBuild)),
            ],
        ),
        Tale::new(
            "killed-with-the-lock",
            16.0,
            vec![
                (
                    0.0,
                    build("apply", Behaviour::OutlivesStop(Duration::from_secs(40))),
                ),
                up(),
                (2.5, meddle(Meddling::StopBuild)),
            ],
        ),
    ]
}

/// In each phase of the build: queued, provisioning, just before the gate, past it, and late.
fn second_thoughts() -> Vec<Tale> {
    let cancelled = |(name, minutes)| {
        let events = vec![up(), (minutes, ann("shop", Desired::Destroyed))];
        Tale::new(name, minutes + 12.0, events)
    };
    let mut all: Vec<Tale> = [
        ("cancelled-at-once", 0.55),
        ("cancelled-early", 0.8),
        ("cancelled-at-the-gate", 1.2),
        ("cancelled-in-the-build", 2.5),
        ("cancelled-late", 3.8),
    ]
    .map(cancelled)
    .into();
    let back = vec![up(), (1.2, delete("ann")), (3.0, ann("shop", Desired::Running))];
    all.push(Tale::new("deleted-and-back", 14.0, back));
    all
}

/// One user's second app, asked for while the first one is up, being built, or was asked for again.
fn replacements() -> Vec<Tale> {
    let other = || put("amy", row("ann", "blog", "milk.apps.example", Desired::Running));
    vec![
        Tale::new("replace", 24.0, vec![up(), (8.0, other())]).replacing(),
        Tale::new("replace-with-two", 24.0, vec![up(), (8.0, other())])
            .replacing()
            .with_two_replicas(),
        Tale::new("replace-at-the-gate", 20.0, vec![up(), (1.2, other())]).replacing(),
        Tale::new(
            "replace-and-back",
            32.0,
            vec![up(), (6.0, other()), (9.0, ann("shop", Desired::Running))],
        )
        .replacing(),
    ]
}

/// The end of an app's time comes while it is being deployed or destroyed.
fn ends_on_the_way() -> Vec<Tale> {
    use Desired::{Running, Suspended};
    let mut late = vec![(8.0, ann("shop", Running))];
    let deploying_at_seven = Tale::new("end-of-day-in-the-build", 20.0, late.clone()).begins(EVENING);
    late.push((12.0, ann("shop", Running)));
    vec![
        deploying_at_seven,
        Tale::new("asked-again-after-the-end", 24.0, late).begins(EVENING),
        Tale::new(
            "suspended-in-the-build",
            12.0,
            vec![up(), (2.0, ann("shop", Suspended))],
        ),
        Tale::new(
            "changed-in-the-build",
            16.0,
            vec![up(), (2.0, put("ann", larger()))],
        ),
        Tale::new("row-deleted-in-the-build", 14.0, vec![up(), (2.5, delete("ann"))]),
        Tale::new("flapping", 16.0, {
            let flap = |n: u32| {
                let wish = if n.is_multiple_of(2) { Suspended } else { Running };
                (5.5 + f64::from(n) * 0.4, ann("shop", wish))
            };
            std::iter::once(up()).chain((0..8).map(flap)).collect()
        }),
        Tale::new(
            "row-spoilt-and-mended",
            12.0,
            vec![
                up(),
                (6.0, put("ann", spoilt(Broken::ParameterHuge))),
                (8.0, ann("shop", Running)),
            ],
        ),
        Tale::new(
            "user-renamed-and-back",
            12.0,
            vec![
                up(),
                (6.0, put("ann", spoilt(Broken::OtherUser))),
                (8.0, ann("shop", Running)),
            ],
        ),
    ]
}

/// Two replicas of which one holds the lease, and loses it.
fn shared() -> Vec<Tale> {
    let tale = |name, at, event| {
        let mut events = destroyed();
        events.insert(1, (at, event));
        Tale::new(name, 16.0, events).with_leases()
    };
    let length = SignedDuration::from_mins(3);
    let down = SignedDuration::from_mins(3);
    let dies = Event::Crash {
        replica: 0,
        after: 0,
        answered: false,
        down,
    };
    vec![
        Tale::new("leased", 14.0, destroyed()).with_leases(),
        tale("lease-lost-asleep", 0.6, Event::Freeze { replica: 0, length }),
        tale(
            "lease-lost-in-the-build",
            2.5,
            Event::Freeze { replica: 0, length },
        ),
        tale("holder-dies", 1.0, dies),
    ]
}

/// Trouble of the surroundings.
fn troubled() -> Vec<Tale> {
    let tale = |name, minutes, at, event| Tale::new(name, minutes, vec![up(), (at, event)]);
    let jumps = |minutes| Event::ClockJumps {
        replica: 0,
        to: SignedDuration::from_mins(minutes),
    };
    let length = SignedDuration::from_mins(4);
    let crash_loop = Event::Spoil {
        id: "ann".to_owned(),
        how: Spoilt::CrashLoop,
    };
    let heal = Event::Heal { id: "ann".to_owned() };
    let exhaust = Event::Meddle {
        what: Meddling::ExhaustRates,
        which: 599,
    };
    vec![
        tale(
            "credentials-expire",
            12.0,
            1.0,
            Event::CredentialsExpire { length },
        ),
        tale("ecs-is-used-up", 12.0, 3.5, exhaust),
        tale(
            "sleeps-in-the-build",
            14.0,
            2.0,
            Event::Freeze { replica: 0, length },
        ),
        tale("other-binary", 9.0, 2.0, Event::OtherBinary),
        tale("clock-jumps-ahead", 20.0, 6.0, jumps(15)).begins(EVENING),
        tale("clock-jumps-back", 30.0, 11.0, jumps(-15)).begins(EVENING),
        Tale::new("crash-loop", 14.0, vec![(0.0, crash_loop), up(), (7.0, heal)]),
        Tale::new("table-emptied", 40.0, {
            let mut events: Vec<(f64, Event)> = (0..7).map(crowd).collect();
            events.push((14.0, Event::TableEmptied));
            // Three rows are missing for a while, which would be ordinary deletions if they were all. That comes later than
            // any replica sleeps: who has never seen the mass cannot tell.
            events.push((28.0, Event::TableComesBack { rows: 4 }));
            events.push((34.0, Event::TableComesBack { rows: usize::MAX }));
            events
        }),
    ]
}

/// Seven apps of seven users.
fn crowd(n: usize) -> (f64, Event) {
    const CROWD: [(&str, &str); 7] = [
        ("ada", "ada.apps.example"),
        ("bea", "bea.apps.example"),
        ("cem", "cem.apps.example"),
        ("dan", "dan.apps.example"),
        ("eva", "eva.apps.example"),
        ("fay", "fay.apps.example"),
        ("gus", "gus.apps.example"),
    ];
    let (user, host) = CROWD[n];
    (0.0, put(user, row(user, "wiki", host, Desired::Running)))
}

fn spoilt(broken: Broken) -> RowSpec {
    RowSpec {
        broken: Some(broken),
        ..row("ann", "shop", "tea.apps.example", Desired::Running)
    }
}

fn larger() -> RowSpec {
    RowSpec {
        size: Some("large"),
        ..row("ann", "shop", "tea.apps.example", Desired::Running)
    }
}

fn expiring() -> RowSpec {
    RowSpec {
        // Only that it is there counts; `dated` says when.
        expires_at: Some(Timestamp::MIN),
        ..row("ann", "shop", "tea.apps.example", Desired::Running)
    }
}
