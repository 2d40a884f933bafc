//! Warnings of stops, held against what the world would have had to be told: each deadline once, in time, and none that
//! was not to come. The deadlines are worked out a second time, in `wish.rs`.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use lamplighter::model::utc;
use simcloud::BuildView;

use crate::fringe;
use crate::keeps::{Exempt, Keeps, is_warned_of};
use crate::row::RowSpec;
use crate::scenario::{Event, Scenario};
use crate::verdict::{Portal, changed_hands};
use crate::watch::Watch;
use crate::wish::{self, Writes};

/// From a look at an app to its history.
const MARGIN: SignedDuration = SignedDuration::from_mins(2);

/// A line of history that tells a stop.
struct Told {
    at: Timestamp,
    /// In whole seconds.
    deadline: Timestamp,
}

/// Every warning, by app, in order.
fn told(history: &[String]) -> BTreeMap<&str, Vec<Told>> {
    let mut all: BTreeMap<&str, Vec<Told>> = BTreeMap::new();
    for line in history {
        let Some((at, rest)) = line.split_once(" decided ") else {
            continue;
        };
        let mut words = rest.split(" | ");
        let (Some(key), Some("StopSoon"), Some(message)) = (words.next(), words.nth(1), words.nth(1)) else {
            continue;
        };
        let (_, id) = key.split_once(' ').unwrap();
        let deadline = message.split_once(" at ").unwrap().1.split_once(" (").unwrap().0;
        all.entry(id).or_default().push(Told {
            at: at.parse().unwrap(),
            deadline: read(deadline),
        });
    }
    for told in all.values_mut() {
        told.sort_by_key(|told| told.at);
    }
    all
}

/// A time as messages have it.
fn read(text: &str) -> Timestamp {
    let text = text.trim_end_matches(" UTC").replace(' ', "T");
    format!("{text}Z").parse().unwrap()
}

/// How many warnings there were.
pub(crate) fn count(history: &[String]) -> usize {
    told(history).values().map(Vec::len).sum()
}

/// What the warnings of a story are held against.
pub(crate) struct Scene<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) builds: &'a [BuildView],
    pub(crate) portal: &'a Portal,
    pub(crate) keeps: &'a Keeps,
    pub(crate) watch: &'a Watch,
}

impl Scene<'_> {
    /// What is wrong with them.
    pub(crate) fn judge(&self, history: &[String]) -> Vec<String> {
        let told = told(history);
        let mut wrong = Vec::new();
        let Some(before) = self.scenario.keeps.warn_before else {
            for (id, told) in told {
                wrong.push(format!(
                    "warnings: nothing warns of {id}, and it was told at {}",
                    told[0].at
                ));
            }
            return wrong;
        };
        for (id, writes) in self.portal {
            let told = told.get(id.as_str()).map_or(&[][..], Vec::as_slice);
            self.once(id, writes, told, &mut wrong);
            // What a broken row means depends on what was accepted before it.
            if !changed_hands(writes) && !writes.iter().any(is_broken) {
                let app = App {
                    id,
                    writes,
                    exempt: self.keeps.of(id, self.scenario, self.portal),
                    told,
                };
                self.truly(&app, before, &mut wrong);
                self.in_time(&app, before, &mut wrong);
            }
        }
        wrong
    }

    /// The same deadline is not told twice, unless another one was told meanwhile or the app was forgotten.
    fn once(&self, id: &str, writes: &Writes, told: &[Told], wrong: &mut Vec<String>) {
        let slack = self.scenario.skew();
        for pair in told.windows(2) {
            let [first, second] = pair else { continue };
            let forgotten_by = second.at + slack;
            // It is forgotten some time after its row went.
            let gone = |(at, row): &(Timestamp, Option<RowSpec>)| row.is_none() && *at < forgotten_by;
            if first.deadline == second.deadline && !writes.iter().any(gone) {
                wrong.push(format!(
                    "warnings: {id} was told {} at {} and again at {}",
                    first.deadline, first.at, second.at
                ));
            }
        }
    }

    /// What was told was to come, by what anybody can have known then, and was not told too early.
    fn truly(&self, app: &App<'_>, before: SignedDuration, wrong: &mut Vec<String>) {
        let App {
            id, writes, exempt, ..
        } = *app;
        let lags = self.scenario.lags();
        for told in app.told {
            let mut known = BTreeSet::new();
            let mut is_true = false;
            for error in self.scenario.clock_errors(wish::SLACK) {
                let now = told.at - error;
                let stop = |lag| wish::next_stop(writes, exempt, now, lag, error);
                let stops: Vec<Option<Timestamp>> = lags.iter().map(|lag| stop(*lag)).collect();
                // What a ledger had come to say since it was last looked at, whoever told may have known.
                let news = exempt
                    .facts
                    .iter()
                    .filter(|fact| fact.since <= now && now < fact.at);
                is_true |= news
                    .filter_map(|fact| wish::next_stop(writes, exempt, fact.at, lags[0], error))
                    .any(|stop| utc(stop) == utc(told.deadline));
                is_true |= stops
                    .iter()
                    .flatten()
                    .any(|stop| utc(*stop) == utc(told.deadline));
                // What counts from a request that says no time moves with the look that found it, and no farther.
                is_true |= lags
                    .windows(2)
                    .zip(stops.windows(2))
                    .any(|(lags, stops)| match *stops {
                        [Some(first), Some(last)] if last.duration_since(first) <= lags[1] - lags[0] => {
                            (first..=last).contains(&told.deadline)
                        }
                        _ => false,
                    });
                known.extend(stops.into_iter().flatten());
            }
            if !is_true || told.deadline - before > told.at {
                wrong.push(format!(
                    "warnings: {id} was told {} at {}, and was to stop at {known:?}",
                    told.deadline, told.at
                ));
            }
        }
    }

    /// A deadline that was known for long enough, of an app that was up all the while and before daemons that could look,
    /// was told before it came.
    fn in_time(&self, app: &App<'_>, before: SignedDuration, wrong: &mut Vec<String>) {
        let App {
            id,
            writes,
            exempt,
            told,
        } = *app;
        let patience = self.scenario.lags().iter().copied().max().unwrap_or_default() + MARGIN;
        let skew = self.scenario.skew();
        let mut changes: Vec<Timestamp> = writes.iter().map(|(at, _)| *at).collect();
        changes.extend(exempt.facts.iter().map(|fact| fact.at));
        changes.sort();
        let ends = changes.iter().skip(1).copied().chain([self.scenario.quiet]);
        for (from, until) in changes.iter().copied().zip(ends) {
            let row = writes.iter().rev().find(|(at, _)| *at <= from);
            if !row.is_some_and(|(_, row)| row.as_ref().is_some_and(is_warned_of)) {
                continue;
            }
            let no_time = SignedDuration::ZERO;
            let Some(stop) = wish::next_stop(writes, exempt, from, no_time, no_time) else {
                continue;
            };
            let opens = stop - before - skew;
            let known = from + patience + skew <= opens && stop <= until;
            if !known || !self.could_be_told(id, opens - MARGIN, stop, patience + skew * 2) {
                continue;
            }
            let deadline = utc(stop);
            // As above: what counts from a request that says no time moves with the look that found it, and no farther.
            let late = wish::next_stop(writes, exempt, from + patience, patience, no_time);
            let moved = late
                .filter(|late| late.duration_since(stop) <= patience)
                .unwrap_or(stop);
            let is_it =
                |told: &Told| utc(told.deadline) == deadline || (stop..=moved).contains(&told.deadline);
            let in_time = |told: &Told| is_it(told) && told.at - skew < moved;
            if !told.iter().any(in_time) {
                wrong.push(format!(
                    "warnings: {id} was to stop at {deadline}, and nobody was told"
                ));
            }
        }
    }

    /// Whether an app was up all that time with no build at work on it, nothing was paused, and daemons could look for
    /// so long without a break.
    fn could_be_told(&self, id: &str, from: Timestamp, until: Timestamp, look: SignedDuration) -> bool {
        let at_work = self.builds.iter().any(|build| {
            build.instance.as_deref() == Some(id)
                && build.started < until
                && build.ended.is_none_or(|ended| ended > from)
        });
        let paused = fringe::pauses(self.scenario)
            .any(|(begin, end, app)| begin < until && end + look > from && app.is_none_or(|app| app == id));
        let vanished = self
            .scenario
            .events
            .iter()
            .any(|(_, event)| matches!(event, Event::TableEmptied));
        !at_work
            && !paused
            && !vanished
            && self.watch.was_up(id, from, until - MARGIN)
            && self.watch.could_look(from + MARGIN, until, look)
    }
}

/// What is known of an app.
struct App<'a> {
    id: &'a str,
    writes: &'a Writes,
    exempt: Exempt<'a>,
    told: &'a [Told],
}

fn is_broken((_, row): &(Timestamp, Option<RowSpec>)) -> bool {
    row.as_ref().is_some_and(|row| row.broken.is_some())
}
