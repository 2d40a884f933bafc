//! The configuration from outside: every kind of mistake with its place and way out, who overrides whom, the
//! shipped example and reference against the keys that are really read, and hostile input.

#[path = "config/hostile.rs"]
mod hostile;
#[path = "config/mistakes.rs"]
mod mistakes;
#[path = "config/precedence.rs"]
mod precedence;
#[path = "config/reference.rs"]
mod reference;
#[path = "config/schedules.rs"]
mod schedules;
#[path = "config/summary.rs"]
mod summary;
#[path = "config/syntax.rs"]
mod syntax;
#[path = "config/webhook.rs"]
mod webhook;

use lamplighter::config::{Config, Mistake, Mistakes, Place};

/// A mistake in one line: place, key, problem and remedy.
fn told(mistake: &Mistake) -> String {
    let place = match &mistake.place {
        Place::File => "file".to_owned(),
        Place::Position { line, column } => format!("{line}:{column}"),
        Place::Environment(name) => name.clone(),
        Place::Flag(name) => (*name).to_owned(),
    };
    format!(
        "{place} {}: {} = {}",
        mistake.key, mistake.problem, mistake.remedy
    )
}

fn all_told(mistakes: &Mistakes) -> Vec<String> {
    mistakes.iter().map(told).collect()
}

fn mistakes_of(text: &str) -> Vec<String> {
    match Config::from_toml(text) {
        Ok(_) => Vec::new(),
        Err(mistakes) => all_told(&mistakes),
    }
}

/// Each text has exactly one mistake, the one beside it.
fn check(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(mistakes_of(text), [*expected], "\nof this file:\n{text}");
    }
}

/// Each text is good.
fn accept(texts: &[&str]) {
    for text in texts {
        assert_eq!(mistakes_of(text), [""; 0], "\nof this file:\n{text}");
    }
}
