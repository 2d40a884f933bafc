//! A program that runs beside the test, and never outlives it.

use std::fs::File;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::{Scratch, until, until_within};

/// A running program, with what it has written so far.
pub(crate) struct Program {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
    /// Held open: some programs end when it ends.
    _stdin: Option<ChildStdin>,
}

/// How a program may be asked to end.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Signal {
    Interrupt,
    Terminate,
    Kill,
}

impl Program {
    /// Starts it. What it writes goes to files in `scratch` that begin with `name`.
    pub(crate) fn start(scratch: &Scratch, name: &str, command: &mut Command) -> Self {
        let stdout = scratch.file(&format!("{name}.out"));
        let stderr = scratch.file(&format!("{name}.err"));
        let create = |path: &PathBuf| File::create(path).expect("a file is made");
        command.stdout(create(&stdout)).stderr(create(&stderr));
        let mut child = command.stdin(Stdio::piped()).spawn().expect("the program starts");
        let stdin = child.stdin.take();
        Self {
            child,
            stdout,
            stderr,
            _stdin: stdin,
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn printed(&self) -> String {
        std::fs::read_to_string(&self.stdout).expect("output is text")
    }

    pub(crate) fn logged(&self) -> String {
        std::fs::read_to_string(&self.stderr).expect("output is text")
    }

    /// Waits for a line of its output that holds `text`, and gives the line.
    #[track_caller]
    pub(crate) fn prints(&mut self, text: &str) -> String {
        until(&format!("a line with {text:?}"), || {
            self.assert_runs();
            // A line is complete once it has ended.
            let printed = self.printed();
            let complete = &printed[..printed.rfind('\n').map_or(0, |end| end + 1)];
            let found = complete.lines().find(|line| line.contains(text));
            found.map(str::to_owned).ok_or_else(|| self.tail())
        })
    }

    /// Fails if it has ended.
    #[track_caller]
    pub(crate) fn assert_runs(&mut self) {
        if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
            panic!("it ended with {status}: {}", self.tail());
        }
    }

    fn tail(&self) -> String {
        let last = |text: String| {
            let lines: Vec<&str> = text.lines().collect();
            lines[lines.len().saturating_sub(15)..].join("\n")
        };
        format!(
            "it printed\n{}\nand logged\n{}",
            last(self.printed()),
            last(self.logged())
        )
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let name = match signal {
            Signal::Interrupt => "-INT",
            Signal::Terminate => "-TERM",
            Signal::Kill => "-KILL",
        };
        let sent = Command::new("kill")
            .args([name, &self.child.id().to_string()])
            .status();
        let _ = sent.expect("kill is there");
    }

    /// Waits for its end, and gives what it ended with and how long that took.
    #[track_caller]
    pub(crate) fn end(&mut self) -> (ExitStatus, Duration) {
        let began = Instant::now();
        let status = until("its end", || {
            let status = self.child.try_wait().expect("a child can be waited for");
            status.ok_or_else(|| "it still runs".to_owned())
        });
        (status, began.elapsed())
    }

    /// Asks it to end and waits until it has.
    #[track_caller]
    pub(crate) fn stop(&mut self, signal: Signal) -> (ExitStatus, Duration) {
        self.signal(signal);
        self.end()
    }
}

/// Waits until nobody listens there any more.
#[track_caller]
pub(crate) fn closed(url: &str) {
    let address = url.trim_start_matches("http://");
    until_within(
        Duration::from_secs(2),
        "the port is closed",
        || match TcpStream::connect(address) {
            Err(_) => Ok(()),
            Ok(_) => Err(format!("{address} still takes connections")),
        },
    );
}

impl Drop for Program {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The harness shows what a failed test writes here.
            eprintln!("--- {}", self.tail());
        }
        if matches!(self.child.try_wait(), Ok(None)) {
            // First asked, because it may have children of its own.
            self.signal(Signal::Terminate);
            let asked = Instant::now();
            while matches!(self.child.try_wait(), Ok(None)) && asked.elapsed() < Duration::from_secs(5) {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
