//! Faults between the callers and the world, by rate or at an exact call. They change what a caller sees and when
//! a call takes effect; they never change what an operation does.

mod injector;

use std::collections::BTreeSet;
use std::time::Duration;

pub(crate) use injector::Injector;

/// What can go wrong with one call.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// `ThrottlingException`, "Rate exceeded"; not applied.
    Throttle,
    /// The service fails; not applied.
    InternalError(ServerError),
    /// The request is never applied; the caller sees a connection error.
    LoseRequest,
    /// The request is applied; the caller sees a connection error.
    LoseResponse,
    /// The caller sees a connection error now; the request is applied that much later.
    DeliverLate(Duration),
    /// The request is applied twice; the caller sees the first answer.
    Duplicate,
    /// The request is never applied and never answered.
    Hang,
    /// The request is applied and never answered.
    HangAfterApplying,
    /// Half of it passes before the request is applied, half after.
    Latency(Duration),
    /// A list or an eventually consistent read shows the world as it was up to that long ago.
    StaleList(Duration),
    /// A page with very few items and a token for more; of `BatchGetItem`, most keys unprocessed.
    ShortPage,
    /// The caller lacks the permission; not applied.
    AccessDenied,
    /// `StartBuild`: the account's queue is full; not applied.
    AccountLimitExceeded,
    /// A write to `DynamoDB` meets a transaction; not applied.
    TransactionConflict,
    /// The request is applied; the answer ends in the middle.
    TruncatedBody,
    /// The request is applied; the connection is reset in the middle of the answer's body.
    ResetMidBody,
    /// A read by name finds none of what it names: `buildsNotFound`, or `failures` with the reason MISSING.
    NothingFound,
    /// The caller's temporary credentials have expired; not applied.
    ExpiredCredentials,
    /// A transaction is cancelled for this reason, which its first item is to blame for; not applied.
    Cancelled(Cancellation),
}

/// Why `DynamoDB` cancels a transaction of which every condition holds. (AWS: the reasons of
/// `TransactionCanceledException`; `ConditionalCheckFailed` comes from the database itself, and
/// `TransactionConflict` is [`Fault::TransactionConflict`], which plain writes can meet too.)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancellation {
    /// The table has not enough capacity for now.
    ProvisionedThroughputExceeded,
    /// A table or an account is asked for too much.
    ThrottlingError,
    /// An item collection has become too large.
    ItemCollectionSizeLimitExceeded,
    /// Something about an item is not valid.
    ValidationError,
    /// The same item would be put twice.
    DuplicateItem,
}

impl Cancellation {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::ProvisionedThroughputExceeded,
        Self::ThrottlingError,
        Self::ItemCollectionSizeLimitExceeded,
        Self::ValidationError,
        Self::DuplicateItem,
    ];

    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::ProvisionedThroughputExceeded => "ProvisionedThroughputExceeded",
            Self::ThrottlingError => "ThrottlingError",
            Self::ItemCollectionSizeLimitExceeded => "ItemCollectionSizeLimitExceeded",
            Self::ValidationError => "ValidationError",
            Self::DuplicateItem => "DuplicateItem",
        }
    }
}

/// How a service fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerError {
    /// 500 with the error body of the protocol.
    Internal500,
    /// 503 with the error body of the protocol.
    Unavailable503,
    /// 503 with a page for people, as a load balancer in front of a service sends it.
    Html503,
}

impl Fault {
    /// A short name, the same for every parameter.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Throttle => "Throttle",
            Self::InternalError(_) => "InternalError",
            Self::LoseRequest => "LoseRequest",
            Self::LoseResponse => "LoseResponse",
            Self::DeliverLate(_) => "DeliverLate",
            Self::Duplicate => "Duplicate",
            Self::Hang => "Hang",
            Self::HangAfterApplying => "HangAfterApplying",
            Self::Latency(_) => "Latency",
            Self::StaleList(_) => "StaleList",
            Self::ShortPage => "ShortPage",
            Self::AccessDenied => "AccessDenied",
            Self::AccountLimitExceeded => "AccountLimitExceeded",
            Self::TransactionConflict => "TransactionConflict",
            Self::TruncatedBody => "TruncatedBody",
            Self::ResetMidBody => "ResetMidBody",
            Self::NothingFound => "NothingFound",
            Self::ExpiredCredentials => "ExpiredCredentials",
            Self::Cancelled(_) => "Cancelled",
        }
    }

    /// Whether the fault can befall this operation at all.
    pub(crate) fn fits(&self, operation: &str) -> bool {
        let one_of = |operations: &[&str]| operations.contains(&operation);
        match self {
            Self::StaleList(_) => one_of(&[
                "codebuild.ListBuildsForProject",
                "ecs.DescribeServices",
                "ecs.ListServices",
                "dynamodb.Scan",
                "dynamodb.Query",
                "dynamodb.GetItem",
            ]),
            Self::ShortPage => one_of(&[
                "codebuild.ListBuildsForProject",
                "codebuild.ListProjects",
                "ecs.ListServices",
                "ecs.ListTasks",
                "elbv2.DescribeTargetGroups",
                "dynamodb.Scan",
                "dynamodb.Query",
                "dynamodb.BatchGetItem",
            ]),
            Self::AccountLimitExceeded => operation == "codebuild.StartBuild",
            Self::TransactionConflict => one_of(&[
                "dynamodb.PutItem",
                "dynamodb.UpdateItem",
                "dynamodb.DeleteItem",
                "dynamodb.TransactWriteItems",
            ]),
            Self::NothingFound => one_of(&["codebuild.BatchGetBuilds", "ecs.DescribeServices"]),
            Self::Cancelled(_) => operation == "dynamodb.TransactWriteItems",
            _ => true,
        }
    }
}

/// A fault at the n-th call, counted from 1 since the plan was set.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    /// Of that operation, or of all in scope.
    operation: Option<String>,
    nth: u64,
    fault: Fault,
}

#[derive(Debug, Clone)]
pub(crate) struct Rate {
    operation: Option<String>,
    probability: f64,
    fault: Fault,
}

/// Which faults befall which calls. Operations are named as in [`World::calls`](crate::World::calls),
/// `codebuild.StartBuild`; a service's name alone, `codebuild`, means all of its operations.
#[derive(Debug, Clone, Default)]
pub struct FaultPlan {
    rates: Vec<Rate>,
    placed: Vec<Placed>,
    only: BTreeSet<String>,
    except: BTreeSet<String>,
}

impl FaultPlan {
    /// No faults.
    pub fn new() -> Self {
        Self::default()
    }

    /// The fault befalls each call with this probability.
    #[must_use]
    pub fn rate(mut self, probability: f64, fault: Fault) -> Self {
        self.rates.push(Rate {
            operation: None,
            probability,
            fault,
        });
        self
    }

    /// The fault befalls each call of one operation or service with this probability.
    #[must_use]
    pub fn rate_of(mut self, operation: &str, probability: f64, fault: Fault) -> Self {
        self.rates.push(Rate {
            operation: Some(operation.to_owned()),
            probability,
            fault,
        });
        self
    }

    /// The fault befalls the `nth` call of an operation, counted from 1.
    #[must_use]
    pub fn on(mut self, operation: &str, nth: u64, fault: Fault) -> Self {
        self.placed.push(Placed {
            operation: Some(operation.to_owned()),
            nth,
            fault,
        });
        self
    }

    /// The fault befalls the `nth` of all calls in scope, counted from 1.
    #[must_use]
    pub fn on_call(mut self, nth: u64, fault: Fault) -> Self {
        self.placed.push(Placed {
            operation: None,
            nth,
            fault,
        });
        self
    }

    /// Only these operations or services are in scope.
    #[must_use]
    pub fn only<'a>(mut self, operations: impl IntoIterator<Item = &'a str>) -> Self {
        self.only.extend(operations.into_iter().map(str::to_owned));
        self
    }

    /// All but these operations or services are in scope.
    #[must_use]
    pub fn except<'a>(mut self, operations: impl IntoIterator<Item = &'a str>) -> Self {
        self.except.extend(operations.into_iter().map(str::to_owned));
        self
    }

    /// Every kind of fault at a small rate, which ones the more and which the less being up to `seed`.
    pub fn storm(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let secs = |rng: &mut fastrand::Rng, most: u64| Duration::from_secs(rng.u64(1..most));
        let faults = [
            Fault::Throttle,
            Fault::InternalError(ServerError::Internal500),
            Fault::InternalError(ServerError::Html503),
            Fault::LoseRequest,
            Fault::LoseResponse,
            Fault::DeliverLate(secs(&mut rng, 600)),
            Fault::Duplicate,
            Fault::Hang,
            Fault::HangAfterApplying,
            Fault::Latency(secs(&mut rng, 4)),
            Fault::StaleList(secs(&mut rng, 120)),
            Fault::ShortPage,
            Fault::AccountLimitExceeded,
            Fault::TransactionConflict,
            Fault::TruncatedBody,
            Fault::ResetMidBody,
            Fault::NothingFound,
            Fault::ExpiredCredentials,
            Fault::Cancelled(Cancellation::ThrottlingError),
            Fault::Cancelled(Cancellation::ValidationError),
        ];
        faults
            .into_iter()
            .fold(Self::new(), |plan, fault| plan.rate(rng.f64() * 0.03, fault))
    }

    fn covers(&self, operation: &str) -> bool {
        let named = |names: &BTreeSet<String>| names.iter().any(|name| meant(name, operation));
        (self.only.is_empty() || named(&self.only)) && !named(&self.except)
    }

    pub(crate) fn shows_the_past(&self) -> bool {
        let rates = self.rates.iter().map(|rate| &rate.fault);
        let faults = rates.chain(self.placed.iter().map(|placed| &placed.fault));
        faults
            .into_iter()
            .any(|fault| matches!(fault, Fault::StaleList(_)))
    }
}

/// Whether a name, of an operation or of a service, means this operation.
fn meant(name: &str, operation: &str) -> bool {
    name == operation || operation.split('.').next() == Some(name)
}
