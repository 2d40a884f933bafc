//! Who a service is: id, owner, app and host name, by the operator's rule from its tags and its name.

use super::fit::{Skip, Why};
use crate::model::adopt::{ForeignService, Part, Reading, Rule, Told};
use crate::model::name::{AppId, AppName, HostName, User};
use crate::model::policy::{CatalogueEntry, Policy};
use crate::model::row::quoted;

/// Who a service is, as it is told; nothing of it has been judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// The id.
    pub id: Option<String>,
    /// The owner.
    pub user: Option<String>,
    /// The catalogue entry.
    pub app: Option<String>,
    /// The whole host name.
    pub host_name: Option<String>,
}

/// Who a service is.
#[derive(Clone, Debug)]
pub(super) struct Who<'a> {
    pub(super) id: AppId,
    pub(super) user: User,
    pub(super) entry: &'a CatalogueEntry,
    pub(super) host_name: HostName,
}

/// Reads who a service is, and says what is wrong with the first thing that can't be.
pub(super) fn read<'a>(
    seen: &ForeignService,
    rule: &Rule,
    policy: &'a Policy,
) -> (Named, Result<Who<'a>, Skip>) {
    let mut named = Named::default();
    let who = fill(&mut named, seen, rule, policy);
    (named, who)
}

fn fill<'a>(
    named: &mut Named,
    seen: &ForeignService,
    rule: &Rule,
    policy: &'a Policy,
) -> Result<Who<'a>, Skip> {
    let tag = |key: Option<&String>| seen.tags.get(key?).cloned();
    let by_name = by_name(seen, rule, policy);
    let told = by_name.as_ref().ok().cloned().unwrap_or_default();
    let its_name = || Some(seen.service.name.to_string());
    let told_elsewhere =
        rule.tags.id.is_some() || rule.name.as_ref().is_some_and(|name| name.tells(Part::Id));
    named.id = tag(rule.tags.id.as_ref())
        .or(told.id)
        .or_else(|| its_name().filter(|_| !told_elsewhere));
    named.user = tag(rule.tags.user.as_ref()).or(told.user);
    let fixed = rule.app.as_ref().map(ToString::to_string);
    named.app = tag(rule.tags.app.as_ref()).or(told.app).or(fixed);
    named.host_name = tag(rule.tags.host_name.as_ref());
    by_name?;

    let missing = |what: &str, key: Option<&String>, setting: &str| {
        let tag = key.map_or_else(|| "no tag".to_owned(), |key| format!("no tag {}", quoted(key)));
        Skip::new(
            Why::NotTold,
            format!("has {tag}, so its {what} is not known"),
            format!("tag the service, or change adopt.{setting}"),
        )
    };
    let app = named
        .app
        .clone()
        .ok_or_else(|| missing("app", rule.tags.app.as_ref(), "tags.app"))?;
    let entry = policy.catalogue.get(&AppName::new(app.as_str())).ok_or_else(|| {
        Skip::new(
            Why::NotInCatalogue,
            format!("is of app {}, which is not in the catalogue", quoted(&app)),
            format!("add [apps.{}]", quoted(&app).trim_matches('"')),
        )
    })?;
    let user = named
        .user
        .clone()
        .ok_or_else(|| missing("owner", rule.tags.user.as_ref(), "tags.user"))?;
    let id = named
        .id
        .clone()
        .ok_or_else(|| missing("id", rule.tags.id.as_ref(), "tags.id"))?;
    if let (None, Some(template)) = (&named.host_name, &rule.host_name) {
        named.host_name = Some(template.fill(|name| match name {
            "name" => seen.service.name.to_string(),
            "id" => id.clone(),
            "user" => user.clone(),
            "app" => app.clone(),
            _ => entry.domain.clone(),
        }));
    }
    // Host names are the same in any case; rows and claims have them in lower case.
    named.host_name = named.host_name.take().map(|host| host.to_ascii_lowercase());
    let host = named
        .host_name
        .clone()
        .ok_or_else(|| missing("host name", rule.tags.host_name.as_ref(), "tags.host_name"))?;
    Ok(Who {
        id: parse_id(&id)?,
        user: User::parse(&user).map_err(|wrong| invalid("owner", &user, wrong, "tags.user"))?,
        entry,
        host_name: HostName::parse(&host)
            .map_err(|wrong| invalid("host name", &host, wrong, "tags.host_name"))?,
    })
}

/// What the service's name tells.
fn by_name(seen: &ForeignService, rule: &Rule, policy: &Policy) -> Result<Told, Skip> {
    let Some(pattern) = &rule.name else {
        return Ok(Told::default());
    };
    let apps: Vec<&str> = policy.catalogue.keys().map(AppName::as_str).collect();
    match pattern.read(seen.service.name.as_str(), &apps) {
        Reading::One(told) => Ok(told),
        Reading::None => Err(Skip::new(
            Why::NotTold,
            "has a name that does not fit adopt.name, with an app of the catalogue where it has one",
            "tell by tags what its name does not, or take the tag of adopt.where away from it",
        )),
        Reading::Several(one, other) => Err(Skip::new(
            Why::NotTold,
            format!(
                "has a name that can be read as {} and as {}",
                shown(&one),
                shown(&other)
            ),
            "tell by tags who it is",
        )),
    }
}

fn shown(told: &Told) -> String {
    let parts = [("id", &told.id), ("app", &told.app), ("user", &told.user)];
    let parts: Vec<String> = parts
        .iter()
        .filter_map(|(name, value)| Some(format!("{name} {}", quoted(value.as_deref()?))))
        .collect();
    parts.join(", ")
}

fn parse_id(text: &str) -> Result<AppId, Skip> {
    AppId::from_key(text)
        .filter(AppId::is_well_formed)
        .ok_or_else(|| {
            let wrong = "is not 1 to 63 of a-z, 0-9 and hyphens, beginning with a letter or digit";
            invalid("id", text, wrong, "tags.id")
        })
}

fn invalid(what: &str, text: &str, wrong: &str, setting: &str) -> Skip {
    Skip::new(
        Why::NotValid,
        format!("has the {what} {}, which {wrong}", quoted(text)),
        format!("correct it at the service, or tell it otherwise (adopt.{setting})"),
    )
}
