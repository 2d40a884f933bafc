//! Names and identifiers: each is parsed once, at the edge, and trusted afterwards.
//!
//! Nothing ever maps a shortened name back to an app: a [`ResourceName`] is computed from the whole
//! [`HostName`], and memory and tags keep the whole one.

use std::fmt;

use jiff::Timestamp;
use petname::{Generator as _, Petnames};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use sha2::{Digest as _, Sha256};

/// Declares a string newtype that is opaque to arithmetic, cheap to read in logs and cheap to copy: every stage of a
/// pass has its own copy of what concerns it, and most of that is names.
macro_rules! text {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                <String as serde::Deserialize>::deserialize(from).map(|text| Self(text.into()))
            }
        }
    };
}
pub(super) use text;

/// Declares a string newtype whose values come from configuration or from AWS and carry no rule of ours.
macro_rules! plain_text {
    ($(#[$doc:meta])* $name:ident) => {
        text!($(#[$doc])* $name);

        impl $name {
            /// Takes the text as it is.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into().into())
            }
        }
    };
}

text! {
    /// The key of a desired row, as the table holds it. A key that breaks the rule for ids still names a
    /// row, so that the row can be told what is wrong with it; see [`AppId::is_well_formed`].
    AppId
}
text! {
    /// A full, lower-case DNS host name (RFC 1123). Two apps never hold the same one.
    HostName
}
text! {
    /// The AWS resource name derived from a host name: at most 32 characters, which is the limit of load
    /// balancers and target groups.
    ResourceName
}
text! {
    /// One intent to run one build; also the idempotency token and the name of the gate. A ULID.
    OperationId
}
text! {
    /// The owner of an app: 1 to 128 printable characters.
    User
}
plain_text! {
    /// The name of a catalogue entry.
    AppName
}
plain_text! {
    /// A CodeBuild build id, `project:uuid`.
    BuildId
}
plain_text! {
    /// A CodeBuild project name.
    ProjectName
}
plain_text! {
    /// An ECS cluster name.
    ClusterName
}

impl AppId {
    /// The longest key we can remember: DynamoDB allows 2048 bytes and ours carries the prefix `app#`.
    pub const BYTES_MAX: usize = 2044;

    /// Takes a table key. `None` when it is empty or too long to be remembered.
    pub fn from_key(key: impl Into<String>) -> Option<Self> {
        let key = key.into();
        (!key.is_empty() && key.len() <= Self::BYTES_MAX).then(|| Self(key.into()))
    }

    /// Whether the id follows the rule `[a-z0-9][a-z0-9-]{0,62}`.
    pub fn is_well_formed(&self) -> bool {
        let bytes = self.0.as_bytes();
        bytes.len() <= 63
            && bytes
                .first()
                .is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
            && bytes
                .iter()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
    }
}

impl User {
    /// The most characters a user name may have.
    pub const CHARS_MAX: usize = 128;

    /// Parses an owner; the error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let chars = text.chars().count();
        if chars == 0 {
            Err("is empty")
        } else if chars > Self::CHARS_MAX {
            Err("is longer than 128 characters")
        } else if text.chars().any(char::is_control) {
            Err("holds control characters")
        } else {
            Ok(Self(text.into()))
        }
    }
}

impl HostName {
    /// Parses a host name; the error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Err("is empty");
        }
        if text.len() > 253 {
            return Err("is longer than 253 characters");
        }
        let label_is_good = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        if text.split('.').all(label_is_good) {
            Ok(Self(text.into()))
        } else {
            Err(
                "is not a lower-case DNS name (labels of a-z, 0-9 and inner hyphens, 1 to 63 characters each)",
            )
        }
    }

    /// Whether the name lies below `domain`, at whatever depth. A domain does not lie below itself.
    pub fn is_below(&self, domain: &str) -> bool {
        self.0
            .strip_suffix(domain)
            .is_some_and(|rest| domain.is_empty() || (rest.len() > 1 && rest.ends_with('.')))
    }

    /// Makes a host name of three words and the app, below `domain`. Equal entropy gives an equal name.
    pub fn generate(entropy: Entropy, app: &AppName, domain: &str) -> Self {
        let mut words = String::new();
        Petnames::default().generate_into(&mut words, &mut entropy.rng(), 3, "-");
        let first: String = slug(&format!("{words}-{app}")).chars().take(63).collect();
        let first = first.trim_end_matches('-');
        Self(if domain.is_empty() {
            first.into()
        } else {
            format!("{first}.{domain}").into()
        })
    }
}

impl ResourceName {
    /// The limit that load balancers and target groups set.
    pub const CHARS_MAX: usize = 32;

    /// A name that something else has chosen: of a service that is there already.
    pub fn existing(text: &str) -> Option<Self> {
        // ECS: up to 255 letters, digits, underscores and hyphens.
        let good = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        ((1..=255).contains(&text.len()) && text.chars().all(good)).then(|| Self(text.into()))
    }

    /// The resource name of a host: its slug cut to fit, then eight hex digits of its SHA-256.
    pub fn for_host(host: &HostName) -> Self {
        let tail = hex::encode(&Sha256::digest(host.as_str().as_bytes())[..4]);
        let head: String = slug(host.as_str())
            .chars()
            .take(Self::CHARS_MAX - tail.len() - 1)
            .collect();
        Self(format!("{}-{tail}", head.trim_matches('-')).into())
    }
}

impl OperationId {
    /// An id as a build's environment has it; `None`: it is none of ours.
    pub fn parse(text: &str) -> Option<Self> {
        ulid::Ulid::from_string(text).ok().map(|_| Self(text.into()))
    }

    /// A fresh id that sorts by `now`.
    pub fn generate(entropy: Entropy, now: Timestamp) -> Self {
        Self(ulid_at(entropy, now).into())
    }
}

/// Sixteen random bytes, drawn by the controller for one pass, so that deciding needs no randomness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entropy(pub [u8; 16]);

impl Entropy {
    fn rng(self) -> ChaCha8Rng {
        let mut seed = [0; 32];
        seed[..16].copy_from_slice(&self.0);
        ChaCha8Rng::from_seed(seed)
    }

    /// Other randomness of the same pass, for the `nth` thing that must not share a name with what else the pass makes.
    #[must_use]
    pub fn apart(self, nth: u8) -> Self {
        Self(self.0.map(|byte| byte ^ nth))
    }

    /// A number in `0..1`, for jitter.
    pub fn fraction(self) -> f64 {
        let head = u32::from_le_bytes([self.0[0], self.0[1], self.0[2], self.0[3]]);
        f64::from(head) / (f64::from(u32::MAX) + 1.0)
    }
}

/// A ULID: 48 bits of milliseconds, then 80 random bits.
pub(crate) fn ulid_at(entropy: Entropy, at: Timestamp) -> String {
    let millis = u64::try_from(at.as_millisecond()).unwrap_or(0);
    ulid::Ulid::from_parts(millis, u128::from_le_bytes(entropy.0)).to_string()
}

/// Lower-case letters, digits and single hyphens; never starts or ends with a hyphen.
fn slug(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            out.push(c.to_ascii_lowercase());
        } else if !out.ends_with('-') && !out.is_empty() {
            out.push('-');
        }
    }
    out.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn host(text: &str) -> HostName {
        HostName::parse(text).unwrap()
    }

    #[test]
    fn a_resource_name_ends_with_the_digest_of_the_whole_host() {
        let name = ResourceName::for_host(&host("brave-sunny-otter-shop.apps.example.com"));
        assert!(name.as_str().len() <= 32, "{name}");
        assert!(name.as_str().starts_with("brave-sunny-otter-shop-"), "{name}");
    }

    #[test]
    fn a_host_lies_below_a_domain_by_whole_labels() {
        for (name, below) in [
            ("a.apps.example.com", true),
            ("a.b.apps.example.com", true),
            ("apps.example.com", false),
            ("evilapps.example.com", false),
            ("apps.example.com.evil.net", false),
            ("localhost", false),
        ] {
            assert_eq!(host(name).is_below("apps.example.com"), below, "{name}");
        }
    }

    #[test]
    fn a_generated_host_has_three_words_and_the_app() {
        let made = HostName::generate(Entropy([7; 16]), &AppName::new("Shop_1"), "apps.example.com");
        assert_eq!(
            made,
            HostName::generate(Entropy([7; 16]), &AppName::new("Shop_1"), "apps.example.com")
        );
        assert_ne!(
            made,
            HostName::generate(Entropy([8; 16]), &AppName::new("Shop_1"), "apps.example.com")
        );
        let first = made.as_str().split('.').next().unwrap();
        assert!(first.ends_with("-shop-1"), "{made}");
        assert_eq!(first.split('-').count(), 5, "{made}");
        assert_eq!(HostName::parse(made.as_str()).unwrap(), made);
    }

    #[test]
    fn ids_outside_the_rule_are_kept_but_not_well_formed() {
        for bad in ["", "-a", "A", "a b", "../x", "ä", &"a".repeat(64)] {
            assert!(
                !AppId::from_key(bad).is_some_and(|id| id.is_well_formed()),
                "{bad:?}"
            );
        }
        assert!(AppId::from_key("a".repeat(63)).unwrap().is_well_formed());
        assert!(AppId::from_key("x".repeat(2045)).is_none());
    }

    proptest! {
        #[test]
        fn resource_names_fit_aws_and_differ_when_hosts_differ(
            a in "[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?(\\.[a-z0-9]{1,20}){0,3}",
            b in "[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?(\\.[a-z0-9]{1,20}){0,3}",
        ) {
            let (a, b) = (host(&a), host(&b));
            let (left, right) = (ResourceName::for_host(&a), ResourceName::for_host(&b));
            for name in [&left, &right] {
                prop_assert!(name.as_str().len() <= ResourceName::CHARS_MAX);
                prop_assert!(!name.as_str().starts_with('-') && !name.as_str().ends_with('-'));
                prop_assert!(name.as_str().bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-'));
            }
            prop_assert_eq!(a == b, left == right);
        }

        #[test]
        fn any_text_is_a_host_name_or_an_error(text in ".*") {
            if let Ok(host) = HostName::parse(&text) {
                prop_assert!(ResourceName::for_host(&host).as_str().len() <= 32);
            }
        }

        #[test]
        fn every_generated_host_is_valid(seed in any::<[u8; 16]>(), app in ".{0,80}") {
            let made = HostName::generate(Entropy(seed), &AppName::new(app), "apps.example.com");
            prop_assert!(HostName::parse(made.as_str()).is_ok(), "{}", made);
        }
    }
}
