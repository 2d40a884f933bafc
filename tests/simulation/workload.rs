//! What users and portals do in a scenario: up to a dozen rows with lives of their own.

use jiff::{SignedDuration, Timestamp};
use lamplighter::model::row::Desired;

use crate::dice::Dice;
use crate::keeps::Keeping;
use crate::row::{Broken, RowSpec};
use crate::scenario::{Depth, Event, Scenario};

pub(crate) const APPS: [&str; 4] = ["shop", "wiki", "blog", "desk"];
const HOSTS: [&str; 3] = ["tea.apps.example", "milk.apps.example", "rum.apps.example"];
const ZONES: [&str; 4] = ["Europe/Berlin", "America/New_York", "Asia/Tokyo", "Asia/Kolkata"];

/// Draws the lives of all rows.
pub(crate) fn draw(scenario: &mut Scenario) {
    let mut dice = Dice::new(scenario.seed, 2);
    let users = dice.between(3, 8);
    let rows = dice.between(4, 12);
    for n in 0..rows {
        let user = format!("user-{}", dice.between(1, users));
        let mut life = Life {
            id: format!("app-{n}"),
            row: first_row(&mut dice, user),
            there: false,
            generation: 0,
            events: Vec::new(),
            asked: scenario.begin,
            keeps: scenario.keeps,
            quiet: scenario.quiet,
        };
        // The last half hour is for what was asked before it.
        let last = scenario.quiet - SignedDuration::from_mins(30);
        let mut at = dice.moment(scenario.begin, last);
        let most = match scenario.depth {
            Depth::Sdk => 7,
            Depth::Direct => 20,
        };
        for _ in 0..dice.between(1, most) {
            life.step(&mut dice, at, scenario.quiet);
            let next = last.duration_since(at);
            let hurry = dice.percent(40);
            let span = if hurry {
                next.min(SignedDuration::from_mins(8))
            } else {
                next
            };
            at = dice.moment(at, at + span);
        }
        if scenario.ask_again && life.there {
            life.ask_once_more(scenario.quiet + SignedDuration::from_secs(i64::try_from(n).unwrap()));
        }
        scenario.events.extend(life.events);
    }
}

struct Life {
    id: String,
    row: RowSpec,
    there: bool,
    generation: u64,
    events: Vec<(Timestamp, Event)>,
    /// When it was last asked for.
    asked: Timestamp,
    keeps: Keeping,
    quiet: Timestamp,
}

fn first_row(dice: &mut Dice, user: String) -> RowSpec {
    let app = dice.pick(&APPS);
    RowSpec {
        user,
        app,
        desired: if dice.percent(90) {
            Desired::Running
        } else {
            Desired::Suspended
        },
        generation: None,
        requested_at: None,
        host: dice.percent(25).then(|| dice.pick(&HOSTS)),
        size: None,
        zone: dice.percent(30).then(|| dice.pick(&ZONES)),
        keep_until: None,
        expires_at: None,
        away: false,
        broken: None,
    }
}

impl Life {
    fn step(&mut self, dice: &mut Dice, at: Timestamp, quiet: Timestamp) {
        if !self.there {
            self.row.keep_until = None;
            self.row.expires_at = None;
            if dice.percent(30) {
                self.row.keep_until = Some(far_from_quiet(dice, at, quiet));
            }
            if dice.percent(15) {
                self.row.expires_at = Some(far_from_quiet(dice, at, quiet));
            }
            self.row.desired = if dice.percent(90) {
                Desired::Running
            } else {
                Desired::Suspended
            };
            return self.ask(dice, at);
        }
        match dice.between(0, 99) {
            0..18 => {
                self.row.desired = Desired::Destroyed;
                self.ask(dice, at);
            }
            18..33 => {
                self.row.desired = Desired::Suspended;
                self.ask(dice, at);
            }
            33..50 => {
                self.row.desired = Desired::Running;
                self.ask(dice, at);
            }
            50..60 => {
                self.row.size = Some(dice.pick(&["small", "large"]));
                self.row.desired = Desired::Running;
                self.ask(dice, at);
            }
            60..72 => {
                self.there = false;
                self.events.push((at, Event::Delete { id: self.id.clone() }));
                if dice.percent(40) {
                    let again = at + dice.seconds(0, 400);
                    self.row.desired = Desired::Running;
                    self.ask(dice, again);
                }
            }
            72..80 => {
                self.row.keep_until = Some(far_from_quiet(dice, at, quiet));
                self.put(at, self.row.clone());
            }
            80..88 => {
                let broken = Some(dice.pick(&Broken::ALL));
                let row = RowSpec {
                    broken,
                    ..self.row.clone()
                };
                self.put(at, row);
                if dice.percent(60) {
                    let mended = at + dice.seconds(1, 1200);
                    self.ask(dice, mended);
                }
            }
            _ => self.put(at, self.row.clone()),
        }
    }

    /// Writes the row as a new request.
    fn ask(&mut self, dice: &mut Dice, at: Timestamp) {
        self.generation += 1;
        self.row.generation = dice.percent(70).then_some(self.generation);
        self.row.requested_at = match dice.between(0, 9) {
            0 => None,
            // A portal whose own clock is ahead must gain nothing by it.
            1 => Some(at + SignedDuration::from_hours(20)),
            _ => Some(at),
        };
        self.put(at, self.row.clone());
    }

    fn ask_once_more(&mut self, at: Timestamp) {
        self.row.generation = Some(1_000);
        self.row.requested_at = Some(at);
        self.put(at, self.row.clone());
    }

    fn put(&mut self, at: Timestamp, mut row: RowSpec) {
        let before = self.events.iter().rev().find_map(|(_, event)| match event {
            Event::Put { row, .. } => Some(row),
            _ => None,
        });
        if !self.there || before.is_none_or(|before| !before.asks_as(&row)) {
            self.asked = at;
        }
        if let Some(until) = row.keep_until {
            row.keep_until = Some(self.keeps.far_from_quiet(until, self.asked, self.quiet));
        }
        self.there = true;
        let (id, row) = (self.id.clone(), Box::new(row));
        self.events.push((at, Event::Put { id, row }));
    }
}

/// A moment in the coming day and a half that does not fall into the quiet time.
fn far_from_quiet(dice: &mut Dice, at: Timestamp, quiet: Timestamp) -> Timestamp {
    let drawn = at + dice.seconds(600, 36 * 3600);
    let calm = quiet - SignedDuration::from_mins(40)..quiet + SignedDuration::from_hours(10);
    if calm.contains(&drawn) {
        quiet - SignedDuration::from_mins(41)
    } else {
        drawn
    }
}
