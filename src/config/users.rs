//! Reads `[users]`: who may have apps at all. What becomes of the apps of others is the planner's business.

use std::collections::BTreeSet;

use super::rule::{Rule, Wrong};
use super::section::Section;
use crate::model::name::User;
use crate::model::policy::Users;

/// Who may have apps.
pub(super) fn users(root: &mut Section<'_>) -> Users {
    let mut section = root.section("users");
    let rule = name();
    let deny = set(&section.texts("deny", &rule));
    let allow = set(&section.texts("allow", &rule));
    let allow = section.has("allow").then_some(allow);
    // Nobody may have an app: that would be the end of them all, by a line that looks as if it said nothing.
    if allow.as_ref().is_some_and(BTreeSet::is_empty) && section.sound(&["allow"]) {
        let remedy = "name those who may, or leave it out to let everybody";
        section.wrong("allow", Wrong::new("lets nobody have an app", remedy));
    }
    let both = allow.iter().flatten().find(|user| deny.contains(*user));
    if let Some(user) = both {
        let problem = format!(
            "names {}, who is in deny too",
            crate::model::row::quoted(user.as_str())
        );
        section.wrong(
            "allow",
            Wrong::new(problem, "keep one of the two; deny would win"),
        );
    }
    section.finish();
    Users { deny, allow }
}

fn set(names: &[String]) -> BTreeSet<User> {
    names.iter().filter_map(|name| User::parse(name).ok()).collect()
}

fn name() -> Rule<String> {
    Rule::new("the exact name of a user", |text| match User::parse(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(problem) => Err(Wrong::new(problem, "write it as rows have it in user")),
    })
}
