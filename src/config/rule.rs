//! What a value must look like. A rule turns text into a plain type or says what is wrong with it; where the
//! text came from and how it is shown is the reader's business.

use std::fmt::Display;

use jiff::SignedDuration;

/// What is wrong with a value, continuing a sentence that begins with the value, and the way out.
#[derive(Debug)]
pub(super) struct Wrong {
    pub problem: String,
    pub remedy: String,
    /// Whether the value may hold a secret, so that it is not repeated.
    pub secret: bool,
}

impl Wrong {
    pub(super) fn new(problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            problem: problem.into(),
            remedy: remedy.into(),
            secret: false,
        }
    }

    /// The same about a value that is not to be repeated.
    pub(super) fn keep_secret(self) -> Self {
        Self { secret: true, ..self }
    }
}

type Parse<T> = dyn Fn(&str) -> Result<T, Wrong>;

/// A rule for text.
pub(super) struct Rule<T> {
    /// What is accepted, for people: `a duration from 1s to 1h`.
    pub takes: String,
    parse: Box<Parse<T>>,
}

impl<T> Rule<T> {
    pub(super) fn new(takes: impl Into<String>, parse: impl Fn(&str) -> Result<T, Wrong> + 'static) -> Self {
        Self {
            takes: takes.into(),
            parse: Box::new(parse),
        }
    }

    pub(super) fn parse(&self, text: &str) -> Result<T, Wrong> {
        (self.parse)(text)
    }
}

/// One of a few words.
pub(super) fn choice<T: Copy + 'static>(options: &'static [(&'static str, T)]) -> Rule<T> {
    let names = || options.iter().map(|(name, _)| *name);
    let list = names()
        .map(|name| format!("\"{name}\""))
        .collect::<Vec<_>>()
        .join(" or ");
    let remedy = format!("use {list}");
    Rule::new(list, move |text| {
        options
            .iter()
            .find(|(name, _)| *name == text)
            .map(|(_, value)| *value)
            .ok_or_else(|| {
                let near = nearest(text, names());
                let remedy = near.map_or_else(|| remedy.clone(), |near| format!("did you mean \"{near}\"?"));
                Wrong::new("is not one of the choices", remedy)
            })
    })
}

/// Text of `length` bytes for which `allowed` holds of every byte; `first` of the first one.
pub(super) fn name(
    takes: &'static str,
    length: std::ops::RangeInclusive<usize>,
    first: fn(u8) -> bool,
    allowed: fn(u8) -> bool,
) -> Rule<String> {
    let (min, max) = (*length.start(), *length.end());
    Rule::new(takes, move |text| {
        let remedy = || format!("give {takes}");
        if text.is_empty() {
            return Err(Wrong::new("is empty", remedy()));
        }
        if text.len() < min {
            return Err(Wrong::new(format!("is shorter than {min} characters"), remedy()));
        }
        if text.len() > max {
            return Err(Wrong::new(format!("is longer than {max} characters"), remedy()));
        }
        if let Some(bad) = text
            .chars()
            .find(|c| !u8::try_from(*c).is_ok_and(|b| b.is_ascii() && allowed(b)))
        {
            let shown = crate::model::row::quoted(&bad.to_string());
            return Err(Wrong::new(
                format!("holds {shown}, which is not allowed here"),
                remedy(),
            ));
        }
        if !text.bytes().next().is_some_and(first) {
            return Err(Wrong::new(
                "begins with a character that is not allowed there",
                remedy(),
            ));
        }
        Ok(text.to_owned())
    })
}

/// A duration such as `90s`, `15m`, `8h`, `30d` or `1h30m`, within bounds.
pub(super) fn duration(min: SignedDuration, max: SignedDuration) -> Rule<SignedDuration> {
    Rule::new(
        format!("a duration from {} to {}", show(min), show(max)),
        move |text| {
            let Some(found) = parse_duration(text) else {
                return Err(Wrong::new(
                    "is not a duration",
                    "write a whole number and one of s, m, h or d, for example \"90s\", \"15m\", \"8h\" or \"1h30m\"",
                ));
            };
            let (problem, remedy) = if found < min {
                ("is too short", format!("give at least {}", show(min)))
            } else if found > max {
                ("is too long", format!("give at most {}", show(max)))
            } else {
                return Ok(found);
            };
            Err(Wrong::new(problem, remedy))
        },
    )
}

const UNITS: [(char, i64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

fn parse_duration(text: &str) -> Option<SignedDuration> {
    let mut rest = text;
    let mut total = SignedDuration::ZERO;
    // Each unit once and from the largest down, so that nobody has to add up `5m1h5m`.
    let mut units = UNITS.iter();
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let count: i64 = rest[..digits].parse().ok()?;
        let unit = rest[digits..].chars().next()?;
        let (_, secs) = units.by_ref().find(|(name, _)| *name == unit)?;
        total = total.checked_add(SignedDuration::from_secs(count.checked_mul(*secs)?))?;
        rest = &rest[digits + 1..];
    }
    (!text.is_empty()).then_some(total)
}

/// A duration as a person would write it, in the largest unit that divides it.
pub(super) fn show(duration: SignedDuration) -> String {
    let secs = duration.as_secs();
    UNITS
        .iter()
        .find(|(_, unit)| secs != 0 && secs % unit == 0)
        .map_or_else(
            || format!("{secs}s"),
            |(name, unit)| format!("{}{name}", secs / unit),
        )
}

/// What is accepted for a number.
pub(super) fn range(what: &str, min: impl Display, max: impl Display) -> String {
    format!("{what} from {min} to {max}")
}

/// A number as TOML has it: `2.0`, not `2`.
pub(super) fn show_number(number: f64) -> String {
    format!("{number:?}")
}

/// The candidate that was probably meant.
pub(super) fn nearest<'c>(text: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    let wanted: Vec<char> = text.chars().take(64).flat_map(char::to_lowercase).collect();
    let tolerated = (wanted.len() / 3).clamp(1, 3);
    candidates
        .map(|candidate| (distance(&wanted, candidate), candidate))
        .filter(|(far, _)| *far <= tolerated)
        .min_by_key(|(far, _)| *far)
        .map(|(_, candidate)| candidate)
}

/// How many characters must be put in, taken out or changed, or neighbours swapped.
fn distance(a: &[char], b: &str) -> usize {
    let b: Vec<char> = b.chars().map(|c| c.to_ascii_lowercase()).collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, &left) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &right) in b.iter().enumerate() {
            let change = last[j] + usize::from(left != right);
            let mut best = change.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && left == b[j - 1] && a[i - 1] == right {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit_and_go_from_large_to_small() {
        let secs = |text| parse_duration(text).map(|d| d.as_secs());
        for (text, expected) in [
            ("90s", 90),
            ("15m", 900),
            ("8h", 28_800),
            ("30d", 2_592_000),
            ("1h30m", 5_400),
        ] {
            assert_eq!(secs(text), Some(expected), "{text}");
        }
        for bad in [
            "",
            "90",
            "s",
            "-5s",
            "1.5h",
            "5 m",
            "5min",
            "30m1h",
            "1m1m",
            "٣s",
            "99999999999999999999s",
            "9223372036854775807d",
        ] {
            assert_eq!(secs(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_shown_duration_reads_back_as_itself() {
        for secs in [1, 59, 60, 90, 3_600, 5_400, 86_400, 162_000, 2_592_000] {
            let duration = SignedDuration::from_secs(secs);
            assert_eq!(parse_duration(&show(duration)), Some(duration));
        }
    }

    #[test]
    fn the_nearest_word_is_close_or_not_offered() {
        let words = ["region", "endpoint_url", "cluster"];
        let near = |text| nearest(text, words.into_iter());
        assert_eq!(near("regoin"), Some("region"));
        assert_eq!(near("Cluster"), Some("cluster"));
        assert_eq!(near("endpoint-url"), Some("endpoint_url"));
        assert_eq!(near("bucket"), None);
    }
}
