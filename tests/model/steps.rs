//! What can happen in a state, and what it leads to. A step is as small as a crash can divide: a look with its
//! decision, a call, a write. What the product's code makes of a look or a write is asked of [`crate::passes`];
//! CodeBuild and the passing of time are here.

use std::fmt;

use crate::passes::{Does, Recorded};
use crate::shape::Surroundings;
use crate::state::{App, Build, Call, Came, Gate, Hand, Op, Stage, State, Todo, Wish};
use crate::store::change_gate;
use crate::{Model, passes::Pass};

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Somebody changes a row.
    Change(App, Wish),
    /// A replica looks at an app and decides.
    Look(usize, App),
    /// It makes its call.
    Act(usize, Fate),
    /// It writes down what came of it.
    Record(usize),
    /// It dies, and starts again with nothing in hand. `sent`: its call still arrives.
    Crash { replica: usize, sent: bool },
    /// A call arrives whose sender gave up.
    Arrive(usize),
    /// A build asks at its gate.
    Ask(usize),
    /// A build ends, well or badly.
    End { build: usize, well: bool },
    /// Minutes pass for an app: CodeBuild forgets its tokens, the daemon trusts them no longer, or both.
    Expire { app: App, cloud: bool, daemon: bool },
    /// A replica takes the lease, while the other still believes in its own.
    TakeOver(usize),
    /// A replica learns that its lease is over.
    GiveUp(usize),
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Answered,
    /// It never arrives.
    Lost,
    /// It arrives, its answer does not.
    Unanswered,
    /// It arrives after its sender gave up.
    Late,
    /// It is answered, and arrives once more later on.
    Twice,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Change(app, wish) => write!(f, "the row of a{app} says {wish:?}"),
            Step::Look(replica, app) => write!(f, "replica {replica} looks at a{app} and decides"),
            Step::Act(replica, fate) => write!(f, "replica {replica} makes its call: {fate:?}"),
            Step::Record(replica) => write!(f, "replica {replica} writes it down"),
            Step::Crash { replica, sent: true } => {
                write!(f, "replica {replica} dies, its call is on its way")
            }
            Step::Crash { replica, sent: false } => write!(f, "replica {replica} dies with nothing written"),
            Step::Arrive(_) => write!(f, "a late call arrives"),
            Step::Ask(n) => write!(f, "build {n} asks at its gate"),
            Step::End { build, well: true } => write!(f, "build {build} ends well"),
            Step::End { build, well: false } => write!(f, "build {build} fails"),
            Step::Expire { app, cloud, daemon } => {
                let who = match (cloud, daemon) {
                    (true, true) => "CodeBuild and the daemon",
                    (true, false) => "CodeBuild",
                    (false, _) => "the daemon",
                };
                write!(f, "to {who} the token of a{app} is over")
            }
            Step::TakeOver(replica) => write!(f, "replica {replica} takes the lease as well"),
            Step::GiveUp(replica) => write!(f, "replica {replica} learns that its lease is over"),
        }
    }
}

const FATES: [Fate; 4] = [Fate::Lost, Fate::Unanswered, Fate::Late, Fate::Twice];

impl Model {
    /// Every step that may be possible; [`Model::take`] has the last word.
    pub(crate) fn steps(&self, state: &State, steps: &mut Vec<Step>) {
        let left = state.left;
        for (n, replica) in state.replicas.iter().enumerate() {
            match replica.hand {
                Some(hand) if hand.todo == Todo::Act => {
                    steps.push(Step::Act(n, Fate::Answered));
                    if left.losses > 0 {
                        steps.extend(FATES.map(|fate| Step::Act(n, fate)));
                    }
                    // Dying before a call is made leaves what would be there had it never looked, and one crash
                    // more to come, so nothing is lost by leaving that out.
                    if left.crashes > 0 {
                        steps.push(Step::Crash {
                            replica: n,
                            sent: true,
                        });
                    }
                }
                Some(hand) => {
                    steps.push(Step::Record(n));
                    let acted = self.passes.pass(hand.pass).does != Does::Nothing;
                    if left.crashes > 0 && acted {
                        steps.push(Step::Crash {
                            replica: n,
                            sent: false,
                        });
                    }
                }
                None if replica.leads => steps.extend(self.shape.apps().map(|app| Step::Look(n, app))),
                None => {}
            }
            if self.shape.leases && !replica.leads && left.takeovers > 0 {
                steps.push(Step::TakeOver(n));
            }
            if self.shape.leases && state.replicas.iter().all(|replica| replica.leads) {
                steps.push(Step::GiveUp(n));
            }
            // Replicas with the same in hand are the same.
            if state.replicas[0] == state.replicas[1] {
                break;
            }
        }
        steps.extend((0..state.late.len()).map(Step::Arrive));
        for (n, build) in state.builds.iter().enumerate() {
            if build.stage == Stage::Waiting {
                steps.push(Step::Ask(n));
            }
            if build.stage == Stage::Past {
                steps.push(Step::End { build: n, well: true });
            }
            if !build.stage.is_over() && left.failures > 0 {
                steps.push(Step::End {
                    build: n,
                    well: false,
                });
            }
        }
        for app in self.shape.apps() {
            if left.changes > 0 {
                let wishes = self.shape.wishes.iter();
                steps.extend(wishes.map(|wish| Step::Change(app, *wish)));
            }
            if left.expiries > 0 {
                for (cloud, daemon) in [(true, false), (false, true), (true, true)] {
                    steps.push(Step::Expire { app, cloud, daemon });
                }
            }
        }
    }

    /// Takes a step. `None`: it changes nothing, or can't be taken here.
    pub(crate) fn take(&self, before: &State, step: Step) -> Option<State> {
        let mut state = before.clone();
        match step {
            Step::Change(app, wish) => {
                state.left.changes -= 1;
                let row = &mut state.apps[usize::from(app)].row;
                if *row == wish {
                    return None;
                }
                *row = wish;
            }
            Step::Look(replica, app) => {
                let pass = self.passes.look(&self.shape, &state, app)?;
                let decided = self.passes.pass(pass);
                state.broke_a_rule |= !decided.broken.is_empty();
                let todo = match decided.does {
                    Does::Nothing => Todo::Record(Came::Done),
                    Does::Start { .. } | Does::Close(_) | Does::Stop { .. } | Does::Scale(_) => Todo::Act,
                };
                let fresh = true;
                state.replicas[replica].hand = Some(Hand { pass, fresh, todo });
            }
            Step::Act(replica, fate) => self.act(&mut state, replica, fate)?,
            Step::Record(replica) => self.record(&mut state, replica)?,
            Step::Crash { replica, sent } => {
                state.left.crashes -= 1;
                let hand = state.replicas[replica].hand.take()?;
                if sent {
                    state.late.push(self.passes.pass(hand.pass).call()?);
                }
            }
            Step::Arrive(n) => match state.late.remove(n) {
                Call::Start { op, destroys } => {
                    start(&mut state, op, destroys);
                }
                Call::Close(op) => close(&mut state, op),
            },
            Step::Ask(n) => self.ask(&mut state, n),
            Step::End { build, well } => end(&mut state, build, well),
            Step::Expire { app, cloud, daemon } => {
                state.left.expiries -= 1;
                self.expire(&mut state, app, cloud, daemon)?;
            }
            Step::TakeOver(replica) => {
                state.left.takeovers -= 1;
                state.replicas[replica].leads = true;
            }
            Step::GiveUp(replica) => state.replicas[replica].leads = false,
        }
        self.tidy(&mut state);
        Some(state)
    }

    fn act(&self, state: &mut State, replica: usize, fate: Fate) -> Option<()> {
        if fate != Fate::Answered {
            state.left.losses -= 1;
        }
        let hand = state.replicas[replica].hand?;
        let pass = self.passes.pass(hand.pass);
        let arrives = matches!(fate, Fate::Answered | Fate::Unanswered | Fate::Twice);
        let mut came = match fate {
            Fate::Answered | Fate::Twice => Came::Done,
            Fate::Lost | Fate::Unanswered | Fate::Late => Came::Unanswered,
        };
        let differs = match pass.does {
            Does::Nothing => false,
            Does::Start { .. } => true,
            // A gate that is closed twice, or whose closing is not answered, is a gate that is closed.
            Does::Close(_) => matches!(fate, Fate::Answered | Fate::Lost | Fate::Late),
            // Late stops and scalings can only waste something.
            Does::Stop { .. } | Does::Scale(_) => matches!(fate, Fate::Answered | Fate::Lost),
        };
        differs.then_some(())?;
        if arrives {
            if let Does::Start { op, destroys } = pass.does {
                let n = start(state, op, destroys);
                if came == Came::Done {
                    came = Came::Started(n);
                }
            }
            take_effect(state, pass.app, pass.does);
        }
        if fate == Fate::Late || fate == Fate::Twice {
            state.late.push(pass.call()?);
        }
        if fate == Fate::Lost && self.writes_nothing(state, hand.pass, came) {
            // As if it had never looked.
            return None;
        }
        let todo = Todo::Record(came);
        state.replicas[replica].hand = Some(Hand { todo, ..hand });
        Some(())
    }

    fn record(&self, state: &mut State, replica: usize) -> Option<()> {
        let hand = state.replicas[replica].hand.take()?;
        let Todo::Record(came) = hand.todo else {
            return None;
        };
        let recorded = self
            .passes
            .record(&self.shape, hand.pass, came, hand.fresh, &state.claims);
        let Recorded::Written {
            memory,
            claims,
            opened,
        } = recorded
        else {
            return Some(());
        };
        let app = self.passes.pass(hand.pass).app;
        state.apps[usize::from(app)].memory = Some(memory);
        state.claims = claims;
        if let Some(op) = opened {
            if self.shape.surroundings == Surroundings::OneGateForAll {
                for (of, gate) in state.gates.iter_mut().filter(|(of, _)| of.app == app) {
                    debug_assert_ne!(*of, op);
                    *gate = Gate::Open;
                }
            }
            state.gates.push((op, Gate::Open));
        }
        for other in state
            .replicas
            .iter_mut()
            .filter_map(|replica| replica.hand.as_mut())
        {
            if self.passes.pass(other.pass).app == app {
                other.fresh = false;
            }
        }
        Some(())
    }

    fn ask(&self, state: &mut State, n: usize) {
        let build = state.builds[n];
        let (gate, passed) = change_gate(build.op, state.gate(build.op), Some(build.n));
        set_gate(state, build.op, gate);
        let passed = passed || self.shape.surroundings == Surroundings::NoGate;
        state.builds[n].stage = if passed { Stage::Past } else { Stage::Failed };
        if passed && !build.destroys {
            state.apps[usize::from(build.op.app)].remains = true;
        }
    }

    fn expire(&self, state: &mut State, app: App, cloud: bool, daemon: bool) -> Option<()> {
        if cloud {
            let mut forgot = false;
            for build in state.builds.iter_mut().filter(|build| build.op.app == app) {
                forgot |= build.known_by_token;
                build.known_by_token = false;
            }
            forgot.then_some(())?;
        }
        if daemon {
            let before = state.apps[usize::from(app)].memory?;
            let aged = self.passes.age_memory(&self.shape, before);
            (aged != before).then_some(())?;
            state.apps[usize::from(app)].memory = Some(aged);
            for hand in state
                .replicas
                .iter_mut()
                .filter_map(|replica| replica.hand.as_mut())
            {
                if self.passes.pass(hand.pass).app == app {
                    hand.pass = self.passes.age_pass(hand.pass);
                }
            }
        }
        Some(())
    }
}

impl Pass {
    /// Its call, where that can arrive late and matter.
    pub(crate) fn call(&self) -> Option<Call> {
        match self.does {
            Does::Start { op, destroys } => Some(Call::Start { op, destroys }),
            Does::Close(op) => Some(Call::Close(op)),
            Does::Nothing | Does::Stop { .. } | Does::Scale(_) => None,
        }
    }
}

/// What a call does, other than to start a build.
fn take_effect(state: &mut State, app: App, does: Does) {
    match does {
        Does::Nothing | Does::Start { .. } => {}
        Does::Close(op) => close(state, op),
        Does::Stop { op, n } => {
            let running = |b: &&mut Build| (b.op, b.n) == (op, n) && !b.stage.is_over();
            if let Some(build) = state.builds.iter_mut().find(running) {
                build.stage = Stage::Failed;
            }
        }
        Does::Scale(tasks) => {
            let service = &mut state.apps[usize::from(app)].service;
            *service = service.map(|_| tasks);
        }
    }
}

/// CodeBuild finds the build of a token that it remembers, and starts another one otherwise.
fn start(state: &mut State, op: Op, destroys: bool) -> u8 {
    let known = |build: &&Build| build.op == op && build.known_by_token;
    if let Some(build) = state.builds.iter().find(known) {
        return build.n;
    }
    // The holder of a gate keeps its number, even once it is over and out of sight.
    let holds = |n: u8| state.gate(op) == Some(Gate::Held(n));
    let taken = |n: &u8| holds(*n) || state.builds.iter().any(|build| (build.op, build.n) == (op, *n));
    let n = (0..u8::MAX)
        .find(|n| !taken(n))
        .expect("few builds matter at once");
    state.builds.push(Build {
        op,
        n,
        destroys,
        stage: Stage::Waiting,
        known_by_token: true,
    });
    n
}

fn close(state: &mut State, op: Op) {
    let (gate, _) = change_gate(op, state.gate(op), None);
    set_gate(state, op, gate);
}

fn set_gate(state: &mut State, op: Op, gate: Option<Gate>) {
    let found = state.gates.iter_mut().find(|(of, _)| *of == op);
    if let (Some((_, stored)), Some(gate)) = (found, gate) {
        *stored = gate;
    }
}

/// A build past its gate that ends well has done its work; one that does not may have done any part of it.
fn end(state: &mut State, n: usize, well: bool) {
    let build = &mut state.builds[n];
    if !well {
        state.left.failures -= 1;
        build.stage = Stage::Failed;
        return;
    }
    build.stage = Stage::Succeeded;
    let app = &mut state.apps[usize::from(build.op.app)];
    if build.destroys {
        (app.service, app.remains) = (None, false);
    } else {
        app.service = app.service.or(Some(2));
    }
}
