//! Misbehaviour on demand: which builds fail, hang or lie, and which apps crash. Only data and its matching;
//! `phases`, `terraform` and `tasks` act on it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::builds::{Build, Phase};
use super::services::Service;
use crate::config::Contract;

/// Which builds are meant. What is `None` matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Match {
    /// The project's name.
    pub project: Option<String>,
    /// The value of `HOST_NAME`.
    pub host: Option<String>,
    /// The value of `INSTANCE_ID`.
    pub instance: Option<String>,
    /// The value of `ACTION`.
    pub action: Option<String>,
}

impl Match {
    /// Every build.
    pub fn any() -> Self {
        Self::default()
    }

    /// The builds of one host.
    pub fn host(host: impl Into<String>) -> Self {
        Self {
            host: Some(host.into()),
            ..Self::default()
        }
    }

    /// The builds of one instance.
    pub fn instance(instance: impl Into<String>) -> Self {
        Self {
            instance: Some(instance.into()),
            ..Self::default()
        }
    }

    /// Only those with this `ACTION`.
    #[must_use]
    pub fn action(mut self, action: impl Into<String>) -> Self {
        self.action = Some(action.into());
        self
    }

    fn fits(&self, build: &Build, contract: &Contract) -> bool {
        let fits = |wanted: &Option<String>, name: &str| {
            wanted
                .as_deref()
                .is_none_or(|wanted| build.variable(name) == Some(wanted))
        };
        self.project
            .as_ref()
            .is_none_or(|project| *project == build.project)
            && fits(&self.host, &contract.host_name)
            && fits(&self.instance, &contract.instance_id)
            && fits(&self.action, &contract.action)
    }
}

/// How a build misbehaves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Behaviour {
    /// The phase fails. `after_applying` matters in `PRE_BUILD` (the gate) and `BUILD` (Terraform): whether the
    /// phase has done its work by then.
    Fail {
        /// The phase that fails.
        phase: Phase,
        /// Whether the phase's effect took place first.
        after_applying: bool,
        /// The phase context's message.
        message: String,
    },
    /// The phase never ends by itself; see `Fail` for `after_applying`.
    Hang {
        /// The phase that hangs.
        phase: Phase,
        /// Whether the phase's effect takes place first.
        after_applying: bool,
    },
    /// Every phase takes that many times as long.
    Slow(f64),
    /// The build ends as `FAULT` in that phase, without any effect of it.
    Fault(Phase),
    /// The build never gets a container: `QUEUED` ends as `CLIENT_ERROR` with `VPC_CLIENT_ERROR`.
    ClientError,
    /// The build cannot reach the gate's table: exit status 91, the gate untouched.
    GateUnreachable,
    /// The build passes the gate and never learns it: exit status 91, the gate taken.
    GateAnswerLost,
    /// When the build is stopped or times out in `BUILD`, its container lives on for a while, and Terraform still
    /// changes the world that long after the end.
    OutlivesStop(Duration),
    /// An apply succeeds and leaves nothing behind.
    LeavesNothing,
    /// A destroy succeeds and leaves everything behind.
    LeavesService,
}

impl Behaviour {
    /// `BUILD` fails before Terraform changes anything.
    pub fn fail_before_applying() -> Self {
        let message = "Error while executing command: terraform apply. Reason: exit status 1".to_owned();
        Self::Fail {
            phase: Phase::Build,
            after_applying: false,
            message,
        }
    }

    /// `BUILD` fails after Terraform changed everything.
    pub fn fail_after_applying() -> Self {
        let message = "Error while executing command: terraform output. Reason: exit status 1".to_owned();
        Self::Fail {
            phase: Phase::Build,
            after_applying: true,
            message,
        }
    }

    /// The phase hangs before it does anything.
    pub fn hang_in(phase: Phase) -> Self {
        Self::Hang {
            phase,
            after_applying: false,
        }
    }
}

/// How many builds a behaviour is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Times {
    /// The next that matches.
    Once,
    /// All that match, until forgotten.
    Always,
}

/// A behaviour that waits for builds to match.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Rule {
    pub(crate) matching: Match,
    pub(crate) behaviour: Behaviour,
    pub(crate) times: Times,
}

/// The behaviours of a new build; what was meant for one build is used up.
pub(crate) fn take(rules: &mut Vec<Rule>, build: &Build, contract: &Contract) -> Vec<Behaviour> {
    let mut taken = Vec::new();
    rules.retain(|rule| {
        let fits = rule.matching.fits(build, contract);
        if fits {
            taken.push(rule.behaviour.clone());
        }
        !(fits && rule.times == Times::Once)
    });
    // A destroy carries the same parameters as the apply before it, and must not be hindered by them for ever.
    let applies = build.variable(&contract.action) == Some("apply");
    match wish(build, contract) {
        Some("fail") if applies => taken.push(Behaviour::fail_before_applying()),
        Some("hang") if applies => taken.push(Behaviour::hang_in(Phase::Build)),
        _ => {}
    }
    taken
}

/// What the build's own environment asks for: `SIM_BEHAVIOUR=crash`, or an image named `…sim-crash…`.
pub(crate) fn wish<'a>(build: &'a Build, contract: &Contract) -> Option<&'a str> {
    if let Some(wish) = build.variable(&contract.behaviour) {
        return Some(wish);
    }
    let image = build.variable("IMAGE").or_else(|| build.variable("APP_IMAGE"))?;
    let (_, tail) = image.split_once("sim-")?;
    ["fail", "hang", "crash", "unhealthy"]
        .into_iter()
        .find(|wish| tail.starts_with(wish))
}

/// How running apps misbehave, by host name, instance id or service name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Quirks {
    pub(crate) crash: Option<Crash>,
    pub(crate) unhealthy: bool,
    pub(crate) http_status: Option<u16>,
}

/// How an app's container ends. Without an exit code it never starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Crash {
    pub(crate) exit_code: Option<i32>,
    pub(crate) reason: String,
}

impl crate::sim::Sim {
    /// How a service's app misbehaves at present.
    pub(crate) fn quirks_of(&self, service: &Service) -> Quirks {
        let tags = [&self.config.contract.host_tag, &self.config.contract.instance_tag];
        let named = tags.iter().filter_map(|tag| service.tags.get(*tag));
        let asked = named
            .chain([&service.name])
            .filter_map(|name| self.state.quirks.get(name));
        let mut all = service.quirks.clone();
        for quirks in asked {
            all.crash = quirks.crash.clone().or(all.crash);
            all.unhealthy |= quirks.unhealthy;
            all.http_status = quirks.http_status.or(all.http_status);
        }
        all
    }
}
