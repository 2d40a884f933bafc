//! Exemptions: who is given some, what the ledgers came to say of them, and what must be true of that. Knows nothing of
//! how an exemption is granted.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use lamplighter::model::claim::Scope;
use lamplighter::model::keep::Ledger;
use lamplighter::model::name::User;
use lamplighter::model::row::Desired;

use crate::dice::Dice;
use crate::fringe;
use crate::row::RowSpec;
use crate::scenario::{Event, Scenario};
use crate::verdict::Portal;
use crate::wish::{self, Writes};

/// Streams that nothing else draws from.
const POLICY: u64 = 24;
const GIFTS: u64 = 25;
const NIGHTS: u64 = 26;

/// The zone whose Mondays begin a week.
pub(crate) const WEEKS: &str = "Europe/Berlin";

/// What policy says of exemptions, and how long before a stop it is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keeping {
    /// How far an exemption may reach.
    pub(crate) most: SignedDuration,
    /// How many hours a user has in a week.
    pub(crate) per_week: Option<SignedDuration>,
    /// Of the schedules whose boundaries nothing wakes from.
    pub(crate) warn_before: Option<SignedDuration>,
}

impl Keeping {
    /// The defaults.
    pub(crate) const PLAIN: Self = Self {
        most: SignedDuration::from_hours(72),
        per_week: None,
        warn_before: None,
    };

    pub(crate) fn of(seed: u64) -> Self {
        let mut dice = Dice::new(seed, POLICY);
        let (short, bounded, warns) = (dice.percent(40), dice.percent(40), dice.percent(70));
        let hours = dice.pick(&[3, 6, 12, 100]);
        let minutes = dice.pick(&[60, 90, 120]);
        Self {
            most: if short {
                SignedDuration::from_hours(30)
            } else {
                Self::PLAIN.most
            },
            per_week: bounded.then(|| SignedDuration::from_hours(hours)),
            warn_before: warns.then(|| SignedDuration::from_mins(minutes)),
        }
    }

    /// Until when to ask for an exemption that counts from `since`, so that its end does not fall into the quiet time,
    /// whatever cuts it: where hours are bounded, it ends before that.
    pub(crate) fn far_from_quiet(&self, asked: Timestamp, since: Timestamp, quiet: Timestamp) -> Timestamp {
        let before = before_quiet(quiet);
        // A request that says no time is as old as the first look at it.
        let calm = before - wish::NOTICED_AFTER[3]..quiet + SignedDuration::from_hours(10);
        let cut = since + self.most;
        if asked > before && (self.per_week.is_some() || asked > cut && calm.contains(&cut)) {
            before
        } else {
            asked
        }
    }
}

/// Draws what is given through the API, and somebody who lives by it.
pub(crate) fn draw(scenario: &mut Scenario) {
    let mut dice = Dice::new(scenario.seed, GIFTS);
    let last = scenario.quiet - SignedDuration::from_hours(1);
    for _ in 0..dice.between(0, 6) {
        let id = format!("app-{}", dice.between(0, 7));
        let at = dice.moment(scenario.begin, last);
        give_or_end(scenario, &mut dice, &id, at);
    }
    if dice.percent(75) {
        let app = dice.pick(&["shop", "wiki", "desk"]);
        live_on(scenario, &mut dice, "kept", app);
        if scenario.scope == Scope::UserApp {
            live_on(scenario, &mut dice, "kept-too", "blog");
            live_on(
                scenario,
                &mut dice,
                "kept-more",
                if app == "desk" { "shop" } else { "desk" },
            );
        }
    }
}

/// Draws what is given to the app that sleeps at night, if there is one: nights in which it is exempt don't count. All of it
/// is over before the quiet time: whether an exemption puts off a nap is what `naps` leaves open.
pub(crate) fn draw_nights(scenario: &mut Scenario) {
    let mut dice = Dice::new(scenario.seed, NIGHTS);
    if !dice.percent(40) {
        return;
    }
    let last = scenario.quiet - SignedDuration::from_hours(4);
    for _ in 0..dice.between(1, 2) {
        let at = dice.moment(scenario.begin, last);
        give_or_end(scenario, &mut dice, "nap", at);
        if let Some((_, Event::Keep { until, .. })) = scenario.events.last_mut() {
            *until = (*until).min(before_quiet(scenario.quiet));
        }
    }
}

/// Somebody asks for an app on most days, and puts off the end of some of them, by its row or through the API.
fn live_on(scenario: &mut Scenario, dice: &mut Dice, id: &str, app: &'static str) {
    let (quiet, keeps) = (scenario.quiet, scenario.keeps);
    let last = quiet - SignedDuration::from_hours(1);
    let mut at = dice.moment(
        scenario.begin,
        (scenario.begin + SignedDuration::from_hours(10)).min(last),
    );
    for generation in 1.. {
        let mut row = fringe::row("user-kept", app, at);
        row.generation = Some(generation);
        if dice.percent(30) {
            let asked = far_from_quiet(at + dice.seconds(3600, 100 * 3600), quiet);
            row.keep_until = Some(keeps.far_from_quiet(asked, at, quiet));
        }
        if dice.percent(20) {
            row.expires_at = Some(far_from_quiet(at + dice.seconds(3 * 3600, 40 * 3600), quiet));
        }
        if dice.percent(10) {
            row.desired = Desired::Suspended;
        }
        scenario.events.push((at, fringe::put(id, row)));
        for _ in 0..dice.between(0, 3) {
            let later = at + dice.seconds(600, 9 * 3600);
            if later < last {
                give_or_end(scenario, dice, id, later);
            }
        }
        at += dice.seconds(9 * 3600, 30 * 3600);
        if at >= last {
            break;
        }
    }
}

fn give_or_end(scenario: &mut Scenario, dice: &mut Dice, id: &str, at: Timestamp) {
    let (ends, length) = (dice.percent(25), dice.seconds(1200, 80 * 3600));
    let id = id.to_owned();
    let event = if ends {
        Event::Unkeep { id }
    } else {
        let asked = far_from_quiet(at + length, scenario.quiet);
        let until = scenario.keeps.far_from_quiet(asked, at, scenario.quiet);
        Event::Keep { id, until }
    };
    scenario.events.push((at, event));
}

/// The last time at which an exemption may end that does not outlast the quiet time.
fn before_quiet(quiet: Timestamp) -> Timestamp {
    quiet - SignedDuration::from_mins(41)
}

fn far_from_quiet(drawn: Timestamp, quiet: Timestamp) -> Timestamp {
    let before = before_quiet(quiet);
    if (before..quiet + SignedDuration::from_hours(10)).contains(&drawn) {
        before
    } else {
        drawn
    }
}

/// What a ledger came to say of an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fact {
    pub(crate) at: Timestamp,
    /// When the ledger was looked at before: it may have said so at any time since.
    pub(crate) since: Timestamp,
    /// Until when it was given an exemption through the API.
    pub(crate) given: Option<Timestamp>,
    /// Until when its row may keep it.
    pub(crate) row: Option<Timestamp>,
}

impl Fact {
    /// The same as if the ledger had said so from just after the look before.
    pub(crate) fn at_first(&self) -> Self {
        Self {
            at: self.since,
            ..*self
        }
    }

    fn until(&self) -> Option<Timestamp> {
        self.given.max(self.row)
    }
}

/// What all ledgers came to say, by app, and when they were last looked at.
#[derive(Debug, Default)]
pub(crate) struct Keeps(BTreeMap<String, (User, Vec<Fact>)>, Option<Timestamp>);

/// All that exempts an app, beside its row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exempt<'a> {
    /// How far its row may.
    pub(crate) most: SignedDuration,
    /// Whether its row does only as far as the ledger says so too.
    pub(crate) by_ledger: bool,
    /// What the ledger said, in order.
    pub(crate) facts: &'a [Fact],
}

impl Keeps {
    /// Takes note of the ledgers as they are now.
    pub(crate) fn look(&mut self, ledgers: &BTreeMap<User, Ledger>, now: Timestamp) {
        let since = self.1.replace(now).unwrap_or(now);
        for (user, ledger) in ledgers {
            for (app, exempt) in &ledger.apps {
                let (_, facts) = self
                    .0
                    .entry(app.to_string())
                    .or_insert_with(|| (user.clone(), Vec::new()));
                let fact = Fact {
                    at: now,
                    since,
                    given: exempt.given.as_ref().map(|given| given.until),
                    row: exempt.row,
                };
                note(facts, fact);
            }
        }
        for (app, (user, facts)) in &mut self.0 {
            let told = ledgers.get(user).map(|ledger| &ledger.apps);
            if told.is_none_or(|apps| !apps.keys().any(|known| known.as_str() == app)) {
                let nothing = Fact {
                    at: now,
                    since,
                    given: None,
                    row: None,
                };
                note(facts, nothing);
            }
        }
    }

    /// How often something was given.
    pub(crate) fn given(&self) -> usize {
        let all = self.0.values().flat_map(|(_, facts)| facts);
        all.filter(|fact| fact.given.is_some()).count()
    }

    /// What exempts an app.
    pub(crate) fn of<'a>(&'a self, id: &str, scenario: &Scenario, portal: &Portal) -> Exempt<'a> {
        let facts = self.0.get(id).map(|(_, facts)| facts.as_slice());
        let user = portal.get(id).and_then(|writes| user(writes));
        let limit = scenario.keeps.per_week;
        Exempt {
            most: scenario.keeps.most,
            by_ledger: limit.is_some_and(|limit| asked_by(user, scenario, portal) > limit),
            facts: facts.unwrap_or_default(),
        }
    }

    /// Policy's bounds: none reaches farther than any may, and nobody has more hours in a week than a user has.
    pub(crate) fn judge(&self, scenario: &Scenario, portal: &Portal) -> Vec<String> {
        let slack = scenario.skew() + SignedDuration::from_mins(1);
        let mut wrong = Vec::new();
        for (app, (_, facts)) in &self.0 {
            for fact in facts {
                let farthest = fact.at + scenario.keeps.most + slack;
                if let Some(until) = fact.until().filter(|until| *until > farthest) {
                    wrong.push(format!("exemptions: {app} is kept until {until} by {}", fact.at));
                }
            }
        }
        if let Some(limit) = scenario.keeps.per_week {
            self.judge_weeks(limit, scenario, portal, &mut wrong);
        }
        wrong
    }

    /// Every minute in which an app was exempt and its day was over, counted in the week in which it lies.
    fn judge_weeks(
        &self,
        limit: SignedDuration,
        scenario: &Scenario,
        portal: &Portal,
        wrong: &mut Vec<String>,
    ) {
        let zone = TimeZone::get(WEEKS).unwrap();
        let minute = SignedDuration::from_mins(1);
        let mut used: BTreeMap<(&User, jiff::civil::Date), (SignedDuration, SignedDuration)> =
            BTreeMap::new();
        for (app, (user, facts)) in &self.0 {
            let Some(writes) = portal.get(app) else { continue };
            let exempt = self.of(app, scenario, portal);
            let nexts = facts.iter().skip(1).map(|fact| fact.at);
            let nexts = nexts.chain([scenario.quiet]);
            for (fact, next) in facts.iter().zip(nexts) {
                let until = next.min(fact.until().unwrap_or(Timestamp::MIN));
                let mut at = fact.at;
                while at + minute <= until {
                    let day = zone.to_datetime(at).date();
                    let monday = day - i64::from(day.weekday().to_monday_zero_offset()).days();
                    let (hours, error) = used.entry((user, monday)).or_default();
                    if at == fact.at {
                        *error += minute + scenario.skew() * 2;
                    }
                    if wish::is_past_its_day(writes, exempt, at) {
                        *hours += minute;
                    }
                    at += minute;
                }
            }
        }
        for ((user, monday), (hours, error)) in used {
            if hours > limit + error {
                wrong.push(format!(
                    "exemptions: {user} was exempt for {hours:#} in the week of {monday}, of {limit:#}"
                ));
            }
        }
    }
}

fn note(facts: &mut Vec<Fact>, new: Fact) {
    let same = |old: &Fact| (old.given, old.row) == (new.given, new.row);
    if !facts.last().is_some_and(same) {
        facts.push(new);
    }
}

fn user(writes: &Writes) -> Option<&str> {
    let mut rows = writes.iter().filter_map(|(_, row)| row.as_ref());
    rows.next().map(|row| row.user.as_str())
}

/// As much as all exemptions together that somebody's apps ever asked for.
fn asked_by(user: Option<&str>, scenario: &Scenario, portal: &Portal) -> SignedDuration {
    let of_user = |id: &str| portal.get(id).and_then(|writes| self::user(writes)) == user;
    let asked = scenario.events.iter().filter_map(|(at, event)| {
        let until = match event {
            Event::Put { id, row } if of_user(id) => row.keep_until,
            Event::Keep { id, until } if of_user(id) => Some(*until),
            _ => None,
        };
        Some(until?.duration_since(*at).max(SignedDuration::ZERO))
    });
    asked.fold(SignedDuration::ZERO, |sum, length| sum + length)
}

/// Whether a row is of a schedule that warns.
pub(crate) fn is_warned_of(row: &RowSpec) -> bool {
    matches!(row.app, "shop" | "desk" | "wiki")
}
