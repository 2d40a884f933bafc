//! The account's queue: which waiting builds may start, and what the end of one means for the others.

use jiff::Timestamp;

use super::behaviour::Behaviour;
use super::builds::{BuildStatus, Context, Phase};
use super::phases::Failure;
use crate::sim::Sim;

impl Sim {
    pub(crate) fn complete(&mut self, id: &str, at: Timestamp) {
        let Some(build) = self.state.builds.get_mut(id) else {
            return;
        };
        build.status = build.verdict.unwrap_or(BuildStatus::Succeeded);
        build.ended = Some(at);
        let retries = build.status == BuildStatus::Failed && build.auto_retries_left > 0;
        let line = format!("{id} is complete: {}", build.status.as_str());
        self.state.unfinished.remove(id);
        self.ledger.note(at, &line);
        if retries {
            self.retry_build(id, at);
        }
        self.admit(at);
    }

    /// Lets queued builds start while there is room. AWS: their order is not predictable.
    pub(crate) fn admit(&mut self, at: Timestamp) {
        loop {
            let unfinished = self
                .state
                .unfinished
                .iter()
                .filter_map(|id| self.state.builds.get(id));
            let running = unfinished
                .clone()
                .filter(|build| build.phase() > Phase::Queued)
                .count();
            let mut waiting: Vec<String> = unfinished
                .filter(|build| build.waits_for_room)
                .map(|build| build.id.clone())
                .collect();
            if running >= self.config.concurrent_builds || waiting.is_empty() {
                return;
            }
            let drawn = self.state.ids.rng().usize(..waiting.len());
            let id = waiting.swap_remove(drawn);
            self.with_build(&id, |build| build.waits_for_room = false);
            if self
                .state
                .builds
                .get(&id)
                .is_some_and(|build| build.behaviours.contains(&Behaviour::ClientError))
            {
                let message =
                    "The container could not be attached to the VPC: Request limit exceeded.".to_owned();
                let context = Context {
                    code: "VPC_CLIENT_ERROR".to_owned(),
                    message,
                };
                self.fail_phase(
                    &id,
                    at,
                    Failure {
                        status: "CLIENT_ERROR",
                        context,
                    },
                );
            } else {
                self.phase_ends(&id, at);
            }
        }
    }
}
