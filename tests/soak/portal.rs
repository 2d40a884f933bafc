//! A portal that never rests: sixteen rows of ten users, some of whom want two apps at once or each other's host name.
//! It writes past the faults, straight into the table, as a portal with good connections does.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use lamplighter::model::name::AppId;
use serde_json::{Value, json};

use crate::Storm;
use crate::dice::Dice;
use crate::lab::{Lab, app};

const APPS: u64 = 16;
const USERS: u64 = 10;

pub(crate) struct Portal<'a> {
    lab: &'a Lab,
    dice: Dice,
    /// The rows that are there.
    there: BTreeSet<u64>,
    pub(crate) writes: u64,
    pub(crate) deletions: u64,
}

/// Every app there may be.
pub(crate) fn apps() -> impl Iterator<Item = AppId> {
    (0..APPS).map(|n| app(&format!("app-{n}")))
}

fn number(id: &str) -> u64 {
    id.trim_start_matches("app-").parse().unwrap()
}

/// Whose app it is, which never changes.
pub(crate) fn user_of(id: &str) -> u64 {
    number(id) % USERS
}

/// The host name that its row asks for, if any.
fn host(n: u64) -> Option<&'static str> {
    match n {
        6 | 7 => Some("tea.localhost"),
        8 | 15 => Some("rum.localhost"),
        _ => None,
    }
}

/// Whether two apps can't both be up.
pub(crate) fn are_rivals(one: &str, other: &str) -> bool {
    let hosts = (host(number(one)), host(number(other)));
    one != other && (user_of(one) == user_of(other) || (hosts.0.is_some() && hosts.0 == hosts.1))
}

impl<'a> Portal<'a> {
    pub(crate) fn new(lab: &'a Lab, seed: u64) -> Self {
        Self {
            lab,
            dice: Dice::new(seed, 30),
            there: BTreeSet::new(),
            writes: 0,
            deletions: 0,
        }
    }

    /// Until the storm is over: people ask, change their minds, and ask again.
    pub(crate) async fn write(&mut self, storm: &Storm) {
        while storm.is_on() {
            let n = self.dice.between(0, APPS - 1);
            self.step(n);
            if self.dice.percent(4) {
                // Somebody looks after deletions that are held because there were too many at once.
                let state = &self.lab.cloud.state;
                let seen = state.approvals().await.unwrap_or_default();
                let approval = state.approve_deletions(seen, Timestamp::now()).await;
                approval.unwrap();
            }
            let pause = Duration::from_millis(self.dice.between(30, 450));
            tokio::time::sleep(pause).await;
        }
    }

    fn step(&mut self, n: u64) {
        if !self.there.contains(&n) {
            return self.ask(n, "Running");
        }
        match self.dice.between(0, 99) {
            0..15 => self.ask(n, "Destroyed"),
            15..30 => self.ask(n, "Suspended"),
            30..60 => self.ask(n, "Running"),
            60..78 => self.delete(n),
            78..86 => {
                let ends = Timestamp::now() + SignedDuration::from_secs(5);
                let mut item = self.row(n, "Running");
                item["expiresAt"] = json!({"S": ends.to_string()});
                self.put(&item);
            }
            _ => {
                let mut item = self.row(n, "Running");
                let broken = [
                    ("desired", json!({"S": "running"})),
                    ("user", json!({"N": "7"})),
                    ("parameters", json!({"M": {"SIZE": {"S": "huge"}}})),
                    ("generation", json!({"N": "9e125"})),
                    ("hostName", json!({"S": "../etc"})),
                    ("keepuntil", json!({"SS": ["a", "b"]})),
                    ("app", json!({"NULL": true})),
                ];
                let (name, value) = self.dice.pick(&broken);
                item[name] = value;
                self.put(&item);
            }
        }
    }

    fn row(&mut self, n: u64, desired: &str) -> Value {
        let size = self.dice.pick(&["small", "small", "large"]);
        let mut item = json!({
            "id": {"S": format!("app-{n}")},
            "user": {"S": format!("user-{}", n % USERS)},
            "app": {"S": if n.is_multiple_of(2) { "shop" } else { "wiki" }},
            "desired": {"S": desired},
            "generation": {"N": self.writes.to_string()},
            "parameters": {"M": {"SIZE": {"S": size}}},
        });
        if let Some(host) = host(n) {
            item["hostName"] = json!({"S": host});
        }
        item
    }

    fn ask(&mut self, n: u64, desired: &str) {
        let item = self.row(n, desired);
        self.put(&item);
        self.there.insert(n);
    }

    fn put(&mut self, item: &Value) {
        let request = json!({"TableName": self.lab.config.tables.desired, "Item": item});
        let request = serde_json::from_value(request).unwrap();
        self.lab.sim.database().put_item(request).unwrap();
        self.writes += 1;
    }

    fn delete(&mut self, n: u64) {
        let key = json!({"id": {"S": format!("app-{n}")}});
        let request = json!({"TableName": self.lab.config.tables.desired, "Key": key});
        let request = serde_json::from_value(request).unwrap();
        self.lab.sim.database().delete_item(request).unwrap();
        self.there.remove(&n);
        self.writes += 1;
        self.deletions += 1;
    }

    /// Everybody asks once more.
    pub(crate) fn ask_for_all(&mut self, desired: &str) {
        for n in 0..APPS {
            self.ask(n, desired);
        }
    }

    pub(crate) fn delete_all(&mut self) {
        for n in 0..APPS {
            self.delete(n);
        }
    }
}
