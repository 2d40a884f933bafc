//! What is logged, and how that is changed while the daemon runs: for a while, after which it is again what the
//! configuration says, so that nobody's look at the details fills a disk for weeks.

use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tracing_subscriber::fmt::format::{DefaultFields, FormatEvent};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, reload};

/// The scheduler tells of its own set-up at the level of news.
const QUIET: &str = "tokio_cron_scheduler=warn";

/// What others log in more detail than this holds rows, parameters and keys as they came.
const CAPPED: [&str; 14] = [
    "aws_config",
    "aws_runtime",
    "aws_sdk_codebuild",
    "aws_sdk_dynamodb",
    "aws_sdk_ecs",
    "aws_sdk_elasticloadbalancingv2",
    "aws_sigv4",
    "aws_smithy",
    "dynoxide",
    "h2",
    "hyper",
    "rustls",
    "simcloud",
    "tower",
];

/// Which lines are logged.
pub struct Levels {
    /// As the configuration has it.
    configured: String,
    state: Mutex<State>,
}

struct State {
    /// What holds instead, and until when.
    instead: Option<Instead>,
    /// Puts a filter in force; `None`: nothing is logged here.
    apply: Option<Box<dyn Fn(EnvFilter) + Send>>,
}

/// A filter that holds for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instead {
    /// Directives, as `log.filter` has them.
    pub filter: String,
    /// Until when.
    pub until: Timestamp,
}

/// Reads directives such as `info,lamplighter=debug`; the error continues a sentence that begins with them.
pub fn check(directives: &str) -> Result<(), &'static str> {
    if directives.trim().is_empty() {
        return Err("is empty");
    }
    // The parser panics on some text that is not ASCII, and no target of ours is.
    if !directives.is_ascii() || EnvFilter::builder().parse(directives).is_err() {
        return Err("is not a list of log directives");
    }
    // A directive about spans would hold for whatever is logged inside, by whomever.
    if directives.contains('[') {
        return Err("asks for spans, which are not to be chosen here");
    }
    let mut parts = directives.split(',').map(str::trim);
    if parts.any(|part| CAPPED.iter().any(|target| part.starts_with(target))) {
        return Err("asks for lines of the AWS SDK or of HTTP, which hold rows and keys as they came");
    }
    Ok(())
}

fn filter(directives: &str) -> EnvFilter {
    let mut filter = EnvFilter::new(format!("{QUIET},{directives}"));
    // The longest name of a target counts, so that these hold whatever the rest says of all.
    for target in CAPPED {
        let most = format!("{target}=info").parse();
        filter = filter.add_directive(most.expect("a name and a level are a directive"));
    }
    filter
}

impl Levels {
    /// Levels of a process that logs nothing, such as a test.
    pub fn unlogged(directives: &str) -> Arc<Self> {
        Arc::new(Self::new(directives, None))
    }

    fn new(directives: &str, apply: Option<Box<dyn Fn(EnvFilter) + Send>>) -> Self {
        Self {
            configured: directives.to_owned(),
            state: Mutex::new(State { instead: None, apply }),
        }
    }

    /// As the configuration has it.
    pub fn configured(&self) -> &str {
        &self.configured
    }

    /// What holds instead now.
    pub fn instead(&self) -> Option<Instead> {
        self.state().instead.clone()
    }

    /// Logs by other directives, which [`check`] has found good, until [`Levels::end`] is told that their time is over.
    pub fn set(&self, instead: Instead) {
        let mut state = self.state();
        state.put(&instead.filter);
        state.instead = Some(instead);
    }

    /// Logs as the configuration has it.
    pub fn reset(&self) {
        let mut state = self.state();
        if state.instead.take().is_some() {
            state.put(&self.configured);
        }
    }

    /// Does so if it is still this that holds instead, and says whether it was. Whoever waited for its end says so: the
    /// clock on the wall may have gone back meanwhile.
    pub fn end(&self, instead: &Instead) -> bool {
        let mut state = self.state();
        let holds = state.instead.as_ref() == Some(instead);
        if holds {
            state.instead = None;
            state.put(&self.configured);
        }
        holds
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Both parts are set in one go, so a panic elsewhere leaves them as they belong together.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn put(&self, directives: &str) {
        if let Some(apply) = &self.apply {
            apply(filter(directives));
        }
    }
}

/// One JSON object in every line of standard error.
pub fn json(directives: &str) -> Arc<Levels> {
    let (filter, levels) = reloadable(directives);
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_span_list(false)
        .with_writer(std::io::stderr);
    tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .init();
    levels
}

/// Lines for people on standard error.
pub fn pretty(directives: &str) -> Arc<Levels> {
    let (filter, levels) = reloadable(directives);
    let lines = tracing_subscriber::fmt::layer()
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .init();
    levels
}

/// Lines of a form of one's own on standard error.
pub fn formed(
    directives: &str,
    form: impl FormatEvent<Registry, DefaultFields> + Send + Sync + 'static,
) -> Arc<Levels> {
    let (filter, levels) = reloadable(directives);
    let lines = tracing_subscriber::fmt::layer()
        .event_format(form)
        .with_writer(std::io::stderr);
    tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .init();
    levels
}

type Reloadable = reload::Layer<EnvFilter, Registry>;

fn reloadable(directives: &str) -> (Reloadable, Arc<Levels>) {
    let (layer, handle) = reload::Layer::new(filter(directives));
    let apply = move |filter| {
        // It fails only when the subscriber is gone, and with it all lines.
        let _ = handle.reload(filter);
    };
    (layer, Arc::new(Levels::new(directives, Some(Box::new(apply)))))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_holds_instead_ends_with_its_own_time_and_no_other() {
        let put = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&put);
        let levels = Levels::new(
            "warn",
            Some(Box::new(move |filter: EnvFilter| {
                seen.lock().unwrap().push(filter.to_string());
            })),
        );
        let until: Timestamp = "2026-11-20T10:00:00Z".parse().unwrap();
        let instead = Instead {
            filter: "lamplighter=trace".to_owned(),
            until,
        };
        let later = Instead {
            until: until + jiff::SignedDuration::from_secs(1),
            ..instead.clone()
        };
        levels.set(instead.clone());
        assert!(!levels.end(&later), "that is another one");
        assert_eq!(levels.instead(), Some(instead.clone()));
        assert!(levels.end(&instead));
        assert!(!levels.end(&instead), "once");
        levels.reset();
        let put = put.lock().unwrap();
        assert_eq!(put.len(), 2, "{put:?}");
        assert!(
            put[0].contains("lamplighter=trace") && put[1].contains("warn"),
            "{put:?}"
        );
        assert!(put.iter().all(|filter| filter.contains(QUIET)));
    }

    #[test]
    fn what_holds_rows_as_they_came_is_logged_by_no_directive() {
        let told = filter("trace").to_string();
        for target in CAPPED {
            assert!(told.contains(&format!("{target}=info")), "{told}");
        }
    }

    #[test]
    fn directives_that_cannot_be_read_are_named() {
        assert_eq!(check("info,lamplighter=debug"), Ok(()));
        assert_eq!(check(" "), Err("is empty"));
        for secret in ["aws_smithy_runtime::client=trace", "info,hyper=trace"] {
            assert!(check(secret).unwrap_err().contains("as they came"), "{secret}");
        }
        assert!(check("[reconcile]=trace").unwrap_err().contains("spans"));
        for wrong in ["lamplighter=loud", "\u{e9}=info", "[{=debug"] {
            assert_eq!(check(wrong), Err("is not a list of log directives"), "{wrong}");
        }
    }
}
