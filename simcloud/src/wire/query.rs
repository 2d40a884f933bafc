//! Reads AWS query forms (`Names.member.1=a&PageSize=10`) into the JSON the operations expect. Every leaf stays
//! a string, as on the wire; it never fails on content, only on absurd shapes.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// More nesting than any operation has.
const DEEPEST: usize = 8;

#[derive(Default)]
struct Node {
    text: Option<String>,
    children: BTreeMap<String, Node>,
}

/// Whether a form names an action, without reading all of it.
pub(crate) fn mentions_action(form: &[u8]) -> bool {
    form.split(|byte| *byte == b'&')
        .any(|field| field.starts_with(b"Action="))
}

/// The form as nested objects and lists, or nothing if it nests too deeply.
pub(crate) fn read(form: &[u8]) -> Result<Map<String, Value>, ()> {
    let mut root = Node::default();
    for (name, value) in form_urlencoded::parse(form) {
        let mut node = &mut root;
        for (depth, part) in name.split('.').enumerate() {
            if depth >= DEEPEST {
                return Err(());
            }
            node = node.children.entry(part.to_owned()).or_default();
        }
        node.text = Some(value.into_owned());
    }
    Ok(root
        .children
        .into_iter()
        .map(|(name, node)| (name, to_value(node)))
        .collect())
}

fn to_value(mut node: Node) -> Value {
    if node.children.is_empty() {
        return Value::String(node.text.unwrap_or_default());
    }
    if let Some(list) = node.children.remove("member") {
        let mut members: Vec<(u32, Node)> = list
            .children
            .into_iter()
            .filter_map(|(index, member)| Some((index.parse().ok()?, member)))
            .collect();
        members.sort_by_key(|(index, _)| *index);
        return members.into_iter().map(|(_, member)| to_value(member)).collect();
    }
    let fields = node.children.into_iter();
    Value::Object(fields.map(|(name, child)| (name, to_value(child))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn members_become_lists_in_their_order() {
        let form = b"Action=X&Names.member.10=b&Names.member.2=a+1&Tags.member.1.Key=k&Tags.member.1.Value=v";
        assert_eq!(
            Value::Object(read(form).unwrap_or_default()),
            json!({"Action": "X", "Names": ["a 1", "b"], "Tags": [{"Key": "k", "Value": "v"}]})
        );
    }

    #[test]
    fn absurd_nesting_is_refused() {
        assert!(read(b"a.b.c.d.e.f.g.h.i.j=1").is_err());
    }
}
