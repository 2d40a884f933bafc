//! A row as the simulated portal means it, and the item it writes. Knows nothing of how Lamplighter reads it.

use jiff::Timestamp;
use lamplighter::model::row::Desired;
use serde_json::{Value, json};

/// What a portal writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RowSpec {
    pub(crate) user: String,
    pub(crate) app: &'static str,
    pub(crate) desired: Desired,
    pub(crate) generation: Option<u64>,
    pub(crate) requested_at: Option<Timestamp>,
    pub(crate) host: Option<&'static str>,
    pub(crate) size: Option<&'static str>,
    pub(crate) zone: Option<&'static str>,
    pub(crate) keep_until: Option<Timestamp>,
    pub(crate) expires_at: Option<Timestamp>,
    /// Its owner has left.
    pub(crate) away: bool,
    pub(crate) broken: Option<Broken>,
}

/// What is wrong with a malformed row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    UnknownApp,
    NoUser,
    OtherUser,
    OtherHost,
    DesiredMisspelt,
    UnknownAttribute,
    NoSuchZone,
    KeepIsNoTime,
    ParameterOutOfRange,
    ParameterHuge,
    GenerationIsText,
}

impl Broken {
    pub(crate) const ALL: [Self; 11] = [
        Self::UnknownApp,
        Self::NoUser,
        Self::OtherUser,
        Self::OtherHost,
        Self::DesiredMisspelt,
        Self::UnknownAttribute,
        Self::NoSuchZone,
        Self::KeepIsNoTime,
        Self::ParameterOutOfRange,
        Self::ParameterHuge,
        Self::GenerationIsText,
    ];
}

impl RowSpec {
    /// Whether `other` asks anew: everything but exemption, expiry and its owner's leave makes a request.
    pub(crate) fn asks_as(&self, other: &Self) -> bool {
        let plain = |row: &Self| {
            let row = row.clone();
            Self {
                keep_until: None,
                expires_at: None,
                away: false,
                ..row
            }
        };
        plain(self) == plain(other)
    }

    /// Whose it says it is.
    pub(crate) fn owner(&self) -> &str {
        if self.broken == Some(Broken::OtherUser) {
            "mallory"
        } else {
            &self.user
        }
    }

    /// Whether the row's `desired` can be read.
    pub(crate) fn legible_desired(&self) -> Option<Desired> {
        (self.broken != Some(Broken::DesiredMisspelt)).then_some(self.desired)
    }

    pub(crate) fn item(&self, id: &str) -> Value {
        let mut item = json!({
            "id": {"S": id},
            "user": {"S": self.user},
            "app": {"S": self.app},
            "desired": {"S": self.desired.to_string()},
        });
        let mut set = |name: &str, value: Value| {
            item[name] = value;
        };
        let text = |text: &str| json!({"S": text});
        if let Some(generation) = self.generation {
            set("generation", json!({"N": generation.to_string()}));
        }
        if let Some(host) = self.host {
            set("hostName", text(host));
        }
        if let Some(size) = self.size {
            set("parameters", json!({"M": {"SIZE": {"S": size}}}));
        }
        if let Some(zone) = self.zone {
            set("timeZone", text(zone));
        }
        if self.away {
            set("ownerActive", json!({"BOOL": false}));
        }
        let times = [
            ("requestedAt", self.requested_at),
            ("keepUntil", self.keep_until),
            ("expiresAt", self.expires_at),
        ];
        for (name, at) in times {
            if let Some(at) = at {
                set(name, text(&at.to_string()));
            }
        }
        match self.broken {
            None => {}
            Some(Broken::UnknownApp) => set("app", text("nonsense")),
            Some(Broken::NoUser) => {
                item.as_object_mut().unwrap().remove("user");
            }
            Some(Broken::OtherUser) => set("user", text(self.owner())),
            Some(Broken::OtherHost) => set("hostName", text(&format!("other-{id}.apps.example"))),
            Some(Broken::DesiredMisspelt) => set("desired", text("running")),
            Some(Broken::UnknownAttribute) => set("keepuntil", text("2030-01-01T00:00:00Z")),
            Some(Broken::NoSuchZone) => set("timeZone", text("Mars/Olympus")),
            Some(Broken::KeepIsNoTime) => set("keepUntil", text("tomorrow")),
            Some(Broken::ParameterOutOfRange) => set("parameters", json!({"M": {"SIZE": {"S": "xxl"}}})),
            Some(Broken::ParameterHuge) => {
                set("parameters", json!({"M": {"SIZE": {"S": "x".repeat(300_000)}}}));
            }
            Some(Broken::GenerationIsText) => set("generation", text("seven")),
        }
        item
    }
}
