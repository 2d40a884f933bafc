//! How builds go wrong, and what is left of them: failures before and after applying, hangs, stops, locks.

use std::time::Duration;

use simcloud::{Behaviour, Contract, Match, Phase, ServiceStatus, SimConfig};

use crate::common::{CLUSTER, HOST, NAME, apply, config, destroy, phase, sim, sim_with, status, wait};

#[tokio::test(start_paused = true)]
async fn a_failure_before_applying_leaves_nothing_and_still_runs_post_build() {
    let sim = sim().await;
    sim.cloud.world().behave(
        Match::host(HOST).action("apply"),
        Behaviour::fail_before_applying(),
    );
    let build = sim.run(apply()).await;
    assert_eq!(status(&build), "FAILED");
    let (state, message) = phase(&build, "BUILD").unwrap();
    assert_eq!(state, "FAILED");
    assert!(message.contains("terraform apply. Reason: exit status 1"));
    assert_eq!(phase(&build, "POST_BUILD").unwrap().0, "SUCCEEDED");
    assert!(sim.cloud.world().service(CLUSTER, NAME).is_none());
    // It was meant for one build.
    assert_eq!(status(&sim.run(apply()).await), "SUCCEEDED");
}

#[tokio::test(start_paused = true)]
async fn a_failure_after_applying_leaves_everything() {
    let sim = sim().await;
    sim.cloud
        .world()
        .behave(Match::instance("otter"), Behaviour::fail_after_applying());
    let build = sim.run(apply()).await;
    assert_eq!(status(&build), "FAILED");
    assert_eq!(
        sim.cloud.world().service(CLUSTER, NAME).unwrap().status,
        ServiceStatus::Active
    );
}

#[tokio::test(start_paused = true)]
async fn a_behaviour_is_only_for_builds_that_match() {
    let sim = sim().await;
    let world = sim.cloud.world();
    world.behave_always(
        Match::host("another.example.org"),
        Behaviour::fail_before_applying(),
    );
    world.behave_always(
        Match::host(HOST).action("destroy"),
        Behaviour::fail_before_applying(),
    );
    assert_eq!(status(&sim.run(apply()).await), "SUCCEEDED");
    assert_eq!(status(&sim.run(destroy()).await), "FAILED");
    world.forget_behaviours();
    assert_eq!(status(&sim.run(destroy()).await), "SUCCEEDED");
}

#[tokio::test(start_paused = true)]
async fn a_build_that_is_released_goes_on_from_where_it_hangs() {
    let sim = sim().await;
    let world = sim.cloud.world();
    for (phase, after_applying) in [
        (Phase::Submitted, false),
        (Phase::Queued, false),
        (Phase::Provisioning, false),
        (Phase::PreBuild, false),
        (Phase::PreBuild, true),
        (Phase::Build, false),
        (Phase::Build, true),
        (Phase::Finalizing, false),
    ] {
        world.behave(
            Match::any(),
            Behaviour::Hang {
                phase,
                after_applying,
            },
        );
        let id = sim.build(apply()).await.id.unwrap();
        wait(400).await;
        assert_eq!(world.build(&id).unwrap().phase, phase);
        world.release_build(&id);
        wait(400).await;
        let build = world.build(&id).unwrap();
        assert_eq!(build.phase, Phase::Completed, "from {phase:?}");
        assert!(build.applied.is_some(), "{build:?}");
    }
    assert_eq!(world.violations(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_hanging_build_ends_at_its_timeout_without_post_build() {
    let sim = sim().await;
    sim.cloud
        .world()
        .behave(Match::any(), Behaviour::hang_in(Phase::Build));
    let start = sim
        .aws
        .codebuild
        .start_build()
        .project_name(crate::common::PROJECT);
    let start = start.set_environment_variables_override(Some(apply().environment()));
    let id = start
        .timeout_in_minutes_override(10)
        .send()
        .await
        .unwrap()
        .build_value
        .unwrap()
        .id
        .unwrap();
    wait(600).await;
    assert_eq!(
        status(&sim.get(&id).await),
        "IN_PROGRESS",
        "the time in the queue does not count"
    );
    let build = sim.finish(&id).await;
    assert_eq!(status(&build), "TIMED_OUT");
    assert_eq!(
        phase(&build, "BUILD").unwrap(),
        ("TIMED_OUT".to_owned(), "Build has timed out.".to_owned())
    );
    assert!(phase(&build, "POST_BUILD").is_none());
    assert!(sim.cloud.world().service(CLUSTER, NAME).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_stopped_build_goes_no_further_and_stopping_twice_is_harmless() {
    let sim = sim().await;
    let id = sim.build(apply()).await.id.unwrap();
    wait(20).await;
    let stopped = sim
        .aws
        .codebuild
        .stop_build()
        .id(&id)
        .send()
        .await
        .unwrap()
        .build_value
        .unwrap();
    assert_eq!(status(&stopped), "STOPPED");
    assert!(stopped.build_complete);
    wait(3600).await;
    let build = sim.get(&id).await;
    assert_eq!(build.phases().len(), stopped.phases().len());
    assert!(phase(&build, "BUILD").is_none());
    let again = sim
        .aws
        .codebuild
        .stop_build()
        .id(&id)
        .send()
        .await
        .unwrap()
        .build_value
        .unwrap();
    assert_eq!(status(&again), "STOPPED");
    assert!(
        sim.aws
            .codebuild
            .stop_build()
            .id("childapp:none")
            .send()
            .await
            .is_err()
    );
}

#[tokio::test(start_paused = true)]
async fn a_queued_build_can_be_stopped() {
    let sim = sim_with(SimConfig {
        concurrent_builds: 1,
        ..config()
    })
    .await;
    sim.build(apply()).await;
    wait(30).await;
    let id = sim.build(apply()).await.id.unwrap();
    wait(30).await;
    sim.aws.codebuild.stop_build().id(&id).send().await.unwrap();
    wait(1800).await;
    let build = sim.get(&id).await;
    assert_eq!(status(&build), "STOPPED");
    assert!(phase(&build, "PROVISIONING").is_none());
}

#[tokio::test(start_paused = true)]
async fn two_builds_of_one_host_at_once_meet_the_state_lock_and_are_a_violation() {
    let sim = sim().await;
    let first = sim.build(apply()).await.id.unwrap();
    let second = sim.build(apply()).await.id.unwrap();
    let ends = [sim.finish(&first).await, sim.finish(&second).await];
    let failed = ends.iter().find(|build| status(build) == "FAILED").unwrap();
    assert!(
        phase(failed, "BUILD")
            .unwrap()
            .1
            .contains("Error acquiring the state lock")
    );
    assert_eq!(sim.cloud.world().violations().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn builds_of_different_hosts_do_not_meet() {
    let sim = sim().await;
    let other = crate::common::Order {
        host: "calm-heron.example.org",
        name: "calm-heron-5e6f",
        ..apply()
    };
    let first = sim.build(apply()).await.id.unwrap();
    let second = sim.build(other).await.id.unwrap();
    for id in [first, second] {
        assert_eq!(status(&sim.finish(&id).await), "SUCCEEDED");
    }
    assert!(sim.cloud.world().violations().is_empty());
}

async fn kill_in_build(sim: &crate::common::Sim, operation: Option<&str>) {
    let order = match operation {
        Some(operation) => apply().operation(operation),
        None => apply(),
    };
    let id = sim.build(order).await.id.unwrap();
    while sim.cloud.world().build(&id).unwrap().phase < Phase::Build {
        wait(1).await;
    }
    sim.cloud.world().stop_build(&id);
}

#[tokio::test(start_paused = true)]
async fn a_killed_build_leaves_its_lock_and_a_gated_one_forces_it_after_a_minute() {
    let sim = sim().await;
    for operation in ["op-1", "op-2"] {
        sim.open_gate(operation).await;
    }
    kill_in_build(&sim, Some("op-1")).await;
    let killed = sim.cloud.world().builds()[0].ended.unwrap();
    let next = sim.run(apply().operation("op-2")).await;
    assert_eq!(status(&next), "SUCCEEDED");
    let locked = sim
        .cloud
        .world()
        .build(next.id().unwrap())
        .unwrap()
        .applied_from
        .unwrap();
    assert!(locked.duration_since(killed) >= jiff::SignedDuration::from_secs(60));
    assert!(sim.cloud.world().violations().is_empty());
}

#[tokio::test(start_paused = true)]
async fn without_a_gate_a_left_lock_stays_until_a_person_unlocks_it() {
    let sim = sim().await;
    kill_in_build(&sim, None).await;
    wait(600).await;
    let next = sim.run(apply()).await;
    assert!(phase(&next, "BUILD").unwrap().1.contains("state lock"));
    sim.cloud.world().force_unlock(HOST);
    assert_eq!(status(&sim.run(apply()).await), "SUCCEEDED");
    assert!(
        sim.cloud.world().violations().is_empty(),
        "a dead holder is no second writer"
    );
}

#[tokio::test(start_paused = true)]
async fn a_fault_and_a_client_error_are_not_the_builds_failure() {
    let sim = sim().await;
    sim.cloud
        .world()
        .behave(Match::any(), Behaviour::Fault(Phase::Provisioning));
    assert_eq!(status(&sim.run(apply()).await), "FAULT");
    sim.cloud.world().behave(Match::any(), Behaviour::ClientError);
    let build = sim.run(apply()).await;
    assert_eq!(status(&build), "FAILED");
    assert_eq!(phase(&build, "QUEUED").unwrap().0, "CLIENT_ERROR");
    assert_eq!(
        build.phases()[1].contexts()[0].status_code(),
        Some("VPC_CLIENT_ERROR")
    );
}

#[tokio::test(start_paused = true)]
async fn a_build_may_lie_about_what_it_left() {
    let sim = sim().await;
    sim.cloud.world().behave(Match::any(), Behaviour::LeavesNothing);
    assert_eq!(status(&sim.run(apply()).await), "SUCCEEDED");
    assert!(sim.cloud.world().service(CLUSTER, NAME).is_none());
    sim.run(apply()).await;
    sim.cloud.world().behave(Match::any(), Behaviour::LeavesService);
    assert_eq!(status(&sim.run(destroy()).await), "SUCCEEDED");
    assert_eq!(
        sim.cloud.world().service(CLUSTER, NAME).unwrap().status,
        ServiceStatus::Active
    );
}

#[tokio::test(start_paused = true)]
async fn destroying_what_is_not_there_succeeds() {
    let sim = sim().await;
    assert_eq!(status(&sim.run(destroy()).await), "SUCCEEDED");
}

#[tokio::test(start_paused = true)]
async fn an_environment_can_ask_for_misbehaviour_of_an_apply_but_not_of_a_destroy() {
    let sim = sim().await;
    assert_eq!(
        status(&sim.run(apply().with("SIM_BEHAVIOUR", "fail")).await),
        "FAILED"
    );
    assert_eq!(
        status(&sim.run(destroy().with("SIM_BEHAVIOUR", "fail")).await),
        "SUCCEEDED"
    );
    let image = apply().with("IMAGE", "registry.example.org/sim-fail:1");
    assert_eq!(status(&sim.run(image).await), "FAILED");
}

#[tokio::test(start_paused = true)]
async fn a_contract_without_gate_never_asks_the_table() {
    let contract = Contract {
        gate: false,
        ..Contract::default()
    };
    let sim = sim_with(SimConfig { contract, ..config() }).await;
    assert_eq!(
        status(&sim.run(apply().operation("never-opened")).await),
        "SUCCEEDED"
    );
}

#[tokio::test(start_paused = true)]
async fn speed_divides_durations() {
    let sim = sim_with(SimConfig {
        speed: 60.0,
        ..config()
    })
    .await;
    let id = sim.build(apply()).await.id.unwrap();
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(status(&sim.get(&id).await), "SUCCEEDED");
}

#[tokio::test(start_paused = true)]
async fn a_slow_build_takes_its_time() {
    let sim = sim().await;
    sim.cloud.world().behave(Match::any(), Behaviour::Slow(4.0));
    let id = sim.build(apply()).await.id.unwrap();
    wait(400).await;
    assert_eq!(status(&sim.get(&id).await), "IN_PROGRESS");
    assert_eq!(status(&sim.finish(&id).await), "SUCCEEDED");
}

#[tokio::test(start_paused = true)]
async fn a_container_may_outlive_its_stop_and_still_apply() {
    let sim = sim().await;
    let lives_on = Behaviour::OutlivesStop(Duration::from_secs(40));
    sim.cloud.world().behave(Match::any(), lives_on);
    kill_in_build(&sim, None).await;
    assert!(sim.cloud.world().service(CLUSTER, NAME).is_none());
    wait(41).await;
    assert!(sim.cloud.world().service(CLUSTER, NAME).is_some());
    assert!(sim.cloud.world().violations().is_empty());
}
