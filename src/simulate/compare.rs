//! What another configuration would do differently to the same apps: the blast radius of a change, before it is made.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{Life, Simulation, Span};
use crate::model::name::AppId;
use crate::model::row::Desired;
use crate::planner::forecast::{Act, Change};

/// Stops and starts that lie further apart than this are not the same one at another time.
const SAME_WITHIN: SignedDuration = SignedDuration::from_hours(16);

/// Two configurations, held against each other.
#[derive(Debug)]
pub struct Comparison {
    /// When.
    pub span: Span,
    /// How many apps there are under either.
    pub apps: usize,
    /// What differs, by whose days the apps have.
    pub groups: BTreeMap<Group, Vec<Affected>>,
    /// What is to be known of all apps together.
    pub notes: Vec<String>,
}

/// Apps of one catalogue entry that go from one schedule to another, or stay with theirs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    /// The catalogue entry.
    pub entry: String,
    /// The schedule before; `None`: its row was not accepted.
    pub old: Option<String>,
    /// The schedule after; `None`: its row is not accepted.
    pub new: Option<String>,
}

/// One difference, and whom it is about.
#[derive(Clone, Debug)]
pub struct Affected {
    /// What differs.
    pub difference: Difference,
    /// When it shows first.
    pub first: Timestamp,
    /// The apps, and whether each is exempt from the end of its day at the beginning.
    pub apps: Vec<(AppId, bool)>,
}

/// What differs for an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    /// Nothing is accepted of its row any more.
    Refused,
    /// Its row is accepted now.
    Accepted,
    /// It is something else from the beginning.
    AtFirst {
        /// What it was.
        old: Desired,
        /// What it is.
        new: Desired,
    },
    /// Destroyed where it was suspended.
    DestroyedInstead,
    /// Suspended where it was destroyed.
    SuspendedInstead,
    /// Something comes at another time.
    Moved {
        /// What.
        what: What,
        /// Whether earlier.
        earlier: bool,
        /// The least and the most by which.
        by: (SignedDuration, SignedDuration),
    },
    /// Something does not come at all any more.
    Never {
        /// What.
        what: What,
    },
    /// Something comes that never came.
    Now {
        /// What.
        what: What,
    },
    /// Its owner is warned by another time before a stop, or only in one of the two.
    Warned {
        /// By how long, before.
        old: Option<SignedDuration>,
        /// By how long, after.
        new: Option<SignedDuration>,
    },
    /// Something comes less often.
    Fewer {
        /// What.
        what: What,
        /// How many times less.
        times: usize,
    },
    /// Something comes more often.
    More {
        /// What.
        what: What,
        /// How many times more.
        times: usize,
    },
}

/// What can come at another time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// It is suspended or destroyed.
    Stop,
    /// It starts or wakes.
    Start,
}

impl What {
    fn of(act: Act) -> Option<Self> {
        match act {
            Act::Suspend | Act::Destroy => Some(Self::Stop),
            Act::Start | Act::Resume => Some(Self::Start),
            Act::Warn => None,
        }
    }
}

/// Holds two simulations of the same apps against each other.
pub fn compare(old: &Simulation<'_>, new: &Simulation<'_>) -> Comparison {
    let mut pairs: BTreeMap<&AppId, (Option<&Life<'_>>, Option<&Life<'_>>)> = BTreeMap::new();
    for life in &old.lives {
        pairs.entry(&life.id).or_default().0 = Some(life);
    }
    for life in &new.lives {
        pairs.entry(&life.id).or_default().1 = Some(life);
    }
    let mut found: BTreeMap<Group, BTreeMap<Difference, Affected>> = BTreeMap::new();
    let apps = pairs.len();
    for (id, (before, after)) in pairs {
        let Some(either) = after.or(before) else { continue };
        let name = |life: Option<&Life<'_>>| life.map(|life| life.schedule_name().to_owned());
        let group = Group {
            entry: either.entry.clone(),
            old: name(before),
            new: name(after),
        };
        let exempt = either.keep_until.is_some_and(|until| until > new.span.from);
        for (difference, first) in differences(before, after, new.span.from) {
            let of_group = found.entry(group.clone()).or_default();
            let affected = of_group.entry(difference).or_insert_with(|| Affected {
                difference,
                first,
                apps: Vec::new(),
            });
            affected.first = affected.first.min(first);
            affected.apps.push((id.clone(), exempt));
        }
    }
    let groups = found
        .into_iter()
        .map(|(group, found)| (group, found.into_values().collect()));
    Comparison {
        span: new.span,
        apps,
        groups: groups.collect(),
        notes: new.notes.clone(),
    }
}

type Found = Vec<(Difference, Timestamp)>;

fn differences(old: Option<&Life<'_>>, new: Option<&Life<'_>>, from: Timestamp) -> Found {
    let (old, new) = match (old, new) {
        (Some(old), Some(new)) => (old, new),
        (Some(_), None) => return vec![(Difference::Refused, from)],
        (None, Some(_)) => return vec![(Difference::Accepted, from)],
        (None, None) => return Vec::new(),
    };
    let mut found = Vec::new();
    let levels = (old.first.level, new.first.level);
    if levels.0 != levels.1 {
        let difference = Difference::AtFirst {
            old: levels.0,
            new: levels.1,
        };
        found.push((difference, from));
    }
    // What becomes of an app that one of the two destroys cannot be compared from then on.
    let ends = |life: &Life<'_>| {
        life.changes
            .iter()
            .find(|change| change.act == Act::Destroy && !change.held)
            .map(|change| change.at)
    };
    let end = [ends(old), ends(new)]
        .into_iter()
        .flatten()
        .max()
        .filter(|_| ends(old) != ends(new));
    for what in [What::Stop, What::Start] {
        let of = |life: &Life<'_>, other: Option<Timestamp>| -> Vec<Change> {
            let last = other
                .filter(|_| end.is_some())
                .map(|at| at.checked_add(SAME_WITHIN).unwrap_or(at));
            let all = life
                .changes
                .iter()
                .filter(|change| What::of(change.act) == Some(what));
            all.filter(|change| last.is_none_or(|last| change.at < last))
                .copied()
                .collect()
        };
        let whole = (of(old, None), of(new, None));
        let cut = (of(old, ends(new)), of(new, ends(old)));
        pair(what, (&cut.0, &cut.1), (&whole.0, &whole.1), &mut found);
    }
    let (before, after) = (warnings(old), warnings(new));
    if let Some((_, first)) = after.or(before)
        && before.map(|(lead, _)| lead) != after.map(|(lead, _)| lead)
    {
        let difference = Difference::Warned {
            old: before.map(|(lead, _)| lead),
            new: after.map(|(lead, _)| lead),
        };
        found.push((difference, first));
    }
    found
}

/// The longest time between a warning and its stop, and when the first warning comes.
fn warnings(life: &Life<'_>) -> Option<(SignedDuration, Timestamp)> {
    let warned = |pair: &[Change]| {
        let [warning, stop] = pair else { return None };
        (warning.act == Act::Warn).then(|| (stop.at.duration_since(warning.at), warning.at))
    };
    let all = || life.changes.windows(2).filter_map(warned);
    let longest = all().map(|(lead, _)| lead).max()?;
    all().next().map(|(_, first)| (longest, first))
}

/// Pairs what comes before with what comes after, each with the nearest, and tells what differs.
///
/// `old` and `new` are as far as lives can be compared, and `whole` are those lives: what only the one has there may come
/// later in the other.
fn pair(what: What, (old, new): (&[Change], &[Change]), whole: (&[Change], &[Change]), found: &mut Found) {
    let mut rest_old = old.iter().peekable();
    let mut rest_new = new.iter().peekable();
    let (mut gone, mut added): (Vec<Change>, Vec<Change>) = (Vec::new(), Vec::new());
    let (mut earlier, mut later) = (Moves::default(), Moves::default());
    while let (Some(a), Some(b)) = (rest_old.peek(), rest_new.peek()) {
        let by = b.at.duration_since(a.at);
        if by.abs() >= SAME_WITHIN {
            if by.is_negative() {
                added.extend(rest_new.next().copied());
            } else {
                gone.extend(rest_old.next().copied());
            }
            continue;
        }
        match (a.act, b.act) {
            (Act::Suspend, Act::Destroy) => found.push((Difference::DestroyedInstead, b.at)),
            (Act::Destroy, Act::Suspend) => found.push((Difference::SuspendedInstead, b.at)),
            _ => {}
        }
        match by.signum() {
            0 => {}
            -1 => earlier.note(by.abs(), b.at),
            _ => later.note(by, a.at),
        }
        rest_old.next();
        rest_new.next();
    }
    gone.extend(rest_old.copied());
    added.extend(rest_new.copied());
    let last = |changes: &[Change]| {
        changes
            .iter()
            .find(|change| change.act == Act::Destroy)
            .map(|change| change.at)
    };
    if let (Some(before), Some(after)) = (last(whole.0), last(whole.1)) {
        let is_last = |change: &Change, at| change.act == Act::Destroy && change.at == at;
        if gone.iter().any(|change| is_last(change, before)) && after > before {
            gone.retain(|change| !is_last(change, before));
            later.note(after.duration_since(before), before);
        }
        if added.iter().any(|change| is_last(change, after)) && before > after {
            added.retain(|change| !is_last(change, after));
            earlier.note(before.duration_since(after), after);
        }
    }
    for (moves, earlier) in [(earlier, true), (later, false)] {
        if let Some((by, first)) = moves.0 {
            found.push((Difference::Moved { what, earlier, by }, first));
        }
    }
    if let Some(first) = gone.first() {
        let times = gone.len();
        let never = new.is_empty();
        let difference = if never {
            Difference::Never { what }
        } else {
            Difference::Fewer { what, times }
        };
        found.push((difference, first.at));
    }
    if let Some(first) = added.first() {
        let times = added.len();
        let difference = if old.is_empty() {
            Difference::Now { what }
        } else {
            Difference::More { what, times }
        };
        found.push((difference, first.at));
    }
    found.dedup_by_key(|(difference, _)| *difference);
}

/// How far things moved one way, and when first.
#[derive(Default)]
struct Moves(Option<((SignedDuration, SignedDuration), Timestamp)>);

impl Moves {
    fn note(&mut self, by: SignedDuration, at: Timestamp) {
        let ((least, most), first) = self.0.unwrap_or(((by, by), at));
        self.0 = Some(((least.min(by), most.max(by)), first.min(at)));
    }
}
