//! A desired row, read leniently: every attribute that is legible is kept, every one that is not is a
//! [`Problem`] with its field, what is wrong and the way out. Whether the catalogue knows the app is the
//! planner's question, not this file's.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::name::{AppId, AppName, HostName, User};

/// What the portal wants of an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Desired {
    /// Nothing of it left.
    Destroyed,
    /// There, with no task running.
    Suspended,
    /// Up.
    Running,
}

impl fmt::Display for Desired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Desired::Destroyed => "Destroyed",
            Desired::Suspended => "Suspended",
            Desired::Running => "Running",
        })
    }
}

/// One thing that is wrong with a row, and the way out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The attribute, for example `parameters.SIZE`.
    pub field: String,
    /// What is wrong with its value.
    pub problem: String,
    /// What to do about it.
    pub remedy: String,
}

impl Problem {
    /// A problem with `field`. Text from the row is quoted by [`quoted`] before it comes here.
    pub fn new(field: impl Into<String>, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            problem: problem.into(),
            remedy: remedy.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.field, self.problem, self.remedy)
    }
}

/// A row's attribute before it is understood. Made alike from DynamoDB and from JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RawValue {
    /// A string.
    Text(String),
    /// A number, as written.
    Number(String),
    /// A boolean.
    Bool(bool),
    /// A map.
    Map(BTreeMap<String, RawValue>),
    /// Anything else; the text names its kind.
    Other(&'static str),
}

impl RawValue {
    fn kind(&self) -> &'static str {
        match self {
            RawValue::Text(_) => "a string",
            RawValue::Number(_) => "a number",
            RawValue::Bool(_) => "a boolean",
            RawValue::Map(_) => "a map",
            RawValue::Other(kind) => kind,
        }
    }
}

impl<'de> Deserialize<'de> for RawValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = RawValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any attribute")
            }
            fn visit_str<E>(self, text: &str) -> Result<RawValue, E> {
                Ok(RawValue::Text(text.to_owned()))
            }
            fn visit_string<E>(self, text: String) -> Result<RawValue, E> {
                Ok(RawValue::Text(text))
            }
            fn visit_i64<E>(self, n: i64) -> Result<RawValue, E> {
                Ok(RawValue::Number(n.to_string()))
            }
            fn visit_u64<E>(self, n: u64) -> Result<RawValue, E> {
                Ok(RawValue::Number(n.to_string()))
            }
            fn visit_f64<E>(self, n: f64) -> Result<RawValue, E> {
                Ok(RawValue::Number(n.to_string()))
            }
            fn visit_bool<E>(self, value: bool) -> Result<RawValue, E> {
                Ok(RawValue::Bool(value))
            }
            fn visit_unit<E>(self) -> Result<RawValue, E> {
                Ok(RawValue::Other("null"))
            }
            fn visit_none<E>(self) -> Result<RawValue, E> {
                Ok(RawValue::Other("null"))
            }
            fn visit_bytes<E>(self, _: &[u8]) -> Result<RawValue, E> {
                Ok(RawValue::Other("binary"))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<RawValue, A::Error> {
                while seq.next_element::<RawValue>()?.is_some() {}
                Ok(RawValue::Other("a list"))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawValue, A::Error> {
                let mut out = BTreeMap::new();
                while let Some((key, value)) = map.next_entry::<String, RawValue>()? {
                    out.insert(key, value);
                }
                Ok(RawValue::Map(out))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// A desired row as far as it is legible, with everything that is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The row's key.
    pub id: AppId,
    /// Everything wrong with the row's own attributes. Empty: every attribute was understood.
    pub problems: Vec<Problem>,
    /// The owner.
    pub user: Option<User>,
    /// The catalogue entry asked for.
    pub app: Option<AppName>,
    /// What is wanted.
    pub desired: Option<Desired>,
    /// The portal's counter of requests.
    pub generation: Option<u64>,
    /// When the user last asked.
    pub requested_at: Option<Timestamp>,
    /// The host name asked for.
    pub host_name: Option<HostName>,
    /// What is passed to the build.
    pub parameters: BTreeMap<String, String>,
    /// The IANA zone that overrides the schedule's.
    pub time_zone: Option<String>,
    /// The schedule that it has instead of its catalogue entry's.
    pub schedule: Option<String>,
    /// Whether its owner is still somebody whose apps may run.
    pub owner_active: Option<bool>,
    /// Exempt from curfew until then.
    pub keep_until: Option<Timestamp>,
    /// Why.
    pub keep_reason: Option<String>,
    /// The hard end.
    pub expires_at: Option<Timestamp>,
    /// Who asked, if not the owner.
    pub requested_by: Option<String>,
}

/// The attributes a row may have.
pub const ATTRIBUTES: [&str; 15] = [
    "id",
    "user",
    "app",
    "desired",
    "generation",
    "requestedAt",
    "hostName",
    "parameters",
    "timeZone",
    "schedule",
    "ownerActive",
    "keepUntil",
    "keepReason",
    "expiresAt",
    "requestedBy",
];

/// The most parameters a row may carry, and the most bytes of one value: CodeBuild takes them as plain
/// environment variables and repeats them in every event, which is limited to 256 KB.
pub const PARAMETERS_MAX: usize = 50;
/// See [`PARAMETERS_MAX`].
pub const PARAMETER_BYTES_MAX: usize = 1024;

impl Row {
    /// Reads the attributes of the row `id`. Never fails: what is wrong becomes a problem of the row.
    pub fn read(id: AppId, mut raw: BTreeMap<String, RawValue>) -> Self {
        let mut problems = Vec::new();
        if !id.is_well_formed() {
            problems.push(Problem::new(
                "id",
                format!("{} is not an instance id", quoted(id.as_str())),
                "use 1 to 63 of a-z, 0-9 and hyphens, starting with a letter or digit",
            ));
        }
        raw.remove("id");
        let mut reader = Reader { raw, problems };
        let user = reader.required("user", "name the owner", User::parse);
        let app = reader.required("app", "name an entry of the catalogue", |text| {
            if text.is_empty() {
                Err("is empty")
            } else {
                Ok(AppName::new(text))
            }
        });
        let desired = reader.required(
            "desired",
            "use Running, Suspended or Destroyed",
            |text| match text {
                "Running" => Ok(Desired::Running),
                "Suspended" => Ok(Desired::Suspended),
                "Destroyed" => Ok(Desired::Destroyed),
                _ => Err("is none of the desired states"),
            },
        );
        let generation = reader.number("generation");
        let requested_at = reader.time("requestedAt");
        let host_name = reader.text(
            "hostName",
            "give a full lower-case host name, or leave it out",
            HostName::parse,
        );
        let parameters = reader.parameters();
        let time_zone = reader.text("timeZone", "use an IANA name such as Europe/Berlin", |text| {
            match jiff::tz::TimeZone::get(text) {
                Ok(_) => Ok(text.to_owned()),
                Err(_) => Err("is not a known time zone"),
            }
        });
        let schedule = reader.text("schedule", "name a schedule, or leave it out", |text| {
            if text.is_empty() {
                Err("is empty")
            } else {
                short(text)
            }
        });
        let owner_active = reader.boolean("ownerActive");
        let keep_until = reader.time("keepUntil");
        let keep_reason = reader.text("keepReason", "use at most 256 printable characters", short);
        let expires_at = reader.time("expiresAt");
        let requested_by = reader.text("requestedBy", "use at most 256 printable characters", short);
        let mut problems = reader.finish();
        problems.sort_by(|a, b| a.field.cmp(&b.field));
        Self {
            id,
            problems,
            user,
            app,
            desired,
            generation,
            requested_at,
            host_name,
            parameters,
            time_zone,
            schedule,
            owner_active,
            keep_until,
            keep_reason,
            expires_at,
            requested_by,
        }
    }

    /// A digest of all that makes a request when the portal keeps no generation: a rewrite of an identical
    /// row is no request, any change of what is asked is. Exemption and expiry are not part of it, nor is what
    /// somebody else says of the owner. A row without a schedule of its own has the digest that it had before rows
    /// could have one.
    pub fn fingerprint(&self) -> String {
        let parts = (
            (&self.user, &self.app, self.desired, self.generation),
            (
                self.requested_at,
                &self.host_name,
                &self.parameters,
                &self.time_zone,
            ),
        );
        match &self.schedule {
            None => digest(&parts),
            Some(schedule) => digest(&(parts, schedule)),
        }
    }
}

/// The first 16 hex digits of a SHA-256 over the JSON of `value`, which has one form: our types hold
/// ordered maps only.
pub(crate) fn digest(value: &impl Serialize) -> String {
    let bytes = serde_json::to_vec(value).expect("plain data with string keys always serializes");
    hex::encode(&Sha256::digest(bytes)[..8])
}

/// Text from outside, made safe to show: control characters and quotes escaped, cut after 60 characters.
pub fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for (count, c) in text.chars().enumerate() {
        if count == 60 {
            out.push('…');
            break;
        }
        out.extend(c.escape_debug());
    }
    out.push('"');
    out
}

fn short(text: &str) -> Result<String, &'static str> {
    if text.chars().count() > 256 {
        Err("is longer than 256 characters")
    } else if text.chars().any(char::is_control) {
        Err("holds control characters")
    } else {
        Ok(text.to_owned())
    }
}

/// Takes attributes out of a raw row one by one, noting what is wrong.
struct Reader {
    raw: BTreeMap<String, RawValue>,
    problems: Vec<Problem>,
}

impl Reader {
    fn problem(&mut self, field: &str, problem: String, remedy: &str) {
        self.problems.push(Problem::new(field, problem, remedy));
    }

    fn text<T>(
        &mut self,
        field: &str,
        remedy: &str,
        parse: impl Fn(&str) -> Result<T, &'static str>,
    ) -> Option<T> {
        match self.raw.remove(field)? {
            RawValue::Text(text) => match parse(&text) {
                Ok(value) => Some(value),
                Err(why) => {
                    self.problem(field, format!("{} {why}", quoted(&text)), remedy);
                    None
                }
            },
            other => {
                self.problem(field, format!("is {}, not a string", other.kind()), remedy);
                None
            }
        }
    }

    fn required<T>(
        &mut self,
        field: &str,
        remedy: &str,
        parse: impl Fn(&str) -> Result<T, &'static str>,
    ) -> Option<T> {
        if !self.raw.contains_key(field) {
            self.problem(field, "is missing".to_owned(), remedy);
        }
        self.text(field, remedy, parse)
    }

    fn time(&mut self, field: &str) -> Option<Timestamp> {
        let remedy = "use RFC 3339 with an offset, for example 2026-11-20T18:30:00Z";
        self.text(field, remedy, |text| {
            text.parse().map_err(|_| "is not a time that exists")
        })
    }

    fn number(&mut self, field: &str) -> Option<u64> {
        let remedy = "use a whole number from 0 to 9007199254740991";
        match self.raw.remove(field)? {
            RawValue::Number(text) => match text.parse::<u64>() {
                Ok(number) if number <= 9_007_199_254_740_991 => Some(number),
                Ok(_) | Err(_) => {
                    self.problem(field, format!("{} is not in range", quoted(&text)), remedy);
                    None
                }
            },
            other => {
                self.problem(field, format!("is {}, not a number", other.kind()), remedy);
                None
            }
        }
    }

    fn boolean(&mut self, field: &str) -> Option<bool> {
        match self.raw.remove(field)? {
            RawValue::Bool(value) => Some(value),
            other => {
                let problem = format!("is {}, not a boolean", other.kind());
                self.problem(
                    field,
                    problem,
                    "use true or false, not in quotes, or leave it out",
                );
                None
            }
        }
    }

    fn parameters(&mut self) -> BTreeMap<String, String> {
        let remedy = "use a map of strings";
        let map = match self.raw.remove("parameters") {
            None => return BTreeMap::new(),
            Some(RawValue::Map(map)) => map,
            Some(other) => {
                self.problem("parameters", format!("is {}, not a map", other.kind()), remedy);
                return BTreeMap::new();
            }
        };
        if map.len() > PARAMETERS_MAX {
            let problem = format!("has {} entries, more than {PARAMETERS_MAX}", map.len());
            self.problem("parameters", problem, "pass fewer");
            return BTreeMap::new();
        }
        let mut out = BTreeMap::new();
        for (name, value) in map {
            let field = format!("parameters.{}", quoted(&name).trim_matches('"'));
            match value {
                RawValue::Text(text) if text.len() > PARAMETER_BYTES_MAX => {
                    let problem = format!("has {} bytes, more than {PARAMETER_BYTES_MAX}", text.len());
                    self.problem(&field, problem, "shorten it");
                }
                RawValue::Text(text) if text.contains('\0') => {
                    self.problem(&field, "holds a NUL character".to_owned(), "remove it");
                }
                RawValue::Text(text) => {
                    out.insert(name, text);
                }
                other => self.problem(&field, format!("is {}, not a string", other.kind()), remedy),
            }
        }
        out
    }

    /// What is left was never asked for. A misspelt `keepuntil` that is silently ignored would stop an app
    /// that its owner meant to keep, so it is a problem of the row.
    fn finish(mut self) -> Vec<Problem> {
        for name in self.raw.keys().filter(|name| !name.starts_with("x-")) {
            let near = ATTRIBUTES.iter().find(|known| known.eq_ignore_ascii_case(name));
            let remedy = match near {
                Some(known) => format!("did you mean {known}?"),
                None => "remove it, or start its name with x- if it is the portal's own".to_owned(),
            };
            self.problems.push(Problem::new(
                quoted(name).trim_matches('"'),
                "is not an attribute of a row",
                remedy,
            ));
            // A row of 400 KB can hold ten thousand of them; the first few tell the story.
            if self.problems.len() >= 20 {
                break;
            }
        }
        self.problems
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn read(json: serde_json::Value) -> Row {
        let raw: BTreeMap<String, RawValue> = serde_json::from_value(json).unwrap();
        Row::read(AppId::from_key("a1").unwrap(), raw)
    }

    fn problems(json: serde_json::Value) -> Vec<String> {
        read(json).problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_good_row_has_no_problems() {
        let row = read(serde_json::json!({
            "id": "a1", "user": "ann", "app": "shop", "desired": "Running", "generation": 3,
            "requestedAt": "2026-11-20T10:00:00Z", "hostName": "a.example.com",
            "parameters": {"SIZE": "small"}, "timeZone": "Europe/Berlin", "x-note": [1, 2],
        }));
        assert_eq!(row.problems, []);
        assert_eq!(row.desired, Some(Desired::Running));
        assert_eq!(row.generation, Some(3));
    }

    #[test]
    fn every_problem_names_its_field_and_the_way_out() {
        let check = |json, expected: &[&str]| {
            let found = problems(json);
            for needle in expected {
                assert!(
                    found.iter().any(|p| p.contains(needle)),
                    "{needle} not in {found:#?}"
                );
            }
            assert_eq!(found.len(), expected.len(), "{found:#?}");
        };
        check(
            serde_json::json!({}),
            &[
                "app is missing",
                "desired is missing: use Running",
                "user is missing: name the owner",
            ],
        );
        let base = |field: &str, value: serde_json::Value| {
            let mut row = serde_json::json!({"user": "ann", "app": "shop", "desired": "Running"});
            row[field] = value;
            row
        };
        check(
            base("desired", "running".into()),
            &["\"running\" is none of the desired states"],
        );
        check(
            base("desired", true.into()),
            &["desired is a boolean, not a string"],
        );
        check(base("user", "".into()), &["user \"\" is empty"]);
        check(
            base("user", "a\r\nb".into()),
            &["user \"a\\r\\nb\" holds control characters"],
        );
        check(
            base("requestedAt", "2026-02-30T00:00:00Z".into()),
            &["is not a time that exists"],
        );
        check(
            base("timeZone", "Mars/Olympus".into()),
            &["is not a known time zone"],
        );
        check(
            base("hostName", "../x".into()),
            &["hostName \"../x\" is not a lower-case DNS name"],
        );
        check(
            base("generation", "3".into()),
            &["generation is a string, not a number"],
        );
        check(
            base("generation", serde_json::json!(-1)),
            &["generation \"-1\" is not in range"],
        );
        check(
            base("keepuntil", "x".into()),
            &["keepuntil is not an attribute of a row: did you mean keepUntil?"],
        );
        check(
            base("ownerActive", "false".into()),
            &["ownerActive is a string, not a boolean: use true or false"],
        );
        check(base("schedule", "".into()), &["schedule \"\" is empty"]);
        check(
            base("parameters", serde_json::json!({"A": 1})),
            &["parameters.A is a number, not a string"],
        );
        check(
            base("parameters", serde_json::json!({"A": "x".repeat(1025)})),
            &["has 1025 bytes"],
        );
        check(
            base("parameters", serde_json::json!([1])),
            &["parameters is a list, not a map"],
        );
    }

    #[test]
    fn a_huge_hostile_row_yields_a_bounded_list_of_bounded_problems() {
        let mut row = serde_json::json!({});
        for n in 0..9000 {
            row[format!("<script>{n}\u{202e}{}", "z".repeat(30))] = "x".into();
        }
        let found = problems(row);
        assert!(found.len() <= 20);
        assert!(found.iter().all(|p| p.len() < 400), "{found:#?}");
    }

    #[test]
    fn rewriting_an_identical_row_is_no_request_and_any_change_is_one() {
        let row = serde_json::json!({"user": "ann", "app": "shop", "desired": "Running"});
        let print = |field: &str, value: serde_json::Value| {
            let mut row = row.clone();
            row[field] = value;
            read(row).fingerprint()
        };
        assert_eq!(read(row.clone()).fingerprint(), read(row.clone()).fingerprint());
        assert_eq!(
            read(row.clone()).fingerprint(),
            print("keepUntil", "2026-11-20T10:00:00Z".into())
        );
        assert_ne!(
            read(row.clone()).fingerprint(),
            print("desired", "Suspended".into())
        );
        assert_ne!(read(row.clone()).fingerprint(), print("generation", 1.into()));
        assert_ne!(
            read(row.clone()).fingerprint(),
            print("requestedAt", "2026-11-20T10:00:00Z".into())
        );
    }

    /// A digest that changed with a release would make a request of every row, and so a new day for every app.
    #[test]
    fn what_rows_had_before_they_could_choose_a_schedule_they_have_still() {
        let row = serde_json::json!({
            "user": "ann", "app": "shop", "desired": "Running", "generation": 3,
            "requestedAt": "2026-11-20T10:00:00Z", "timeZone": "Europe/Berlin", "parameters": {"SIZE": "small"},
        });
        let with = |field: &str, value: serde_json::Value| {
            let mut row = row.clone();
            row[field] = value;
            read(row).fingerprint()
        };
        let before = (
            ("ann", "shop", "Running", 3),
            (
                "2026-11-20T10:00:00Z",
                None::<String>,
                BTreeMap::from([("SIZE", "small")]),
                "Europe/Berlin",
            ),
        );
        assert_eq!(read(row.clone()).fingerprint(), digest(&before));
        assert_eq!(with("ownerActive", false.into()), digest(&before));
        assert_ne!(with("schedule", "late".into()), digest(&before));
        assert_ne!(with("schedule", "late".into()), with("schedule", "early".into()));
    }

    proptest! {
        #[test]
        fn no_row_panics_and_problems_stay_short(entries in proptest::collection::btree_map(".{0,20}", ".{0,90}", 0..20)) {
            let raw = entries.into_iter().map(|(k, v)| (k, RawValue::Text(v))).collect();
            let row = Row::read(AppId::from_key("x").unwrap(), raw);
            for problem in &row.problems {
                prop_assert!(!problem.to_string().contains(['\r', '\n', '\0']));
            }
        }
    }
}
