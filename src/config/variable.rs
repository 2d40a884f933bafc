//! The names of environment variables: which ones a build may be given by us, and which by a row.
//!
//! What a row passes overrides what the CodeBuild project sets, so a parameter must never carry the name of
//! something that programs obey.

use super::rule::{Rule, Wrong};
use crate::model::policy::BuildEnv;

/// Prefixes nobody but their owner may use, with the owner.
const OWNED: [(&str, &str); 4] = [
    (
        "CODEBUILD_",
        "CodeBuild reserves names that begin with CODEBUILD_",
    ),
    (
        "LAMPLIGHTER_",
        "names that begin with LAMPLIGHTER_ are Lamplighter's own",
    ),
    ("AWS_", "the AWS CLI and SDKs obey names that begin with AWS_"),
    ("LD_", "the dynamic linker obeys names that begin with LD_"),
];

/// Names that shells and other programs obey.
const OBEYED: [&str; 12] = [
    "BASHOPTS",
    "BASH_ENV",
    "ENV",
    "HOME",
    "IFS",
    "PATH",
    "PROMPT_COMMAND",
    "PS4",
    "PWD",
    "SHELL",
    "SHELLOPTS",
    "TMPDIR",
];

/// What the shipped `child-app.sh`, Terraform, git and HTTP clients obey. Only a row is kept from these: an
/// existing buildspec may well call its action `TERRAFORM_ACTION`.
const OBEYED_PREFIXES: [&str; 8] = [
    "GIT_",
    "STATE_",
    "TERRAFORM_",
    "TF_CLI_",
    "TF_DATA_",
    "TF_LOG",
    "TF_PLUGIN_",
    "TF_WORKSPACE",
];
/// See [`OBEYED_PREFIXES`].
const OBEYED_BY_TOOLS: [&str; 6] = [
    "ALL_PROXY",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "LOCK_WAIT_SECS",
    "MODULE_DIR",
    "NO_PROXY",
];

/// The name of a variable Lamplighter sets.
pub(super) fn ours() -> Rule<String> {
    Rule::new("the name of an environment variable", |text| {
        well_formed(text)?;
        Ok(text.to_owned())
    })
}

fn well_formed(text: &str) -> Result<(), Wrong> {
    let mut bytes = text.bytes();
    let good = bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && text.len() <= 128;
    if !good {
        return Err(Wrong::new(
            "is not the name of an environment variable",
            "use 1 to 128 letters, digits and underscores, not beginning with a digit",
        ));
    }
    let upper = text.to_ascii_uppercase();
    let remedy = "choose another name";
    if let Some((_, why)) = OWNED.iter().find(|(prefix, _)| upper.starts_with(prefix)) {
        return Err(Wrong::new(format!("cannot be used: {why}"), remedy));
    }
    if OBEYED.contains(&upper.as_str()) {
        return Err(Wrong::new("cannot be used: shells obey it", remedy));
    }
    Ok(())
}

/// Whether a row may set this variable.
pub(super) fn check_parameter(text: &str, env: &BuildEnv) -> Result<(), Wrong> {
    well_formed(text)?;
    let upper = text.to_ascii_uppercase();
    let remedy = "choose another name; Terraform reads a variable x from TF_VAR_x";
    if let Some((key, _)) = env.entries().into_iter().find(|(_, name)| *name == text) {
        let problem = format!("is already what a build gets as build_env.{key}");
        return Err(Wrong::new(problem, "choose another name here or there"));
    }
    let obeyed = OBEYED_BY_TOOLS.contains(&upper.as_str())
        || OBEYED_PREFIXES.iter().any(|prefix| upper.starts_with(prefix));
    if obeyed {
        return Err(Wrong::new(
            "cannot be set by a row: programs in the build obey it",
            remedy,
        ));
    }
    Ok(())
}
