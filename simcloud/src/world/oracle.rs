//! The world's own judgement of what must never be seen, whatever its users believe. Only records; changes nothing.

use jiff::Timestamp;

use super::builds::Phase;
use super::services::ServiceStatus;
use crate::sim::Sim;

impl Sim {
    pub(crate) fn violation(&mut self, at: Timestamp, what: &str) {
        let line = format!("{at} {what}");
        self.ledger.note(at, &format!("VIOLATION {what}"));
        if !self.state.violations.contains(&line) {
            self.state.violations.push(line);
        }
    }

    /// Never two builds of one host past their gate, or in `BUILD`, at once. Asked when one gets there.
    pub(crate) fn check_builds(&mut self, id: &str, at: Timestamp) {
        let host_name = &self.config.contract.host_name;
        let Some(build) = self.state.builds.get(id) else {
            return;
        };
        let Some(host) = build.variable(host_name).map(str::to_owned) else {
            return;
        };
        let unfinished = self
            .state
            .unfinished
            .iter()
            .filter_map(|other| self.state.builds.get(other));
        let rivals: Vec<String> = unfinished
            .filter(|other| other.id != id && other.variable(host_name) == Some(host.as_str()))
            .filter(|other| other.gate_passed.is_some() || other.phase() == Phase::Build)
            .map(|other| other.id.clone())
            .collect();
        for rival in rivals {
            self.violation(
                at,
                &format!("{id} and {rival} were past the gate at once for {host}"),
            );
        }
    }

    /// Never two live services for one host name. Asked when a service is made or its tags change.
    pub(crate) fn check_services(&mut self, key: &str, at: Timestamp) {
        let tag = &self.config.contract.host_tag;
        let Some(service) = self.state.services.get(key) else {
            return;
        };
        let Some(host) = service.tags.get(tag).cloned() else {
            return;
        };
        let live = |status: ServiceStatus| status == ServiceStatus::Active;
        let rivals: Vec<String> = self
            .state
            .services
            .iter()
            .filter(|(other, service)| *other != key && live(service.status))
            .filter(|(_, service)| service.tags.get(tag) == Some(&host))
            .map(|(other, _)| other.clone())
            .collect();
        for rival in rivals {
            self.violation(at, &format!("{key} and {rival} were live at once for {host}"));
        }
    }
}
