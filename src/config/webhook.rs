//! Reads where warnings go, and the secret that they are signed with: from a file or a variable, never from the
//! configuration itself, which people print and copy.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::SignedDuration;

use super::rule::{Rule, Wrong, duration};
use super::section::Section;
use super::values;

/// Where warnings go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// The URL: https, or http on this machine.
    pub url: String,
    /// What messages are signed with.
    pub secret: WebhookSecret,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// How long a warning is tried to be delivered. It is not tried beyond its stop.
    pub give_up_after: SignedDuration,
}

/// A key that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret(Vec<u8>);

impl WebhookSecret {
    /// Reads `whsec_` and base64 of 24 to 64 bytes, as Standard Webhooks has it; the error says what is wrong, and
    /// never what was read.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let encoded = text
            .trim()
            .strip_prefix("whsec_")
            .ok_or("does not begin with whsec_")?;
        let key = STANDARD
            .decode(encoded)
            .map_err(|_| "is not base64 after whsec_")?;
        if (24..=64).contains(&key.len()) {
            Ok(Self(key))
        } else {
            Err("has not 24 to 64 bytes")
        }
    }

    /// The key.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(..)")
    }
}

/// Larger files are taken for a mistake.
const FILE_BYTES_MAX: u64 = 4096;

pub(super) fn webhook(root: &mut Section<'_>) -> Option<Webhook> {
    let mut section = root.section("webhook").keep_secret();
    let url = section.optional("url", &values::webhook());
    let (folder, environment) = (section.book.outside.folder, section.book.outside.environment);
    let folder = folder.to_owned();
    let in_file = Rule::new("the path of a file that holds whsec_ and base64", move |path| {
        secret(&read(&folder.join(path))?)
    });
    let environment = environment.clone();
    let in_variable = Rule::new(
        "the name of a variable that holds whsec_ and base64",
        move |name| {
            let remedy = "set it, or name another; the secret itself does not belong here";
            let value = environment
                .get(name)
                .ok_or_else(|| Wrong::new("is not set", remedy))?;
            secret(value)
        },
    );
    let from_file = section.optional("secret_file", &in_file);
    let from_variable = section.optional("secret_env", &in_variable);
    let second = SignedDuration::from_secs;
    let timeout = section.or_default("timeout", &duration(second(1), second(60)), "5s");
    let give_up_after = section.or_default(
        "give_up_after",
        &duration(SignedDuration::from_mins(1), SignedDuration::from_hours(24)),
        "15m",
    );
    let (has_file, has_variable) = (section.has("secret_file"), section.has("secret_env"));
    if !section.has("url") && (has_file || has_variable) {
        let key = if has_file { "secret_file" } else { "secret_env" };
        section.wrong(
            key,
            Wrong::new(
                "signs nothing: there is no webhook.url",
                "give url, or leave it out",
            ),
        );
    }
    if section.has("url") && has_file == has_variable {
        let problem = if has_file {
            "has two secrets: secret_file and secret_env"
        } else {
            "has no secret to sign with"
        };
        section.wrong(
            "url",
            Wrong::new(problem, "give one of secret_file and secret_env"),
        );
    }
    section.finish();
    Some(Webhook {
        url: url?,
        secret: from_file.or(from_variable)?,
        timeout: timeout.try_into().expect("no rule allows a negative duration"),
        give_up_after,
    })
}

fn secret(text: &str) -> Result<WebhookSecret, Wrong> {
    WebhookSecret::parse(text).map_err(|problem| {
        Wrong::new(
            format!("holds a secret that {problem}"),
            "make one with: echo \"whsec_$(openssl rand -base64 32)\"",
        )
    })
}

fn read(path: &Path) -> Result<String, Wrong> {
    let unreadable = |error: &dyn fmt::Display| {
        Wrong::new(
            format!("cannot be read ({error})"),
            "give the path of a file that the daemon may read, seen from the folder of this one",
        )
    };
    let length = std::fs::metadata(path).map_err(|error| unreadable(&error))?.len();
    if length > FILE_BYTES_MAX {
        return Err(Wrong::new(
            "is larger than any secret",
            "name a file that holds the secret alone",
        ));
    }
    std::fs::read_to_string(path).map_err(|error| unreadable(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_whsec_and_base64_of_enough_bytes_and_is_never_printed() {
        let good = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let secret = WebhookSecret::parse(&format!("{good}\n"));
        assert!(secret.as_ref().is_ok_and(|secret| secret.as_bytes().len() == 24));
        assert!(!format!("{secret:?}").contains("Mf"));
        for bad in [
            "",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_",
            "whsec_AAAA",
            "whsec_!!",
            "WHSEC_MfKQ",
        ] {
            assert!(WebhookSecret::parse(bad).is_err(), "{bad}");
        }
    }
}
