//! What a test sees of a lab, and how it waits: the tables, the world, the metrics.

use std::future::Future;
use std::time::Duration;

use lamplighter::cloud::StateSnapshot;
use lamplighter::model::memory::Memory;
use lamplighter::model::status::{ConditionKind, Phase, Status, Truth};
use simcloud::{BuildView, ServiceStatus, ServiceView};
use tokio::time::Instant;

use super::{BETWEEN_LOOKS, Lab, PATIENCE, app, wire};

impl Lab {
    /// Empties the state table, and history with it: that would tell of the loss, and have the daemon wait until
    /// listings show all that was ever started.
    pub async fn lose_state_and_history(&self) {
        let tables = &self.config.tables;
        let db = self.dynamodb();
        for (table, keys) in [
            (&tables.state, ["pk"].as_slice()),
            (&tables.events, &["id", "at"]),
        ] {
            let items = db.scan().table_name(table).send().await.unwrap();
            for item in items.items() {
                let key = keys.iter().map(|key| ((*key).to_owned(), item[*key].clone()));
                let delete = db.delete_item().table_name(table).set_key(Some(key.collect()));
                delete.send().await.unwrap();
            }
        }
    }

    pub async fn memory(&self, id: &str) -> Option<Memory> {
        self.cloud.state.memory(&app(id)).await.unwrap()
    }

    pub async fn status(&self, id: &str) -> Status {
        self.memory(id)
            .await
            .map(|memory| memory.status)
            .unwrap_or_default()
    }

    pub async fn snapshot(&self) -> StateSnapshot {
        self.cloud.state.snapshot().await.unwrap()
    }

    /// Waits until an app is in a phase, and gives its status then.
    pub async fn until(&self, id: &str, phase: Phase) -> Status {
        self.until_status(id, &format!("phase {phase}"), |status| status.phase == phase)
            .await
    }

    pub async fn until_status(&self, id: &str, what: &str, done: impl Fn(&Status) -> bool) -> Status {
        let begin = Instant::now();
        loop {
            let status = self.status(id).await;
            if done(&status) {
                return status;
            }
            assert!(begin.elapsed() < PATIENCE, "{id}: no {what}; it says {status:#?}");
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    /// Waits until an app says why it is where it is in this word.
    pub async fn until_reason(&self, id: &str, reason: &str) -> Status {
        self.until_status(id, &format!("reason {reason}"), |status| status.reason == reason)
            .await
    }

    /// Looks again and again for a while that something stays so.
    pub async fn throughout<F: Future<Output = bool>>(
        &self,
        time: Duration,
        what: &str,
        mut so: impl FnMut() -> F,
    ) {
        let begin = Instant::now();
        while begin.elapsed() < time {
            assert!(so().await, "not all the time: {what}");
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    /// An app's history, oldest line first: `rule/reason: message`.
    pub async fn history(&self, id: &str) -> Vec<String> {
        let mut events = self.cloud.state.events(&app(id), 1000).await.unwrap();
        events.reverse();
        events
            .into_iter()
            .map(|event| format!("{}/{}: {}", event.rule, event.reason, event.message))
            .collect()
    }

    /// Waits until something is so.
    pub async fn eventually<F: Future<Output = bool>>(&self, what: &str, mut so: impl FnMut() -> F) {
        let begin = Instant::now();
        while !so().await {
            assert!(begin.elapsed() < PATIENCE, "never: {what}");
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    /// Builds that passed their gate, of one app and direction.
    pub fn passed(&self, id: &str, action: &str) -> Vec<BuildView> {
        let mut builds = self.sim.world().builds();
        builds.retain(|build| {
            build.instance.as_deref() == Some(id)
                && build.action.as_deref() == Some(action)
                && build.gate_passed.is_some()
        });
        builds
    }

    /// All builds of an app, oldest first.
    pub fn builds(&self, id: &str) -> Vec<BuildView> {
        let mut builds = self.sim.world().builds();
        builds.retain(|build| build.instance.as_deref() == Some(id));
        builds
    }

    /// What is there of an app in ECS, gone services left out.
    pub fn services(&self, id: &str) -> Vec<ServiceView> {
        let mut services = self.sim.world().services();
        services.retain(|service| {
            service.instance.as_deref() == Some(id) && service.status != ServiceStatus::Inactive
        });
        services
    }

    /// Whether an app holds its user's slot.
    pub async fn holds_a_slot(&self, id: &str) -> bool {
        let claims = self.snapshot().await.claims;
        claims
            .iter()
            .any(|(key, claim)| key.is_slot() && claim.app == app(id))
    }

    /// What the world itself found wrong, which must be nothing.
    pub fn assert_sound(&self) {
        assert_eq!(self.sim.world().violations(), Vec::<String>::new());
    }

    /// How many complete sweeps the newest daemon has made.
    pub async fn sweeps(&self) -> u64 {
        self.metric("lamplighter_sweeps_total{result=\"complete\"}").await
    }

    /// One number of the newest daemon's metrics, by its name and labels; zero when it is not there.
    pub async fn metric(&self, name: &str) -> u64 {
        let text = wire::get(&format!("{}/metrics", self.admin())).await.body;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        line.unwrap_or(0)
    }
}

pub fn truth(status: &Status, kind: ConditionKind) -> Option<Truth> {
    status.condition(kind).map(|condition| condition.status)
}
