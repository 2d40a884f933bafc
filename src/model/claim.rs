//! Claims: the items whose existence makes a slot, a host name or a resource name somebody's.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::name::{AppId, AppName, HostName, ResourceName, User, text};
use super::policy::BuildEnv;

/// What "one instance per user" counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// One live instance for a user, whatever the app.
    #[default]
    User,
    /// One live instance for a user and app.
    UserApp,
}

/// What becomes of a request for a slot that another app holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnConflict {
    /// It is refused; the holder stays.
    #[default]
    Refuse,
    /// The newest request wins: the holder is destroyed and makes room.
    Replace,
}

text! {
    /// The key of a claim in the state table: `slot#…`, `host#…` or `name#…`.
    ClaimKey
}

impl ClaimKey {
    /// The slot of a user. Parts are escaped, so that `a#b` + `c` and `a` + `b#c` stay two slots.
    pub fn slot(scope: Scope, user: &User, app: &AppName) -> Self {
        match scope {
            Scope::User => Self(format!("slot#{}", escape(user.as_str())).into()),
            Scope::UserApp => Self(format!("slot#{}#{}", escape(user.as_str()), escape(app.as_str())).into()),
        }
    }

    /// The claim on a host name.
    pub fn host(host: &HostName) -> Self {
        Self(format!("host#{host}").into())
    }

    /// The claim on a resource name.
    pub fn resource(name: &ResourceName) -> Self {
        Self(format!("name#{name}").into())
    }

    /// A key read back from the table, if it is one of a claim.
    pub fn from_key(key: &str) -> Option<Self> {
        ["slot#", "host#", "name#"]
            .iter()
            .any(|p| key.starts_with(p))
            .then(|| Self(key.into()))
    }

    /// Whether this is a claim on a slot.
    pub fn is_slot(&self) -> bool {
        self.0.starts_with("slot#")
    }
}

fn escape(part: &str) -> String {
    part.replace('%', "%25").replace('#', "%23")
}

/// Who holds a claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The app that holds it.
    pub app: AppId,
    /// Since when.
    pub since: Timestamp,
    /// The newest request that asks for it, of another app. Only slots are asked for, and only where the
    /// policy is to replace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bid: Option<Bid>,
}

/// An app's request as it competes for a slot. The greater one wins: the newer, and of two that are equally old
/// that of the greater id. Both sides compare times that are stored, so clocks that differ can't make both win.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Bid {
    /// The request's time.
    pub at: Timestamp,
    /// The app.
    pub app: AppId,
}

/// The identity an app claims together: its slot, host name and resource name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// The owner.
    pub user: User,
    /// The catalogue entry.
    pub app: AppName,
    /// The whole host name.
    pub host_name: HostName,
    /// What AWS resources are called.
    pub resource_name: ResourceName,
    /// The slot it takes.
    pub slot: ClaimKey,
}

impl Identity {
    /// The identity of an app under a scope.
    pub fn new(scope: Scope, user: User, app: AppName, host_name: HostName) -> Self {
        let slot = ClaimKey::slot(scope, &user, &app);
        let resource_name = ResourceName::for_host(&host_name);
        Self {
            user,
            app,
            host_name,
            resource_name,
            slot,
        }
    }

    /// The identity that a build of ours was given, if its environment tells all of it.
    pub fn of_build(scope: Scope, names: &BuildEnv, environment: &BTreeMap<String, String>) -> Option<Self> {
        let text = |name: &String| environment.get(name).map(String::as_str);
        let user = User::parse(text(&names.user_id)?).ok()?;
        let app = AppName::new(text(&names.app)?);
        let host_name = HostName::parse(text(&names.host_name)?).ok()?;
        let resource_name = ResourceName::existing(text(&names.resource_name)?)?;
        Some(Self {
            resource_name,
            ..Self::new(scope, user, app, host_name)
        })
    }

    /// Whether its resources have another name than we would have given them: another tool has made them.
    pub fn is_named_by_another(&self) -> bool {
        self.resource_name != ResourceName::for_host(&self.host_name)
    }

    /// Every claim it stands for.
    pub fn keys(&self) -> Vec<ClaimKey> {
        let mut keys = self.name_keys().to_vec();
        keys.push(self.slot.clone());
        keys
    }

    /// The claims on names, which last until the row is gone too.
    pub fn name_keys(&self) -> [ClaimKey; 2] {
        [
            ClaimKey::host(&self.host_name),
            ClaimKey::resource(&self.resource_name),
        ]
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn slots_of_different_users_and_apps_never_meet() {
        let slot = |user: &str, app: &str| {
            ClaimKey::slot(Scope::UserApp, &User::parse(user).unwrap(), &AppName::new(app))
        };
        assert_ne!(slot("a#b", "c"), slot("a", "b#c"));
        assert_ne!(slot("a%23b", "c"), slot("a#b", "c"));
        let whole = ClaimKey::slot(Scope::User, &User::parse("a#b").unwrap(), &AppName::new("c"));
        assert_ne!(whole, slot("a", "b"));
    }
}
