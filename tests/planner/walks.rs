//! Random walks through the tiny world: requests, deletions, meddling, lost and late calls, crashes, a second
//! replica that acts on an old look, senses that fail and clocks that jump. Every plan on the way is held
//! against every rule, and from wherever a walk ends, calm weather leads to what is wished.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use lamplighter::model::claim::{Claim, ClaimKey, OnConflict};
use lamplighter::model::name::AppId;
use lamplighter::model::observed::{Probe, StoppedTask};
use lamplighter::model::policy::Admission;
use lamplighter::model::status::Phase;
use lamplighter::planner::Requeue;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::checks;
use crate::world::{Fault, Pass, SWEEP, Script, Sense, World};

#[derive(Clone, Debug)]
enum Step {
    /// One pass, then this many seconds.
    Pass(Fault, i64),
    /// Passes at the planner's own pace for this many seconds.
    Run(i64),
    /// Two replicas look; the second acts first.
    Race(Fault, Fault),
    /// The same, with this many seconds between look and act.
    Stall(i64),
    Row(Change),
    Blind(BTreeSet<Sense>),
    Clock(i64),
    Builds(Vec<Script>),
    Meddle(Meddle),
    /// Whether vanished rows are held from the next sweep on.
    Hold(bool),
    /// An operator pauses the fleet, or resumes it.
    Pause(bool),
    /// Whether builds have to wait in line.
    Line(bool),
}

#[derive(Clone, Debug)]
enum Change {
    Delete,
    Set(&'static str, Value),
    /// A new request.
    Ask(&'static str),
    /// A new request with its time, in seconds from now.
    AskAt(&'static str, i64),
    /// An exemption or an expiry, in seconds from now.
    Until(&'static str, i64),
}

#[derive(Clone, Debug)]
enum Meddle {
    DeleteService,
    Scale(u32),
    Detach,
    DeleteGroup,
    Break,
    Mend,
    TakeSlot,
    TakeHost,
    GiveBack,
    DeleteGates,
    /// What is done where a slot is taken.
    Conflict(OnConflict),
    /// Another app of the same user is asked for, with a request so many seconds from now.
    RivalAsks(&'static str, &'static str, i64),
    RivalBids(&'static str),
    RivalLeaves(&'static str),
}

fn faults() -> impl Strategy<Value = Fault> {
    prop_oneof![
        6 => Just(Fault::None),
        1 => Just(Fault::LostRequest),
        2 => Just(Fault::LostResponse),
        2 => (1_i64..900).prop_map(Fault::Late),
        1 => Just(Fault::Rejected),
        2 => Just(Fault::Crash),
    ]
}

fn scripts() -> impl Strategy<Value = Script> {
    prop_oneof![
        4 => Just(Script::Works),
        1 => Just(Script::FailsEarly),
        1 => Just(Script::NoRoom),
        1 => Just(Script::FailsLate),
        1 => Just(Script::Queues),
        1 => Just(Script::Hangs),
        1 => Just(Script::SkipsGate),
        1 => Just(Script::Leaves),
        1 => Just(Script::Vanishes),
    ]
}

fn changes() -> impl Strategy<Value = Change> {
    let state = || prop_oneof![3 => Just("Running"), 2 => Just("Suspended"), 2 => Just("Destroyed")];
    prop_oneof![
        2 => Just(Change::Delete),
        4 => state().prop_map(Change::Ask),
        1 => (state(), -200_000_i64..200_000).prop_map(|(state, at)| Change::AskAt(state, at)),
        2 => prop_oneof![Just("small"), Just("large")]
            .prop_map(|size| Change::Set("parameters", json!({"SIZE": size}))),
        1 => prop_oneof![Just("ann.example.com"), Just("bob.example.com")]
            .prop_map(|host| Change::Set("hostName", host.into())),
        1 => Just(Change::Set("hostName", Value::Null)),
        1 => prop_oneof![Just("ann"), Just("bob")].prop_map(|user| Change::Set("user", user.into())),
        2 => prop_oneof![Just("shop"), Just("night"), Just("plain"), Just("brief"), Just("nosuch")]
            .prop_map(|app| Change::Set("app", app.into())),
        1 => prop_oneof![Just(json!("running")), Just(json!(true)), Just(json!("Destroyed"))]
            .prop_map(|desired| Change::Set("desired", desired)),
        1 => prop_oneof![Just("Asia/Kolkata"), Just("Mars/Olympus")]
            .prop_map(|zone| Change::Set("timeZone", zone.into())),
        1 => (prop_oneof![Just("keepUntil"), Just("expiresAt")], -5_000_i64..400_000)
            .prop_map(|(field, at)| Change::Until(field, at)),
    ]
}

fn rivals() -> impl Strategy<Value = &'static str> {
    prop_oneof![3 => Just("a2"), 1 => Just("a0")]
}

fn meddling() -> impl Strategy<Value = Meddle> {
    prop_oneof![
        2 => Just(Meddle::DeleteService),
        2 => (0_u32..4).prop_map(Meddle::Scale),
        1 => Just(Meddle::Detach),
        1 => Just(Meddle::DeleteGroup),
        1 => Just(Meddle::Break),
        1 => Just(Meddle::Mend),
        1 => Just(Meddle::TakeSlot),
        1 => Just(Meddle::TakeHost),
        2 => Just(Meddle::GiveBack),
        1 => Just(Meddle::DeleteGates),
        1 => prop_oneof![1 => Just(OnConflict::Refuse), 4 => Just(OnConflict::Replace)].prop_map(Meddle::Conflict),
        3 => (rivals(), prop_oneof![4 => Just("Running"), 1 => Just("Destroyed")], -900_i64..60)
            .prop_map(|(name, desired, at)| Meddle::RivalAsks(name, desired, at)),
        3 => rivals().prop_map(Meddle::RivalBids),
        1 => rivals().prop_map(Meddle::RivalLeaves),
    ]
}

fn steps() -> impl Strategy<Value = Step> {
    let blind = proptest::collection::btree_set(proptest::sample::select(&Sense::ALL[..]), 0..4);
    prop_oneof![
        12 => (faults(), prop_oneof![4 => 1_i64..20, 2 => 20_i64..400, 1 => 400_i64..90_000])
            .prop_map(|(fault, seconds)| Step::Pass(fault, seconds)),
        6 => prop_oneof![3 => 1_i64..300, 1 => 300_i64..100_000].prop_map(Step::Run),
        3 => (faults(), faults()).prop_map(|(a, b)| Step::Race(a, b)),
        2 => (1_i64..2_000).prop_map(Step::Stall),
        6 => changes().prop_map(Step::Row),
        2 => blind.prop_map(Step::Blind),
        1 => (-7_200_i64..7_200).prop_map(Step::Clock),
        2 => proptest::collection::vec(scripts(), 1..5).prop_map(Step::Builds),
        3 => meddling().prop_map(Step::Meddle),
        1 => any::<bool>().prop_map(Step::Hold),
        1 => any::<bool>().prop_map(Step::Pause),
        1 => any::<bool>().prop_map(Step::Line),
    ]
}

/// The walk, from a first request on.
fn walk(steps: &[Step]) -> World {
    let mut world = World::new("2026-11-20T10:00:00Z");
    world.row = Some(
        json!({"user": "ann", "app": "shop", "desired": "Running", "generation": 1, "hostName": "ann.example.com"}),
    );
    for step in steps {
        take(&mut world, step);
        assert_eq!(world.broken, [""; 0]);
    }
    world
}

fn take(world: &mut World, step: &Step) {
    match step {
        Step::Pass(fault, seconds) => {
            let _ = world.pass(*fault);
            world.advance(SignedDuration::from_secs(*seconds));
        }
        Step::Run(seconds) => run(world, *seconds),
        Step::Race(first, second) => {
            let view = world.look();
            let plan = checks::plan(&view, &world.policy, world.now());
            let _ = world.pass(*second);
            let _ = world.carry_out(view, plan, *first);
        }
        Step::Stall(seconds) => {
            let view = world.look();
            let plan = checks::plan(&view, &world.policy, world.now());
            run(world, *seconds);
            let _ = world.carry_out(view, plan, Fault::None);
        }
        Step::Row(change) => ask(world, change),
        Step::Blind(senses) => world.blind.clone_from(senses),
        Step::Clock(seconds) => world.skew = SignedDuration::from_secs(*seconds),
        Step::Builds(scripts) => world.scripts = scripts.iter().copied().collect(),
        Step::Meddle(meddle) => interfere(world, meddle),
        Step::Hold(hold) => world.hold = *hold,
        Step::Pause(paused) => world.paused = paused.then_some(world.real),
        Step::Line(wait) => {
            world.admission = if *wait {
                Admission::Waiting {
                    place: 2,
                    reason: "one build at a time".to_owned(),
                    until: later(world.now(), 60),
                }
            } else {
                Admission::Granted
            };
        }
    }
}

/// Passes at the planner's own pace.
fn run(world: &mut World, seconds: i64) {
    let end = later(world.real, seconds);
    let mut pace = Pace::default();
    while world.real < end {
        let pass = world.pass(Fault::None);
        let by = pace.until_next(world, &pass).min(end.duration_since(world.real));
        world.advance(by);
    }
}

/// Glances wake an app only when something moved; so does this, without looking.
#[derive(Default)]
struct Pace(u32);

impl Pace {
    fn until_next(&mut self, world: &World, pass: &Pass) -> SignedDuration {
        let idle = pass.plan.action.is_none() && pass.view.memory.present() == Some(&pass.plan.memory);
        self.0 = if idle { (self.0 + 1).min(9) } else { 0 };
        let by = world.next_look(pass.plan.requeue);
        let factor = 2_i32.pow(self.0.saturating_sub(2));
        match pass.plan.requeue {
            Requeue::Progress | Requeue::Sweep => by * factor,
            Requeue::Now => by,
            // At that time, unless a sweep comes first; and a refused row is looked at every half minute.
            Requeue::At(_) => by.min(SWEEP * factor).max(SignedDuration::from_secs(1) * factor),
        }
    }
}

fn ask(world: &mut World, change: &Change) {
    let fresh = json!({"user": "ann", "app": "shop", "desired": "Running", "hostName": "ann.example.com"});
    let now = world.now();
    let mut row = match change {
        Change::Delete => {
            world.row = None;
            return;
        }
        Change::Set(..) | Change::Ask(_) | Change::AskAt(..) | Change::Until(..) => {
            world.row.clone().unwrap_or(fresh)
        }
    };
    let generation = row["generation"].as_u64().unwrap_or(0);
    match change {
        Change::Delete => {}
        Change::Set(field, Value::Null) => {
            row.as_object_mut().unwrap().remove(*field);
        }
        Change::Set(field, value) => row[*field] = value.clone(),
        Change::Ask(desired) => {
            row["desired"] = (*desired).into();
            row["generation"] = (generation + 1).into();
        }
        Change::AskAt(desired, seconds) => {
            row["desired"] = (*desired).into();
            row["requestedAt"] = later(now, *seconds).to_string().into();
        }
        Change::Until(field, seconds) => row[*field] = later(now, *seconds).to_string().into(),
    }
    world.row = Some(row);
}

fn interfere(world: &mut World, meddle: &Meddle) {
    let real = world.real;
    let mut take = |prefix: &str| {
        let key = world
            .memory
            .as_ref()
            .and_then(|memory| memory.accepted.as_ref())
            .map(|accepted| {
                let identity = &accepted.blueprint.identity;
                match prefix {
                    "slot" => identity.slot.clone(),
                    _ => identity.name_keys()[0].clone(),
                }
            });
        let key = key.unwrap_or_else(|| ClaimKey::from_key("slot#ann").unwrap());
        let claim = Claim {
            app: AppId::from_key("a2").unwrap(),
            since: real,
            bid: None,
        };
        world.claims.entry(key).or_insert(claim);
    };
    match meddle {
        Meddle::DeleteService => {
            for service in world.services.values_mut() {
                service.drained_at.get_or_insert(later(real, 20));
            }
        }
        Meddle::Scale(tasks) => {
            for service in world.services.values_mut() {
                service.desired = *tasks;
            }
        }
        Meddle::Detach => world.groups.values_mut().for_each(|attached| *attached = false),
        Meddle::DeleteGroup => world.groups.clear(),
        Meddle::Break => {
            world.targets_heal = false;
            world.probe = Probe::Failed("503 Service Unavailable".to_owned());
            world.stopped_task = Some(StoppedTask {
                stopped_at: Some(real),
                code: "EssentialContainerExited".to_owned(),
                reason: "exit code 1".to_owned(),
            });
        }
        Meddle::Mend => mend(world),
        Meddle::TakeSlot => take("slot"),
        Meddle::TakeHost => take("host"),
        Meddle::GiveBack => world.claims.retain(|_, claim| claim.app == world.id),
        Meddle::Conflict(on_conflict) => world.policy.on_conflict = *on_conflict,
        Meddle::RivalAsks(name, desired, seconds) => {
            let asked = later(world.now(), *seconds);
            let row = json!({
                "user": "ann", "app": "shop", "desired": desired, "hostName": format!("{name}.example.com"),
                "requestedAt": asked.to_string(),
            });
            world.rival_asks(name, &row);
        }
        Meddle::RivalBids(name) => world.rival_bids(name),
        Meddle::RivalLeaves(name) => world.rival_leaves(name),
        // Only gates of operations that are over: what is in flight keeps its gate.
        Meddle::DeleteGates => {
            let current = world
                .memory
                .as_ref()
                .and_then(|memory| memory.in_flight())
                .map(|o| o.id.clone());
            world.gates.retain(|id, _| Some(id) == current.as_ref());
        }
    }
}

fn mend(world: &mut World) {
    world.targets_heal = true;
    world.probe = Probe::Answered;
    world.stopped_task = None;
    for service in world.services.values_mut() {
        service.rollout_failed = None;
    }
}

/// Faults are over: everything answers, builds work, nobody else claims anything.
fn calm(world: &mut World) {
    world.blind.clear();
    world.scripts.clear();
    world.hold = false;
    world.paused = None;
    world.admission = Admission::Granted;
    mend(world);
    world.claims.retain(|_, claim| claim.app == world.id);
    world.rivals.clear();
    // Builds that hang have an end in the real world.
    for build in &mut world.builds {
        if matches!(build.script, Script::Queues | Script::Hangs) {
            build.script = Script::FailsLate;
        }
    }
}

const CALM: i64 = 60 * 3600;
/// More passes than that in [`CALM`] would not be a wait but a spin.
const MOST_PASSES: usize = 20_000;

/// Runs until nothing is being done and this is so.
fn settle(world: &mut World, wanted: impl Fn(&World) -> bool) -> Result<(), String> {
    let end = later(world.real, CALM);
    let mut pace = Pace::default();
    for _ in 0..MOST_PASSES {
        let pass = world.pass(Fault::None);
        assert_eq!(world.broken, [""; 0]);
        if pass.plan.action.is_none() && pass.recorded && wanted(world) {
            return Ok(());
        }
        if world.real >= end {
            let decision = pass.plan.decision;
            return Err(format!(
                "{decision:?}\nfor {:?}\nwith {:?}, {:?}",
                world.row,
                world.remains(),
                world.held()
            ));
        }
        let by = pace.until_next(world, &pass);
        world.advance(by.min(end.duration_since(world.real)));
    }
    Err(format!("no rest after {MOST_PASSES} passes"))
}

fn phase(world: &World) -> Option<Phase> {
    world.memory.as_ref().map(|memory| memory.status.phase)
}

fn later(at: Timestamp, seconds: i64) -> Timestamp {
    at.checked_add(SignedDuration::from_secs(seconds)).unwrap()
}

/// What the status says must be what is there.
fn is_honest(world: &World) -> Result<(), String> {
    let remains = world.remains();
    let held = world.held();
    let slot = held.iter().any(|key| key.starts_with("slot#"));
    let tasks: u32 = world.services.values().map(|service| service.desired).sum();
    let fine = match phase(world) {
        None => remains.is_empty() && held.is_empty(),
        Some(Phase::Ready) => slot && tasks > 0 && !remains.is_empty(),
        Some(Phase::Suspended) => tasks == 0,
        Some(Phase::Destroyed) => remains.is_empty() && !slot,
        Some(Phase::Refused) => remains.is_empty(),
        Some(Phase::Failed) => true,
        Some(Phase::Pending | Phase::Deploying | Phase::Starting | Phase::Suspending | Phase::Destroying) => {
            false
        }
    };
    if fine && !world.is_building() {
        return Ok(());
    }
    Err(format!("{:?} with {remains:?}, {held:?}", phase(world)))
}

fn walks() -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(steps(), 1..60)
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        max_shrink_iters: 4000,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config(30))]

    /// Whatever the walk, the row as it stands comes to rest, and the status tells what is there.
    #[test]
    fn every_walk_comes_to_rest_in_calm_weather(steps in walks()) {
        let mut world = walk(&steps);
        calm(&mut world);
        // A whole calm spell, in which curfews and lapses fall due as well, and then rest.
        run(&mut world, CALM);
        settle(&mut world, |world| is_honest(world).is_ok()).map_err(TestCaseError::fail)?;
    }

    /// Whatever the walk, a new request is met.
    #[test]
    fn a_new_request_is_met_from_wherever_a_walk_ends(
        steps in walks(),
        desired in prop_oneof![Just("Running"), Just("Suspended"), Just("Destroyed")],
        app in prop_oneof![Just("shop"), Just("plain")],
    ) {
        let mut world = walk(&steps);
        calm(&mut world);
        // What is live keeps its identity; a portal that wants another one asks for Destroyed first.
        world.row = None;
        settle(&mut world, |world| world.remains().is_empty() && world.held().is_empty()).map_err(TestCaseError::fail)?;
        let keep = later(world.now(), CALM).to_string();
        world.row = Some(json!({
            "user": "ann", "app": app, "desired": desired, "hostName": "new.example.com", "generation": 4711,
            "keepUntil": keep,
        }));
        let wanted = match desired {
            "Running" => Phase::Ready,
            "Suspended" => Phase::Suspended,
            _ => Phase::Destroyed,
        };
        settle(&mut world, |world| phase(world) == Some(wanted)).map_err(TestCaseError::fail)?;
        is_honest(&world).map_err(TestCaseError::fail)?;
    }

    /// A row that is gone leaves nothing: no service, no group, no claim.
    #[test]
    fn nothing_is_left_of_a_deleted_row(steps in walks()) {
        let mut world = walk(&steps);
        calm(&mut world);
        world.row = None;
        settle(&mut world, |world| {
            world.remains().is_empty() && world.held().is_empty() && !world.is_building()
        }).map_err(TestCaseError::fail)?;
    }
}
