//! What went wrong at the edge, by what the caller does next.

use std::error::Error as StdError;

use super::text::one_line;

/// The most characters of an error and its causes.
const CHAIN_MAX: usize = 1_000;

/// The result of a call.
pub type Result<T> = std::result::Result<T, Error>;

type Cause = Box<dyn StdError + Send + Sync>;

/// A call that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// AWS asks us to slow down. The call did not take effect.
    #[error("{call} was throttled")]
    Throttled {
        /// Service and operation, for example `codebuild.StartBuild`.
        call: &'static str,
        /// The SDK's error.
        #[source]
        cause: Cause,
    },
    /// The account may not have more of this now (AWS: `AccountLimitExceededException`). The call did not
    /// take effect, and trying again soon will not help.
    #[error("{call} met a limit of the account: {message}")]
    LimitReached {
        /// Service and operation.
        call: &'static str,
        /// AWS's sentence.
        message: String,
    },
    /// We may not make this call: a policy or the credentials have to change.
    #[error("{call} was denied: {message}")]
    Denied {
        /// Service and operation.
        call: &'static str,
        /// AWS's sentence, which names the permission.
        message: String,
    },
    /// What the call names does not exist: a project, a cluster, a table.
    #[error("{call} found no {what}")]
    NotFound {
        /// Service and operation.
        call: &'static str,
        /// What was looked for.
        what: String,
    },
    /// AWS understood the call and refused it; repeating it will not help. The call did not take effect.
    #[error("{call} was rejected: {code}: {message}")]
    Rejected {
        /// Service and operation.
        call: &'static str,
        /// AWS's error code.
        code: String,
        /// AWS's sentence.
        message: String,
    },
    /// No answer, or none that can be read: the call may or may not have taken effect.
    #[error("{call} gave no usable answer")]
    Unavailable {
        /// Service and operation.
        call: &'static str,
        /// The SDK's error.
        #[source]
        cause: Cause,
    },
    /// An answer came, and it does not fit what is known of the service or of our own items.
    #[error("{call} answered something unexpected: {problem}")]
    Unreadable {
        /// Service and operation.
        call: &'static str,
        /// What does not fit.
        problem: String,
    },
}

impl Error {
    /// Whether waiting may cure it: everything but a definite refusal.
    pub fn is_transient(&self) -> bool {
        match self {
            Error::Throttled { .. } | Error::LimitReached { .. } | Error::Unavailable { .. } => true,
            Error::Denied { .. }
            | Error::NotFound { .. }
            | Error::Rejected { .. }
            | Error::Unreadable { .. } => false,
        }
    }

    /// The error and its causes in one line of bounded length.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            let next = error.to_string();
            if !text.contains(&next) {
                text.push_str(": ");
                text.push_str(&next);
            }
            cause = error.source();
        }
        // The SDK quotes what it cannot read, however long it is.
        one_line(&text, CHAIN_MAX)
    }
}
