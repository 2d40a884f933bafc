//! What services and eventually consistent reads looked like a while ago. Kept only while some fault may show it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::Timestamp;
use serde_json::Value;

use crate::api::ecs_view::service_json;
use crate::sim::Sim;
use crate::wire::answer::Answer;
use crate::world::services::ServiceStatus;

#[derive(Debug, Clone)]
struct Look {
    at: Timestamp,
    shown: Option<Value>,
    active: bool,
}

#[derive(Debug, Default)]
pub(crate) struct History {
    kept: bool,
    touched: BTreeSet<String>,
    services: BTreeMap<String, VecDeque<Look>>,
    reads: BTreeMap<String, (Timestamp, Answer)>,
}

/// What is known of a service at an earlier time.
#[derive(Debug)]
pub(crate) enum Past<'a> {
    /// It has not changed since looks are kept, so it was as it is.
    Unknown,
    Absent,
    Present {
        shown: &'a Value,
        active: bool,
    },
}

/// More looks, or reads, than any fault reaches back to.
const MOST: usize = 256;

impl History {
    pub(crate) fn touch(&mut self, key: &str) {
        if self.kept {
            self.touched.insert(key.to_owned());
        }
    }

    /// The service as it was shown then.
    pub(crate) fn service_at(&self, key: &str, then: Timestamp) -> Past<'_> {
        let Some(looks) = self.services.get(key) else {
            return Past::Unknown;
        };
        let look = looks.iter().rev().find(|look| look.at <= then);
        match look.and_then(|look| Some((look.shown.as_ref()?, look.active))) {
            Some((shown, active)) => Past::Present { shown, active },
            None => Past::Absent,
        }
    }

    pub(crate) fn read_since(&self, request: &str, then: Timestamp) -> Option<Answer> {
        self.reads
            .get(request)
            .filter(|(at, _)| *at >= then)
            .map(|(_, answer)| answer.clone())
    }

    pub(crate) fn keep_read(&mut self, request: String, at: Timestamp, answer: &Answer) {
        if !self.kept {
            return;
        }
        if self.reads.len() >= MOST {
            self.reads.clear();
        }
        self.reads.insert(request, (at, answer.clone()));
    }

    pub(crate) fn is_kept(&self) -> bool {
        self.kept
    }
}

impl Sim {
    /// Starts to remember, with all services as they are now; or forgets.
    pub(crate) fn keep_history(&mut self, kept: bool) {
        if !kept {
            self.history = History::default();
        } else if !self.history.kept {
            self.history.kept = true;
            self.history.touched = self.state.services.keys().cloned().collect();
            self.remember(Timestamp::MIN);
        }
    }

    /// Takes a look at every service that changed since the last.
    pub(crate) fn remember(&mut self, at: Timestamp) {
        for key in std::mem::take(&mut self.history.touched) {
            let service = self.state.services.get(&key);
            let active = service.is_some_and(|service| service.status == ServiceStatus::Active);
            let shown = service.map(|service| service_json(self, service, true));
            let looks = self.history.services.entry(key).or_default();
            looks.push_back(Look { at, shown, active });
            if looks.len() > MOST {
                looks.pop_front();
            }
        }
    }
}
