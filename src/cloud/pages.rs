//! Listings that come in pages: what an answer must say to count as a page, and when the last one was reached.

use super::{Error, Result};

/// What a page lists. AWS gives an empty list where there is nothing; an answer without one says nothing, and must
/// not look like nothing being there.
pub(super) fn listed<T>(call: &'static str, list: Option<T>) -> Result<T> {
    list.ok_or_else(|| Error::Unreadable {
        call,
        problem: "the answer lists nothing, not even none".to_owned(),
    })
}

/// The token of the next page. The one that led to this page would lead here for ever.
pub(super) fn next<T: PartialEq>(call: &'static str, this: Option<&T>, next: Option<T>) -> Result<Option<T>> {
    if next.is_some() && next.as_ref() == this {
        return Err(Error::Unreadable {
            call,
            problem: "the next page is this page again".to_owned(),
        });
    }
    Ok(next)
}
