//! The planner asked about whatever comes out of the tables, together with whatever else may be seen: it decides, and
//! keeps every rule of `planner::invariants`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jiff::{SignedDuration, Timestamp};
use lamplighter::config::Config;
use lamplighter::model::blueprint::BuildKind;
use lamplighter::model::claim::{Claim, ClaimKey, Scope};
use lamplighter::model::keep::{Exempt, Given, Ledger, Span};
use lamplighter::model::memory::Memory;
use lamplighter::model::name::{AppId, AppName, BuildId, Entropy, HostName, OperationId, ResourceName, User};
use lamplighter::model::observed::{
    Build, BuildFailure, BuildState, Gate, ListedBuild, Observed, Probe, Rollout, Service, StoppedTask,
    TagLook, TargetGroup, Targets, Traces,
};
use lamplighter::model::pause::{Pause, Paused};
use lamplighter::model::policy::{Admission, Deletions, Policy};
use lamplighter::model::row::Row;
use lamplighter::planner::{self, AppView, invariants};
use proptest::prelude::*;

use crate::support::start;

const CATALOGUE: &str = r#"
[policy]
max_attempts = 3
keep_per_week = "10h"
keep_zone = "Asia/Kolkata"

[schedules.office]
time_zone = "Europe/Berlin"
teardown = "0 19 * * *"
action = "destroy"

[schedules.nights]
time_zone = "America/New_York"
teardown = "30 18 * * 1-5"
action = "suspend"

[apps.shop]
project = "child-app"
cluster = "apps"
domain = "example.com"
target_group = "{resource_name}"
schedule = "office"
parameters = { SIZE = { max_bytes = 10, one_of = ["small", "large"] } }

[apps.wiki]
project = "child-app"
cluster = "apps"
domain = "example.com"
schedule = "nights"

[apps.desk]
project = "child-app"
cluster = "apps"
domain = "example.com"
max_lifetime = "8h"
"#;

static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    let config = Config::from_toml(CATALOGUE).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    config.policy
});

/// What may be seen besides row and memory, and when: choices that a view is made of.
#[derive(Clone, Debug)]
pub(crate) struct Sight {
    gate: u8,
    build: u8,
    service: u8,
    counts: (u32, u32),
    tagged: u8,
    group: u8,
    probe: u8,
    claims: u8,
    paused: u8,
    deletions: u8,
    admission: u8,
    entropy: [u8; 16],
    /// Seconds since the last.
    later: i64,
    /// Whether what is planned is remembered, or lost.
    kept: bool,
}

pub(crate) fn sight() -> impl Strategy<Value = Sight> {
    let later = prop_oneof![4 => 0_i64..30, 3 => 0_i64..4_000, 2 => 0_i64..400_000, 1 => -90_000_i64..0];
    let some = || prop_oneof![3 => Just(2_u8), 1 => 0_u8..8];
    (
        (some(), some(), some(), (0_u32..3, 0_u32..3)),
        (0_u8..4, some(), 0_u8..4, 0_u8..4),
        (0_u8..12, 0_u8..4, 0_u8..5, any::<[u8; 16]>()),
        (later, prop::bool::weighted(0.9)),
    )
        .prop_map(
            |(
                (gate, build, service, counts),
                (tagged, group, probe, claims),
                (paused, deletions, admission, entropy),
                (later, kept),
            )| {
                Sight {
                    gate,
                    build,
                    service,
                    counts,
                    tagged,
                    group,
                    probe,
                    claims,
                    paused,
                    deletions,
                    admission,
                    entropy,
                    later,
                    kept,
                }
            },
        )
}

/// Plans for one app, sight after sight, from what is remembered of it. An error tells what is wrong.
pub(crate) fn lives(
    id: &AppId,
    rows: &[Observed<Row>],
    memory: Observed<Memory>,
    sights: &[Sight],
) -> Result<(), String> {
    let (mut memory, mut now) = (memory, start());
    for (n, sight) in sights.iter().enumerate() {
        now = now
            .saturating_add(SignedDuration::from_secs(sight.later))
            .unwrap();
        let row = rows[n % rows.len()].clone();
        let view = sight.view(id, row, memory.clone(), now);
        let plan = planner::plan(&view, &POLICY, now);
        let mut wrong = invariants::violations(&view, &plan);
        // The old memory may hold what we never wrote. What is planned upon it can be stored and read again.
        let stored = serde_json::to_value(&plan.memory).map_err(|error| error.to_string())?;
        match serde_json::from_value::<Memory>(stored) {
            Ok(read) if read == plan.memory => {}
            Ok(_) => wrong.push("what is planned is read back as something else".to_owned()),
            Err(error) => wrong.push(format!("what is planned can't be read back: {error}")),
        }
        if !wrong.is_empty() {
            return Err(format!("{wrong:#?}\nat {now}\nview: {view:#?}\nplan: {plan:#?}"));
        }
        if sight.kept && !memory.is_unknown() {
            memory = if plan.forget {
                Observed::Absent
            } else {
                Observed::Present(plan.memory)
            };
        }
    }
    Ok(())
}

impl Sight {
    #[allow(clippy::too_many_lines, reason = "one field of the view after the other")]
    fn view(&self, id: &AppId, row: Observed<Row>, memory: Observed<Memory>, now: Timestamp) -> AppView {
        let known = memory.present().cloned();
        let holder = known
            .as_ref()
            .and_then(|memory| memory.operation.as_ref()?.build.clone())
            .unwrap_or_else(|| BuildId::new("child-app:1"));
        let blueprint = known.as_ref().and_then(Memory::blueprint);
        let name = blueprint.map_or_else(
            || ResourceName::for_host(&HostName::parse("tea.example.com").unwrap()),
            |blueprint| blueprint.service().clone(),
        );
        // A build of the app under an operation that no memory knows.
        let traces = Traces {
            builds: blueprint
                .zip(self.build(holder.clone(), now).present())
                .map(|(blueprint, build)| {
                    let operation = OperationId::generate(Entropy([self.gate; 16]), now);
                    let kind = if self.claims > 1 {
                        BuildKind::Apply
                    } else {
                        BuildKind::Destroy
                    };
                    ListedBuild {
                        build: build.clone(),
                        environment: blueprint.request(kind, &operation).environment.into(),
                    }
                })
                .into_iter()
                .collect(),
            services: Vec::new(),
        };
        let mut view = AppView {
            id: id.clone(),
            gate: match self.gate {
                0 => Observed::Unknown,
                1 => Observed::Absent,
                2 | 3 => Observed::Present(Gate::Open),
                4 => Observed::Present(Gate::Closed),
                _ => Observed::Present(Gate::Held(holder.clone())),
            },
            build: self.build(holder, now),
            service: self.service(name.clone(), id),
            tagged: match self.tagged {
                0 => Observed::Unknown,
                1 => Observed::Absent,
                2 => Observed::Present(TagLook {
                    at: now,
                    services: Vec::new(),
                }),
                _ => Observed::Present(TagLook {
                    at: now,
                    services: vec![name],
                }),
            },
            target_group: self.group(),
            probe: match self.probe {
                0 => Observed::Unknown,
                1 => Observed::Absent,
                2 => Observed::Present(Probe::Failed("503".to_owned())),
                _ => Observed::Present(Probe::Answered),
            },
            stopped_task: match self.probe {
                0 => Observed::Unknown,
                1 => Observed::Absent,
                _ => Observed::Present(StoppedTask {
                    stopped_at: (self.claims > 1).then_some(now),
                    code: "EssentialContainerExited".to_owned(),
                    reason: "out of memory".to_owned(),
                }),
            },
            claims: self.claims(&row, now),
            notice: None,
            keeps: self.keeps(id, now),
            paused: match self.paused {
                0 => Observed::Unknown,
                1 => Observed::Present(Paused {
                    whole_fleet: self.claims > 1,
                    pause: Pause {
                        since: None,
                        reason: None,
                    },
                }),
                _ => Observed::Absent,
            },
            listing: Observed::Unknown,
            rivals: BTreeMap::new(),
            traces: match self.tagged {
                0 => Observed::Unknown,
                _ => Observed::Present(traces),
            },
            reap: self.claims > 1,
            deletions: match self.deletions {
                0 => Deletions::Unjudged,
                1 => Deletions::Held {
                    vanished: 9,
                    known: 10,
                    since: now,
                },
                _ => Deletions::Clear { gone_since: None },
            },
            approvals: match self.deletions {
                0 => Observed::Unknown,
                _ => Observed::Present(u64::MAX),
            },
            admission: match self.admission {
                0 => Admission::Unasked,
                1 => Admission::Waiting {
                    place: usize::MAX,
                    reason: "full".to_owned(),
                    until: now,
                },
                _ => Admission::Granted,
            },
            entropy: Entropy(self.entropy),
            row,
            memory,
        };
        // A reading that found the row gone was of the memory at hand, or of an earlier one.
        if let (Deletions::Clear { gone_since }, Some(memory)) = (&mut view.deletions, view.memory.present())
        {
            *gone_since = memory.row_gone.as_ref().map(|gone| gone.since);
        }
        view
    }

    fn build(&self, id: BuildId, now: Timestamp) -> Observed<Build> {
        let failed = |status: &str| {
            BuildState::Failed(BuildFailure {
                status: status.to_owned(),
                phase: Some("BUILD".to_owned()),
                context: None,
            })
        };
        let state = match self.build {
            0 => return Observed::Unknown,
            1 => return Observed::Absent,
            2 | 3 => BuildState::Running,
            4 => failed("FAILED"),
            5 => failed("CLIENT_ERROR"),
            _ => BuildState::Succeeded,
        };
        Observed::Present(Build {
            id,
            state,
            phase: "BUILD".to_owned(),
            started_at: (self.claims > 1).then_some(now),
            ended_at: (self.claims > 2).then_some(now),
            logs_url: None,
        })
    }

    fn service(&self, name: ResourceName, id: &AppId) -> Observed<Service> {
        let (desired_count, running_count) = self.counts;
        match self.service {
            0 => Observed::Unknown,
            1 => Observed::Absent,
            other => Observed::Present(Service {
                name,
                draining: other == 3,
                desired_count,
                running_count,
                pending_count: 0,
                rollout: match other {
                    4 => Rollout::InProgress,
                    5 => Rollout::Failed("circuit breaker".to_owned()),
                    _ => Rollout::Completed,
                },
                deployments: 1,
                instance_id: (other != 6).then(|| id.clone()),
                host_name: None,
                target_groups: Vec::new(),
            }),
        }
    }

    fn group(&self) -> Observed<TargetGroup> {
        match self.group {
            0 => Observed::Unknown,
            1 => Observed::Absent,
            other => Observed::Present(TargetGroup {
                attached: other != 3,
                targets: match other {
                    4 => Observed::Unknown,
                    5 => Observed::Absent,
                    _ => Observed::Present(Targets {
                        healthy: u32::from(other == 2),
                        unhealthy: u32::from(other == 6),
                        reason: None,
                    }),
                },
            }),
        }
    }

    /// Whatever a ledger may say, times without sense among it.
    fn keeps(&self, id: &AppId, now: Timestamp) -> Observed<Ledger> {
        let at = |n: u8| match n % 4 {
            0 => Timestamp::MIN,
            1 => Timestamp::MAX,
            _ => now + jiff::SignedDuration::from_hours(i64::from(n) - 128),
        };
        let [kind, since, row, until, asked, ..] = self.entropy;
        let given = Given {
            until: at(until),
            asked: at(asked),
            at: now,
            by: Some("\u{1b}[2J".to_owned()),
            reason: Some("\u{202e}".repeat(300)),
            key: None,
        };
        let exempt = Exempt {
            since: at(since),
            row: (row % 2 == 0).then(|| at(row)),
            given: (until % 3 > 0).then_some(given),
        };
        match kind % 8 {
            0 => Observed::Unknown,
            1..4 => Observed::Absent,
            _ => Observed::Present(Ledger {
                version: u64::from(kind),
                apps: [(id.clone(), exempt)].into(),
                past: vec![Span {
                    from: at(since),
                    until: at(row),
                }],
            }),
        }
    }

    /// Nobody holds anything, or somebody else holds what the row would take.
    fn claims(
        &self,
        row: &Observed<Row>,
        now: Timestamp,
    ) -> Observed<lamplighter::model::observed::ClaimHolders> {
        let other = Claim {
            app: AppId::from_key("other").unwrap(),
            since: now,
            bid: None,
        };
        let user = row.present().and_then(|row| row.user.clone());
        let user = user.unwrap_or_else(|| User::parse("ann").unwrap());
        let slot = ClaimKey::slot(Scope::User, &user, &AppName::new("shop"));
        match self.claims {
            0 => Observed::Unknown,
            1 => Observed::Present([(slot, other)].into()),
            _ => Observed::Present([].into()),
        }
    }
}
