//! A broker, a primary, and the program that watches it.

use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use backup_tracker::{BackupState, BackupTracker, PrimaryBackupTracker};
use backup_tracker_kafka::Kafka;
use backup_tracker_kafka::rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use backup_tracker_kafka::rdkafka::mocking::MockCluster;
use backup_tracker_kafka::rdkafka::producer::DefaultProducerContext;
use backup_tracker_kafka::rdkafka::{ClientConfig, TopicPartitionList};
use rustix::process::Pid;
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::forks;
use crate::lines::Lines;
pub(crate) use crate::lines::PATIENCE;
use crate::process::ends;

pub(crate) struct Bench {
    primary: Primary,
    pub(crate) mock: MockCluster<'static, DefaultProducerContext>,
}

/// A primary of `shop`, on a runtime of its own.
pub(crate) struct Primary {
    tracker: PrimaryBackupTracker,
    runtime: Runtime,
}

impl Primary {
    fn new(servers: &str) -> Self {
        let runtime = Runtime::new().unwrap();
        let tracker = runtime.block_on(async {
            let sink = Kafka::new(servers, "backups").sink().open().await.unwrap();
            PrimaryBackupTracker::builder("shop", sink).build().unwrap()
        });
        Self { tracker, runtime }
    }

    /// Announces the steps that lead to these states.
    pub(crate) fn announce(&self, states: &[BackupState]) {
        for state in states {
            let announced = self.runtime.block_on(async {
                match (state, self.tracker.state()) {
                    (BackupState::BackingUp, _) => self.tracker.start_backup().await,
                    (BackupState::Restoring, _) => self.tracker.start_restore().await,
                    (BackupState::Ready, BackupState::BackingUp) => self.tracker.finish_backup().await,
                    (BackupState::Ready, BackupState::Restoring) => self.tracker.finish_restore().await,
                    _ => self.tracker.startup_complete().await,
                }
            });
            announced.unwrap();
        }
    }
}

impl Bench {
    /// A cluster of one broker, and a primary of `shop` that has said nothing yet.
    pub(crate) fn new() -> Self {
        let mock = MockCluster::new(1).unwrap();
        mock.create_topic("backups", 1, 1).unwrap();
        let primary = Primary::new(&mock.bootstrap_servers());
        Self { primary, mock }
    }

    pub(crate) fn announce(&self, states: &[BackupState]) {
        self.primary.announce(states);
    }

    /// Changes what is noted beside a group's position, as another program would.
    pub(crate) fn note(&self, group: &str, note: &str) {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.mock.bootstrap_servers()).set("group.id", group);
        let tool: BaseConsumer = config.create().unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition("backups", 0);
        let stored = tool.committed_offsets(list, PATIENCE).unwrap();
        let mut changed = TopicPartitionList::new();
        let mut element = changed.add_partition("backups", 0);
        element.set_offset(stored.elements()[0].offset()).unwrap();
        element.set_metadata(note);
        tool.commit(&changed, CommitMode::Sync).unwrap();
    }

    /// A primary that has been started anew.
    pub(crate) fn restarted(&self) -> Primary {
        Primary::new(&self.mock.bootstrap_servers())
    }

    /// The program, with these arguments besides the ones that lead it here.
    pub(crate) fn watch(&self, arguments: &[&str]) -> Program {
        self.watch_with(arguments, |_command| {})
    }

    pub(crate) fn watch_with(&self, arguments: &[&str], prepare: impl FnOnce(&mut Command)) -> Program {
        let mut command = self.command(arguments);
        prepare(&mut command);
        Program::start(command)
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.program(&[&["watch", "--application", "shop"], arguments].concat())
    }

    /// Any command of the program, here.
    pub(crate) fn program(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_backup-tracker"));
        command
            .args(arguments)
            .args(["--bootstrap-server", &self.mock.bootstrap_servers()])
            // The mock answers a fetch without records only after this time, whatever arrives meanwhile.
            .args([
                "--kafka-property",
                "fetch.wait.max.ms=10",
                "--kafka-property",
                "reconnect.backoff.max.ms=200",
            ]);
        command
    }
}

/// A program that runs. Dropping it kills it.
pub(crate) struct Program {
    pub(crate) child: Child,
    pub(crate) stdout: Lines,
    pub(crate) stderr: Lines,
}

impl Program {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = forks::spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
        let stdout = Lines::of(child.stdout.take().unwrap());
        let stderr = Lines::of(child.stderr.take().unwrap());
        Self { child, stdout, stderr }
    }

    pub(crate) fn signal(&self, signal: &str) {
        send(signal, &self.child.id().to_string());
    }

    /// How it ended, within the usual time.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        // Once it has been waited for, its number may be somebody else's.
        if let Some(status) = self.child.try_wait().unwrap() {
            return status;
        }
        ends(Pid::from_child(&self.child));
        self.child.wait().unwrap()
    }

    /// Ends it as a supervisor does.
    pub(crate) fn terminate(&mut self) {
        self.signal("TERM");
        let status = self.ended();
        assert_eq!(status.code(), Some(0), "{:?}", self.stderr.rest());
    }

    /// Skips lines up to the one whose `event` is this.
    pub(crate) fn event(&self, event: &str) -> Value {
        loop {
            let line = self.json();
            if line["event"] == event {
                return line;
            }
        }
    }

    /// The next line, an object.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout.next()).unwrap()
    }

    /// The base of the addresses of the HTTP server, of a program with `--json`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.event("listening")["address"].as_str().unwrap())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.child.kill();
        self.child.wait().unwrap();
    }
}

/// Sends a signal to a process, or to a group with `-` before its number.
pub(crate) fn send(signal: &str, to: &str) {
    let sent = forks::output(Command::new("kill").args([&format!("-{signal}"), "--", to]));
    assert!(sent.status.success(), "{sent:?}");
}

/// Looks until it is so.
pub(crate) fn eventually(what: &str, mut is: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is() {
        assert!(begun.elapsed() < PATIENCE, "it did not come to {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The lines of a file that may not be there yet.
pub(crate) fn lines_of(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}
