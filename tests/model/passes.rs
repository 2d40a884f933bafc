//! The product at work: a look through the real inventory, the real planner, and the real recorder over the tables in
//! plain memory. What comes of each is kept by what it was made from, since the same small part of the world is met
//! in very many states; that is what makes a million states a matter of seconds.

use std::sync::Arc;

use jiff::SignedDuration;
use lamplighter::cloud::Error;
use lamplighter::executor::Outcome;
use lamplighter::inventory::{Context, Inventory};
use lamplighter::model::blueprint::BuildKind;
use lamplighter::model::memory::{Deployment, Ending, Memory, Operation, Past, Settled};
use lamplighter::model::observed::{self, Observed, TagLook, Traces};
use lamplighter::model::policy::{Admission, Deletions};
use lamplighter::model::row::Desired;
use lamplighter::model::status::Status;
use lamplighter::planner::{self, Action, AppView, Plan, invariants};
use lamplighter::recorder::Recorder;

use crate::edge::{Aws, Still, at_once};
use crate::kept::{Cache, Kept};
use crate::memory_tables::Items;
use crate::shape::{self, Shape, Surroundings, number_of, operation_id};
use crate::state::{App, Build, Came, Gate, MemoryNo, Op, PassNo, State, Wish};
use crate::store::{claims, holders, stored, stored_gate, tables};

/// Everything that was ever met.
#[derive(Default)]
pub(crate) struct Passes {
    memories: Kept<Known>,
    made: Kept<Pass>,
    looks: Cache<Look, Option<PassNo>>,
    records: Cache<Record, Recorded>,
    aged: Cache<PassNo, PassNo>,
}

/// A memory, and what the model needs to know of it.
pub(crate) struct Known {
    pub(crate) memory: Memory,
    /// One of those that come to it, before anything was taken out.
    whole: Memory,
    /// Its current or last operation.
    pub(crate) op: Option<Op>,
    pub(crate) in_flight: bool,
    /// Which build its operation knows.
    pub(crate) build: Option<u8>,
    /// The claims it holds, by place.
    pub(crate) holds: Vec<usize>,
}

/// What was seen, and what was decided on it.
pub(crate) struct Pass {
    pub(crate) app: App,
    pub(crate) does: Does,
    /// Operations that it tells of, a bit for each name.
    pub(crate) ops: u8,
    /// Rules of the planner's own that the plan broke.
    pub(crate) broken: Vec<String>,
    view: AppView,
    plan: Plan,
}

/// The one call of a plan. An intent is none: it is written by the recorder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Does {
    Nothing,
    Start { op: Op, destroys: bool },
    Close(Op),
    Stop { op: Op, n: u8 },
    Scale(u8),
}

/// What came of writing a pass down.
#[derive(Clone)]
pub(crate) enum Recorded {
    /// There was nothing to write.
    Unchanged,
    /// Its condition failed, so nothing was written.
    Refused,
    Written {
        memory: MemoryNo,
        claims: Vec<Option<App>>,
        opened: Option<Op>,
    },
}

/// All that a write depends on: the pass, what came of it, whether it is fresh, and who holds the claims.
type Record = (PassNo, Came, bool, Vec<Option<App>>);

/// All that one look depends on.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Look {
    app: App,
    row: Wish,
    memory: Option<MemoryNo>,
    gate: Option<Gate>,
    builds: Vec<Build>,
    service: Option<u8>,
    claims: Vec<Option<App>>,
    /// The name that a new operation would get.
    next: Op,
}

impl Passes {
    pub(crate) fn memory(&self, no: MemoryNo) -> Arc<Known> {
        self.memories.get(no)
    }

    pub(crate) fn pass(&self, no: PassNo) -> Arc<Pass> {
        self.made.get(no)
    }

    /// What a replica that looks at an app now decides; `None`: nothing is to be done or written.
    pub(crate) fn look(&self, shape: &Shape, state: &State, app: App) -> Option<PassNo> {
        let seen = &state.apps[usize::from(app)];
        let flying = seen
            .memory
            .map(|no| self.memory(no))
            .filter(|known| known.in_flight);
        let op = flying.and_then(|known| known.op);
        let look = Look {
            app,
            row: seen.row,
            memory: seen.memory,
            gate: op.and_then(|op| state.gate(op)),
            builds: state
                .builds
                .iter()
                .filter(|build| Some(build.op) == op)
                .copied()
                .collect(),
            service: seen.service,
            claims: state.claims.clone(),
            next: self.unused(state, app),
        };
        self.looks.get_or(look, |look| self.decide(shape, look))
    }

    /// The first name for an operation that nothing tells of.
    fn unused(&self, state: &State, app: App) -> Op {
        let mut used = self.ops_in_hand(state, app);
        let bit = |op: &Op| if op.app == app { 1_u8 << op.n } else { 0 };
        let memory = state.apps[usize::from(app)].memory.map(|no| self.memory(no));
        used |= memory.and_then(|known| known.op).map_or(0, |op| bit(&op));
        used |= state.gates.iter().fold(0, |all, (op, _)| all | bit(op));
        used |= state.builds.iter().fold(0, |all, build| all | bit(&build.op));
        used |= state.late.iter().fold(0, |all, call| all | bit(&call.op()));
        let n = u8::try_from(used.trailing_ones()).expect("a byte has eight bits");
        assert!(n < 8, "an app never has eight operations that matter at once");
        Op { app, n }
    }

    /// The operations of an app that passes in hand tell of.
    pub(crate) fn ops_in_hand(&self, state: &State, app: App) -> u8 {
        let hands = state.replicas.iter().filter_map(|replica| replica.hand);
        let passes = hands
            .map(|hand| self.pass(hand.pass))
            .filter(|pass| pass.app == app);
        passes.fold(0, |all, pass| all | pass.ops)
    }

    fn decide(&self, shape: &Shape, look: &Look) -> Option<PassNo> {
        let mut view = self.view(shape, look);
        if shape.surroundings == Surroundings::ReplacesUnsettled {
            settle_early(&mut view, look.row);
        }
        let mut plan = planner::plan(&view, &shape.policy, shape::now());
        let broken = invariants::violations(&view, &plan);
        reduce(&mut plan.memory);
        if let (Some(no), Surroundings::Real) = (look.memory, shape.surroundings) {
            self.same_on_the_whole(shape, no, &view, &plan);
        }
        let ops = |memory: Option<&Memory>| {
            let operation = memory.and_then(|memory| memory.operation.as_ref());
            operation.map_or(0, |operation| 1 << shape.op(&operation.id).n)
        };
        let pass = Pass {
            app: look.app,
            does: does(shape, plan.action.as_ref()),
            ops: ops(view.memory.present()) | ops(Some(&plan.memory)),
            broken,
            view,
            plan,
        };
        let idle = pass.does == Does::Nothing;
        let no = self.keep_pass(pass);
        let written = self.record(shape, no, Came::Done, true, &look.claims);
        (!idle || !matches!(written, Recorded::Unchanged)).then_some(no)
    }

    /// What was taken out of a memory must not have mattered.
    fn same_on_the_whole(&self, shape: &Shape, no: MemoryNo, view: &AppView, plan: &Plan) {
        let memory = Observed::Present(self.memory(no).whole.clone());
        let view = AppView {
            memory,
            ..view.clone()
        };
        let mut whole = planner::plan(&view, &shape.policy, shape::now());
        reduce(&mut whole.memory);
        let decided = |plan: &Plan| (plan.action.clone(), plan.memory.clone(), plan.release.clone());
        assert_eq!(
            decided(plan),
            decided(&whole),
            "the model leaves out something that matters"
        );
    }

    fn keep_pass(&self, pass: Pass) -> PassNo {
        let (view, plan) = (&pass.view, &pass.plan);
        // All that matters of a pass later on.
        let key = format!(
            "{:?} {:?} {:?} {:?}",
            view.memory, plan.action, plan.memory, plan.release
        );
        self.made.keep(key, pass)
    }

    /// What the real inventory sees.
    fn view(&self, shape: &Shape, look: &Look) -> AppView {
        let who = &shape.who[usize::from(look.app)];
        let mut items = Items {
            claims: claims(shape, &look.claims),
            ..Items::default()
        };
        if let Some(row) = shape.row(look.app, look.row) {
            items.rows.insert(who.id.clone(), row);
        }
        if let Some(no) = look.memory {
            let known = self.memory(no);
            items.memories.insert(who.id.clone(), known.memory.clone());
            if let (Some(op), Some(gate)) = (known.op, look.gate) {
                items.gates.insert(operation_id(op), stored_gate(op, gate));
            }
        }
        let aws = Aws::of(who, look.builds.clone(), look.service);
        let context = Context {
            tagged: Observed::Present(TagLook {
                at: shape::now(),
                services: look.service.iter().map(|_| aws.name.clone()).collect(),
            }),
            deletions: Deletions::Unjudged,
            // A listing that shows nothing: memory is never lost here.
            traces: Observed::Present(Traces::default()),
            strays: Arc::default(),
            reap: false,
            notice: None,
            admission: Admission::Granted,
            entropy: shape::entropy(look.next),
        };
        let inventory = Inventory::new(aws.behind(tables(items)), Arc::new(Still), shape.policy.clone());
        let judged = |memory: Option<&Memory>| Deletions::Clear {
            gone_since: memory
                .and_then(|memory| memory.row_gone.as_ref())
                .map(|gone| gone.since),
        };
        at_once(inventory.look(&who.id, |_, memory| Context {
            deletions: judged(memory),
            ..context
        }))
    }

    /// What comes of writing a pass down. `fresh`: nobody has written the memory since it was read.
    pub(crate) fn record(
        &self,
        shape: &Shape,
        no: PassNo,
        came: Came,
        fresh: bool,
        claims: &[Option<App>],
    ) -> Recorded {
        let key = (no, came, fresh, claims.to_vec());
        self.records
            .get_or(key, |_| self.write(shape, no, came, fresh, claims))
    }

    fn write(&self, shape: &Shape, no: PassNo, came: Came, fresh: bool, held: &[Option<App>]) -> Recorded {
        let pass = self.pass(no);
        let id = &shape.who[usize::from(pass.app)].id;
        let mut items = Items {
            claims: claims(shape, held),
            ..Items::default()
        };
        if shape.surroundings == Surroundings::ClaimsAreTaken
            && let Some(Action::Intend { take, .. }) = &pass.plan.action
        {
            items.claims.retain(|key, _| !take.contains(key));
        }
        let unconditional = shape.surroundings == Surroundings::NoVersion;
        let before = pass.view.memory.present();
        if let Some(stored) = stored(id, before, fresh || unconditional) {
            items.memories.insert(id.clone(), stored);
        }
        let tables = Arc::new(tables(items));
        let outcome = match (came, pass.does) {
            (Came::Started(n), Does::Start { op, .. }) => Outcome::Started(shape::build_id(op, n)),
            (Came::Unanswered, _) => Outcome::Failed(Error::Unavailable {
                call: "codebuild.StartBuild",
                cause: "no answer".into(),
            }),
            (Came::Done | Came::Started(_), _) => Outcome::Done,
        };
        let recorder = Recorder::new(tables.clone());
        let recording = recorder.record(&pass.view, pass.plan.clone(), &outcome, shape::now());
        if at_once(recording).is_err() {
            return Recorded::Refused;
        }
        let items = tables.items();
        assert!(!pass.plan.forget, "the model does not last long enough to forget");
        let Some(memory) = items.memories.get(id) else {
            return Recorded::Unchanged;
        };
        let memory = self.keep_memory(shape, memory.clone());
        let holders = holders(shape, &items.claims);
        let opened = items.gates.keys().next().map(|id| shape.op(id));
        let same = before.is_some_and(|before| self.keep_memory(shape, before.clone()) == memory);
        if same && holders == held && opened.is_none() {
            return Recorded::Unchanged;
        }
        Recorded::Written {
            memory,
            claims: holders,
            opened,
        }
    }

    fn keep_memory(&self, shape: &Shape, whole: Memory) -> MemoryNo {
        let mut memory = whole.clone();
        reduce(&mut memory);
        let operation = memory.operation.as_ref();
        let known = Known {
            op: operation.map(|operation| shape.op(&operation.id)),
            in_flight: memory.in_flight().is_some(),
            build: operation.and_then(|operation| operation.build.as_ref().map(number_of)),
            holds: memory.holding.as_ref().map_or_else(Vec::new, |holding| {
                holding.keys().iter().map(|key| shape.claim(key)).collect()
            }),
            memory,
            whole,
        };
        self.memories.keep(format!("{:?}", known.memory), known)
    }

    /// The same memory, minutes after its operation was intended.
    pub(crate) fn age_memory(&self, shape: &Shape, no: MemoryNo) -> MemoryNo {
        let mut memory = self.memory(no).whole.clone();
        age(&mut memory);
        self.keep_memory(shape, memory)
    }

    /// The same pass in hand, minutes after the operation that it tells of was intended.
    pub(crate) fn age_pass(&self, no: PassNo) -> PassNo {
        self.aged.get_or(no, |_| {
            let pass = self.pass(no);
            let (mut view, mut plan) = (pass.view.clone(), pass.plan.clone());
            if let Observed::Present(memory) = &mut view.memory {
                age(memory);
            }
            age(&mut plan.memory);
            let broken = pass.broken.clone();
            self.keep_pass(Pass {
                broken,
                view,
                plan,
                ..*pass
            })
        })
    }
}

/// Takes out what no decision reads: what people are told, how often something failed before the limit that is out
/// of reach here, and an operation that is settled, unless it is a destroy that is still to be verified.
/// [`Passes::decide`] checks that the planner decides the same without.
fn reduce(memory: &mut Memory) {
    memory.status = Status::default();
    memory.decision = String::new();
    memory.life = None;
    (memory.spent, memory.answered) = (None, None);
    memory.version = 1;
    memory.past = Some(Past::default());
    if let Some(failures) = &mut memory.failures {
        failures.count = 1;
        failures.message.clear();
    }
    if let Some(operation) = &mut memory.operation {
        operation.start_trouble = None;
        if let Some(cancel) = &mut operation.cancel {
            cancel.clear();
        }
        if operation.settled.is_some() {
            (operation.build, operation.cancel) = (None, None);
            operation.intended_at = shape::now();
        }
    }
    let kept = |operation: &Operation| {
        let destroyed = operation
            .settled
            .as_ref()
            .is_some_and(|it| it.outcome == Ending::Succeeded);
        operation.in_flight()
            || (destroyed && operation.kind == BuildKind::Destroy && memory.deployment.is_some())
    };
    if memory
        .operation
        .as_ref()
        .is_some_and(|operation| !kept(operation))
    {
        memory.operation = None;
    }
}

fn age(memory: &mut Memory) {
    let flying = memory
        .operation
        .as_mut()
        .filter(|operation| operation.in_flight());
    if let Some(operation) = flying {
        operation.intended_at = shape::now() - SignedDuration::from_mins(10);
    }
}

/// One of the wrong surroundings: what is not wanted any more counts as settled, wherever its builds are.
fn settle_early(view: &mut AppView, row: Wish) {
    let Observed::Present(memory) = &mut view.memory else {
        return;
    };
    let wanted = match row {
        Wish::Running | Wish::Larger => Desired::Running,
        Wish::Suspended => Desired::Suspended,
        Wish::Destroyed | Wish::Gone => Desired::Destroyed,
    };
    let Some(operation) = memory
        .operation
        .as_mut()
        .filter(|operation| operation.in_flight())
    else {
        return;
    };
    if (operation.kind == BuildKind::Destroy) != (wanted == Desired::Destroyed) {
        operation.settled = Some(Settled {
            at: shape::now(),
            outcome: Ending::Failed(observed::BuildFailure {
                status: "STOPPED".to_owned(),
                phase: None,
                context: None,
            }),
        });
        let blueprint = operation.blueprint.clone();
        memory.deployment = Some(Deployment {
            blueprint,
            complete: false,
            at: shape::now(),
        });
    }
}

fn does(shape: &Shape, action: Option<&Action>) -> Does {
    match action {
        None | Some(Action::Intend { .. } | Action::Adopt { .. }) => Does::Nothing,
        Some(Action::Keep { .. }) => unreachable!("the policy of the model counts no hours"),
        Some(Action::Bid { .. }) => unreachable!("a slot that is taken is refused here"),
        Some(Action::StartBuild { request }) => Does::Start {
            op: shape.op(&request.token),
            destroys: request.environment["ACTION"] == "destroy",
        },
        Some(Action::CloseGate { operation }) => Does::Close(shape.op(operation)),
        Some(Action::StopBuild { build }) => {
            let (_, rest) = build.as_str().split_once(':').unwrap();
            let (operation, _) = rest.rsplit_once('-').unwrap();
            Does::Stop {
                op: shape.op_named(operation),
                n: number_of(build),
            }
        }
        Some(Action::DeleteService { .. }) => unreachable!("the policy of the model deletes nothing"),
        Some(Action::Scale { tasks, .. }) => Does::Scale(u8::try_from(*tasks).unwrap()),
    }
}
