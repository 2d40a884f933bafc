//! The oracles: what must never be, asked again and again during the storm, and what must come to be after it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use lamplighter::cloud::StateSnapshot;
use lamplighter::model::claim::{ClaimKey, Scope};
use lamplighter::model::name::{AppId, AppName, HostName, ResourceName, User};
use lamplighter::model::status::Phase;
use simcloud::{ServiceStatus, ServiceView};
use tokio::time::Instant;

use crate::Storm;
use crate::lab::{Lab, app};
use crate::overlaps::overlaps;
use crate::portal::{Portal, apps, are_rivals, user_of};

/// How long the calm may take. It takes some seconds where nothing else runs, and ends as soon as all is well.
const PATIENCE: Duration = Duration::from_mins(5);
/// How often it says what it waits for.
const TELL: Duration = Duration::from_secs(5);
/// Longer than a sweep: what is stable stays so.
const STABLE: Duration = Duration::from_secs(8);

pub(crate) struct Judge<'a> {
    lab: &'a Lab,
    pub(crate) looks: u64,
    ready: BTreeSet<(AppId, Timestamp)>,
    calm: String,
}

impl<'a> Judge<'a> {
    pub(crate) fn new(lab: &'a Lab) -> Self {
        Self {
            lab,
            looks: 0,
            ready: BTreeSet::new(),
            calm: "there was no calm".to_owned(),
        }
    }

    /// How often an app got ready.
    pub(crate) fn readied(&self) -> usize {
        self.ready.len()
    }

    /// How long the world took to come to rest.
    pub(crate) fn calm_after(&self) -> &str {
        &self.calm
    }

    pub(crate) async fn watch(&mut self, storm: &Storm) {
        while storm.is_on() {
            storm.wrong(self.look().await);
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
    }

    /// What must never be, whatever the daemons believe.
    async fn look(&mut self) -> Vec<String> {
        self.looks += 1;
        let world = self.lab.sim.world();
        let before = world.services();
        let state = self.lab.snapshot().await;
        let after = world.services();
        let violations = world.violations();
        let mut wrong: Vec<String> = violations
            .into_iter()
            .map(|what| format!("one-build-per-app or unique-url: {what}"))
            .collect();
        check_slots(&after, &mut wrong);
        check_claims(&before, &after, &state, &mut wrong);
        for (key, problem) in &state.unreadable {
            wrong.push(format!(
                "the state table holds what we can't read: {key}: {problem}"
            ));
        }
        for memory in state.memories.values() {
            self.ready
                .extend(memory.ready_since.map(|since| (memory.id.clone(), since)));
        }
        wrong
    }

    /// What must come to be once nothing goes wrong any more: eventually-stable, then no-leak.
    pub(crate) async fn calm(&mut self, portal: &mut Portal<'_>) -> Vec<String> {
        let mut times = String::new();
        portal.ask_for_all("Running");
        match self.until("every app is as its row wishes", Self::misses).await {
            Ok(took) => {
                let _ = write!(times, "as wished {took:.1?} after the storm");
            }
            Err(wrong) => return wrong,
        }
        let builds = self.lab.sim.world().builds().len();
        let since = Instant::now();
        while since.elapsed() < STABLE {
            let mut wrong = self.look().await;
            wrong.extend(
                self.misses()
                    .await
                    .into_iter()
                    .map(|miss| format!("it does not stay so: {miss}")),
            );
            if self.lab.sim.world().builds().len() != builds {
                wrong.push("eventually-stable: a build is started for nothing".to_owned());
            }
            if !wrong.is_empty() {
                return wrong;
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        portal.ask_for_all("Destroyed");
        match self.until("nothing runs any more", Self::survivors).await {
            Ok(took) => {
                let _ = write!(times, ", all destroyed in {took:.1?}");
            }
            Err(wrong) => return wrong,
        }
        portal.delete_all();
        match self.until("nothing is left", Self::leftovers).await {
            Ok(took) => {
                let _ = write!(times, ", forgotten in {took:.1?}");
            }
            Err(wrong) => return wrong,
        }
        self.calm = times;
        Vec::new()
    }

    async fn until(
        &mut self,
        what: &str,
        missing: impl AsyncFn(&Self) -> Vec<String>,
    ) -> Result<Duration, Vec<String>> {
        let begin = Instant::now();
        let mut told = begin;
        loop {
            let wrong = self.look().await;
            if !wrong.is_empty() {
                return Err(wrong);
            }
            let mut misses = missing(self).await;
            if misses.is_empty() {
                return Ok(begin.elapsed());
            }
            if begin.elapsed() > PATIENCE {
                misses.insert(0, format!("{PATIENCE:?} after the storm not yet: {what}"));
                return Err(misses);
            }
            if told.elapsed() > TELL {
                told = Instant::now();
                println!(
                    "calm for {} s, and not yet: {what}; {} left, as {}",
                    begin.elapsed().as_secs(),
                    misses.len(),
                    misses[0]
                );
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// What keeps the world from being as the rows wish: each app is up, or refused for the sake of one that is.
    async fn misses(&self) -> Vec<String> {
        let state = self.lab.snapshot().await;
        let services = self.lab.sim.world().services();
        let mut misses = self.unfinished();
        for id in apps() {
            let Some(memory) = state.memories.get(&id) else {
                misses.push(format!("{id} is not known"));
                continue;
            };
            let (phase, reason) = (memory.status.phase, memory.status.reason.as_str());
            let mut own = services
                .iter()
                .filter(|service| service.instance.as_deref() == Some(id.as_str()));
            let holder = |rival: &AppId| {
                are_rivals(id.as_str(), rival.as_str())
                    && state
                        .memories
                        .get(rival)
                        .is_some_and(|rival| rival.holding.is_some())
            };
            let fine = match (phase, reason) {
                (Phase::Ready, _) => own.any(|service| service.up && service.desired == 1),
                (Phase::Refused, "SlotTaken" | "HostNameTaken") => apps().any(|rival| holder(&rival)),
                _ => false,
            };
            if !fine {
                misses.push(format!(
                    "eventually-stable: {id} is {phase} ({reason}): {}",
                    memory.status.message
                ));
            }
        }
        misses
    }

    fn unfinished(&self) -> Vec<String> {
        let builds = self.lab.sim.world().builds();
        builds
            .iter()
            .filter(|build| build.ended.is_none())
            .map(|build| format!("build {} of {:?} still runs", build.id, build.instance))
            .collect()
    }

    async fn survivors(&self) -> Vec<String> {
        let state = self.lab.snapshot().await;
        let mut left = self.unfinished();
        let services = self.lab.sim.world().services();
        for service in services
            .iter()
            .filter(|service| service.status != ServiceStatus::Inactive)
        {
            left.push(format!(
                "no-leak: service {} of {:?}",
                service.name, service.instance
            ));
        }
        for (key, claim) in state.claims.iter().filter(|(key, _)| key.is_slot()) {
            left.push(format!("no-leak: {key} is held by {}", claim.app));
        }
        left
    }

    async fn leftovers(&self) -> Vec<String> {
        let mut left = self.survivors().await;
        let state = self.lab.snapshot().await;
        for (key, claim) in &state.claims {
            left.push(format!("no-leak: {key} is held by {}", claim.app));
        }
        for group in self.lab.sim.world().target_groups() {
            left.push(format!("no-leak: target group {group}"));
        }
        left
    }

    /// one-build-per-app once more, from all builds there ever were.
    pub(crate) fn in_hindsight(&self) -> Vec<String> {
        overlaps(&self.lab.sim.world().builds())
    }
}

/// one-instance-per-user: no two apps of a user have anything live.
fn check_slots(services: &[ServiceView], wrong: &mut Vec<String>) {
    let mut taken: BTreeMap<u64, &str> = BTreeMap::new();
    for service in services
        .iter()
        .filter(|service| service.status != ServiceStatus::Inactive)
    {
        let Some(instance) = service.instance.as_deref() else {
            continue;
        };
        let user = user_of(instance);
        if let Some(other) = taken.insert(user, instance)
            && other != instance
        {
            wrong.push(format!(
                "one-instance-per-user: {other} and {instance} of user-{user} are both live"
            ));
        }
    }
}

/// one-instance-per-user and unique-url: what is live, before and after the tables were read, held its claims there.
fn check_claims(
    before: &[ServiceView],
    after: &[ServiceView],
    state: &StateSnapshot,
    wrong: &mut Vec<String>,
) {
    let live = |service: &&ServiceView| service.status == ServiceStatus::Active;
    for service in after.iter().filter(live) {
        let same = |other: &&ServiceView| other.name == service.name && other.created == service.created;
        if !before.iter().filter(live).any(|other| same(&other)) {
            continue;
        }
        let (Some(host), Some(instance)) = (&service.host, &service.instance) else {
            continue;
        };
        let host = HostName::parse(host).unwrap();
        let user = User::parse(&format!("user-{}", user_of(instance))).unwrap();
        let keys = [
            ClaimKey::host(&host),
            ClaimKey::resource(&ResourceName::for_host(&host)),
            ClaimKey::slot(Scope::User, &user, &AppName::new("shop")),
        ];
        for key in keys {
            let holder = state.claims.get(&key).map(|claim| &claim.app);
            if holder != Some(&app(instance)) {
                wrong.push(format!(
                    "one-instance-per-user or unique-url: {} of {instance} is live, and {key} is held by {holder:?}",
                    service.name
                ));
            }
        }
    }
}
