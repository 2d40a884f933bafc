//! Oracles that are asked after every step: whatever the daemons believe, these must never be false.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use lamplighter::cloud::StateSnapshot;
use lamplighter::model::claim::{ClaimKey, Scope};
use lamplighter::model::keep::Ledger;
use lamplighter::model::name::{AppId, AppName, HostName, ResourceName, User};
use lamplighter::model::status::{ConditionKind, Truth};
use simcloud::{ServiceStatus, ServiceView};

use crate::cloud::TestCloud;
use crate::scenario::Scenario;
use crate::weather::Weather;

/// What was seen so far.
pub(crate) struct Watch {
    scope: Scope,
    /// Longer than Ready may stand after its app went down, while a daemon looks undisturbed.
    patience: SignedDuration,
    changes: u64,
    services: BTreeMap<String, Seen>,
    last_up: BTreeMap<String, Timestamp>,
    ready: BTreeMap<AppId, bool>,
    state: StateSnapshot,
    /// Since when some daemon has been running; `None`: none is.
    pub(crate) eyes_since: Option<Timestamp>,
    /// Until when some daemon sleeps, or none may call.
    pub(crate) blind_until: Option<Timestamp>,
    /// Until when claims may be missing, since the state table was lost.
    recovers_until: Option<Timestamp>,
    /// Services that daemons scaled to nothing.
    pub(crate) scaled_down: Vec<ScaledDown>,
    /// When each app had a service that was up.
    up: BTreeMap<String, Stretches>,
    /// When some daemon ran and could look.
    looking: Stretches,
    /// When the oracles looked last.
    looked: Timestamp,
}

/// Times at which something was so at every look.
#[derive(Default)]
struct Stretches(Vec<(Timestamp, Timestamp)>);

impl Stretches {
    /// It is so now, and was at the look before if that was then.
    fn goes_on(&mut self, before: Timestamp, now: Timestamp) {
        match self.0.last_mut().filter(|(_, until)| *until >= before) {
            Some((_, until)) => *until = now,
            None => self.0.push((now, now)),
        }
    }

    /// The longest part of one that lies within these times.
    fn longest_within(&self, from: Timestamp, until: Timestamp) -> SignedDuration {
        let parts = self
            .0
            .iter()
            .map(|(begin, end)| until.min(*end).duration_since(from.max(*begin)));
        parts.max().unwrap_or_default()
    }
}

/// A daemon's call took all tasks of a service.
pub(crate) struct ScaledDown {
    pub(crate) at: Timestamp,
    pub(crate) service: String,
    /// Whose it is.
    pub(crate) instance: String,
    /// Since when it had been wanted.
    pub(crate) raised: Timestamp,
}

/// How long a daemon may take to put a lost state table right: it is noticed by the next sweep, and listings may be old.
const RECOVERY: SignedDuration = SignedDuration::from_mins(20);

struct Seen {
    created: Timestamp,
    desired: u32,
    raised: Timestamp,
    /// The slot of its owner.
    slot: Option<ClaimKey>,
}

impl Watch {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let sweep = SignedDuration::try_from(scenario.intervals.sweep).unwrap();
        let faulty = SignedDuration::from_mins(if scenario.trouble.rates.is_empty() { 0 } else { 20 });
        // Nobody may hold an app for as long as a lease lasts, and its next holder has to look first.
        let leases = scenario.leases.map(|leases| leases.duration * 3);
        let unheld = SignedDuration::try_from(leases.unwrap_or_default()).unwrap();
        Self {
            scope: scenario.scope,
            // A ready app is asked by every sweep whether it answers. A sweep may have just passed it, and
            // one that meets faults may take long or see nothing.
            patience: sweep * 2 + SignedDuration::from_mins(2) + faulty + unheld,
            changes: u64::MAX,
            services: BTreeMap::new(),
            last_up: BTreeMap::new(),
            ready: BTreeMap::new(),
            state: StateSnapshot::default(),
            eyes_since: None,
            blind_until: None,
            recovers_until: None,
            scaled_down: Vec::new(),
            up: BTreeMap::new(),
            looking: Stretches::default(),
            looked: Timestamp::MIN,
        }
    }

    /// Takes note of what a person did, so that no daemon is blamed for it.
    pub(crate) fn forgive(&mut self, cloud: &TestCloud, now: Timestamp) {
        self.look_at_services(&cloud.sim.world().services(), cloud, now);
        self.scaled_down.retain(|scaled| scaled.at != now);
    }

    /// The state table was lost: claims have to be taken anew.
    pub(crate) fn state_lost(&mut self, now: Timestamp) {
        self.recovers_until = Some(now + RECOVERY);
    }

    /// The state table went back in time: an app that has replaced another since cannot have the claim that the other
    /// has by that table, until a person decides between them.
    pub(crate) fn state_restored(&mut self) {
        self.recovers_until = Some(Timestamp::MAX);
    }

    /// Looks at everything; what is wrong, each with the promise it breaks.
    pub(crate) async fn step(&mut self, cloud: &TestCloud, now: Timestamp) -> Vec<String> {
        let world = cloud.sim.world();
        let asleep = cloud.weather().and_then(Weather::blind_until);
        self.blind_until = self.blind_until.max(asleep);
        let mut wrong: Vec<String> = world
            .violations()
            .into_iter()
            .map(|what| format!("one-build-per-app: {what}"))
            .collect();
        let services = world.services();
        let news = self.look_at_services(&services, cloud, now);
        self.note(&services, now);
        self.check_slots(&services, &mut wrong);
        Self::check_hosts(&services, &mut wrong);
        let changes = cloud.changes();
        if news || changes != self.changes {
            self.changes = changes;
            self.state = cloud.seen().await;
            if self.recovers_until.is_none_or(|until| now > until) {
                self.check_claims(&services, &mut wrong);
            }
            self.check_turning_ready(now, &mut wrong);
        }
        self.check_ready(now, &mut wrong);
        wrong
    }

    /// The exemptions of every user, as of the last change.
    pub(crate) fn ledgers(&self) -> &BTreeMap<User, Ledger> {
        &self.state.keeps
    }

    /// Whether an app had a service that was up at every look from then until then.
    pub(crate) fn was_up(&self, id: &str, from: Timestamp, until: Timestamp) -> bool {
        let stretches = self.up.get(id);
        stretches.is_some_and(|up| up.longest_within(from, until) >= until.duration_since(from))
    }

    /// Whether some daemon could look for so long without a break within these times.
    pub(crate) fn could_look(&self, from: Timestamp, until: Timestamp, length: SignedDuration) -> bool {
        self.looking.longest_within(from, until) >= length
    }

    /// Notes what goes on.
    fn note(&mut self, services: &[ServiceView], now: Timestamp) {
        let before = self.looked;
        for service in services
            .iter()
            .filter(|service| service.up && service.desired > 0)
        {
            if let Some(id) = &service.instance {
                match self.up.get_mut(id) {
                    Some(up) => up.goes_on(before, now),
                    None => self.up.entry(id.clone()).or_default().goes_on(before, now),
                }
            }
        }
        if self.eyes_since.is_some() && self.blind_until.is_none_or(|until| until < now) {
            self.looking.goes_on(before, now);
        }
        self.looked = now;
    }

    /// Follows services as they come, go and are scaled. Whether there is one that was not there before.
    fn look_at_services(&mut self, services: &[ServiceView], cloud: &TestCloud, now: Timestamp) -> bool {
        let mut news = false;
        for service in services {
            if service.up
                && let Some(host) = &service.host
            {
                self.last_up.insert(host.clone(), now);
            }
            let known = self
                .services
                .get_mut(&service.name)
                .filter(|seen| seen.created == service.created);
            let Some(seen) = known else {
                news = true;
                let seen = Seen {
                    created: service.created,
                    desired: service.desired,
                    raised: now,
                    slot: slot(self.scope, cloud, &service.name),
                };
                self.services.insert(service.name.clone(), seen);
                continue;
            };
            if service.desired > 0 && seen.desired == 0 {
                seen.raised = now;
            }
            if service.desired == 0 && seen.desired > 0 && service.status == ServiceStatus::Active {
                self.scaled_down.push(ScaledDown {
                    at: now,
                    service: service.name.clone(),
                    instance: service.instance.clone().unwrap_or_default(),
                    raised: seen.raised,
                });
            }
            seen.desired = service.desired;
        }
        news
    }

    fn check_slots(&self, services: &[ServiceView], wrong: &mut Vec<String>) {
        let mut taken: BTreeMap<&ClaimKey, &ServiceView> = BTreeMap::new();
        for service in services
            .iter()
            .filter(|service| service.status != ServiceStatus::Inactive)
        {
            let Some(slot) = self
                .services
                .get(&service.name)
                .and_then(|seen| seen.slot.as_ref())
            else {
                continue;
            };
            if let Some(other) = taken.insert(slot, service)
                && other.instance != service.instance
            {
                let both = [&other.instance, &service.instance];
                wrong.push(format!(
                    "one-instance-per-user: {slot} has two live services, {both:?}"
                ));
            }
        }
    }

    fn check_hosts(services: &[ServiceView], wrong: &mut Vec<String>) {
        let mut taken = BTreeMap::new();
        for service in services
            .iter()
            .filter(|service| service.status == ServiceStatus::Active)
        {
            let Some(host) = &service.host else { continue };
            if let Some(other) = taken.insert(host, service) {
                let both = [&other.instance, &service.instance];
                wrong.push(format!("unique-url: {host} has two live services, {both:?}"));
            }
        }
    }

    /// Whatever is live is covered by the claims of its app.
    fn check_claims(&self, services: &[ServiceView], wrong: &mut Vec<String>) {
        for service in services
            .iter()
            .filter(|service| service.status == ServiceStatus::Active)
        {
            let (Some(host), Some(instance)) = (&service.host, &service.instance) else {
                continue;
            };
            let host = HostName::parse(host).unwrap();
            let mut keys = vec![
                ClaimKey::host(&host),
                ClaimKey::resource(&ResourceName::for_host(&host)),
            ];
            let known = self.services.get(&service.name);
            keys.extend(known.and_then(|seen| seen.slot.clone()));
            for key in keys {
                let holder = self.state.claims.get(&key).map(|claim| claim.app.as_str());
                if holder != Some(instance.as_str()) {
                    let name = &service.name;
                    let promise = if key.is_slot() {
                        "one-instance-per-user"
                    } else {
                        "unique-url"
                    };
                    wrong.push(format!(
                        "{promise}: {name} of {instance} is live, and {key} is held by {holder:?}"
                    ));
                }
            }
        }
    }

    /// An app is only called ready right after it was seen to work. An answer may be written a few retries
    /// later, but not after the app has been down for longer.
    fn check_turning_ready(&mut self, now: Timestamp, wrong: &mut Vec<String>) {
        for memory in self.state.memories.values() {
            let ready = memory.status.url.is_some();
            let was = self.ready.insert(memory.id.clone(), ready).unwrap_or(false);
            let condition = memory.status.condition(ConditionKind::Ready);
            if ready != condition.is_some_and(|condition| condition.status == Truth::True) {
                wrong.push(format!(
                    "honest-status: {} has a URL without Ready, or the reverse",
                    memory.id
                ));
            }
            if !ready || was {
                continue;
            }
            let host = memory.status.host_name.clone().unwrap_or_default();
            // What was seen before a replica fell asleep, it may write down when it wakes.
            let up = self.last_up.get(&host).copied().max(self.blind_until);
            let limit = SignedDuration::from_mins(3).max(self.patience - SignedDuration::from_mins(4));
            if up.is_none_or(|up| now.duration_since(up) > limit) {
                wrong.push(format!(
                    "honest-status: {} became Ready, but was last up at {up:?}",
                    memory.id
                ));
            }
        }
    }

    /// Ready does not outlast the app for longer than it takes to notice. While no daemon runs, nobody can.
    fn check_ready(&self, now: Timestamp, wrong: &mut Vec<String>) {
        let Some(eyes) = self.eyes_since.max(self.blind_until) else {
            return;
        };
        for memory in self
            .state
            .memories
            .values()
            .filter(|memory| memory.status.url.is_some())
        {
            let host = memory.status.host_name.clone().unwrap_or_default();
            let up = self.last_up.get(&host).copied().unwrap_or(Timestamp::MIN);
            if now.duration_since(up.max(eyes)) > self.patience {
                wrong.push(format!(
                    "honest-status: {} is called Ready, and was last up at {up}",
                    memory.id
                ));
            }
        }
    }
}

/// Whose service it is, by what the newest build that may have made it was told: their slot.
fn slot(scope: Scope, cloud: &TestCloud, name: &str) -> Option<ClaimKey> {
    let builds = cloud.sim.world().builds();
    let makers = builds.iter().filter(|build| {
        build.applied.is_some()
            && build.action.as_deref() == Some("apply")
            && build
                .environment
                .get("RESOURCE_NAME")
                .is_some_and(|made| made == name)
    });
    let maker = makers.max_by_key(|build| build.applied)?;
    let (user, app) = (maker.environment.get("USER_ID")?, maker.environment.get("APP")?);
    Some(ClaimKey::slot(
        scope,
        &User::parse(user).unwrap(),
        &AppName::new(app.as_str()),
    ))
}
