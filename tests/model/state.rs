//! A state of the model: the tables, CodeBuild, what is on its way, and what each replica has in hand. Everything is
//! small and comparable; what is large (memories, plans) is kept once in [`crate::passes`] and named here by number.
//! What follows from a state is in `steps.rs`.

/// An app, by its place in the shape.
pub(crate) type App = u8;
/// A memory, by its place among all that were ever met.
pub(crate) type MemoryNo = u32;
/// What a replica decided on one look, likewise.
pub(crate) type PassNo = u32;

/// Everything there is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) apps: Vec<AppState>,
    /// Who holds each claim, in the order of [`crate::shape::Shape::claims`].
    pub(crate) claims: Vec<Option<App>>,
    /// Gates, in order.
    pub(crate) gates: Vec<(Op, Gate)>,
    /// Builds that may still matter, in order.
    pub(crate) builds: Vec<Build>,
    /// Calls whose sender gave up, and which may still arrive, in order.
    pub(crate) late: Vec<Call>,
    pub(crate) replicas: [Replica; 2],
    pub(crate) left: Budget,
    /// A plan broke one of the planner's own rules on the way here.
    pub(crate) broke_a_rule: bool,
}

/// What is stored and what is there of one app.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct AppState {
    /// What its row asks.
    pub(crate) row: Wish,
    pub(crate) memory: Option<MemoryNo>,
    /// How many tasks its service should have, if it has one.
    pub(crate) service: Option<u8>,
    /// Something of it may be there: an apply passed its gate, and no destroy has succeeded since.
    pub(crate) remains: bool,
}

/// What a row asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Wish {
    Running,
    /// The same with another parameter: a new spec, which needs a build of its own.
    Larger,
    Suspended,
    Destroyed,
    /// There is no row.
    Gone,
}

/// An operation: the app's n-th name for one. A number is used again once nothing tells of it any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Op {
    pub(crate) app: App,
    pub(crate) n: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Gate {
    Open,
    Closed,
    /// By the n-th build of its operation.
    Held(u8),
}

/// The n-th build of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Build {
    pub(crate) op: Op,
    pub(crate) n: u8,
    pub(crate) destroys: bool,
    pub(crate) stage: Stage,
    /// Whether CodeBuild still finds it by its token.
    pub(crate) known_by_token: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Stage {
    /// It has not asked at the gate yet.
    Waiting,
    /// It is past its gate.
    Past,
    Succeeded,
    Failed,
}

impl Stage {
    pub(crate) fn is_over(self) -> bool {
        match self {
            Stage::Waiting | Stage::Past => false,
            Stage::Succeeded | Stage::Failed => true,
        }
    }
}

/// A call on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Call {
    Start { op: Op, destroys: bool },
    Close(Op),
}

impl Call {
    /// The operation it is for.
    pub(crate) fn op(self) -> Op {
        match self {
            Call::Start { op, .. } | Call::Close(op) => op,
        }
    }
}

/// One process.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Replica {
    /// Whether it takes itself for the holder of the lease; always, where there are no leases.
    pub(crate) leads: bool,
    pub(crate) hand: Option<Hand>,
}

/// A pass in hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Hand {
    pub(crate) pass: PassNo,
    /// Whether nobody has written the memory since it was read.
    pub(crate) fresh: bool,
    pub(crate) todo: Todo,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Todo {
    /// The call is to be made.
    Act,
    /// What came of it is to be written.
    Record(Came),
}

/// What came of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Came {
    Done,
    /// CodeBuild runs the n-th build of the operation.
    Started(u8),
    Unanswered,
}

/// What may still go wrong, and how often people may still change their minds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub(crate) struct Budget {
    /// Replicas that die with a pass in hand.
    pub(crate) crashes: u8,
    /// Tokens that run out: CodeBuild's memory of it, the daemon's trust in it, or both.
    pub(crate) expiries: u8,
    /// Calls that are lost, unanswered, late or doubled.
    pub(crate) losses: u8,
    /// Builds that end badly.
    pub(crate) failures: u8,
    /// Changes of rows.
    pub(crate) changes: u8,
    /// Leases that are taken over while their holder still acts.
    pub(crate) takeovers: u8,
}

impl State {
    pub(crate) fn gate(&self, op: Op) -> Option<Gate> {
        let found = self.gates.iter().find(|(of, _)| *of == op);
        found.map(|(_, gate)| *gate)
    }

    /// Builds of an app that are past their gates and go on.
    pub(crate) fn past_the_gate(&self, app: App) -> usize {
        let past = |build: &&Build| build.op.app == app && build.stage == Stage::Past;
        self.builds.iter().filter(past).count()
    }
}
