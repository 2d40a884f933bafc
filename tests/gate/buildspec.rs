//! The shipped buildspec, played command by command as CodeBuild would, with stand-ins for Terraform and S3.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::support::{Build, Ended, Gate, State, shipped, venv};

const LOCK: &str = "state/child-apps/red-fox-shop.example.com/terraform.tfstate.tflock";
const BUILDERS: &str = "state/child-apps/red-fox-shop.example.com/terraform.tfstate.builders";
const RESCUED: &str = "state/child-apps/red-fox-shop.example.com/terraform.tfstate.errored";

/// The commands of one phase, and those that run after it whatever happened.
struct Phase {
    commands: Vec<String>,
    finally: Vec<String>,
}

/// Reads one phase of the buildspec. It understands the layout of the shipped file, not YAML: a file laid out in
/// another way finds no commands, which the tests notice.
fn phase(name: &str) -> Phase {
    let buildspec = std::fs::read_to_string(shipped("buildspec.yml")).expect("the buildspec is shipped");
    let mut phase = Phase {
        commands: Vec::new(),
        finally: Vec::new(),
    };
    let (mut here, mut list) = (false, "");
    for line in buildspec
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
    {
        let indent = line.len() - line.trim_start().len();
        let word = line.trim();
        match indent {
            2 => here = word.trim_end_matches(':') == name,
            4 => list = word.trim_end_matches(':'),
            6 if here && list == "commands" => phase.commands.push(word.trim_start_matches("- ").to_owned()),
            6 if here && list == "finally" => phase.finally.push(word.trim_start_matches("- ").to_owned()),
            _ => {}
        }
    }
    phase
}

/// A build container with the shipped files as its source, and a bucket beside it.
struct Container {
    source: PathBuf,
    buckets: PathBuf,
    log: PathBuf,
}

impl Container {
    fn start(test: &str) -> Self {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join("buildspec")
            .join(test);
        // A folder from an earlier run may or may not be there.
        let _ = std::fs::remove_dir_all(&root);
        let container = Self {
            source: root.join("source"),
            buckets: root.join("buckets"),
            log: root.join("log"),
        };
        std::fs::create_dir_all(&container.source).expect("a folder is made");
        std::fs::create_dir_all(&container.buckets).expect("a folder is made");
        std::fs::write(&container.log, "").expect("a file is made");
        for file in ["gate.sh", "child-app.sh"] {
            std::fs::copy(shipped(file), container.source.join(file)).expect("the file is shipped");
        }
        container
    }

    /// Plays the build `me` of the operation `op-1`.
    fn play(&self, state: &State, me: &str, more: &[(&'static str, &str)]) -> Ended {
        let stand_ins = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gate/bin");
        let given = [
            ("PATH", format!("{}:/usr/bin:/bin", stand_ins.display())),
            ("REAL_AWS", venv().join("bin/aws").display().to_string()),
            ("STUB_LOG", self.log.display().to_string()),
            ("STUB_BUCKETS", self.buckets.display().to_string()),
            ("ACTION", "apply".to_owned()),
            ("HOST_NAME", "red-fox-shop.example.com".to_owned()),
            ("RESOURCE_NAME", "red-fox-shop-0123abcd".to_owned()),
            ("INSTANCE_ID", "shop-of-jane".to_owned()),
            ("USER_ID", "jane".to_owned()),
            ("STATE_BUCKET", "state".to_owned()),
        ];
        let build = Build::new(me).state_at(state.endpoint());
        let build = given
            .iter()
            .fold(build, |build, (name, value)| build.with(name, value));
        let build = more
            .iter()
            .fold(build, |build, (name, value)| build.with(name, value));
        let mut ended = Ended {
            me: me.to_owned(),
            code: 0,
            said: String::new(),
        };
        for phase in [phase("pre_build"), phase("build")] {
            assert!(
                !phase.commands.is_empty(),
                "the buildspec is laid out in another way than the test reads"
            );
            self.run_until_one_fails(&build, &phase.commands, &mut ended);
            let code = std::mem::take(&mut ended.code);
            self.run_until_one_fails(&build, &phase.finally, &mut ended);
            if code != 0 {
                return Ended { code, ..ended };
            }
        }
        ended
    }

    fn run_until_one_fails(&self, build: &Build, commands: &[String], ended: &mut Ended) {
        for command in commands {
            let mut shell = Command::new("/bin/sh");
            shell
                .args(["-c", command])
                .current_dir(&self.source)
                .env_clear()
                .envs(build.environment());
            let output = shell.output().expect("a shell starts");
            ended.said.push_str(&String::from_utf8_lossy(&output.stderr));
            ended.code = output.status.code().unwrap_or(-1);
            if ended.code != 0 {
                return;
            }
        }
    }

    /// What Terraform was asked to do, one command a line.
    fn terraform(&self) -> String {
        let mut asked = String::new();
        for line in self
            .log()
            .lines()
            .filter_map(|line| line.strip_prefix("terraform "))
        {
            writeln!(asked, "{line}").expect("a string grows");
        }
        asked
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).expect("the log is readable")
    }

    fn put(&self, object: &str, content: &str) {
        let path = self.buckets.join(object);
        std::fs::create_dir_all(path.parent().expect("an object has a folder")).expect("a folder is made");
        std::fs::write(path, content).expect("an object is written");
    }

    fn has(&self, object: &str) -> bool {
        self.buckets.join(object).exists()
    }
}

fn open_gate() -> State {
    let state = State::serve();
    state.put(&Gate::Open);
    state
}

fn lock_of(owner: &str) -> String {
    format!(
        r#"{{"ID":"676e6929-56ee","Operation":"OperationTypeApply","Info":"","Who":"{owner}","Version":"1.11.4"}}"#
    )
}

#[test]
fn a_build_that_passes_applies_under_the_key_of_its_host_name() {
    let container = Container::start("passes");
    container.play(&open_gate(), "shop:1", &[]).assert(0, "passed");
    let asked = container.terraform();
    assert!(
        asked.contains("-backend-config=key=child-apps/red-fox-shop.example.com/terraform.tfstate"),
        "{asked}"
    );
    assert!(asked.contains("-backend-config=use_lockfile=true"), "{asked}");
    assert!(
        asked.ends_with("apply -no-color -lock-timeout=90s -auto-approve -input=false\n"),
        "{asked}"
    );
}

#[test]
fn action_destroy_destroys() {
    let container = Container::start("destroys");
    container
        .play(&open_gate(), "shop:1", &[("ACTION", "destroy")])
        .assert(0, "passed");
    assert!(
        container
            .terraform()
            .ends_with("destroy -no-color -lock-timeout=90s -auto-approve -input=false\n")
    );
}

#[test]
fn a_refused_build_never_reaches_terraform() {
    let state = State::serve();
    state.put(&Gate::Held("shop:1"));
    let container = Container::start("refused");
    container
        .play(&state, "shop:2", &[])
        .assert(90, "was taken by build shop:1");
    assert_eq!(container.log(), "");
}

#[test]
fn a_hostile_value_reaches_terraform_as_it_is_and_runs_nothing() {
    let container = Container::start("hostile");
    let hostile = r#"jane'"; $(touch pwned) `touch pwned` -var x=y"#;
    container
        .play(&open_gate(), "shop:1", &[("USER_ID", hostile)])
        .assert(0, "passed");
    assert!(
        container.log().contains(&format!("TF_VAR_user_id={hostile}\n")),
        "{}",
        container.log()
    );
    assert!(!container.source.join("pwned").exists());
}

#[test]
fn a_host_name_that_would_change_the_key_of_the_state_is_refused() {
    let container = Container::start("host-name");
    let ended = container.play(&open_gate(), "shop:1", &[("HOST_NAME", "../other")]);
    ended.assert(1, "HOST_NAME is not a host name");
    assert_eq!(container.terraform(), "");
}

#[test]
fn a_lock_that_an_earlier_build_left_is_removed() {
    let container = Container::start("left-behind");
    container.put(BUILDERS, "root@dead-container\n");
    container.put(LOCK, &lock_of("root@dead-container"));
    let ended = container.play(&open_gate(), "shop:1", &[]);
    ended.assert(0, "the build container root@dead-container left behind");
    assert!(
        container
            .terraform()
            .contains("force-unlock -no-color -force 676e6929-56ee\n")
    );
}

#[test]
fn a_lock_of_a_person_at_work_stays() {
    let container = Container::start("person");
    container.put(BUILDERS, "root@dead-container\n");
    container.put(LOCK, &lock_of("jane@laptop"));
    container
        .play(&open_gate(), "shop:1", &[])
        .assert(1, "the state is locked by jane@laptop");
    assert!(!container.terraform().contains("force-unlock"));
    assert!(container.has(LOCK));
}

#[test]
fn a_state_that_could_not_be_saved_is_put_away_and_brought_back_by_the_next_build() {
    let container = Container::start("errored");
    let cannot_save = [("STUB_CANNOT_SAVE", "yes")];
    container
        .play(&open_gate(), "shop:1", &cannot_save)
        .assert(1, "could not save its state");
    assert!(container.has(RESCUED));

    // The next build has a container, and so a folder, of its own; the bucket is the same.
    std::fs::remove_file(container.source.join("errored.tfstate")).expect("Terraform left its state there");
    let next = Container {
        log: container.log.with_file_name("log-of-the-next"),
        ..container
    };
    next.play(&open_gate(), "shop:2", &[])
        .assert(0, "bringing it back");
    let asked = next.terraform();
    let (pushed, applied) = (asked.find("state push"), asked.find("apply"));
    assert!(
        pushed.is_some() && pushed < applied,
        "the state comes back before anything is built: {asked}"
    );
    assert!(!next.has(RESCUED));
}
