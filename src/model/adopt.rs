//! Apps that another tool has deployed: the operator's rule for which services they are and how it is told whose,
//! and such a service as it was seen. Decides nothing; see `planner::adopt`.

use std::collections::BTreeMap;

use super::name::{AppName, ClusterName};
use super::observed::Service;

/// Which services may be taken over, and how it is told who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Tags that a service must have, with their values. What has not all of them is none of our business.
    pub only: BTreeMap<String, String>,
    /// Tags that tell the rest.
    pub tags: TagNames,
    /// What a service's name tells.
    pub name: Option<NamePattern>,
    /// The catalogue entry of all of them.
    pub app: Option<AppName>,
    /// The host name, where no tag tells it.
    pub host_name: Option<HostTemplate>,
}

/// The keys of tags that tell who a service is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagNames {
    /// Of its id. Without one that is the service's name, unless the pattern tells it.
    pub id: Option<String>,
    /// Of its owner.
    pub user: Option<String>,
    /// Of its catalogue entry.
    pub app: Option<String>,
    /// Of its whole host name.
    pub host_name: Option<String>,
}

/// A service of whatever tool, with all that matters to taking it over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignService {
    /// Its cluster.
    pub cluster: ClusterName,
    /// The service, as the planner knows it.
    pub service: Service,
    /// All its tags.
    pub tags: BTreeMap<String, String>,
    /// AWS: `REPLICA` or `DAEMON`.
    pub scheduling: String,
    /// AWS: `ECS`, `CODE_DEPLOY` or `EXTERNAL`.
    pub controller: String,
}

/// What a name may tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The app's id.
    Id,
    /// Its owner.
    User,
    /// Its catalogue entry.
    App,
}

const PARTS: [(&str, Part); 3] = [("id", Part::Id), ("user", Part::User), ("app", Part::App)];

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Part(Part),
}

/// A pattern of service names, such as `preview-{app}-{user}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePattern(Vec<Piece>);

/// What one name told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The app's id.
    pub id: Option<String>,
    /// Its owner.
    pub user: Option<String>,
    /// Its catalogue entry.
    pub app: Option<String>,
}

/// How a name can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// It does not fit the pattern.
    None,
    /// In one way.
    One(Told),
    /// In several ways; these are two of them.
    Several(Told, Told),
}

impl NamePattern {
    /// Takes a pattern; the error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        for piece in split(text)? {
            match piece {
                Split::Text(text) => {
                    let good = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
                    if !text.chars().all(good) {
                        return Err("holds a character that no name of a service has".to_owned());
                    }
                    pieces.push(Piece::Text(text.to_owned()));
                }
                Split::Name(name) => {
                    let known = PARTS.iter().find(|(known, _)| *known == name);
                    let (_, part) = known
                        .ok_or_else(|| format!("uses {{{name}}}; known are {{id}}, {{user}} and {{app}}"))?;
                    let part = Piece::Part(*part);
                    if pieces.contains(&part) {
                        return Err(format!("uses {{{name}}} twice"));
                    }
                    if matches!(pieces.last(), Some(Piece::Part(_))) {
                        return Err(format!(
                            "has nothing between {{{name}}} and what stands before it"
                        ));
                    }
                    pieces.push(part);
                }
            }
        }
        if !pieces.iter().any(|piece| matches!(piece, Piece::Part(_))) {
            return Err("tells nothing".to_owned());
        }
        Ok(Self(pieces))
    }

    /// Whether it tells this.
    pub fn tells(&self, part: Part) -> bool {
        self.0.contains(&Piece::Part(part))
    }

    /// Reads a name. An app in it is one of `apps`, which keeps most patterns clear: `shop-pro-ann` is Ann's
    /// `shop-pro` as long as there is no `shop`.
    pub fn read(&self, name: &str, apps: &[&str]) -> Reading {
        let mut found = Vec::new();
        read(&self.0, name, apps, &Told::default(), &mut found);
        let mut found = found.into_iter();
        match (found.next(), found.next()) {
            (None, _) => Reading::None,
            (Some(told), None) => Reading::One(told),
            (Some(one), Some(other)) => Reading::Several(one, other),
        }
    }
}

/// Tries every way to read `rest`, until two are found.
fn read(pieces: &[Piece], rest: &str, apps: &[&str], so_far: &Told, found: &mut Vec<Told>) {
    let Some((piece, further)) = pieces.split_first() else {
        if rest.is_empty() {
            found.push(so_far.clone());
        }
        return;
    };
    let part = match piece {
        Piece::Text(text) => {
            if let Some(rest) = rest.strip_prefix(text.as_str()) {
                read(further, rest, apps, so_far, found);
            }
            return;
        }
        Piece::Part(part) => part,
    };
    let is_last = further.is_empty();
    for (end, _) in rest.char_indices().skip(1).chain([(rest.len(), ' ')]) {
        let (value, after) = rest.split_at(end);
        let fits = !value.is_empty() && (*part != Part::App || apps.contains(&value));
        if !fits || is_last && !after.is_empty() {
            continue;
        }
        let mut told = so_far.clone();
        let place = match part {
            Part::Id => &mut told.id,
            Part::User => &mut told.user,
            Part::App => &mut told.app,
        };
        *place = Some(value.to_owned());
        read(further, after, apps, &told, found);
        if found.len() > 1 {
            return;
        }
    }
}

/// A host name with `{name}`, `{id}`, `{user}`, `{app}` and `{domain}`, such as `{name}.{domain}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostTemplate(String);

impl HostTemplate {
    /// Takes a template; the error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let pieces = split(text)?;
        let known = ["name", "id", "user", "app", "domain"];
        let names: Vec<&str> = pieces
            .iter()
            .filter_map(|piece| match piece {
                Split::Name(name) => Some(*name),
                Split::Text(_) => None,
            })
            .collect();
        if let Some(name) = names.iter().find(|name| !known.contains(name)) {
            return Err(format!(
                "uses {{{name}}}; known are {{name}}, {{id}}, {{user}}, {{app}} and {{domain}}"
            ));
        }
        if !names.iter().any(|name| matches!(*name, "name" | "id" | "user")) {
            return Err("is the same for every service".to_owned());
        }
        Ok(Self(text.to_owned()))
    }

    /// The text with everything filled in. What is filled in is not looked through again.
    pub fn fill(&self, value: impl Fn(&str) -> String) -> String {
        let pieces = split(&self.0).unwrap_or_default();
        let text = pieces.into_iter().map(|piece| match piece {
            Split::Text(text) => text.to_owned(),
            Split::Name(name) => value(name),
        });
        text.collect()
    }
}

enum Split<'a> {
    Text(&'a str),
    Name(&'a str),
}

/// The texts of a template and the names in braces between them.
fn split(text: &str) -> Result<Vec<Split<'_>>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(['{', '}']) {
        let inside = rest[start..]
            .strip_prefix('{')
            .ok_or_else(|| "has a } without its {".to_owned())?;
        let len = inside
            .find('}')
            .ok_or_else(|| "has a { without its }".to_owned())?;
        if start > 0 {
            pieces.push(Split::Text(&rest[..start]));
        }
        pieces.push(Split::Name(&inside[..len]));
        rest = &inside[len + 1..];
    }
    if !rest.is_empty() {
        pieces.push(Split::Text(rest));
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn told(id: &str, user: &str, app: &str) -> Told {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Told {
            id: some(id),
            user: some(user),
            app: some(app),
        }
    }

    #[test]
    fn a_name_is_read_in_the_one_way_there_is() {
        let check = |pattern: &str, name: &str, expected: Reading| {
            let read = NamePattern::parse(pattern)
                .unwrap()
                .read(name, &["shop", "wiki", "wiki-pro"]);
            assert_eq!(read, expected, "{pattern} of {name}");
        };
        check("{app}-{user}", "shop-ann", Reading::One(told("", "ann", "shop")));
        check(
            "{app}-{user}",
            "shop-ann-lee",
            Reading::One(told("", "ann-lee", "shop")),
        );
        check("{app}-{user}", "blog-ann", Reading::None);
        check("{app}-{user}", "shop-", Reading::None);
        check(
            "{app}-{user}",
            "wiki-pro-ann",
            Reading::Several(told("", "pro-ann", "wiki"), told("", "ann", "wiki-pro")),
        );
        check(
            "{user}-{app}",
            "ann-wiki-pro",
            Reading::One(told("", "ann", "wiki-pro")),
        );
        check(
            "{id}--{user}",
            "a--b--c",
            Reading::Several(told("a", "b--c", ""), told("a--b", "c", "")),
        );
        check("pre-{id}-post", "pre-a-b-post", Reading::One(told("a-b", "", "")));
        check("pre-{id}-post", "pre--post", Reading::None);
    }

    #[test]
    fn a_bad_pattern_says_what_is_wrong() {
        for (text, problem) in [
            ("", "tells nothing"),
            ("preview", "tells nothing"),
            ("{app}{user}", "has nothing between {user}"),
            ("{user}-{user}", "uses {user} twice"),
            ("{owner}", "uses {owner}; known are"),
            ("{user", "has a { without its }"),
            ("user}", "has a } without its {"),
            ("{user}.{app}", "no name of a service has"),
        ] {
            let error = NamePattern::parse(text).unwrap_err();
            assert!(error.contains(problem), "{text}: {error}");
        }
        for (text, problem) in [
            ("{domain}", "is the same for every service"),
            ("{host}.{domain}", "uses {host}; known are"),
            ("{name}.}", "has a } without its {"),
        ] {
            let error = HostTemplate::parse(text).unwrap_err();
            assert!(error.contains(problem), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_filled_in_is_not_filled_in_again() {
        let template = HostTemplate::parse("{user}.{domain}").unwrap();
        assert_eq!(
            template.fill(|name| format!("<{{{name}}}>")),
            "<{user}>.<{domain}>"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_a_pattern_or_an_error_and_any_name_is_read(text in ".*", name in "[a-z-]{0,255}") {
            let _ = HostTemplate::parse(&text);
            if let Ok(pattern) = NamePattern::parse(&text) {
                pattern.read(&name, &["a"]);
            }
            let dashes = NamePattern::parse("{id}-{user}-{app}").unwrap();
            if let Reading::One(Told { id: Some(id), user: Some(user), app: Some(app) }) = dashes.read(&name, &["a"]) {
                prop_assert_eq!(format!("{id}-{user}-{app}"), name);
            }
        }
    }
}
