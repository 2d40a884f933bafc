//! What is modelled: which apps there are and what people may ask of them, how much may go wrong, and in which
//! surroundings. The names, rows and configuration that the product's code works on are made here, once.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use lamplighter::model::backoff::Backoff;
use lamplighter::model::claim::{ClaimKey, Identity, OnConflict, Scope};
use lamplighter::model::name::{
    AppId, AppName, BuildId, ClusterName, Entropy, HostName, OperationId, ProjectName, User,
};
use lamplighter::model::policy::{
    BuildEnv, CatalogueEntry, Costs, Orphans, ParameterRule, Policy, Reporting, Template, Timing, Users,
};
use lamplighter::model::row::Row;
use serde_json::json;

use crate::state::{App, Budget, Op, Wish};

/// How many names for operations an app has. More than that are never in use at once.
const NAMES: u8 = 8;

/// What is different from the real surroundings: each, on purpose, takes one thing away on which safety rests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Surroundings {
    /// As they are.
    #[default]
    Real,
    /// The gate lets every build pass.
    NoGate,
    /// A new operation clears the gate, through which a build of an older one may still come.
    OneGateForAll,
    /// An operation that is no longer wanted counts as settled at once.
    ReplacesUnsettled,
    /// Memory is written whatever its version is.
    NoVersion,
    /// A claim may be taken from its holder.
    ClaimsAreTaken,
}

/// One app and its owner.
pub(crate) struct Who {
    pub(crate) id: AppId,
    pub(crate) identity: Identity,
}

/// What is modelled.
pub(crate) struct Shape {
    pub(crate) who: Vec<Who>,
    /// Every claim there can be.
    pub(crate) claims: Vec<ClaimKey>,
    /// What the rows ask in the beginning.
    pub(crate) first: Vec<Wish>,
    /// What else they may ask.
    pub(crate) wishes: Vec<Wish>,
    pub(crate) budget: Budget,
    /// Whether only the holder of a lease looks, or all replicas at all apps.
    pub(crate) leases: bool,
    pub(crate) surroundings: Surroundings,
    pub(crate) policy: Arc<Policy>,
    ops: BTreeMap<OperationId, Op>,
}

impl Shape {
    /// These apps, by owner and host name, all asked to run.
    pub(crate) fn of(people: &[(&str, &str)], wishes: &[Wish], budget: Budget) -> Self {
        let who: Vec<Who> = (0..)
            .zip(people)
            .map(|(n, (user, host))| who(n, user, host))
            .collect();
        let mut claims: Vec<ClaimKey> = who
            .iter()
            .flat_map(|who| {
                let [host, name] = who.identity.name_keys();
                [who.identity.slot.clone(), host, name]
            })
            .collect();
        claims.sort();
        claims.dedup();
        let apps = u8::try_from(who.len()).unwrap();
        let all = (0..apps).flat_map(|app| (0..NAMES).map(move |n| Op { app, n }));
        Self {
            first: vec![Wish::Running; who.len()],
            who,
            claims,
            wishes: wishes.to_vec(),
            budget,
            leases: false,
            surroundings: Surroundings::Real,
            policy: Arc::new(policy()),
            ops: all.map(|op| (operation_id(op), op)).collect(),
        }
    }

    pub(crate) fn within(self, surroundings: Surroundings) -> Self {
        Self { surroundings, ..self }
    }

    pub(crate) fn with_leases(self) -> Self {
        Self { leases: true, ..self }
    }

    pub(crate) fn apps(&self) -> impl Iterator<Item = App> + use<> {
        0..u8::try_from(self.who.len()).expect("a shape has few apps")
    }

    pub(crate) fn op(&self, id: &OperationId) -> Op {
        self.ops[id]
    }

    /// The same by its text.
    pub(crate) fn op_named(&self, id: &str) -> Op {
        let found = self.ops.iter().find(|(known, _)| known.as_str() == id);
        *found.expect("every operation is the shape's").1
    }

    /// Where a claim stands among all.
    pub(crate) fn claim(&self, key: &ClaimKey) -> usize {
        self.claims
            .binary_search(key)
            .expect("every claim is in the shape")
    }

    /// The row that asks for this, if there is one.
    pub(crate) fn row(&self, app: App, wish: Wish) -> Option<Row> {
        let desired = match wish {
            Wish::Running | Wish::Larger => "Running",
            Wish::Suspended => "Suspended",
            Wish::Destroyed => "Destroyed",
            Wish::Gone => return None,
        };
        let size = if wish == Wish::Larger { "large" } else { "small" };
        let who = &self.who[usize::from(app)];
        let row = json!({
            "user": who.identity.user.as_str(), "app": "shop", "desired": desired,
            "hostName": who.identity.host_name.as_str(), "parameters": {"SIZE": size},
        });
        let attributes = serde_json::from_value(row).unwrap();
        Some(Row::read(who.id.clone(), attributes))
    }
}

fn who(n: u8, user: &str, host: &str) -> Who {
    let user = User::parse(user).unwrap();
    let host = HostName::parse(host).unwrap();
    Who {
        id: AppId::from_key(format!("a{n}")).unwrap(),
        identity: Identity::new(Scope::User, user, AppName::new("shop"), host),
    }
}

/// The time, always. What the passing of time changes is a step of the model.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

/// What an operation of this name is drawn from.
pub(crate) fn entropy(op: Op) -> Entropy {
    let mut bytes = [0; 16];
    (bytes[0], bytes[1]) = (op.app, op.n);
    Entropy(bytes)
}

pub(crate) fn operation_id(op: Op) -> OperationId {
    OperationId::generate(entropy(op), now())
}

pub(crate) fn build_id(op: Op, n: u8) -> BuildId {
    BuildId::new(format!("builder:{}-{n}", operation_id(op)))
}

/// Which of its operation's builds this is.
pub(crate) fn number_of(build: &BuildId) -> u8 {
    let (_, n) = build.as_str().rsplit_once('-').unwrap();
    n.parse().unwrap()
}

/// Delays that only wait are zero, since time is a step of its own; limits that end a wait are out of reach.
fn policy() -> Policy {
    let far = SignedDuration::from_hours(1000);
    let at_once = Backoff {
        initial: SignedDuration::ZERO,
        max: SignedDuration::ZERO,
        multiplier: 2.0,
    };
    let size = ParameterRule {
        max_bytes: 10,
        ..ParameterRule::default()
    };
    let entry = CatalogueEntry {
        name: AppName::new("shop"),
        deploy_project: ProjectName::new("builder"),
        destroy_project: ProjectName::new("builder"),
        cluster: ClusterName::new("apps"),
        gate: true,
        cost_per_hour: None,
        domain: "example.com".to_owned(),
        url: Template::parse("https://{host_name}/").unwrap(),
        health_path: "/healthz".to_owned(),
        target_group: None,
        parameters: BTreeMap::from([("SIZE".to_owned(), size)]),
        build_timeout_minutes: 60,
        queue_timeout_minutes: 30,
        tasks: 2,
        schedule: None,
        schedules: None,
        max_lifetime: None,
    };
    Policy {
        catalogue: BTreeMap::from([(entry.name.clone(), entry)]),
        schedules: BTreeMap::new(),
        users: Users::default(),
        scope: Scope::User,
        on_conflict: OnConflict::Refuse,
        keep_max: far,
        costs: Costs::default(),
        reporting: Reporting::default(),
        webhook: false,
        keep_per_week: None,
        keep_zone: jiff::tz::TimeZone::UTC,
        timing: Timing {
            confirm_absence: SignedDuration::ZERO,
            appear_grace: SignedDuration::ZERO,
            refusal_window: far,
            refusal_recheck: SignedDuration::ZERO,
            ready_deadline: far,
            build_overrun: far,
            deploy_retry: at_once,
            destroy_retry: at_once,
            memory_retention: far,
        },
        max_attempts: 100,
        force_delete_after: 0,
        orphans: Orphans::DEFAULT,
        build_env: BuildEnv::default(),
        state_table: "lamplighter-state".to_owned(),
    }
}
