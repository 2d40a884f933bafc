//! How an exemption is told: in history, for whoever asks later who gave it and why.

use jiff::Timestamp;

use super::Ledger;
use crate::model::history::{Event, Inputs};
use crate::model::memory::Memory;
use crate::model::name::Entropy;
use crate::model::status::{Exemption, Phase, Source};

impl Ledger {
    /// The exemption that an app has by this ledger and by its row; of both, the later one.
    fn exemption(&self, memory: &Memory) -> Option<Exemption> {
        let exempt = self.apps.get(&memory.id);
        let told = memory.status.exemption.as_ref();
        let since = exempt
            .map(|exempt| exempt.since)
            .or(told.and_then(|told| told.since));
        let by_api = exempt
            .and_then(|exempt| exempt.given.as_ref())
            .map(|given| Exemption {
                since,
                until: given.until,
                source: Source::Api,
                by: given.by.clone(),
                reason: given.reason.clone(),
            });
        let row = exempt.and_then(|exempt| exempt.row);
        let row = row.or(memory.accepted.as_ref().and_then(|accepted| accepted.keep_until));
        let told = told.filter(|told| told.source == Source::Row);
        let by_row = row.map(|until| Exemption {
            since,
            until,
            source: Source::Row,
            by: told.and_then(|told| told.by.clone()),
            reason: told.and_then(|told| told.reason.clone()),
        });
        by_row
            .into_iter()
            .chain(by_api)
            .max_by_key(|exemption| exemption.until)
    }
}

/// The line of history about an exemption that was granted, or with `until` left out, taken back.
pub fn line(
    ledger: &Ledger,
    memory: &Memory,
    until: Option<Timestamp>,
    message: String,
    by: Option<String>,
    phase: Phase,
    (now, entropy): (Timestamp, Entropy),
) -> Event {
    let inputs = Inputs {
        exemption: ledger.exemption(memory).filter(|exemption| exemption.until > now),
        ..Inputs::of(memory)
    };
    let (at, ttl) = Event::keys(now, entropy);
    let reason = if until.is_some() {
        "Exempted"
    } else {
        "ExemptionEnded"
    };
    Event {
        id: memory.id.clone(),
        at,
        time: now,
        rule: "KeepUntil".to_owned(),
        reason: reason.to_owned(),
        message,
        phase: phase.to_string(),
        version: None,
        life: None,
        requested_by: by,
        inputs: Some(inputs),
        ttl,
    }
}
