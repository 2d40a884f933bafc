//! What becomes of each service of another tool: taken over, had already, or left alone with a reason. And the lives
//! of apps that were taken over: nothing is ever built to have them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use lamplighter::model::adopt::{ForeignService, HostTemplate, NamePattern, Rule, TagNames};
use lamplighter::model::blueprint::BuildKind;
use lamplighter::model::claim::{Claim, ClaimKey, Scope};
use lamplighter::model::memory::Memory;
use lamplighter::model::name::{AppId, AppName, ClusterName, Entropy, HostName, ResourceName};
use lamplighter::model::observed::{ClaimHolders, Observed, Rollout, Service, TargetGroup};
use lamplighter::model::policy::Policy;
use lamplighter::model::row::{Desired, Row};
use lamplighter::model::status::Phase;
use lamplighter::planner::adopt::{Adoption, Candidate, Known, Verdict, decide};
use serde_json::json;

use crate::catalogue::policy;
use crate::checks;
use crate::tale::Tale;
use crate::world::{Fault, SimService, read_row};

const NOW: &str = "2026-11-20T10:00:00Z";

/// Everything that the decision is made from.
struct Fleet {
    rule: Rule,
    policy: Policy,
    services: Vec<ForeignService>,
    rows: BTreeMap<AppId, Row>,
    memories: BTreeMap<AppId, Memory>,
    unreadable: BTreeSet<AppId>,
    claims: ClaimHolders,
    groups: BTreeMap<String, Observed<TargetGroup>>,
    now: Timestamp,
}

fn id(text: &str) -> AppId {
    AppId::from_key(text).unwrap()
}

fn service(name: &str, tags: &[(&str, &str)]) -> ForeignService {
    let tags = tags
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let ours = [("ManagedBy".to_owned(), "old-tool".to_owned())];
    ForeignService {
        cluster: ClusterName::new("apps"),
        service: Service {
            name: ResourceName::existing(name).unwrap(),
            draining: false,
            desired_count: 2,
            running_count: 2,
            pending_count: 0,
            rollout: Rollout::Completed,
            deployments: 1,
            instance_id: None,
            host_name: None,
            target_groups: vec!["old-group".to_owned()],
        },
        tags: ours.into_iter().chain(tags).collect(),
        scheduling: "REPLICA".to_owned(),
        controller: "ECS".to_owned(),
    }
}

/// Ann's shop, as another tool has made it.
fn anns() -> ForeignService {
    service(
        "old-ann",
        &[("Owner", "ann"), ("App", "shop"), ("Host", "ann.example.com")],
    )
}

impl Fleet {
    fn of(services: Vec<ForeignService>) -> Self {
        let attached = Observed::Present(TargetGroup {
            attached: true,
            targets: Observed::Unknown,
        });
        Self {
            rule: Rule {
                only: BTreeMap::from([("ManagedBy".to_owned(), "old-tool".to_owned())]),
                tags: TagNames {
                    id: None,
                    user: Some("Owner".to_owned()),
                    app: Some("App".to_owned()),
                    host_name: Some("Host".to_owned()),
                },
                name: None,
                app: None,
                host_name: None,
            },
            policy: policy(),
            services,
            rows: BTreeMap::new(),
            memories: BTreeMap::new(),
            unreadable: BTreeSet::new(),
            claims: ClaimHolders::new(),
            groups: BTreeMap::from([("old-group".to_owned(), attached)]),
            now: NOW.parse().unwrap(),
        }
    }

    fn decide(&self) -> Vec<Candidate> {
        let known = Known {
            rows: &self.rows,
            memories: &self.memories,
            unreadable: &self.unreadable,
            claims: &self.claims,
            groups: &self.groups,
        };
        decide(
            &self.services,
            &self.rule,
            known,
            &self.policy,
            self.now,
            Entropy([7; 16]),
        )
    }

    /// Each candidate in one line.
    fn told(&self) -> Vec<String> {
        let told = |candidate: Candidate| match candidate.verdict {
            Verdict::Adopt(adoption) => format!("adopt {} as {}", adoption.id, adoption.becomes),
            Verdict::Already => "already".to_owned(),
            Verdict::Skip(skip) => format!("{:?}: {skip}", skip.reason),
        };
        self.decide().into_iter().map(told).collect()
    }

    #[track_caller]
    fn adopted(&self) -> Adoption {
        match self.decide().swap_remove(0).verdict {
            Verdict::Adopt(adoption) => *adoption,
            other => panic!("{other:?}"),
        }
    }

    /// The one service is left alone with this reason, which is told like this.
    #[track_caller]
    fn leaves(&self, reason: &str, needle: &str) {
        let told = self.told();
        let [told] = told.as_slice() else {
            panic!("{told:?}")
        };
        assert!(told.starts_with(&format!("{reason}: ")), "{told}");
        assert!(told.contains(needle), "{needle} not in {told}");
        assert!(
            !told.contains(|c: char| c.is_control() || c == '\u{202e}'),
            "{told:?}"
        );
    }

    fn claimed(mut self, key: ClaimKey, by: &str) -> Self {
        let claim = Claim {
            app: id(by),
            since: self.now,
            bid: None,
        };
        self.claims.insert(key, claim);
        self
    }
}

fn changed(change: impl FnOnce(&mut ForeignService)) -> Fleet {
    let mut seen = anns();
    change(&mut seen);
    Fleet::of(vec![seen])
}

fn tagged(key: &str, value: &str) -> Fleet {
    changed(|seen| drop(seen.tags.insert(key.to_owned(), value.to_owned())))
}

fn with_row(row: &serde_json::Value) -> Fleet {
    let mut fleet = Fleet::of(vec![anns()]);
    fleet.rows.insert(id("old-ann"), read_row(&id("old-ann"), row));
    fleet
}

#[test]
fn a_service_of_the_other_tool_becomes_an_app_that_is_complete() {
    let fleet = Fleet::of(vec![anns()]);
    let adoption = fleet.adopted();
    assert_eq!(
        (adoption.id.as_str(), adoption.becomes),
        ("old-ann", Desired::Running)
    );
    let tags = [
        ("lamplighter:instance-id", "old-ann".to_owned()),
        ("lamplighter:host-name", "ann.example.com".to_owned()),
    ];
    assert_eq!(adoption.tags, tags);
    let (view, plan) = adoption.memory.unwrap();
    let deployment = plan.memory.deployment.as_ref().unwrap();
    assert!(deployment.complete);
    assert_eq!(deployment.blueprint.service().as_str(), "old-ann");
    assert_eq!(deployment.blueprint.target_group.as_deref(), Some("old-group"));
    assert_eq!(deployment.blueprint.environment["RESOURCE_NAME"], "old-ann");
    let holding = plan.memory.holding.as_ref().unwrap();
    assert_eq!(holding.keys().len(), 3, "host, name and slot");
    assert!(
        plan.memory.found.is_some() && plan.memory.accepted.is_none(),
        "an orphan until its row is there"
    );
    assert!(view.memory.is_absent());
    let row = adoption.row.unwrap();
    assert_eq!(
        (row.requested_at, row.desired),
        (Some(fleet.now), Some(Desired::Running))
    );
    assert_eq!(adoption.notes, [""; 0]);
    assert_eq!(adoption.next.unwrap().rule, "Curfew");

    let asleep = changed(|seen| seen.service.desired_count = 0).adopted();
    assert_eq!(asleep.becomes, Desired::Suspended);
    let three = changed(|seen| seen.service.desired_count = 3).adopted();
    assert_eq!(three.notes, ["its tasks go from 3 to 2, as the catalogue says"]);
    let two_groups = changed(|seen| seen.service.target_groups.push("other".to_owned())).adopted();
    let planned = two_groups.memory.unwrap().1.memory.deployment.unwrap();
    assert_eq!(
        planned.blueprint.target_group, None,
        "which of them matters can't be told"
    );
    assert_eq!(two_groups.notes, ["it has 2 target groups, so none is watched"]);
    let no_group = changed(|seen| seen.service.target_groups.clear()).adopted();
    assert_eq!(
        no_group
            .memory
            .unwrap()
            .1
            .memory
            .deployment
            .unwrap()
            .blueprint
            .target_group,
        None
    );
}

#[test]
fn what_has_not_the_tags_of_the_rule_is_none_of_our_business() {
    let mut other = anns();
    other.tags.insert("ManagedBy".to_owned(), "somebody".to_owned());
    let mut bare = anns();
    bare.tags.clear();
    assert_eq!(Fleet::of(vec![other, bare]).told(), [""; 0]);
}

#[test]
fn who_a_service_is_must_be_told_and_be_valid() {
    let without = |key: &str| changed(|seen| drop(seen.tags.remove(key)));
    without("Owner").leaves(
        "NotTold",
        "no tag \"Owner\", so its owner is not known: tag the service",
    );
    without("App").leaves("NotTold", "no tag \"App\"");
    without("Host").leaves("NotTold", "no tag \"Host\"");
    tagged("Owner", "").leaves("NotValid", "the owner \"\", which is empty");
    tagged("Owner", "a\u{1b}[2Jb").leaves("NotValid", "\\u{1b}[2Jb");
    tagged("Host", "a b\u{202e}").leaves("NotValid", "which is not a lower-case DNS name");
    tagged("Host", "ann.example.org").leaves("OtherDomain", "not below \"example.com\"");
    tagged("App", "blog").leaves("NotInCatalogue", "\"blog\"");
    changed(|seen| seen.service.name = ResourceName::existing("Old_Ann").unwrap())
        .leaves("NotValid", "the id \"Old_Ann\"");
    assert_eq!(
        tagged("Host", "Ann.Example.com").told(),
        ["adopt old-ann as Running"]
    );
}

#[test]
fn the_name_can_tell_it_too() {
    let mut fleet = Fleet::of(vec![service("shop-ann", &[]), service("blog-ann", &[])]);
    fleet.rule.tags = TagNames::default();
    fleet.rule.name = Some(NamePattern::parse("{app}-{user}").unwrap());
    fleet.rule.host_name = Some(HostTemplate::parse("{user}-{app}.{domain}").unwrap());
    let told = fleet.told();
    assert_eq!(told[0], "adopt shop-ann as Running");
    assert!(
        told[1].starts_with("NotTold: has a name that does not fit adopt.name"),
        "{told:?}"
    );
    let row = fleet.adopted().row.unwrap();
    assert_eq!(row.host_name, HostName::parse("ann-shop.example.com").ok());

    let mut pro = fleet.policy.catalogue[&AppName::new("shop")].clone();
    pro.name = AppName::new("shop-ann");
    fleet.policy.catalogue.insert(pro.name.clone(), pro);
    fleet.services = vec![service("shop-ann-lee", &[])];
    fleet.leaves(
        "NotTold",
        "can be read as app \"shop\", user \"ann-lee\" and as app \"shop-ann\", user \"lee\"",
    );
}

#[test]
fn a_service_that_could_not_be_run_is_left_alone() {
    changed(|seen| seen.service.draining = true).leaves("Draining", "being deleted");
    changed(|seen| "DAEMON".clone_into(&mut seen.scheduling)).leaves("NotScalable", "\"DAEMON\"");
    changed(|seen| "CODE_DEPLOY".clone_into(&mut seen.controller)).leaves("NotScalable", "\"CODE_DEPLOY\"");
    changed(|seen| seen.cluster = ClusterName::new("other"))
        .leaves("OtherCluster", "in cluster other, and app shop belongs to apps");
    changed(|seen| {
        for n in 0..46 {
            seen.tags.insert(format!("t{n}"), String::new());
        }
    })
    .leaves("TooManyTags", "AWS allows 50");
    let mut fleet = Fleet::of(vec![anns()]);
    fleet.groups.insert("old-group".to_owned(), Observed::Absent);
    fleet.leaves("RouteNotInUse", "used by no load balancer");
    fleet.groups.clear();
    fleet.leaves("RouteNotInUse", "could not be looked at: run this again");
    tagged("App", "strict").leaves("RowRefused", "parameters.KEY is missing");
}

#[test]
fn what_belongs_to_another_app_is_left_to_it() {
    changed(|seen| seen.service.instance_id = Some(id("b2")))
        .leaves("TaggedAsAnother", "the tag of app \"b2\"");
    changed(|seen| seen.service.host_name = HostName::parse("x.example.com").ok())
        .leaves("TaggedAsAnother", "tagged with the host name \"x.example.com\"");
    let user = anns().tags["Owner"].clone();
    let user = lamplighter::model::name::User::parse(&user).unwrap();
    let slot = ClaimKey::slot(Scope::User, &user, &AppName::new("shop"));
    let host = ClaimKey::host(&HostName::parse("ann.example.com").unwrap());
    let name = ClaimKey::resource(&ResourceName::existing("old-ann").unwrap());
    let fleet = || Fleet::of(vec![anns()]);
    fleet()
        .claimed(slot.clone(), "b2")
        .leaves("Claimed", "\"ann\", who has another live app, \"b2\"");
    fleet().claimed(host, "b2").leaves(
        "Claimed",
        "the host name \"ann.example.com\", which app \"b2\" holds",
    );
    fleet()
        .claimed(name, "b2")
        .leaves("Claimed", "the name \"old-ann\"");
    assert_eq!(
        fleet().claimed(slot, "old-ann").told(),
        ["adopt old-ann as Running"],
        "its own"
    );
}

#[test]
fn of_two_that_would_take_the_same_none_is_taken() {
    let mut twin = anns();
    twin.service.name = ResourceName::existing("old-ann-2").unwrap();
    twin.tags
        .insert("Host".to_owned(), "ann-2.example.com".to_owned());
    let mut fleet = Fleet::of(vec![anns(), twin]);
    for told in fleet.told() {
        assert!(
            told.starts_with(
                "Contested: is one of 2 that would take the slot \"ann\": \"old-ann\", \"old-ann-2\""
            ),
            "{told}"
        );
    }
    fleet.services[1]
        .tags
        .insert("Owner".to_owned(), "bob".to_owned());
    assert_eq!(
        fleet.told(),
        ["adopt old-ann as Running", "adopt old-ann-2 as Running"]
    );
    fleet.services[1]
        .tags
        .insert("Host".to_owned(), "ann.example.com".to_owned());
    assert!(fleet.told()[1].starts_with("Contested: is one of 2 that would take the host name"));
    fleet.rule.tags.id = Some("ManagedBy".to_owned());
    fleet.services[1]
        .tags
        .insert("Host".to_owned(), "b.example.com".to_owned());
    assert!(fleet.told()[0].starts_with("Contested: is one of 2 that would take the id \"old-tool\""));
}

#[test]
fn a_row_that_is_there_counts_as_it_is() {
    let row = |change: serde_json::Value| {
        let mut row = json!({"user": "ann", "app": "shop", "desired": "Running", "requestedAt": "2026-11-20T09:00:00Z"});
        row.as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        with_row(&row)
    };
    let adoption = row(json!({"parameters": {"SIZE": "large"}})).adopted();
    assert!(adoption.row.is_none(), "nothing of the portal's is overwritten");
    let (_, plan) = adoption.memory.unwrap();
    let memory = plan.memory;
    let hash = memory.accepted.unwrap().blueprint.spec_hash.clone();
    assert_eq!(
        memory.deployment.unwrap().blueprint.spec_hash,
        hash,
        "and nothing is built for it"
    );
    assert_eq!(
        row(json!({"desired": "Suspended"})).adopted().notes,
        ["its row asks for Suspended, so its tasks go from 2 to 0"]
    );
    row(json!({"user": "bob"})).leaves("OtherRow", "a row of the owner \"bob\"");
    row(json!({"app": "night"})).leaves("OtherRow", "a row of the app \"night\"");
    row(json!({"hostName": "x.example.com"})).leaves("OtherRow", "\"x.example.com\"");
    row(json!({"desired": "Destroyed"})).leaves("OtherRow", "asks for Destroyed");
    row(json!({"keepuntil": "x"})).leaves("RowRefused", "keepuntil is not an attribute");
    row(json!({"parameters": {"SIZE": "huge"}}))
        .leaves("RowRefused", "parameters.SIZE \"huge\" is not allowed");
    row(json!({"requestedAt": "2026-11-19T09:00:00Z"}))
        .leaves("DayIsOver", "set the row's requestedAt to now");
}

#[test]
fn what_is_remembered_is_completed_and_nothing_else_is_touched() {
    let mut fleet = Fleet::of(vec![anns()]);
    let adoption = fleet.adopted();
    let (_, plan) = adoption.memory.unwrap();
    let mut memory = plan.memory;
    memory.version = 1;
    for key in memory.holding.as_ref().unwrap().keys() {
        fleet = fleet.claimed(key, "old-ann");
    }
    fleet.memories.insert(id("old-ann"), memory.clone());
    // After a crash between memory and row.
    let rest = fleet.adopted();
    assert!(rest.memory.is_none() && rest.row.is_some(), "{rest:?}");
    fleet.rows.insert(id("old-ann"), rest.row.unwrap());
    let tags = fleet.adopted();
    assert!(
        tags.memory.is_none() && tags.row.is_none(),
        "a tag that went lost: {tags:?}"
    );
    for (key, value) in tags.tags {
        fleet.services[0].tags.insert(key.to_owned(), value);
    }
    assert_eq!(fleet.told(), ["already"]);
    // By whatever name the rule would call it now.
    fleet.services[0].service.instance_id = Some(id("old-ann"));
    fleet.services[0]
        .tags
        .insert("Owner".to_owned(), "bob".to_owned());
    fleet.rule.tags.id = Some("Owner".to_owned());
    assert_eq!(fleet.told(), ["already"]);

    let mut fleet = Fleet::of(vec![anns()]);
    let mut deleted = memory.clone();
    deleted.found = None;
    fleet.memories.insert(id("old-ann"), deleted);
    fleet.leaves("RowGone", "whose row was deleted");
    let mut other = memory.clone();
    let deployed = &mut other.deployment.as_mut().unwrap().blueprint;
    Arc::make_mut(deployed).identity.resource_name = ResourceName::existing("x").unwrap();
    fleet.memories.insert(id("old-ann"), other);
    fleet.leaves("Remembered", "remembers something else");
    let mut parameters = memory;
    let deployed = &mut parameters.deployment.as_mut().unwrap().blueprint;
    "0123456789abcdef".clone_into(&mut Arc::make_mut(deployed).spec_hash);
    fleet.memories.insert(id("old-ann"), parameters);
    fleet.leaves("WouldBuild", "write its row with the parameters");
    fleet.memories.clear();
    fleet.unreadable.insert(id("old-ann"));
    fleet.leaves("Unreadable", "cannot be read");
}

/// A tale of an app that was taken over by the service `old-ann`.
fn taken_over(fleet: &Fleet) -> Tale {
    let mut tale = Tale::begin();
    let seen = &fleet.services[0];
    let group = seen.service.target_groups[0].clone();
    tale.world.id = id("old-ann");
    tale.world.groups.insert(group.clone(), true);
    let adoption = fleet.adopted();
    tale.world.services.insert(
        seen.service.name.clone(),
        SimService {
            owner: adoption.id.clone(),
            host: HostName::parse("ann.example.com").ok(),
            desired: seen.service.desired_count,
            steady_at: tale.world.real,
            drained_at: None,
            rollout_failed: None,
            target_groups: vec![group],
        },
    );
    let (view, plan) = adoption.memory.unwrap();
    assert!(tale.world.carry_out(view, plan, Fault::None).recorded);
    tale
}

fn its_row(fleet: &Fleet) -> serde_json::Value {
    json!({
        "user": "ann", "app": "shop", "desired": "Running", "hostName": "ann.example.com",
        "requestedAt": fleet.now.to_string(), "requestedBy": "lamplighter adopt",
    })
}

#[test]
fn an_adopted_app_lives_like_any_other_and_is_never_built() {
    let fleet = Fleet::of(vec![anns()]);
    let mut tale = taken_over(&fleet);
    let started = |tale: &Tale| [BuildKind::Apply, BuildKind::Destroy].map(|kind| tale.world.started(kind));
    tale.pass().sweep().pass();
    assert_eq!(tale.world.memory.as_ref().unwrap().status.reason, "Quarantined");
    tale.write(its_row(&fleet)).until(Phase::Ready);
    tale.run(SignedDuration::from_mins(30));
    assert_eq!(started(&tale), [0, 0]);
    tale.world.memory = None;
    tale.world.claims = BTreeMap::new();
    tale.until(Phase::Ready);
    tale.run(SignedDuration::from_mins(30));
    assert_eq!(
        started(&tale),
        [0, 0],
        "memory was lost, and the tags bring it back"
    );
    tale.wait_until("2026-11-20T18:01:00Z").until(Phase::Destroyed);
    assert_eq!(started(&tale), [0, 1], "at the end of its day");
    assert_eq!(tale.world.remains(), [""; 0]);
    let destroyed = &tale.world.builds[0].request.environment;
    assert_eq!(
        (
            destroyed["RESOURCE_NAME"].as_str(),
            destroyed["HOST_NAME"].as_str()
        ),
        ("old-ann", "ann.example.com")
    );
    assert_eq!(tale.world.broken, [""; 0]);
}

#[test]
fn an_adopted_app_keeps_its_target_group_through_builds_of_its_own() {
    let fleet = Fleet::of(vec![anns()]);
    let mut tale = taken_over(&fleet);
    tale.write(its_row(&fleet)).until(Phase::Ready);
    tale.change(&json!({"parameters": {"SIZE": "large"}, "generation": 1}))
        .pass()
        .soon(Phase::Ready);
    tale.run(SignedDuration::from_mins(30));
    assert_eq!(tale.world.started(BuildKind::Apply), 1, "and no repair");
    // Terraform has given it another one in the meantime.
    tale.world.groups = BTreeMap::from([("new-group".to_owned(), true)]);
    tale.world.service().target_groups = vec!["new-group".to_owned()];
    tale.run(SignedDuration::from_mins(30)).until(Phase::Ready);
    assert_eq!(tale.world.started(BuildKind::Apply), 1, "and no repair");
    tale.world.memory = None;
    tale.world.claims = BTreeMap::new();
    tale.until(Phase::Ready);
    tale.run(SignedDuration::from_mins(30));
    assert_eq!(tale.world.started(BuildKind::Apply), 1, "and no repair");
}

#[test]
fn what_is_decided_keeps_the_rules_of_every_plan() {
    let fleet = Fleet::of(vec![anns()]);
    let (view, _) = fleet.adopted().memory.unwrap();
    let _ = checks::plan(&view, &fleet.policy, fleet.now);
}
