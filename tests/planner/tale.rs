//! Tales: a short script about one app, told pass by pass in text that a person can review. The text is
//! kept under `golden/`; set `INSTA_UPDATE=always` to write it anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};
use lamplighter::model::blueprint::BuildKind;
use lamplighter::model::claim::{Claim, ClaimKey, OnConflict};
use lamplighter::model::keep::{self, Bounds, Given};
use lamplighter::model::name::AppId;
use lamplighter::model::observed::{BuildState, Gate, Observed, Probe, Rollout, Service};
use lamplighter::model::status::{Phase, Status, Truth};
use lamplighter::planner::{Action, AppView, Class, Plan, Requeue};
use serde_json::{Value, json};

use crate::world::{Fault, Pass, Script, Sense, World};

pub(crate) struct Tale {
    pub(crate) world: World,
    text: String,
    /// Short names for generated ones.
    names: BTreeMap<String, String>,
    told: Option<Status>,
    /// The last pass as text, how often it came since, and when last.
    same: Option<(String, usize, Timestamp)>,
}

/// Tells one tale and compares it with the one that was reviewed.
#[track_caller]
pub(crate) fn tell(name: &str, script: impl FnOnce(&mut Tale)) {
    let mut tale = Tale::begin();
    script(&mut tale);
    tale.fold();
    assert_eq!(tale.world.broken, [""; 0], "{}", tale.text);
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("golden");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, tale.text));
}

/// A row that asks for `app`, as the portal would write it.
pub(crate) fn row(app: &str) -> Value {
    json!({"user": "ann", "app": app, "desired": "Running", "generation": 1, "hostName": "ann.example.com"})
}

impl Tale {
    /// Friday, 20 November 2026, 11:00 in Berlin.
    pub(crate) fn begin() -> Self {
        Self {
            world: World::new("2026-11-20T10:00:00Z"),
            text: String::new(),
            names: BTreeMap::new(),
            told: None,
            same: None,
        }
    }

    fn line(&mut self, line: &str) {
        self.fold();
        let _ = writeln!(self.text, "{line}");
    }

    /// Something that happens in the world.
    pub(crate) fn note(&mut self, text: &str) -> &mut Self {
        let at = clock(self.world.now());
        self.line(&format!("\n> {at} {text}"));
        self
    }

    /// The portal writes the row.
    pub(crate) fn write(&mut self, row: Value) -> &mut Self {
        self.note(&format!("the portal writes {row}"));
        self.world.row = Some(row);
        self
    }

    /// The portal writes the row again with these attributes changed; null removes one.
    pub(crate) fn change(&mut self, changes: &Value) -> &mut Self {
        self.note(&format!("the portal changes {changes}"));
        let mut row = self.world.row.clone().unwrap();
        for (field, value) in changes.as_object().unwrap() {
            if value.is_null() {
                row.as_object_mut().unwrap().remove(field);
            } else {
                row[field] = value.clone();
            }
        }
        self.world.row = Some(row);
        self
    }

    pub(crate) fn delete(&mut self) -> &mut Self {
        self.note("the portal deletes the row");
        self.world.row = None;
        self
    }

    /// What the next builds do.
    pub(crate) fn builds(&mut self, scripts: &[Script]) -> &mut Self {
        self.note(&format!("the next builds: {scripts:?}"));
        self.world.scripts = scripts.iter().copied().collect();
        self
    }

    /// What cannot be looked at from now on.
    pub(crate) fn blind(&mut self, senses: &[Sense]) -> &mut Self {
        if senses.is_empty() {
            self.note("everything can be looked at again");
        } else {
            self.note(&format!("cannot be looked at: {senses:?}"));
        }
        self.world.blind = senses.iter().copied().collect();
        self
    }

    /// Time passes while nobody looks.
    pub(crate) fn wait(&mut self, by: SignedDuration) -> &mut Self {
        self.world.advance(by);
        self
    }

    /// Nobody looks until that time.
    pub(crate) fn wait_until(&mut self, at: &str) -> &mut Self {
        let by = at.parse::<Timestamp>().unwrap().duration_since(self.world.now());
        self.wait(by)
    }

    /// The daemon's clock is set.
    pub(crate) fn set_clock(&mut self, at: &str) -> &mut Self {
        let at: Timestamp = at.parse().unwrap();
        self.note(&format!("the clock of the daemon is set to {}", clock(at)));
        self.world.skew = at.duration_since(self.world.real);
        self
    }

    pub(crate) fn sweep(&mut self) -> &mut Self {
        self.note("a sweep completes");
        self.world.sweep();
        self
    }

    /// An operator holds every action.
    pub(crate) fn pause(&mut self) -> &mut Self {
        self.note("an operator pauses the fleet");
        self.world.paused = Some(self.world.real);
        self
    }

    pub(crate) fn resume(&mut self) -> &mut Self {
        self.note("the operator resumes the fleet");
        self.world.paused = None;
        self
    }

    /// Somebody keeps an app of ann's through the API; the answer is told.
    pub(crate) fn keep(&mut self, app: &str, until: &str, why: &str) -> &mut Self {
        let now = self.world.now();
        let policy = self.world.policy.clone();
        let accepted = self
            .world
            .memory
            .as_ref()
            .and_then(|memory| memory.accepted.clone());
        let first = keep::first(&policy, &accepted.unwrap(), None).unwrap();
        let until = until.parse().unwrap();
        let given = Given {
            until,
            asked: until,
            at: now,
            by: Some("the desk".to_owned()),
            reason: Some(why.to_owned()),
            key: None,
        };
        let ledger = self.world.keeps.present().cloned().unwrap_or_default();
        let bounds = Bounds::of(&policy);
        let app = AppId::from_key(app).unwrap();
        let granted = ledger.give(&app, given, first.hour(), &bounds, now);
        let cut = granted
            .cut
            .map_or(String::new(), |cut| format!(", {}", cut.because(&bounds)));
        self.note(&format!("{app} is kept until {}{cut}", clock(granted.until)));
        self.world.keeps = Observed::Present(granted.ledger.to_store(&bounds, now));
        self
    }

    /// What was given to an app is ended.
    pub(crate) fn unkeep(&mut self, app: &str) -> &mut Self {
        self.note(&format!("what {app} was given is ended"));
        let app = AppId::from_key(app).unwrap();
        let ledger = self.world.keeps.present().unwrap();
        let ended = ledger.end(&app, self.world.now()).unwrap();
        self.world.keeps =
            Observed::Present(ended.to_store(&Bounds::of(&self.world.policy), self.world.real));
        self
    }

    /// Another app takes a claim.
    pub(crate) fn taken(&mut self, key: &str) -> &mut Self {
        self.note(&format!("app a2 holds {key}"));
        let claim = Claim {
            app: AppId::from_key("a2").unwrap(),
            since: self.world.real,
            bid: None,
        };
        self.world.claims.insert(ClaimKey::from_key(key).unwrap(), claim);
        self
    }

    /// The policy is that the newest request gets the slot.
    pub(crate) fn replaces(&mut self) -> &mut Self {
        self.world.policy.on_conflict = OnConflict::Replace;
        self
    }

    /// No build asks at a gate.
    pub(crate) fn ungated(&mut self) -> &mut Self {
        for entry in self.world.policy.catalogue.values_mut() {
            entry.gate = false;
        }
        self.note("no catalogue entry has a gate");
        self
    }

    /// Another app of the same user is asked for.
    pub(crate) fn rival_asks(&mut self, name: &str) -> &mut Self {
        self.note(&format!("app {name} of the same user is asked for"));
        let mut asked = row("shop");
        asked["hostName"] = json!(format!("{name}.example.com"));
        asked["generation"] = json!(self.world.real.as_second());
        self.world.rival_asks(name, &asked);
        self
    }

    pub(crate) fn rival_bids(&mut self, name: &str) -> &mut Self {
        self.note(&format!("app {name} bids for the slot"));
        self.world.rival_bids(name);
        self
    }

    pub(crate) fn rival_leaves(&mut self, name: &str) -> &mut Self {
        self.note(&format!("the row of app {name} is deleted"));
        self.world.rival_leaves(name);
        self
    }

    pub(crate) fn freed(&mut self, key: &str) -> &mut Self {
        self.note(&format!("app a2 gives back {key}"));
        self.world.claims.remove(&ClaimKey::from_key(key).unwrap());
        self
    }

    /// One pass, and the time until the next.
    pub(crate) fn pass(&mut self) -> &mut Self {
        self.pass_with(Fault::None)
    }

    pub(crate) fn pass_with(&mut self, fault: Fault) -> &mut Self {
        let at = self.world.now();
        let pass = self.world.pass(fault);
        self.show(at, &pass, fault);
        let by = self.world.next_look(pass.plan.requeue);
        if matches!(pass.plan.requeue, Requeue::Now | Requeue::Progress) {
            self.world.advance(by);
        }
        self
    }

    /// Passes at the planner's own pace until this phase is told.
    #[track_caller]
    pub(crate) fn until(&mut self, phase: Phase) -> &mut Self {
        self.go(
            SignedDuration::from_hours(4),
            |status| status.phase == phase,
            true,
        );
        assert_eq!(self.phase(), Some(phase), "{}", self.text);
        self
    }

    /// The same in one line.
    #[track_caller]
    pub(crate) fn soon(&mut self, phase: Phase) -> &mut Self {
        self.go(
            SignedDuration::from_hours(4),
            |status| status.phase == phase,
            false,
        );
        assert_eq!(self.phase(), Some(phase), "{}", self.text);
        let at = clock(self.world.now());
        self.line(&format!("  {at} {phase}"));
        self.told = self.world.memory.as_ref().map(|memory| memory.status.clone());
        self
    }

    /// Until this reason is told.
    #[track_caller]
    pub(crate) fn until_reason(&mut self, reason: &str) -> &mut Self {
        self.go(
            SignedDuration::from_hours(4),
            |status| status.reason == reason,
            true,
        );
        let told = self
            .world
            .memory
            .as_ref()
            .map(|memory| memory.status.reason.clone());
        assert_eq!(told.as_deref(), Some(reason), "{}", self.text);
        self
    }

    /// Passes at the planner's own pace for this long.
    pub(crate) fn run(&mut self, time: SignedDuration) -> &mut Self {
        self.go(time, |_| false, true);
        self
    }

    fn phase(&self) -> Option<Phase> {
        self.world.memory.as_ref().map(|memory| memory.status.phase)
    }

    fn go(&mut self, time: SignedDuration, done: impl Fn(&Status) -> bool, show: bool) {
        let end = self.world.real.checked_add(time).unwrap();
        loop {
            let at = self.world.now();
            let pass = self.world.pass(Fault::None);
            if show {
                self.show(at, &pass, Fault::None);
            }
            if self
                .world
                .memory
                .as_ref()
                .is_some_and(|memory| done(&memory.status))
            {
                return;
            }
            let left = end.duration_since(self.world.real);
            let by = self.world.next_look(pass.plan.requeue);
            if by >= left {
                self.world.advance(left);
                return;
            }
            self.world.advance(by);
        }
    }

    fn show(&mut self, at: Timestamp, pass: &Pass, fault: Fault) {
        let mut text = String::new();
        let Pass { view, plan, recorded } = pass;
        let decision = &plan.decision;
        let _ = writeln!(
            text,
            "{}: {}: {}",
            decision.rule, decision.reason, decision.message
        );
        let seen = seen(view);
        if !seen.is_empty() {
            let _ = writeln!(text, "      sees   {}", seen.join("; "));
        }
        if let Some(action) = &plan.action {
            let _ = writeln!(text, "      does   {}", does(action));
        }
        if let Some(warning) = &plan.warning {
            let _ = writeln!(text, "      warns  {}: {}", warning.rule, warning.message);
        }
        if fault != Fault::None {
            let _ = writeln!(text, "      fault  {fault:?}");
        }
        if !plan.release.is_empty() {
            let keys: Vec<String> = plan.release.iter().map(ToString::to_string).collect();
            let _ = writeln!(text, "      gives  {}", keys.join(" "));
        }
        if plan.forget {
            let _ = writeln!(text, "      forgets it");
        }
        if !recorded {
            let _ = writeln!(text, "      is not recorded");
        }
        let status = &plan.memory.status;
        if let Some(told) = tells(self.told.as_ref(), status) {
            let _ = writeln!(text, "      tells  {told}");
        }
        let _ = writeln!(text, "      looks  {}", looks(plan));
        self.told = Some(status.clone());
        let text = self.rename(plan, &text);
        match &mut self.same {
            Some((last, times, until)) if *last == text => {
                *times += 1;
                *until = at;
            }
            Some(_) | None => {
                self.fold();
                let _ = write!(self.text, "  {} {text}", clock(at));
                self.same = Some((text, 0, at));
            }
        }
    }

    /// Says how often the last pass came again.
    fn fold(&mut self) {
        if let Some((_, times, until)) = self.same.take().filter(|(_, times, _)| *times > 0) {
            let _ = writeln!(self.text, "      … and {times} times more until {}", clock(until));
        }
    }

    /// Puts short names in the place of operation ids.
    fn rename(&mut self, plan: &Plan, text: &str) -> String {
        if let Some(operation) = &plan.memory.operation {
            let next = format!("op{}", self.names.len() + 1);
            self.names.entry(operation.id.to_string()).or_insert(next);
        }
        let mut text = text.to_owned();
        for (long, short) in &self.names {
            text = text.replace(long, short);
        }
        text
    }
}

fn clock(at: Timestamp) -> String {
    at.strftime("%m-%d %H:%M:%S").to_string()
}

fn seen(view: &AppView) -> Vec<String> {
    let mut seen = Vec::new();
    let mut add = |what: &str, text: String| seen.push(format!("{what} {text}"));
    match &view.row {
        Observed::Unknown => add("row", "?".to_owned()),
        Observed::Absent => add("row", "gone".to_owned()),
        Observed::Present(_) => {}
    }
    let Observed::Present(memory) = &view.memory else {
        return seen;
    };
    if memory.in_flight().is_some() {
        match &view.gate {
            Observed::Unknown => add("gate", "?".to_owned()),
            Observed::Absent => add("gate", "none".to_owned()),
            Observed::Present(Gate::Open) => add("gate", "open".to_owned()),
            Observed::Present(Gate::Closed) => add("gate", "closed".to_owned()),
            Observed::Present(Gate::Held(build)) => add("gate", format!("held by {build}")),
        }
        let known = memory
            .in_flight()
            .is_some_and(|operation| operation.build.is_some());
        match &view.build {
            Observed::Unknown if known => add("build", "?".to_owned()),
            Observed::Unknown => {}
            Observed::Absent => add("build", "none".to_owned()),
            Observed::Present(build) => match &build.state {
                BuildState::Running => add("build", format!("{} {}", build.id, build.phase)),
                BuildState::Succeeded => add("build", format!("{} succeeded", build.id)),
                BuildState::Failed(failure) => add("build", format!("{} {}", build.id, failure.summary())),
            },
        }
    } else if memory.deployment.is_some() {
        add("service", service(&view.service));
        match &view.target_group {
            Observed::Unknown => {}
            Observed::Absent => add("group", "none".to_owned()),
            Observed::Present(group) if !group.attached => add("group", "detached".to_owned()),
            Observed::Present(group) => match &group.targets {
                Observed::Unknown => add("group", "targets ?".to_owned()),
                Observed::Absent => add("group", "no targets".to_owned()),
                Observed::Present(targets) => {
                    add(
                        "group",
                        format!("{} healthy, {} not", targets.healthy, targets.unhealthy),
                    );
                }
            },
        }
        match &view.probe {
            Observed::Unknown | Observed::Absent => {}
            Observed::Present(Probe::Answered) => add("probe", "answered".to_owned()),
            Observed::Present(Probe::Failed(why)) => add("probe", why.clone()),
        }
        if let Observed::Present(task) = &view.stopped_task {
            add("task stopped", task.code.clone());
        }
    }
    seen
}

fn service(seen: &Observed<Service>) -> String {
    match seen {
        Observed::Unknown => "?".to_owned(),
        Observed::Absent => "none".to_owned(),
        Observed::Present(service) if service.draining => "draining".to_owned(),
        Observed::Present(service) => {
            let rollout = match &service.rollout {
                Rollout::InProgress => "rolling out",
                Rollout::Completed => "steady",
                Rollout::Failed(_) => "rollout failed",
            };
            format!("{}/{} {rollout}", service.running_count, service.desired_count)
        }
    }
}

fn does(action: &Action) -> String {
    match action {
        Action::Intend {
            operation,
            kind,
            class,
            take,
        } => {
            let class = match class {
                Class::Teardown => "as a teardown",
                Class::Human => "for a person",
                Class::Repair => "as a repair",
            };
            let take: Vec<String> = take.iter().map(ToString::to_string).collect();
            let take = if take.is_empty() {
                String::new()
            } else {
                format!("; takes {}", take.join(" "))
            };
            format!("intends {} {operation} {class}{take}", kind.as_str())
        }
        Action::Adopt { take } => {
            let take: Vec<String> = take.iter().map(ToString::to_string).collect();
            format!("takes over what is there; takes {}", take.join(" "))
        }
        Action::StartBuild { request } => {
            let env = &request.environment;
            format!(
                "starts {} {} of {}",
                request.token, env["ACTION"], env["HOST_NAME"]
            )
        }
        Action::CloseGate { operation } => format!("closes the gate of {operation}"),
        Action::Bid { slot, over, bid, .. } => {
            let over = over.as_ref().map_or_else(String::new, |bid| {
                format!(" over {}'s of {}", bid.app, clock(bid.at))
            });
            format!("bids for {slot} with its request of {}{over}", clock(bid.at))
        }
        Action::Keep { over, ledger, .. } => {
            let exempt: Vec<String> = ledger
                .apps
                .iter()
                .map(|(app, exempt)| format!("{app} {} to {}", clock(exempt.since), clock(exempt.until())))
                .collect();
            format!("notes exemptions over {over}: {}", exempt.join(", "))
        }
        Action::StopBuild { build } => format!("stops {build}"),
        Action::Scale { tasks, .. } => format!("scales to {tasks}"),
        Action::DeleteService { service, .. } => format!("deletes service {service}"),
    }
}

/// Phase, conditions, URL and what happens next, when any of it is news.
fn tells(before: Option<&Status>, status: &Status) -> Option<String> {
    let brief = |status: &Status| {
        let mut text = status.phase.to_string();
        for condition in &status.conditions {
            let truth = match condition.status {
                Truth::True => "",
                Truth::False => "!",
                Truth::Unknown => "?",
            };
            let _ = write!(text, " {truth}{:?}", condition.kind);
            if condition.reason != status.reason {
                let _ = write!(text, "({})", condition.reason);
            }
        }
        if let Some(url) = &status.url {
            let _ = write!(text, " at {url}");
        }
        if let Some(next) = &status.next_change {
            let _ = write!(text, "; {} at {} by {}", next.action, clock(next.at), next.rule);
        }
        let refusal = status
            .conditions
            .iter()
            .find(|condition| format!("{:?}", condition.kind) == "Accepted");
        if let Some(refusal) = refusal.filter(|accepted| !accepted.message.is_empty()) {
            let _ = write!(text, "; {}", refusal.message);
        }
        text
    };
    let text = brief(status);
    before.is_none_or(|before| brief(before) != text).then_some(text)
}

fn looks(plan: &Plan) -> String {
    match plan.requeue {
        Requeue::Now => "again at once".to_owned(),
        Requeue::Progress => "with the next glance".to_owned(),
        Requeue::At(at) => format!("at {}", clock(at)),
        Requeue::Sweep => "with the next sweep".to_owned(),
    }
}

/// The kinds of builds that were started, for the end of a tale.
pub(crate) fn builds(world: &World) -> String {
    let (applies, destroys) = (world.started(BuildKind::Apply), world.started(BuildKind::Destroy));
    format!("{applies} deploy builds and {destroys} destroy builds were started")
}
