//! Calls to AWS, by service, operation and outcome. Text that is not on the lists becomes `other`, so that
//! no caller can grow the number of series.

use std::time::Duration;

use prometheus::{HistogramVec, IntCounterVec};

use super::{CALL_SECONDS, Register};

const OTHER: &str = "other";

/// The calls that keep their names as labels: service, then operation. Any other is `other`.
pub const KNOWN_CALLS: [(&str, &str); 28] = [
    ("codebuild", "BatchGetBuilds"),
    ("codebuild", "BatchGetProjects"),
    ("codebuild", "ListBuildsForProject"),
    ("codebuild", "StartBuild"),
    ("codebuild", "StopBuild"),
    ("dynamodb", "BatchGetItem"),
    ("dynamodb", "CreateTable"),
    ("dynamodb", "DeleteItem"),
    ("dynamodb", "DescribeTable"),
    ("dynamodb", "DescribeTimeToLive"),
    ("dynamodb", "GetItem"),
    ("dynamodb", "PutItem"),
    ("dynamodb", "Query"),
    ("dynamodb", "Scan"),
    ("dynamodb", "TransactWriteItems"),
    ("dynamodb", "UpdateItem"),
    ("dynamodb", "UpdateTimeToLive"),
    ("ecs", "DescribeClusters"),
    ("ecs", "DescribeServices"),
    ("ecs", "DescribeTasks"),
    ("ecs", "ListServices"),
    ("ecs", "ListTasks"),
    ("ecs", "UpdateService"),
    ("ecs", "DeleteService"),
    ("elasticloadbalancingv2", "DescribeTags"),
    ("elasticloadbalancingv2", "DescribeTargetGroups"),
    ("elasticloadbalancingv2", "DescribeTargetHealth"),
    ("sts", "GetCallerIdentity"),
];

/// Outcomes that keep their name as a label. A condition that was not met is `rejected`.
pub const KNOWN_OUTCOMES: [&str; 7] = [
    "ok",
    "denied",
    "limit",
    "not_found",
    "rejected",
    "throttled",
    "unavailable",
];

/// Calls to AWS.
#[derive(Clone, Debug)]
pub struct AwsMetrics {
    requests: IntCounterVec,
    duration: HistogramVec,
    retries: IntCounterVec,
}

impl AwsMetrics {
    pub(super) fn new(register: &Register<'_>) -> Self {
        let metrics = Self {
            requests: register.counters(
                "aws_requests_total",
                "Calls to AWS, by how they ended.",
                &["service", "operation", "outcome"],
            ),
            duration: register.histograms(
                "aws_request_duration_seconds",
                "How long a call took, with its retries.",
                &["service", "operation"],
                &CALL_SECONDS,
            ),
            retries: register.counters(
                "aws_retries_total",
                "Attempts after the first, made by the SDK.",
                &["service", "operation"],
            ),
        };
        for (service, operation) in KNOWN_CALLS {
            for outcome in KNOWN_OUTCOMES {
                metrics.requests.with_label_values(&[service, operation, outcome]);
            }
            metrics.duration.with_label_values(&[service, operation]);
            metrics.retries.with_label_values(&[service, operation]);
        }
        metrics
    }

    /// Notes a call that is over, after `attempts` attempts. Names may be spelled as the SDK does; the
    /// service in any case.
    pub fn observe_call(
        &self,
        service: &str,
        operation: &str,
        outcome: &str,
        attempts: u32,
        elapsed: Duration,
    ) {
        let (service, operation) = known_call(service, operation);
        let outcome = known_outcome(outcome);
        self.requests
            .with_label_values(&[service, operation, outcome])
            .inc();
        let labels = [service, operation];
        self.duration
            .with_label_values(&labels)
            .observe(elapsed.as_secs_f64());
        self.retries
            .with_label_values(&labels)
            .inc_by(u64::from(attempts.saturating_sub(1)));
    }
}

fn known_outcome(text: &str) -> &'static str {
    KNOWN_OUTCOMES
        .iter()
        .find(|known| **known == text)
        .copied()
        .unwrap_or(OTHER)
}

fn known_call(service: &str, operation: &str) -> (&'static str, &'static str) {
    let folded = folded(service);
    let of_service = || KNOWN_CALLS.iter().filter(|(known, _)| *known == folded);
    match of_service().find(|(_, known)| *known == operation) {
        Some(call) => *call,
        None => of_service()
            .next()
            .map_or((OTHER, OTHER), |(known, _)| (known, OTHER)),
    }
}

/// The SDK writes `CodeBuild`, `DynamoDB`, `ECS` and `Elastic Load Balancing v2`.
fn folded(service: &str) -> String {
    let bare: String = service
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(32)
        .collect();
    match bare.to_ascii_lowercase().as_str() {
        "elb" | "elbv2" => "elasticloadbalancingv2".to_owned(),
        bare => bare.to_owned(),
    }
}
