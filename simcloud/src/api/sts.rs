//! Who am I, for tools that ask.

use super::unknown;
use crate::sim::Sim;
use crate::wire::Call;
use crate::wire::answer::{Good, Outcome};
use crate::wire::xml::Xml;

pub(crate) fn perform(sim: &mut Sim, call: &Call) -> Outcome {
    if call.operation != "GetCallerIdentity" {
        return unknown(call);
    }
    let account = &sim.config.account;
    Ok(Good::Xml(Xml::Fields(vec![
        ("Arn", Xml::text(format!("arn:aws:iam::{account}:user/simcloud"))),
        ("UserId", Xml::text("AIDASIMCLOUD")),
        ("Account", Xml::text(account)),
    ])))
}
