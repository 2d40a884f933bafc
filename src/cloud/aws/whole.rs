//! Takes half an answer, or one without a body, for no answer. The SDK reads nothing at all as an empty object, and so
//! as "there is no such item" or "it is done"; and of XML that is cut off it may drop what was under way, so that a
//! listing looks whole without it. AWS ends every call of ours with a whole body; one that got lost is an error.

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::AfterDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use xmlparser::{ElementEnd, Token, Tokenizer};

/// The hook that the SDK calls.
#[derive(Debug)]
pub(super) struct Whole;

#[dyn_dispatch_hint]
impl Intercept for Whole {
    fn name(&self) -> &'static str {
        "lamplighter::Whole"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        if !response.status().is_success() {
            return Ok(());
        }
        match response.body().bytes().map(<[u8]>::trim_ascii) {
            Some([]) => Err("the answer is empty".into()),
            Some(body @ [b'<', ..]) if !is_whole(body) => Err("the answer is not whole".into()),
            Some(_) | None => Ok(()),
        }
    }
}

/// Whether every element of an XML document is closed in its turn, by the same tokenizer that the SDK uses: where that
/// stumbles, the SDK goes on as if the document ended there. JSON needs no such look: cut off, it is none.
fn is_whole(body: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(body) else {
        return false;
    };
    let mut open = Vec::new();
    for token in Tokenizer::from(text) {
        match token {
            Ok(Token::ElementStart { prefix, local, .. }) => open.push((prefix.as_str(), local.as_str())),
            Ok(Token::ElementEnd { end, .. }) => match end {
                ElementEnd::Open => {}
                ElementEnd::Empty => {
                    open.pop();
                }
                ElementEnd::Close(prefix, local) => {
                    if open.pop() != Some((prefix.as_str(), local.as_str())) {
                        return false;
                    }
                }
            },
            Ok(_) => {}
            Err(_) => return false,
        }
    }
    open.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_whole_only_at_its_very_end() {
        let whole =
            "<?xml version=\"1.0\"?>\n<a xmlns=\"http://x/\">\n<b>1 &gt; 0</b><c/><d\n e=\"f\" /></a>\n";
        assert!(is_whole(whole.as_bytes()));
        assert!(!is_whole(b"<a>\0<b></b></a>"));
        for cut in 23..whole.len() - 1 {
            assert!(!is_whole(&whole.as_bytes()[..cut]), "{}", &whole[..cut]);
        }
        assert!(!is_whole(b"<a><b></a></b>"));
    }
}
