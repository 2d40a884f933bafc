//! Good answers with something wrong in them: a value replaced, left out or doubled, a text cut or spoilt.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

use crate::values::{anything, text};

#[derive(Clone, Debug)]
enum Change {
    Replace(Value),
    Leave,
    Twice,
    Text(String),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        3 => anything().prop_map(Change::Replace),
        3 => Just(Change::Leave),
        1 => Just(Change::Twice),
        3 => text().prop_map(Change::Text),
    ]
}

/// The good answer, in which up to four things are wrong.
pub(crate) fn mutated(good: Value) -> BoxedStrategy<Value> {
    let changes = vec((any::<prop::sample::Index>(), change()), 0..4);
    changes
        .prop_map(move |changes| {
            let mut value = good.clone();
            for (place, change) in changes {
                let count = nodes(&value);
                let mut at = place.index(count);
                apply(&mut value, &mut at, &change);
            }
            value
        })
        .boxed()
}

/// Its text, which may be cut, spoilt at one place, or something else altogether.
pub(crate) fn spoilt(body: BoxedStrategy<String>) -> BoxedStrategy<String> {
    let harm = prop_oneof![
        8 => Just(None),
        1 => (any::<prop::sample::Index>(), Just(String::new())).prop_map(Some),
        1 => (any::<prop::sample::Index>(), text()).prop_map(Some),
    ];
    let spoilt = (body, harm, any::<bool>()).prop_map(|(body, harm, cut)| {
        let Some((place, insert)) = harm else { return body };
        let chars: Vec<char> = body.chars().collect();
        let at = place.index(chars.len() + 1);
        let (head, tail) = chars.split_at(at);
        let tail = if cut { &tail[tail.len()..] } else { tail };
        head.iter()
            .copied()
            .chain(insert.chars())
            .chain(tail.iter().copied())
            .collect()
    });
    prop_oneof![
        12 => spoilt,
        1 => anything().prop_map(|value| value.to_string()),
        1 => text(),
        1 => Just("<html><body>It works!</body></html>".to_owned()),
    ]
    .boxed()
}

/// XML in which elements are left out, doubled, or hold something else.
pub(crate) fn mutated_xml(good: &str) -> BoxedStrategy<String> {
    let mut tokens: Vec<String> = Vec::new();
    for part in good.split('<').skip(1) {
        let (tag, inside) = part.split_once('>').unwrap();
        tokens.push(format!("<{tag}>"));
        if !inside.is_empty() {
            tokens.push(inside.to_owned());
        }
    }
    let changes = vec((any::<prop::sample::Index>(), change()), 0..4);
    changes
        .prop_map(move |changes| {
            let mut tokens = tokens.clone();
            for (place, change) in changes {
                if tokens.is_empty() {
                    break;
                }
                let at = place.index(tokens.len());
                match change {
                    Change::Replace(value) => tokens[at] = value.to_string(),
                    Change::Text(text) => tokens[at] = text,
                    Change::Twice => tokens.insert(at, tokens[at].clone()),
                    Change::Leave => leave_out(&mut tokens, at),
                }
            }
            tokens.concat()
        })
        .boxed()
}

/// Leaves out a whole element, if one begins here.
fn leave_out(tokens: &mut Vec<String>, at: usize) {
    let closing = tokens[at].replace('<', "</");
    let until = tokens[at..].iter().position(|token| *token == closing);
    tokens.drain(at..=at + until.unwrap_or(0));
}

fn nodes(value: &Value) -> usize {
    1 + match value {
        Value::Array(list) => list.iter().map(nodes).sum::<usize>(),
        Value::Object(map) => map.values().map(nodes).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// Whether the value itself is to go.
fn apply(value: &mut Value, at: &mut usize, change: &Change) -> bool {
    if *at == 0 {
        *at = usize::MAX;
        match change {
            Change::Replace(new) => *value = new.clone(),
            Change::Text(text) => *value = Value::from(text.as_str()),
            Change::Twice => {
                if let Value::Array(list) = value
                    && let Some(last) = list.last().cloned()
                {
                    list.push(last);
                }
            }
            Change::Leave => return true,
        }
        return false;
    }
    *at -= 1;
    match value {
        Value::Array(list) => {
            for place in 0..list.len() {
                if *at != usize::MAX && apply(&mut list[place], at, change) {
                    list.remove(place);
                    break;
                }
            }
        }
        Value::Object(map) => {
            let names: Vec<String> = map.keys().cloned().collect();
            for name in names {
                if *at != usize::MAX && apply(&mut map[&name], at, change) {
                    map.remove(&name);
                    break;
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    false
}
