//! Writes the XML of the AWS query protocol: elements, lists of `member`, escaped text. Never reads XML.

use std::fmt::Write;

/// A piece of an answer.
#[derive(Debug, Clone)]
pub(crate) enum Xml {
    Text(String),
    Fields(Vec<(&'static str, Xml)>),
    List(Vec<Xml>),
}

impl Xml {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(crate) fn texts<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self::List(texts.into_iter().map(|text| Self::Text(text.into())).collect())
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Text(text) => out.push_str(&escape(text)),
            Self::Fields(fields) => {
                for (name, value) in fields {
                    write_element(out, name, value);
                }
            }
            Self::List(members) => {
                for member in members {
                    write_element(out, "member", member);
                }
            }
        }
    }
}

fn write_element(out: &mut String, name: &str, value: &Xml) {
    let _ = write!(out, "<{name}>");
    value.write(out);
    let _ = write!(out, "</{name}>");
}

/// Text that is safe inside XML and HTML, in elements and in attributes.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // XML 1.0 has no way to carry other control characters.
            other if other.is_control() && !"\t\n\r".contains(other) => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
    out
}

/// A whole answer of `operation`.
pub(crate) fn document(namespace: &str, operation: &str, result: &Xml, request_id: &str) -> String {
    let mut body = String::new();
    result.write(&mut body);
    format!(
        "<{operation}Response xmlns=\"{namespace}\"><{operation}Result>{body}</{operation}Result>\
         <ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{operation}Response>"
    )
}

/// A whole error answer.
pub(crate) fn error(namespace: &str, status: u16, code: &str, message: &str, request_id: &str) -> String {
    let fault = if status >= 500 { "Receiver" } else { "Sender" };
    let (code, message) = (escape(code), escape(message));
    format!(
        "<ErrorResponse xmlns=\"{namespace}\"><Error><Type>{fault}</Type><Code>{code}</Code>\
         <Message>{message}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
    )
}
