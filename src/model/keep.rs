//! Exemptions from the end of the day: what a user's apps were granted, and the hours of a week that are left.
//!
//! One item of the state table holds all of a user's, so that whoever grants compares and swaps the whole: neither
//! two replicas nor two apps at once are granted more than the week has.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::memory::{Accepted, Memory};
use super::name::{AppId, User};
use super::policy::Policy;
use super::row::Row;
use super::schedule::{ManualStart, later};

mod told;

pub use told::line;

/// The exemptions of one user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ledger {
    /// Raised by one on every write; zero means never stored.
    pub version: u64,
    /// The newest exemption of each app.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub apps: BTreeMap<AppId, Exempt>,
    /// Hours of earlier ones, as long as they count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub past: Vec<Span>,
}

/// The exemption of one app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Exempt {
    /// From when on its hours count: the end of the day that it puts off.
    pub since: Timestamp,
    /// Until when its row may keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<Timestamp>,
    /// What was given through the API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given: Option<Given>,
}

/// An exemption that was given through the API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Given {
    /// Until when.
    pub until: Timestamp,
    /// Until when it was asked for.
    pub asked: Timestamp,
    /// When it was given.
    pub at: Timestamp,
    /// Who gave it, if they said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why, in their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What makes two requests the same one, if they said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// Hours that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// From then on.
    pub from: Timestamp,
    /// Until then.
    pub until: Timestamp,
}

/// How many exemptions of one user are remembered, which bounds the item. Beyond them none is granted.
const APPS_MAX: usize = 100;
const PAST_MAX: usize = 100;
/// How long a lapsed exemption still tells why its app stopped.
const LAPSED_KEPT: SignedDuration = SignedDuration::from_hours(24);
/// How long the item outlives the last of its hours; no week is longer.
const ITEM_KEPT: SignedDuration = SignedDuration::from_hours(15 * 24);

/// What bounds exemptions, as policy has it.
#[derive(Clone, Copy, Debug)]
pub struct Bounds<'a> {
    /// How far one may reach, from when it is given or from the request on.
    pub most: SignedDuration,
    /// How many hours a user has in a week, all apps together.
    pub per_week: Option<SignedDuration>,
    /// The zone whose Mondays begin a week.
    pub zone: &'a TimeZone,
}

/// What cut an exemption short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// It reaches farther than any may.
    TooFar,
    /// The user's hours of the week are used up.
    WeekUsedUp,
}

impl<'a> Bounds<'a> {
    /// Those of a policy.
    pub fn of(policy: &'a Policy) -> Self {
        Self {
            most: policy.keep_max,
            per_week: planted!(WeekNotCounted => None, else policy.keep_per_week),
            zone: &policy.keep_zone,
        }
    }
}

impl Cut {
    /// Why, for people: continues a sentence after the time that it was cut to.
    pub fn because(self, bounds: &Bounds<'_>) -> String {
        match (self, bounds.per_week) {
            (Self::WeekUsedUp, Some(limit)) => {
                let (hours, rest) = (limit.as_secs() / 3600, limit.as_secs() % 3600);
                let length = match rest {
                    0 => format!("{hours} hours"),
                    _ => format!("{} minutes", limit.as_secs() / 60),
                };
                format!("where the {length} a week that policy allows its owner are used up")
            }
            (Self::WeekUsedUp | Self::TooFar, _) => "the most that policy allows".to_owned(),
        }
    }
}

/// What came of asking for an exemption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// The ledger that says so; unchanged if it said so before.
    pub ledger: Ledger,
    /// Until when the app is exempt by it. Not later than its hours begin: nothing is granted.
    pub until: Timestamp,
    /// What cut it short, if anything did.
    pub cut: Option<Cut>,
}

impl Exempt {
    /// Until when it reaches, by the later of the two.
    pub fn until(&self) -> Timestamp {
        let given = self.given.as_ref().map(|given| given.until);
        self.row.max(given).unwrap_or(Timestamp::MIN)
    }

    fn span(&self) -> Span {
        Span {
            from: self.since,
            until: self.until(),
        }
    }
}

impl Given {
    /// Whether less was granted than was asked for.
    pub fn is_cut(&self) -> bool {
        self.until < self.asked
    }
}

impl Ledger {
    /// What was given to an app through the API. It may have lapsed.
    pub fn given(&self, app: &AppId) -> Option<&Given> {
        self.apps.get(app)?.given.as_ref()
    }

    /// Lets an app's row keep it until `asked`, as far as the week goes; `None`: the row keeps it no longer, and what
    /// is left of its hours is free again. `first` is when hours of an exemption that begins now begin to count.
    pub fn by_row(
        &self,
        app: &AppId,
        asked: Option<Timestamp>,
        first: Timestamp,
        bounds: &Bounds<'_>,
        now: Timestamp,
    ) -> Granted {
        let mut ledger = self.clone();
        let Some(asked) = asked else {
            if ledger
                .apps
                .get(app)
                .and_then(|exempt| exempt.row)
                .is_some_and(|until| until > now)
            {
                ledger.take_back(app, now, |exempt| exempt.row = None);
            }
            return Granted {
                ledger,
                until: now,
                cut: None,
            };
        };
        let since = ledger.begin(app, first, now);
        let until = ledger.reach(app, since, asked, bounds);
        if let Some(exempt) = ledger.apps.get_mut(app) {
            exempt.row = Some(until);
        } else if until > since {
            let exempt = Exempt {
                since,
                row: Some(until),
                given: None,
            };
            ledger.apps.insert(app.clone(), exempt);
        }
        let cut = (until < asked).then_some(Cut::WeekUsedUp);
        Granted { ledger, until, cut }
    }

    /// Gives an app an exemption, as far as policy goes. The later of two counts, so that the same request twice, or
    /// one that comes late, changes nothing.
    pub fn give(
        &self,
        app: &AppId,
        given: Given,
        first: Timestamp,
        bounds: &Bounds<'_>,
        now: Timestamp,
    ) -> Granted {
        let before = self.given(app);
        let same = |old: &&Given| given.key.is_some() && old.key == given.key;
        if let Some(old) = before.filter(same) {
            return Granted {
                ledger: self.clone(),
                until: old.until,
                cut: old.is_cut().then(|| old.cut(bounds)),
            };
        }
        let farthest =
            planted!(GivenWithoutEnd => given.asked, else given.asked.min(later(now, bounds.most)));
        let mut ledger = self.clone();
        let since = ledger.begin(app, first, now);
        let until = ledger.reach(app, since, farthest, bounds);
        let cut = if until < farthest {
            Some(Cut::WeekUsedUp)
        } else {
            (until < given.asked).then_some(Cut::TooFar)
        };
        let had = before.map_or(Timestamp::MIN, |old| old.until);
        if until <= now || until <= had || until < farthest && until <= since {
            return Granted {
                ledger: self.clone(),
                until: until.max(had),
                cut,
            };
        }
        let given = Given { until, ..given };
        let exempt = ledger.apps.entry(app.clone()).or_insert(Exempt {
            since,
            row: None,
            given: None,
        });
        exempt.given = Some(given);
        Granted { ledger, until, cut }
    }

    /// Takes back what was given to an app; `None`: nothing was, or it has lapsed.
    pub fn end(&self, app: &AppId, now: Timestamp) -> Option<Self> {
        self.given(app).filter(|given| given.until > now)?;
        let mut ledger = self.clone();
        ledger.take_back(app, now, |exempt| exempt.given = None);
        Some(ledger)
    }

    /// The ledger as it is to be stored in place of one of this version, without what counts no more.
    #[must_use]
    pub fn to_store(mut self, bounds: &Bounds<'_>, now: Timestamp) -> Self {
        let monday = week_of(now, bounds.zone).from;
        let lapsed = later(now, -LAPSED_KEPT).min(monday);
        self.apps.retain(|_, exempt| exempt.until() > lapsed);
        self.past.retain(|span| span.until > monday);
        self.version = self.version.saturating_add(1);
        self
    }

    /// When the item may be forgotten: nothing in it counts by then.
    pub fn forgotten_at(&self) -> Timestamp {
        let apps = self.apps.values().map(Exempt::until);
        let last = apps.chain(self.past.iter().map(|span| span.until)).max();
        later(last.unwrap_or(Timestamp::MIN), ITEM_KEPT)
    }

    /// How many hours of the week that holds `at` are spoken for.
    pub fn used(&self, at: Timestamp, zone: &TimeZone) -> SignedDuration {
        self.used_by(None, week_of(at, zone))
    }

    fn used_by(&self, save: Option<&AppId>, week: Span) -> SignedDuration {
        let apps = self.apps.iter().filter(|(app, _)| Some(*app) != save);
        apps.map(|(_, exempt)| exempt.span())
            .chain(self.past.iter().copied())
            .map(|span| span.within(week))
            .fold(SignedDuration::ZERO, SignedDuration::saturating_add)
    }

    /// From when on hours of an app's exemption count. One that has lapsed is a thing of the past, and an end of the
    /// day that was moved forward since costs what it costs.
    fn begin(&mut self, app: &AppId, first: Timestamp, now: Timestamp) -> Timestamp {
        let Some(exempt) = self.apps.get_mut(app) else {
            return first;
        };
        // Of a day that it put off the end of, it is still the one exemption when it has lapsed.
        if exempt.until() > now || exempt.until() >= first {
            exempt.since = exempt.since.min(first);
            return exempt.since;
        }
        let span = exempt.span();
        self.apps.remove(app);
        if span.from < span.until {
            self.past.push(span);
        }
        first
    }

    /// How far towards `until` the weeks have hours left for an app that is exempt since then.
    fn reach(&self, app: &AppId, since: Timestamp, until: Timestamp, bounds: &Bounds<'_>) -> Timestamp {
        let is_full =
            self.past.len() >= PAST_MAX || self.apps.len() >= APPS_MAX && !self.apps.contains_key(app);
        if is_full {
            return until.min(since);
        }
        let Some(limit) = bounds.per_week else {
            return until;
        };
        let mut at = since;
        while at < until {
            let week = week_of(at, bounds.zone);
            let left = limit
                .saturating_sub(self.used_by(Some(app), week))
                .max(SignedDuration::ZERO);
            let used_up = later(at, left);
            if used_up < until.min(week.until) {
                return used_up;
            }
            if week.until <= at {
                // The calendar ends here.
                return at;
            }
            at = week.until;
        }
        until
    }

    /// Changes an app's exemption so that it ends earlier. The hours until now stay used.
    fn take_back(&mut self, app: &AppId, now: Timestamp, change: impl FnOnce(&mut Exempt)) {
        let Some(exempt) = self.apps.get_mut(app) else {
            return;
        };
        let since = exempt.since;
        change(exempt);
        let left = exempt.until();
        if left > now {
            return;
        }
        self.apps.remove(app);
        if since < now {
            self.past.push(Span {
                from: since,
                until: now,
            });
        }
    }
}

impl Given {
    fn cut(&self, bounds: &Bounds<'_>) -> Cut {
        if self.until < later(self.at, bounds.most) {
            Cut::WeekUsedUp
        } else {
            Cut::TooFar
        }
    }
}

impl Span {
    /// How much of it lies within another.
    fn within(self, other: Span) -> SignedDuration {
        let (from, until) = (self.from.max(other.from), self.until.min(other.until));
        until.duration_since(from).max(SignedDuration::ZERO)
    }
}

/// The week that holds `at`: from Monday to Monday on the calendar of `zone`, so that the one in which a clock
/// changes is an hour shorter or longer.
fn week_of(at: Timestamp, zone: &TimeZone) -> Span {
    let midnight = |date: jiff::civil::Date| date.to_zoned(zone.clone()).ok().map(|day| day.timestamp());
    let date = zone.to_datetime(at).date();
    let since_monday = i32::from(date.weekday().to_monday_zero_offset());
    let monday = |days: i32| date.checked_add(jiff::Span::new().days(days - since_monday)).ok();
    Span {
        from: monday(0).and_then(midnight).unwrap_or(Timestamp::MIN),
        until: monday(7).and_then(midnight).unwrap_or(Timestamp::MAX),
    }
}

/// Whose exemptions concern an app: those of the owner of what is alive, else of who asks, else of who asked last.
pub fn owner<'a>(row: Option<&'a Row>, memory: Option<&'a Memory>) -> Option<&'a User> {
    let holding = memory.and_then(|memory| {
        let live = memory.holds_slot() || memory.deployment.is_some() || memory.in_flight().is_some();
        memory.holding.as_ref().filter(|_| live)
    });
    let accepted = || memory.and_then(|memory| memory.accepted.as_ref());
    holding
        .map(|holding| &holding.identity.user)
        .or_else(|| row.and_then(|row| row.user.as_ref()))
        .or_else(|| accepted().map(|accepted| &accepted.blueprint.identity.user))
}

/// From when on hours of an exemption count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// From the end of its day on.
    EndOfDay(Timestamp),
    /// From its request on, which waits for its schedule to open, unless an exemption lets it in.
    Held(Timestamp),
}

impl First {
    /// When that is.
    pub fn hour(self) -> Timestamp {
        match self {
            Self::EndOfDay(at) | Self::Held(at) => at,
        }
    }
}

/// From when on the hours of an app's exemption count: it does not move with the time at which that is asked, so that
/// whoever is refused is not granted the same an instant later. `None`: no schedule ends the app's day.
pub fn first(policy: &Policy, accepted: &Accepted, woken_at: Option<Timestamp>) -> Option<First> {
    let schedule = policy.schedule_of(accepted)?;
    let zone = accepted.time_zone.as_ref();
    let zone = zone.and_then(|name| TimeZone::get(name).ok());
    let next = |at| schedule.next_boundary(at, zone.as_ref());
    let requested_at = accepted.request.at;
    let opens = schedule.closed_until(requested_at, zone.as_ref());
    let begins = match (schedule.manual_start, opens) {
        (ManualStart::Enforce, Some(_)) if woken_at.is_none() => return Some(First::Held(requested_at)),
        (ManualStart::Keep, Some(_)) => next(requested_at)?,
        (ManualStart::Enforce | ManualStart::Keep | ManualStart::UntilNextStop, _) => requested_at,
    };
    let begins = woken_at.map_or(begins, |woken| woken.max(begins));
    Some(First::EndOfDay(next(begins)?))
}

#[cfg(test)]
mod tests;
