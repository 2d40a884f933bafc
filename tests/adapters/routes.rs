//! Target groups: there, used, and with targets that take traffic.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use lamplighter::model::blueprint::BuildKind;
use lamplighter::model::observed::{BuildState, Observed, TargetGroup, Targets};
use simcloud::{Fault, FaultPlan, Reply, SimCloud};

use crate::canned::{Answer, Canned};
use crate::support::{World, blueprint, id, intent, memory, operation, world};

/// A call of load balancing that is none of ours: what Terraform would do.
async fn create(sim: &SimCloud, name: &str) {
    let form = format!("Action=CreateTargetGroup&Version=2015-12-01&Name={name}&Protocol=HTTP&Port=80");
    let request = http::Request::post("http://simcloud.invalid/")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Bytes::from(form))
        .unwrap();
    let Reply::Response(response) = sim.handle(request).await else {
        panic!("no answer");
    };
    assert_eq!(response.status().as_u16(), 200, "{:?}", response.body());
}

fn group(attached: bool) -> Observed<TargetGroup> {
    Observed::Present(TargetGroup {
        attached,
        targets: Observed::Unknown,
    })
}

/// The state of a target, and the reason for it.
type State = (&'static str, &'static str);
/// States, then what is expected: attached, healthy, unhealthy, the reason.
type Case = (&'static [State], bool, u32, u32, Option<&'static str>);

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_group_is_missing_detached_or_attached() {
    let world = world().await;
    create(&world.sim, "loose").await;
    create(&world.sim, "used").await;
    world.sim.world().attach_target_group("used", "lb");
    let expected = BTreeMap::from([
        ("gone".to_owned(), Observed::Absent),
        ("loose".to_owned(), group(false)),
        ("used".to_owned(), group(true)),
    ]);
    let asked = names(&["gone", "loose", "used"]);
    assert_eq!(world.cloud.routes.groups(&asked).await, expected);
    for name in &asked {
        let one = world.cloud.routes.groups(std::slice::from_ref(name)).await;
        assert_eq!(one, BTreeMap::from([(name.clone(), expected[name].clone())]));
    }
    assert!(world.cloud.routes.groups(&[]).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn many_groups_cost_one_listing() {
    let world = world().await;
    let asked: Vec<String> = (0..410).map(|n| format!("g{n:03}")).collect();
    for name in &asked {
        create(&world.sim, name).await;
    }
    world.sim.world().reset_calls();
    let seen = world.cloud.routes.groups(&asked).await;
    assert_eq!(seen.len(), 410);
    assert!(seen.values().all(|seen| *seen == group(false)));
    assert_eq!(world.count("elbv2.DescribeTargetGroups"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_listing_whose_page_fails_knows_nothing() {
    let world = world().await;
    for name in ["g1", "g2", "g3", "g4", "g5", "g6"] {
        create(&world.sim, name).await;
    }
    let plan = FaultPlan::new().rate_of("elbv2", 1.0, Fault::ShortPage).on(
        "elbv2.DescribeTargetGroups",
        2,
        Fault::AccessDenied,
    );
    world.sim.faults().set(plan);
    let seen = world.cloud.routes.groups(&names(&["g1", "gone"])).await;
    assert!(seen.values().all(Observed::is_unknown), "{seen:?}");
    let short = FaultPlan::new().rate_of("elbv2", 1.0, Fault::ShortPage);
    world.sim.faults().set(short);
    let seen = world.cloud.routes.groups(&names(&["g6", "gone"])).await;
    assert_eq!((&seen["g6"], &seen["gone"]), (&group(false), &Observed::Absent));
}

/// An app as its build makes it, up and healthy, and the name of its target group.
async fn app() -> (World, String) {
    let world = world().await;
    world
        .cloud
        .state
        .write(&intent(memory("a1", 1, 1), 1))
        .await
        .unwrap();
    let blueprint = blueprint(&id("a1"), "a1.example.com");
    let request = blueprint.request(BuildKind::Apply, &operation(1));
    let build = world.cloud.builds.start(&request).await.unwrap();
    tokio::time::sleep(Duration::from_mins(15)).await;
    let seen = world.cloud.builds.look(std::slice::from_ref(&build)).await;
    assert_eq!(seen[&build].present().unwrap().state, BuildState::Succeeded);
    (world, blueprint.target_group.unwrap())
}

async fn targets(world: &World, name: &str) -> (bool, Targets) {
    match world.cloud.routes.group_with_targets(name).await {
        Observed::Present(TargetGroup {
            attached,
            targets: Observed::Present(targets),
        }) => (attached, targets),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn the_targets_of_an_app_are_counted() {
    let (world, name) = app().await;
    let (attached, seen) = targets(&world, &name).await;
    assert!(attached);
    assert_eq!((seen.healthy, seen.unhealthy, seen.reason), (1, 0, None));
    world.sim.world().unhealthy_target("a1.example.com");
    tokio::time::sleep(Duration::from_secs(28)).await;
    let (_, seen) = targets(&world, &name).await;
    assert_eq!((seen.healthy, seen.unhealthy), (0, 1), "{seen:?}");
    assert!(seen.reason.unwrap().starts_with("Target.FailedHealthChecks: "));
}

#[tokio::test(start_paused = true)]
async fn a_lost_group_is_detached_although_its_tasks_run() {
    let (world, name) = app().await;
    world.sim.world().detach_target_group(&name);
    let (attached, seen) = targets(&world, &name).await;
    assert!(!attached);
    assert!(seen.reason.unwrap().starts_with("Target.NotInUse"));
    world.sim.world().delete_target_group(&name);
    assert!(world.cloud.routes.group_with_targets(&name).await.is_absent());
}

#[tokio::test(start_paused = true)]
async fn targets_that_could_not_be_looked_at_are_unknown_and_the_group_is_still_known() {
    let (world, name) = app().await;
    world
        .sim
        .faults()
        .set(FaultPlan::new().rate_of("elbv2.DescribeTargetHealth", 1.0, Fault::AccessDenied));
    assert_eq!(world.cloud.routes.group_with_targets(&name).await, group(true));
    world
        .sim
        .faults()
        .set(FaultPlan::new().rate_of("elbv2", 1.0, Fault::AccessDenied));
    assert!(world.cloud.routes.group_with_targets(&name).await.is_unknown());
}

#[tokio::test(start_paused = true)]
async fn every_state_of_a_target_counts_as_what_it_is() {
    const INITIAL: State = ("initial", "Elb.InitialHealthChecking");
    const TIMEOUT: State = ("unhealthy", "Target.Timeout");
    const DRAINING: State = ("draining", "Target.DeregistrationInProgress");
    const UNUSED: State = ("unused", "Target.NotInUse");
    const OK: State = ("healthy", "");
    let described = "<DescribeTargetGroupsResponse xmlns=\"http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/\">\
        <DescribeTargetGroupsResult><TargetGroups><member><TargetGroupName>shop</TargetGroupName>\
        <TargetGroupArn>arn:tg</TargetGroupArn><LoadBalancerArns><member>arn:lb</member></LoadBalancerArns>\
        </member></TargetGroups></DescribeTargetGroupsResult></DescribeTargetGroupsResponse>";
    let health = |states: &[State]| {
        let members: String = states
            .iter()
            .map(|(state, reason)| {
                format!("<member><TargetHealth><State>{state}</State><Reason>{reason}</Reason></TargetHealth></member>")
            })
            .collect();
        format!(
            "<DescribeTargetHealthResponse xmlns=\"http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/\">\
             <DescribeTargetHealthResult><TargetHealthDescriptions>{members}</TargetHealthDescriptions>\
             </DescribeTargetHealthResult></DescribeTargetHealthResponse>"
        )
    };
    let cases: [Case; 6] = [
        (&[], true, 0, 0, None),
        (&[OK, DRAINING], true, 1, 0, None),
        (&[INITIAL, TIMEOUT], true, 0, 2, Some("Elb.InitialHealthChecking")),
        (&[OK, TIMEOUT], true, 1, 1, Some("Target.Timeout")),
        (&[UNUSED], false, 0, 1, Some("Target.NotInUse")),
        // In a zone that the load balancer has not, while another target takes traffic.
        (&[OK, UNUSED], true, 1, 1, Some("Target.NotInUse")),
    ];
    for (states, attached, healthy, unhealthy, reason) in cases {
        let canned = Canned::new([Answer::xml(200, described), Answer::xml(200, &health(states))]);
        let seen = canned.cloud().0.routes.group_with_targets("shop").await;
        let expected = Observed::Present(TargetGroup {
            attached,
            targets: Observed::Present(Targets {
                healthy,
                unhealthy,
                reason: reason.map(str::to_owned),
            }),
        });
        assert_eq!(seen, expected, "{states:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_that_an_answer_leaves_out_is_gone_only_when_a_whole_listing_lacks_it() {
    let empty = "<DescribeTargetGroupsResponse xmlns=\"http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/\">\
        <DescribeTargetGroupsResult><TargetGroups/></DescribeTargetGroupsResult></DescribeTargetGroupsResponse>";
    let denied = "<ErrorResponse xmlns=\"http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/\"><Error>\
        <Type>Sender</Type><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>";
    let (cloud, _) = Canned::new([Answer::xml(200, empty), Answer::xml(403, denied)]).cloud();
    assert!(cloud.routes.group_with_targets("shop").await.is_unknown());
    let (cloud, _) = Canned::new([Answer::xml(200, empty), Answer::xml(200, empty)]).cloud();
    assert!(cloud.routes.group_with_targets("shop").await.is_absent());
}
