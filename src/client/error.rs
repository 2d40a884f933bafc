//! What can go wrong for a person at a terminal, by what they do next.

use std::fmt;
use std::io;

use super::paper::shown;
use crate::api::dto::ProblemDocument;

/// Why a verb was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// What was typed makes no sense.
    #[error("{0}")]
    Usage(String),
    /// The daemon said no.
    #[error("{}", Told(.0))]
    Refused(Box<ProblemDocument>),
    /// There is no row to change.
    #[error(
        "there is no row of {}, so nothing was changed; `apps get` shows what is left of it",
        shown(id)
    )]
    NoRow {
        /// The app.
        id: String,
    },
    /// Something answered, but not as the daemon does.
    #[error("{server} answered something unexpected ({what}); is it Lamplighter's public port?")]
    Unexpected {
        /// Who was asked.
        server: String,
        /// What came.
        what: String,
    },
    /// Nothing answered.
    #[error(
        "no daemon answers at {server} ({why}); start one with `lamplighter run` or `lamplighter dev`, or name another with --server or LAMPLIGHTER_SERVER"
    )]
    Unreachable {
        /// Who was asked.
        server: String,
        /// The cause.
        why: String,
    },
    /// The result could not be printed.
    #[error("the result could not be printed")]
    Output(#[from] io::Error),
}

impl ClientError {
    /// The process's exit code: 1 the server said no, 2 usage, 3 unreachable.
    pub fn exit_code(&self) -> u8 {
        match self {
            ClientError::Refused(_)
            | ClientError::NoRow { .. }
            | ClientError::Unexpected { .. }
            | ClientError::Output(_) => 1,
            ClientError::Usage(_) => 2,
            ClientError::Unreachable { .. } => 3,
        }
    }
}

/// A problem document as lines: what, then each field with its remedy.
struct Told<'a>(&'a ProblemDocument);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(document) = self;
        write!(
            f,
            "{} ({}): {}",
            shown(&document.title),
            shown(&document.code),
            shown(&document.detail)
        )?;
        for problem in &document.problems {
            write!(
                f,
                "\n  {} {}: {}",
                shown(&problem.field),
                shown(&problem.problem),
                shown(&problem.remedy)
            )?;
        }
        Ok(())
    }
}
