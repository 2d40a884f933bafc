//! Bugs of the adapters.

use crate::found_by::fails_with;

#[test]
fn a_listing_that_ends_with_its_first_page_is_found() {
    fails_with("FirstPageOnly", "desired::short_and_empty_pages_are_not_the_end");
}
