//! What the operator allows: the configuration after validation, as plain values the planner reads.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::backoff::Backoff;
use super::claim::{OnConflict, Scope};
use super::cost::Cost;
use super::cron::Cron;
use super::memory::Accepted;
use super::name::{AppName, ClusterName, ProjectName, User};
use super::schedule::Schedule;

/// Everything the planner may consult besides the app itself.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The apps that can be asked for.
    pub catalogue: BTreeMap<AppName, CatalogueEntry>,
    /// Named schedules.
    pub schedules: BTreeMap<String, Schedule>,
    /// Who may have apps at all.
    pub users: Users,
    /// What "one instance per user" counts.
    pub scope: Scope,
    /// What becomes of a request for a slot that is taken.
    pub on_conflict: OnConflict,
    /// How long an exemption may put off the end of the day, from the request on or from when it is given.
    pub keep_max: SignedDuration,
    /// How many hours a week exemptions may put off the ends of days, over all apps of a user. `None`: any.
    pub keep_per_week: Option<SignedDuration>,
    /// The zone whose Mondays begin such a week.
    pub keep_zone: TimeZone,
    /// What things cost, for readers: no decision goes by it.
    pub costs: Costs,
    /// The day that reports are about.
    pub reporting: Reporting,
    /// Whether warnings of stops go to a webhook.
    pub webhook: bool,
    /// Delays and patience.
    pub timing: Timing,
    /// After how many failed deployments in a row an app stalls.
    pub max_attempts: u32,
    /// After how many destroys that it survived an app's service is deleted by a call of our own. Zero: never.
    pub force_delete_after: u32,
    /// What becomes of apps that AWS shows and that nothing asks for.
    pub orphans: Orphans,
    /// Names of the build's environment variables.
    pub build_env: BuildEnv,
    /// The state table, which a build is told because its gate is there.
    pub state_table: String,
}

impl Policy {
    /// The schedule that ends the day of an app, as configuration has it now: the one that its row has chosen, as
    /// long as there is such a one and the app may have it, else the one of its catalogue entry.
    pub fn schedule_of(&self, accepted: &Accepted) -> Option<&Schedule> {
        let entry = self.catalogue.get(&accepted.blueprint.identity.app);
        let chosen = accepted.own_schedule.as_ref();
        let chosen = chosen.filter(|name| entry.is_none_or(|entry| entry.allows(name)));
        let usual = match entry {
            Some(entry) => entry.schedule.as_ref(),
            // Of an app that is not in the catalogue any more, what it had counts.
            None => accepted.schedule.as_ref(),
        };
        let known = |name: &String| self.schedules.get(name);
        chosen.and_then(known).or_else(|| usual.and_then(known))
    }
}

/// Who may have apps, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Users {
    /// Those who may not.
    pub deny: BTreeSet<User>,
    /// The only ones who may; `None`: everybody.
    pub allow: Option<BTreeSet<User>>,
}

/// What a user is by the lists of an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// May have apps.
    Active,
    /// Is on the list of those who may not.
    Denied,
    /// Is not on the list of those who may.
    NotAllowed,
}

impl Users {
    /// What `user` is.
    pub fn standing(&self, user: &User) -> Standing {
        let allowed = self.allow.as_ref();
        if self.deny.contains(user) {
            Standing::Denied
        } else if allowed.is_some_and(|allowed| !allowed.contains(user)) {
            Standing::NotAllowed
        } else {
            Standing::Active
        }
    }
}

/// What becomes of orphans: apps that AWS shows, that no row asks for and that nothing remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Orphans {
    /// Whether they are destroyed at all. If not, they are listed until a person deals with them.
    pub reap: bool,
    /// How long they are left alone after they were found.
    pub reap_after: SignedDuration,
    /// How many of them may be begun with in one sweep.
    pub per_sweep: u32,
}

impl Default for Orphans {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Orphans {
    /// Listed, and left to people.
    pub const DEFAULT: Orphans = Orphans {
        reap: false,
        reap_after: SignedDuration::from_hours(24),
        per_sweep: 5,
    };
}

/// What things cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Costs {
    /// The currency of every amount, three letters.
    pub currency: String,
    /// What a minute of a build costs beyond the allowance.
    pub build_minute: Cost,
    /// How many minutes of builds a month are paid for already. `None`: there is no such allowance.
    pub build_minutes_per_month: Option<u32>,
    /// For how long after a stop its hours count as saved. AWS knows no such figure: it is how long somebody would
    /// have left the app running.
    pub saved_at_most: SignedDuration,
}

impl Default for Costs {
    fn default() -> Self {
        Self {
            currency: "USD".to_owned(),
            build_minute: Cost::ZERO,
            build_minutes_per_month: None,
            saved_at_most: SignedDuration::from_hours(3 * 24),
        }
    }
}

/// When the report of a day is made, and what it calls late.
#[derive(Clone, Debug, PartialEq)]
pub struct Reporting {
    /// When the day before is reported.
    pub at: Cron,
    /// Whose days they are.
    pub time_zone: TimeZone,
    /// How long after it was due an app may still be there before it is late.
    pub late_after: SignedDuration,
}

impl Default for Reporting {
    fn default() -> Self {
        Self {
            at: Cron::parse("0 7 * * *").expect("every day at seven is a time"),
            time_zone: TimeZone::UTC,
            late_after: SignedDuration::from_mins(15),
        }
    }
}

/// One app that can be asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct CatalogueEntry {
    /// Its name.
    pub name: AppName,
    /// The CodeBuild project that applies.
    pub deploy_project: ProjectName,
    /// The CodeBuild project that destroys; often the same one.
    pub destroy_project: ProjectName,
    /// The cluster its service runs in.
    pub cluster: ClusterName,
    /// The domain below which host names are made.
    pub domain: String,
    /// The URL people get, with `{host_name}` and `{resource_name}` filled in.
    pub url: Template,
    /// What is appended to the URL to ask whether the app answers.
    pub health_path: String,
    /// The name of its target group, if it has one.
    pub target_group: Option<Template>,
    /// Parameters a row may pass, by name.
    pub parameters: BTreeMap<String, ParameterRule>,
    /// How long a build may run: CodeBuild allows 5 to 2160 minutes.
    pub build_timeout_minutes: u16,
    /// How long a build may queue: CodeBuild allows 5 to 480 minutes.
    pub queue_timeout_minutes: u16,
    /// How many tasks a running app has.
    pub tasks: u32,
    /// The schedule that ends its day, unless a row chooses another.
    pub schedule: Option<String>,
    /// The schedules that a row may choose; `None`: any.
    pub schedules: Option<BTreeSet<String>>,
    /// The longest an app lives after its last request, whatever its exemptions.
    pub max_lifetime: Option<SignedDuration>,
    /// Whether its builds ask at the gate. Without, one build at a time is likely and not certain.
    pub gate: bool,
    /// What one hour of it costs while it runs. `None`: that is not known, and nothing is said of its money.
    pub cost_per_hour: Option<Cost>,
}

impl CatalogueEntry {
    /// Whether a row may choose the schedule of this name.
    pub fn allows(&self, schedule: &String) -> bool {
        let allowed = self.schedules.as_ref();
        self.schedule.as_ref() == Some(schedule) || allowed.is_none_or(|allowed| allowed.contains(schedule))
    }
}

/// Text with `{host_name}` and `{resource_name}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Template(String);

impl Template {
    /// Takes a template; the error names a placeholder that is not known.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut rest = text;
        while let Some(start) = rest.find('{') {
            let Some(len) = rest[start..].find('}') else {
                return Err("has a { without its }".to_owned());
            };
            let name = &rest[start + 1..start + len];
            if !matches!(name, "host_name" | "resource_name") {
                return Err(format!(
                    "uses {{{name}}}; known are {{host_name}} and {{resource_name}}"
                ));
            }
            rest = &rest[start + len + 1..];
        }
        Ok(Self(text.to_owned()))
    }

    /// The text with both names filled in.
    pub fn fill(&self, host_name: &str, resource_name: &str) -> String {
        self.0
            .replace("{host_name}", host_name)
            .replace("{resource_name}", resource_name)
    }
}

/// What a parameter of a row must look like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParameterRule {
    /// The most bytes its value may have.
    pub max_bytes: usize,
    /// If not empty, the only values it may have.
    pub one_of: Vec<String>,
    /// Whether a row must bring it.
    pub required: bool,
    /// The value when a row does not bring it.
    pub default: Option<String>,
}

/// Names of the environment variables a build is given. A buildspec that already exists may use others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildEnv {
    /// `apply` or `destroy`.
    pub action: String,
    /// The whole host name.
    pub host_name: String,
    /// The name of AWS resources.
    pub resource_name: String,
    /// The row's id.
    pub instance_id: String,
    /// The owner.
    pub user_id: String,
    /// The catalogue entry.
    pub app: String,
    /// The hash of the accepted spec.
    pub spec_hash: String,
}

/// The two names the gate reads; they are not configurable, since `gate.sh` knows them.
pub const OPERATION_ID_VARIABLE: &str = "LAMPLIGHTER_OPERATION_ID";
/// See [`OPERATION_ID_VARIABLE`].
pub const STATE_TABLE_VARIABLE: &str = "LAMPLIGHTER_STATE_TABLE";

impl BuildEnv {
    /// The keys of `build_env` with their names.
    pub fn entries(&self) -> [(&'static str, &str); 7] {
        let Self {
            action,
            host_name,
            resource_name,
            instance_id,
            user_id,
            app,
            spec_hash,
        } = self;
        [
            ("action", action),
            ("host_name", host_name),
            ("resource_name", resource_name),
            ("instance_id", instance_id),
            ("user_id", user_id),
            ("app", app),
            ("spec_hash", spec_hash),
        ]
    }

    /// The names of all variables that a build is always given, those that are not configurable included.
    pub fn always_given(&self) -> impl Iterator<Item = &str> {
        let own = self.entries().into_iter().map(|(_, name)| name);
        own.chain([OPERATION_ID_VARIABLE, STATE_TABLE_VARIABLE])
    }
}

impl Default for BuildEnv {
    fn default() -> Self {
        Self {
            action: "ACTION".to_owned(),
            host_name: "HOST_NAME".to_owned(),
            resource_name: "RESOURCE_NAME".to_owned(),
            instance_id: "INSTANCE_ID".to_owned(),
            user_id: "USER_ID".to_owned(),
            app: "APP".to_owned(),
            spec_hash: "SPEC_HASH".to_owned(),
        }
    }
}

/// Delays and patience. `lamplighter dev` shortens them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timing {
    /// How far apart two looks must be before "not there" is believed.
    pub confirm_absence: SignedDuration,
    /// How long after a successful build its service may still be invisible. AWS: ECS reads can be stale,
    /// and the advice is to keep asking for up to five minutes.
    pub appear_grace: SignedDuration,
    /// How long a refused row is looked at again by itself.
    pub refusal_window: SignedDuration,
    /// How often it is looked at within that window.
    pub refusal_recheck: SignedDuration,
    /// How long an app may take from a finished build to Ready before it counts as stuck.
    pub ready_deadline: SignedDuration,
    /// How much longer than its own timeouts a build may take before it is stopped.
    pub build_overrun: SignedDuration,
    /// Between failed deployments.
    pub deploy_retry: Backoff,
    /// Between failed destroys, which are retried for ever.
    pub destroy_retry: Backoff,
    /// How long memory of an app stays after its row is gone and all is settled.
    pub memory_retention: SignedDuration,
}

/// How long CodeBuild honours an idempotency token. AWS: "valid for five minutes".
pub const TOKEN_LIFE: SignedDuration = SignedDuration::from_mins(5);

/// Longer than any build can live. AWS: at most 36 hours of build after 8 hours in the queue.
pub const LONGEST_BUILD_LIFE: SignedDuration = SignedDuration::from_hours(45);

impl Timing {
    /// The defaults of a production daemon.
    pub const DEFAULT: Timing = Timing {
        confirm_absence: SignedDuration::from_secs(60),
        appear_grace: SignedDuration::from_mins(5),
        refusal_window: SignedDuration::from_mins(15),
        refusal_recheck: SignedDuration::from_secs(30),
        ready_deadline: SignedDuration::from_mins(15),
        build_overrun: SignedDuration::from_mins(5),
        deploy_retry: Backoff {
            initial: SignedDuration::from_secs(15),
            max: SignedDuration::from_mins(15),
            multiplier: 2.0,
        },
        destroy_retry: Backoff {
            initial: SignedDuration::from_secs(30),
            max: SignedDuration::from_hours(1),
            multiplier: 2.0,
        },
        memory_retention: SignedDuration::from_hours(30 * 24),
    };
}

/// Whether rows that are gone may be acted on; decided by the last complete sweep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Deletions {
    /// No complete sweep has judged yet.
    #[default]
    Unjudged,
    /// The last sweep saw no mass disappearance, or it was approved.
    Clear {
        /// What memory said when that sweep began, of since when looks have not found this app's row. Only that
        /// absence is confirmed: an episode is known by its beginning, and no two clocks are compared.
        gone_since: Option<Timestamp>,
    },
    /// Too many rows vanished at once.
    Held {
        /// How many are gone.
        vanished: usize,
        /// Of how many that were known.
        known: usize,
        /// Since when the hold stands.
        since: Timestamp,
    },
}

/// How operators have let mass deletions go on. Counted, since what came before an approval is not told by clocks,
/// of which each replica has its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Approvals {
    /// How many there were.
    pub count: u64,
    /// When the latest was, for people.
    pub latest: Option<Timestamp>,
}

/// Whether a build may be started now; decided by admission.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Admission {
    /// Nobody asked yet: plan as if it may, and ask before acting.
    #[default]
    Unasked,
    /// It may.
    Granted,
    /// It has to wait.
    Waiting {
        /// Its place in the line, from 1.
        place: usize,
        /// Why the line does not move.
        reason: String,
        /// When to ask again at the latest.
        until: Timestamp,
    },
}
