//! What goes wrong in a soak: calls, builds, apps, and people at the console. Only draws and does; judges nothing.

use std::time::Duration;

use simcloud::{Fault, FaultPlan, Match, ServerError, ServiceStatus};
use tokio::time::Instant;

use crate::Storm;
use crate::behaviour::behaviour;
use crate::dice::Dice;
use crate::lab::{CLUSTER, Lab};

/// How old a stale answer can be. Daemons wait twice as long before they believe in an absence; a real one waits a
/// minute.
const STALE: Duration = Duration::from_secs(2);

/// Until the storm is over: another weather every few seconds, and mischief in between.
pub(crate) async fn rage(lab: &Lab, storm: &Storm, seed: u64) {
    let mut dice = Dice::new(seed, 11);
    while storm.is_on() {
        lab.sim.faults().set(weather(&mut dice));
        let from = Instant::now();
        let lasts = Duration::from_millis(dice.between(4_000, 12_000));
        while storm.is_on() && from.elapsed() < lasts {
            tokio::time::sleep(Duration::from_millis(dice.between(100, 1_200))).await;
            mischief(lab, &mut dice);
        }
    }
}

/// Nothing goes wrong any more, and whatever hangs comes free.
pub(crate) fn calm(lab: &Lab) {
    lab.sim.faults().clear();
    let world = lab.sim.world();
    world.forget_behaviours();
    for service in world.services() {
        world.heal(&service.name);
    }
}

/// The faults of calls for a while: now and then hardly any, mostly some of every kind.
fn weather(dice: &mut Dice) -> FaultPlan {
    let strength = dice.pick(&[0.1, 1.0, 1.0, 1.0, 2.5]);
    let late = Duration::from_millis(dice.between(300, 6_000));
    let slow = Duration::from_millis(dice.between(20, 400));
    let kinds = [
        (0.02, Fault::Throttle),
        (0.03, Fault::InternalError(ServerError::Internal500)),
        (0.02, Fault::InternalError(ServerError::Unavailable503)),
        (0.02, Fault::InternalError(ServerError::Html503)),
        (0.03, Fault::LoseRequest),
        (0.05, Fault::LoseResponse),
        (0.04, Fault::DeliverLate(late)),
        (0.05, Fault::Duplicate),
        (0.2, Fault::Latency(slow)),
        (0.2, Fault::StaleList(STALE)),
        (0.2, Fault::ShortPage),
        (0.03, Fault::TransactionConflict),
        (0.03, Fault::TruncatedBody),
        // These two cost half a minute each, or the rest of a life.
        (0.002, Fault::Hang),
        (0.002, Fault::HangAfterApplying),
        (0.004, Fault::AccessDenied),
    ];
    let plan = kinds.into_iter().fold(FaultPlan::new(), |plan, (most, fault)| {
        plan.rate(dice.rate(most) * strength, fault)
    });
    // Calls that change something are rare among the reads, so they fare worse. A limit of the account pauses all
    // starts for up to a minute, so that it must stay rare.
    let changes = [
        "codebuild.StartBuild",
        "dynamodb.TransactWriteItems",
        "dynamodb.UpdateItem",
    ];
    changes.into_iter().fold(plan, |plan, operation| {
        plan.rate_of(operation, dice.rate(0.2) * strength, Fault::LoseResponse)
            .rate_of(operation, dice.rate(0.2) * strength, Fault::DeliverLate(late))
            .rate_of(operation, dice.rate(0.02) * strength, Fault::AccountLimitExceeded)
    })
}

fn mischief(lab: &Lab, dice: &mut Dice) {
    let world = lab.sim.world();
    if dice.percent(40) {
        let matching = dice.pick(&[
            Match::any(),
            Match::any().action("apply"),
            Match::any().action("destroy"),
        ]);
        world.behave(matching, behaviour(dice));
        return;
    }
    let mut services = world.services();
    services.retain(|service| service.status == ServiceStatus::Active);
    let builds: Vec<String> = world
        .builds()
        .into_iter()
        .filter(|build| build.ended.is_none())
        .map(|build| build.id)
        .collect();
    let draw = dice.between(0, 9);
    if draw < 3 {
        if !builds.is_empty() {
            world.stop_build(&dice.pick(&builds));
        }
        return;
    }
    if services.is_empty() {
        return;
    }
    let name = services[dice.index(services.len())].name.clone();
    match draw {
        3 => world.set_desired_count(CLUSTER, &name, 0),
        4 => world.set_desired_count(CLUSTER, &name, 3),
        5 => world.delete_service(CLUSTER, &name),
        6 => world.detach_target_group(&name),
        7 => world.crash_loop(&name, Some(1), "Essential container in task exited"),
        8 => world.heal(&name),
        _ => world.kill_tasks(CLUSTER, &name),
    }
}
