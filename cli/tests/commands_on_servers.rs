//! The commands over real Redis and NATS, also through a restart of the server.

#![allow(clippy::unwrap_used, reason = "a test program without the standard harness is not seen as a test")]

#[path = "commands/program.rs"]
mod program;

use std::io;
use std::process::{ChildStdin, Command, Stdio};

use backup_tracker::BackupState::{self, BackingUp, Ready, Restoring, Starting};
use backup_tracker::wire::encode;
use backup_tracker::{BackupTransition, BoxSink, ErrorKind, Sink, WireFormat};
use backup_tracker_nats::{CreateStream, Nats};
use backup_tracker_redis::{Redis, redis};
use backup_tracker_test_servers::{self as servers, Missing};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use uuid::Uuid;

use program::{Ended, Running, checked, program};

const TOPIC: &str = "backups";

enum Server {
    Redis(servers::Redis),
    Nats(servers::Nats),
}

impl Server {
    fn name(&self) -> &'static str {
        match self {
            Self::Redis(_) => "redis",
            Self::Nats(_) => "nats",
        }
    }

    fn url(&self) -> String {
        match self {
            Self::Redis(redis) => redis.url(),
            Self::Nats(nats) => nats.url(),
        }
    }

    fn kill(&mut self) {
        match self {
            Self::Redis(redis) => redis.kill(),
            Self::Nats(nats) => nats.kill(),
        }
        .unwrap();
    }

    fn restart(&mut self) {
        match self {
            Self::Redis(redis) => redis.restart(),
            Self::Nats(nats) => nats.restart(),
        }
        .unwrap();
    }

    async fn sink(&self) -> BoxSink {
        match self {
            Self::Redis(redis) => {
                BoxSink::new(Redis::new(redis.url(), TOPIC).create_stream().sink().open().await.unwrap())
            }
            Self::Nats(nats) => {
                let nats = Nats::new(nats.url(), TOPIC).create_stream(CreateStream::new(1));
                BoxSink::new(nats.sink().open().await.unwrap())
            }
        }
    }

    fn announce(&self, steps: &[(&str, u64, BackupState, BackupState)]) {
        Runtime::new().unwrap().block_on(async {
            let mut sink = self.sink().await;
            for &(application, millis, from, to) in steps {
                let transition = BackupTransition::new(Uuid::new_v4(), application, millis, from, to);
                sink.send(&encode(&transition, WireFormat::Cbor)).await.unwrap();
            }
            sink.close().await.unwrap();
        });
    }

    /// Nobody has read as a group, and nothing was made for one.
    fn has_nothing_left_behind(&self) {
        match self {
            Self::Redis(redis) => {
                let mut connection = redis::Client::open(redis.url()).unwrap().get_connection().unwrap();
                let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut connection).unwrap();
                assert_eq!(keys, [TOPIC]);
                let groups: Vec<redis::Value> =
                    redis::cmd("XINFO").arg("GROUPS").arg(TOPIC).query(&mut connection).unwrap();
                assert!(groups.is_empty(), "{groups:?}");
            }
            Self::Nats(nats) => {
                let group = async { Nats::new(nats.url(), TOPIC).source("search").open().await };
                let error = Runtime::new().unwrap().block_on(group).map(drop).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::NotFound, "there is a bucket: {error}");
            }
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program(arguments);
        command.args(["--transport", self.name(), "--url", &self.url()]);
        command
    }

    fn document(&self, arguments: &[&str]) -> Value {
        let ended = Ended::of(self.command(arguments).arg("--json"));
        assert_eq!(ended.status, Some(0), "{ended:?}");
        ended.document(arguments[0])
    }
}

fn what_is_there_is_read(server: Server) {
    server.announce(&[
        ("shop", 1000, Starting, Ready),
        ("books and more", 1500, Ready, Restoring),
        ("shop", 2000, Ready, BackingUp),
        ("shop", 5000, BackingUp, Ready),
    ]);
    let status = server.document(&["status"]);
    assert_eq!((&status["transport"], &status["records"]), (&json!(server.name()), &json!(4)));
    let states: Vec<_> = status["applications"].as_array().unwrap().iter().map(|one| &one["state"]).collect();
    assert_eq!(states, ["RESTORING", "READY"]);
    let history = server.document(&["history", "--application", "shop"]);
    let operation = &history["applications"][0]["operations"][0];
    assert_eq!((&operation["outcome"], &operation["seconds"]), (&json!("ended"), &json!(3.0)));
    let wait = [
        "wait",
        "--application",
        "books and more",
        "--until",
        "restoring",
        "--timeout",
        "60s",
        "--create-topic",
    ];
    assert_eq!(server.document(&wait)["reached"], true);
    server.has_nothing_left_behind();
}

fn waiting_outlasts_a_restart(mut server: Server) {
    server.announce(&[("shop", 1000, Ready, BackingUp)]);
    let wait = ["wait", "--application", "shop", "--until", "ready", "--timeout", "60s"];
    let mut waiting = Running::start(&mut server.command(&wait));
    waiting.hears("waiting for `shop` to be READY; it is BACKING_UP");
    server.kill();
    waiting.hears("trying again");
    server.restart();
    waiting.hears("the broker answers again");
    server.announce(&[("shop", 2000, BackingUp, Ready)]);
    let ended = waiting.ends();
    assert_eq!(ended.lines(), ["shop is READY since 1970-01-01T00:00:02Z"]);
}

fn waiting_begins_before_the_server_is_there(mut server: Server) {
    server.announce(&[("shop", 1000, Ready, BackingUp), ("shop", 2000, BackingUp, Ready)]);
    server.kill();
    let wait = ["wait", "--application", "shop", "--until", "ready", "--timeout", "60s"];
    let mut waiting = Running::start(&mut server.command(&wait));
    waiting.hears("trying again");
    server.restart();
    let ended = waiting.ends();
    assert!(ended.stderr.ends_with("the broker answers again\n"), "{ended:?}");
    assert_eq!(ended.lines(), ["shop is READY since 1970-01-01T00:00:02Z"]);
}

/// A command that says that it runs, and ends with a status when its standard input does.
fn run(server: &Server, status: &str, options: &[&str]) -> (Running, ChildStdin) {
    let command = format!("cat; exit {status}");
    let options = [&["run", "--application", "shop", "--create-topic", "--timeout", "2s"], options].concat();
    let mut program = server.command(&options);
    program.args(["--create-topic-replicas", "1"].iter().filter(|_| matches!(server, Server::Nats(_))));
    program.args(["--", "sh", "-c", &command]).stdin(Stdio::piped());
    let mut running = Running::start(&mut program);
    let stdin = running.stdin();
    (running, stdin)
}

fn state(server: &Server) -> Value {
    let status = server.document(&["status", "--application", "shop", "--timeout", "60s"]);
    status["applications"][0]["state"].clone()
}

fn an_end_is_announced_when_the_server_is_back(mut server: Server) {
    let (mut running, stdin) = run(&server, "0", &[]);
    running.echoes(&stdin);
    server.kill();
    drop(stdin);
    running.hears("the end could not be announced yet");
    server.restart();
    running.hears("the end is announced: shop is not paused any more");
    assert_eq!(running.ends().status, Some(0));
    assert_eq!(state(&server), "READY");
}

fn an_end_that_cannot_be_announced_is_loud_and_never_a_success(mut server: Server) {
    for (command, status) in [("0", 1), ("7", 7)] {
        let (mut running, stdin) = run(&server, command, &["--end-timeout", "1s", "--json"]);
        running.echoes(&stdin);
        server.kill();
        drop(stdin);
        let ended = running.ends();
        assert_eq!(ended.status, Some(status), "{ended:?}");
        assert!(ended.stderr.contains("`backup-tracker recover --application shop`"), "{ended:?}");
        let report = checked(ended.stderr.lines().last().unwrap(), "run");
        assert_eq!((&report["begin_announced"], &report["end_announced"]), (&json!(true), &json!(false)));
        assert_eq!(report["command_status"].as_i64(), command.parse().ok());
        server.restart();
        assert_eq!(state(&server), "BACKING_UP");
        let recovered = Ended::of(&mut server.command(&["recover", "--application", "shop"]));
        assert_eq!(recovered.status, Some(0), "{recovered:?}");
        assert_eq!(state(&server), "READY");
    }
}

fn watching_outlasts_a_restart_and_leaves_nothing_behind(mut server: Server) {
    server.announce(&[("shop", 1000, Starting, Ready), ("shop", 2000, Ready, BackingUp)]);
    let hook = "echo hook for $BACKUP_TRACKER_STATE; test $BACKUP_TRACKER_STATE = BACKING_UP";
    let watch = ["watch", "--application", "shop", "--exec", hook, "--on-exec-failure", "exit"];
    let mut watching = Running::start(&mut server.command(&watch));
    watching.hears("following shop without a group");
    watching.hears("hook for BACKING_UP");
    server.kill();
    watching.hears("trying again");
    server.restart();
    watching.hears("the broker answers again");
    server.announce(&[("shop", 3000, BackingUp, Ready)]);
    let ended = watching.ends();
    assert_eq!(ended.status, Some(1), "{ended:?}");
    let steps: Vec<_> = ended.stdout.lines().map(|line| line[..52].to_owned()).collect();
    assert_eq!(
        steps,
        [
            "1970-01-01T00:00:02Z      READY      -> BACKING_UP  ",
            "1970-01-01T00:00:03Z      BACKING_UP -> READY       "
        ]
    );
    server.has_nothing_left_behind();
}

fn watching_as_a_group_resumes_at_ready(server: Server) {
    server.announce(&[
        ("shop", 1000, Starting, Ready),
        ("shop", 2000, Ready, BackingUp),
        ("shop", 3000, BackingUp, Ready),
    ]);
    let hook = "test $BACKUP_TRACKER_TIMESTAMP_MILLIS != ";
    let watch = |until: &str| {
        let hook = format!("{hook}{until}");
        let watch = ["watch", "--application", "shop", "--group", "watcher", "--exec", &hook];
        let mut command = server.command(&watch);
        command.args(["--on-exec-failure", "exit", "--commit", "before-exec", "--create-topic"]);
        command.args(["--create-topic-replicas", "1"].iter().filter(|_| matches!(server, Server::Nats(_))));
        let ended = Ended::of(&mut command);
        assert_eq!(ended.status, Some(1), "{ended:?}");
        ended.stdout.lines().count()
    };
    assert_eq!(watch("3000"), 3);
    server.announce(&[("shop", 4000, Ready, Restoring)]);
    assert_eq!(watch("4000"), 1);
    // It runs, and comes once more.
    assert_eq!(watch("4000"), 1);
}

type Test = fn(Server);

fn trials(
    name: &'static str,
    missing: Option<Missing>,
    start: fn() -> io::Result<Server>,
) -> impl Iterator<Item = Trial> {
    let tests: [(&str, Test); 7] = [
        ("what_is_there_is_read", what_is_there_is_read),
        ("waiting_outlasts_a_restart", waiting_outlasts_a_restart),
        ("waiting_begins_before_the_server_is_there", waiting_begins_before_the_server_is_there),
        ("an_end_is_announced_when_the_server_is_back", an_end_is_announced_when_the_server_is_back),
        (
            "watching_outlasts_a_restart_and_leaves_nothing_behind",
            watching_outlasts_a_restart_and_leaves_nothing_behind,
        ),
        ("watching_as_a_group_resumes_at_ready", watching_as_a_group_resumes_at_ready),
        (
            "an_end_that_cannot_be_announced_is_loud_and_never_a_success",
            an_end_that_cannot_be_announced_is_loud_and_never_a_success,
        ),
    ];
    tests.into_iter().map(move |(test_name, test)| {
        let missing = missing.clone();
        Trial::ignorable_test(format!("{name}_{test_name}"), move || match missing {
            Some(missing) => Ok::<_, Failed>(Completion::ignored_with(missing.reason)),
            None => {
                test(start()?);
                Ok(Completion::Completed)
            }
        })
    })
}

fn main() {
    let redis = trials("redis", servers::Redis::find().err(), || servers::Redis::start().map(Server::Redis));
    let nats = trials("nats", servers::Nats::find().err(), || servers::Nats::start().map(Server::Nats));
    libtest_mimic::run(&Arguments::from_args(), redis.chain(nats).collect()).exit();
}
