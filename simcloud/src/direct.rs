//! The world without its wire, for simulations in which a call must cost microseconds: calls as JSON values, and looks
//! as plain ones. Everything behind them is the same.

use jiff::Timestamp;
use serde_json::Value;

use crate::cloud::SimCloud;
use crate::view::World;
use crate::wire::answer::Reply;
use crate::wire::{Call, Service};
use crate::world::services::service_key;
use crate::world::targets::Health;
use crate::world::tasks::TaskStatus;

/// What the world knows of a target group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetGroupView {
    /// Whether a load balancer forwards to it.
    pub attached: bool,
    /// Targets that take traffic.
    pub healthy: u32,
    /// Targets that do not yet, or no longer, pass their checks.
    pub unhealthy: u32,
    /// Targets on their way out.
    pub draining: u32,
}

/// What the world knows of a task that stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoppedTaskView {
    /// When.
    pub at: Timestamp,
    /// AWS's `stopCode`.
    pub code: String,
    /// AWS's `stoppedReason`.
    pub reason: String,
}

/// Why a call was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The error's code, `AccountLimitExceededException`.
    pub code: String,
    /// Its sentence.
    pub message: String,
}

impl SimCloud {
    /// A call of a JSON service, `codebuild` or `ecs`, without HTTP around it. Faults befall it as any other.
    ///
    /// # Errors
    /// What the service refuses, and `NoAnswer` for a call whose answer got lost.
    pub async fn ask(&self, service: &str, operation: &str, input: Value) -> Result<Value, Refusal> {
        let refusal = |code: &str, message: &str| Refusal {
            code: code.to_owned(),
            message: message.to_owned(),
        };
        let service = match service {
            "codebuild" => Service::CodeBuild,
            "ecs" => Service::Ecs,
            other => return Err(refusal("UnknownService", other)),
        };
        let call = Call {
            service,
            operation: operation.to_owned(),
            input,
        };
        let Reply::Response(answer) = self.call(call).await else {
            return Err(refusal("NoAnswer", "the connection was lost"));
        };
        let good = answer.status().is_success();
        let body: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
        if good {
            return Ok(body);
        }
        let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
        let code = text("__type").rsplit('#').next().unwrap_or_default();
        Err(refusal(code, text("message")))
    }
}

impl World {
    /// One target group.
    pub fn target_group(&self, name: &str) -> Option<TargetGroupView> {
        let (sim, _) = self.shared.now();
        let group = sim.state.target_groups.get(name)?;
        let targets = sim.targets_in(&group.arn);
        let count = |wanted: Health| {
            let tasks = targets.iter().filter_map(|id| sim.state.tasks.get(id));
            let found = tasks.filter(|task| task.health == Some(wanted)).count();
            u32::try_from(found).unwrap_or(u32::MAX)
        };
        let attached = !group.load_balancers.is_empty();
        Some(TargetGroupView {
            attached,
            healthy: if attached { count(Health::Healthy) } else { 0 },
            unhealthy: count(Health::Initial) + count(Health::Unhealthy),
            draining: count(Health::Draining),
        })
    }

    /// The newest task of a service that neither a person nor the scheduler stopped.
    pub fn stopped_task(&self, cluster: &str, name: &str) -> Option<StoppedTaskView> {
        let (sim, _) = self.shared.now();
        let service = sim.state.services.get(&service_key(cluster, name))?;
        let by_itself = sim.tasks_of(service).filter_map(|task| {
            let code = task.stop_code.as_deref()?;
            let stopped = task.stopped.filter(|_| task.status == TaskStatus::Stopped)?;
            (!matches!(code, "ServiceSchedulerInitiated" | "UserInitiated")).then(|| StoppedTaskView {
                at: stopped,
                code: code.to_owned(),
                reason: task.stopped_reason.clone().unwrap_or_default(),
            })
        });
        by_itself.max_by_key(|task| task.at)
    }

    /// The status with which an app answers a GET; 404 where there is none.
    pub fn app_status(&self, host: &str, path: &str) -> u16 {
        let (sim, _) = self.shared.now();
        sim.app_page(host, path).status().as_u16()
    }
}
