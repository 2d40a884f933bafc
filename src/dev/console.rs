//! How `lamplighter dev` writes log lines: time, app, phase and a sentence. What an operator would look
//! up by (operation, build, rule) is left out; `lamplighter apps get` shows it.

use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::clock::{Clock as _, SystemClock};
use crate::model::Timestamp;

/// Writes a log line for a person at a terminal.
#[derive(Clone, Copy, Debug)]
pub struct ForPeople;

impl<S, N> FormatEvent<S, N> for ForPeople
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut parts = Parts::default();
        event.record(&mut parts);
        writeln!(to, "{}", parts.line(*event.metadata().level(), SystemClock.now()))
    }
}

/// What identifies things for machines, not for people.
const LEFT_OUT: [&str; 4] = ["rule", "reason", "operation", "build"];

#[derive(Default)]
struct Parts {
    app: Option<String>,
    phase: Option<String>,
    message: String,
    rest: String,
}

impl Parts {
    fn line(&self, level: Level, now: Timestamp) -> String {
        let level = if level == Level::INFO {
            String::new()
        } else {
            format!("{level} ")
        };
        // Aligned as long as names are short, which they are in an example.
        let column = |part: &Option<String>| {
            part.as_ref()
                .map(|text| format!("{text:<10} "))
                .unwrap_or_default()
        };
        let (app, phase) = (column(&self.app), column(&self.phase));
        let time = now.strftime("%H:%M:%S");
        format!("{time} {level}{app}{phase}{}{}", self.message, self.rest)
    }
}

impl Visit for Parts {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let name = field.name();
        let text = format!("{value:?}");
        match name {
            "app" => self.app = Some(text),
            "phase" => self.phase = Some(text),
            "message" => self.message = text,
            _ if LEFT_OUT.contains(&name) => {}
            _ => {
                // Writing to a string cannot fail.
                let _ = write!(self.rest, " {name}={text}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no writer panics").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is written of the events in `of`, each line without its time.
    fn written(of: impl FnOnce()) -> String {
        let to = Written::default();
        let writer = to.clone();
        let subscriber = tracing_subscriber::fmt()
            .event_format(ForPeople)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, of);
        let bytes = to.0.lock().expect("no writer panics").clone();
        let text = String::from_utf8(bytes).expect("lines are text");
        text.lines()
            .map(|line| format!("{}\n", &line["00:00:00 ".len()..]))
            .collect()
    }

    #[test]
    fn a_line_is_the_app_its_phase_and_a_sentence() {
        let text = written(|| {
            let (phase, build) = (crate::model::status::Phase::Ready, "child-app:1");
            tracing::info!(app = "demo-ann", %phase, rule = "Row", reason = "Ready", build, "It answers.");
            tracing::info!(version = "0.1.0", "lamplighter starts");
        });
        assert_eq!(
            text,
            "demo-ann   Ready      It answers.\nlamplighter starts version=0.1.0\n"
        );
    }

    #[test]
    fn what_is_worse_than_news_says_so_and_why() {
        let text = written(|| {
            tracing::warn!(
                app = "demo-ann",
                error = "broken pipe",
                "the call did not succeed"
            );
        });
        assert_eq!(
            text,
            "WARN demo-ann   the call did not succeed error=broken pipe\n"
        );
    }
}
