//! `run` over a connection to Redis that fails in the worst moments.

#![allow(clippy::unwrap_used, reason = "a test program without the standard harness is not seen as a test")]

#[path = "../commands/program.rs"]
mod program;
mod turnstile;

use std::time::{Duration, Instant};

use backup_tracker::BackupState::{self, BackingUp, Ready, Restoring};
use backup_tracker::wire::encode;
use backup_tracker::{BackupTransition, Sink, WireFormat};
use backup_tracker_test_servers::Redis;
use libtest_mimic::{Arguments, Completion, Trial};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use uuid::Uuid;

use program::{Ended, Running, checked, program};
use turnstile::{ANNOUNCES, Mode, REGISTERS, Turnstile};

/// How long an attempt that is under way is waited for (`run --help`), and some more for a machine that is
/// busy.
const ATTEMPT: Duration = Duration::from_secs(11 + 9);

struct Bench {
    redis: Redis,
    turnstile: Turnstile,
}

impl Bench {
    fn new(mode: Mode, after_an_announcement: Mode) -> Self {
        Self::behind(mode, ANNOUNCES, after_an_announcement)
    }

    fn behind(mode: Mode, request: &'static str, after: Mode) -> Self {
        let redis = Redis::start().unwrap();
        let address = redis.url().strip_prefix("redis://").unwrap().trim_end_matches('/').parse().unwrap();
        let turnstile = Turnstile::before(address, mode, request, after).unwrap();
        Self { redis, turnstile }
    }

    /// A `run` through the turnstile, of a command that says that it runs.
    fn start(&self, options: &[&str]) -> Running {
        let url = format!("redis://{}", self.turnstile.address);
        let run = [
            "run",
            "--application",
            "shop",
            "--transport",
            "redis",
            "--url",
            &url,
            "--create-topic",
            "--json",
        ];
        Running::start(&mut program(&[&run, options, &["--", "echo", "ran"]].concat()))
    }

    /// A command that looks, past the turnstile.
    fn look(&self, command: &[&str]) -> Ended {
        let way = ["--application", "shop", "--transport", "redis", "--url", &self.redis.url()];
        Ended::of(&mut program(&[command, &way].concat()))
    }

    /// What became of each operation.
    fn outcomes(&self) -> Vec<Value> {
        let document = self.look(&["history", "--json"]).document("history");
        let operations = document["applications"][0]["operations"].as_array().into_iter().flatten();
        operations.map(|operation| operation["outcome"].clone()).collect()
    }

    /// As somebody else, past the turnstile.
    fn announce(&self, steps: &[(BackupState, BackupState)]) {
        Runtime::new().unwrap().block_on(async {
            let mut sink = backup_tracker_redis::Redis::new(self.redis.url(), "backups")
                .create_stream()
                .sink()
                .open()
                .await
                .unwrap();
            for &(from, to) in steps {
                let transition = BackupTransition::new(Uuid::new_v4(), "shop", 1000, from, to);
                sink.send(&encode(&transition, WireFormat::Cbor)).await.unwrap();
            }
        });
    }
}

/// Of a run whose command was not run.
fn report(ended: &Ended, status: i32, begin_announced: bool, end_announced: bool) {
    assert_eq!((ended.status, &*ended.stdout), (Some(status), ""), "{ended:?}");
    let report = checked(ended.stderr.lines().last().unwrap(), "run");
    let expected = (json!(null), json!(status), json!(begin_announced), json!(end_announced));
    let said = ["command_status", "exit_status", "begin_announced", "end_announced"];
    let [command, exit, begin, end] = said.map(|name| report[name].clone());
    assert_eq!((command, exit, begin, end), expected, "{ended:?}");
}

fn a_beginning_behind_which_nobody_can_look_is_ended_once_somebody_can() {
    let bench = Bench::new(Mode::Passes, Mode::Refuses);
    let mut run = bench.start(&[]);
    run.hears("whether somebody else began a moment earlier cannot be seen");
    run.hears("the end could not be announced yet");
    assert_eq!(bench.outcomes(), ["running"]);
    bench.turnstile.opens();
    run.hears("the end is announced");
    report(&run.ends(), 125, true, true);
    assert_eq!(bench.outcomes(), ["ended"]);
}

fn a_beginning_that_cannot_be_ended_is_loud_and_status_1() {
    let bench = Bench::new(Mode::Passes, Mode::Refuses);
    let ended = bench.start(&["--end-timeout", "1s"]).ends();
    report(&ended, 1, true, false);
    let loud = "shop STAYS PAUSED until `backup-tracker recover --application shop`";
    assert!(ended.stderr.contains(loud), "{ended:?}");
    assert_eq!(bench.outcomes(), ["running"]);
}

fn what_somebody_else_began_is_not_ended_behind_a_beginning_that_could_not_be_seen() {
    let bench = Bench::new(Mode::Passes, Mode::Refuses);
    let mut run = bench.start(&[]);
    run.hears("the end could not be announced yet");
    bench.announce(&[(BackingUp, Ready), (Ready, Restoring)]);
    bench.turnstile.opens();
    let ended = run.ends();
    report(&ended, 125, true, false);
    assert!(!ended.stderr.contains("is not paused any more"), "{ended:?}");
    assert_eq!(bench.outcomes(), ["ended", "running"]);
}

fn a_signal_while_the_log_is_looked_at_ends_what_was_begun() {
    let bench = Bench::new(Mode::Passes, Mode::Hangs);
    let run = bench.start(&[]);
    bench.turnstile.request_came();
    bench.turnstile.hangs();
    run.signal(Signal::TERM);
    bench.turnstile.opens();
    report(&run.ends(), 143, true, true);
    assert_eq!(bench.outcomes(), ["ended"]);
}

fn a_beginning_that_may_be_in_the_log_is_taken_back() {
    let bench = Bench::new(Mode::Passes, Mode::HoldsAnswers);
    let begin = Instant::now();
    let mut run = bench.start(&["--timeout", "1s"]);
    run.hears("the beginning could not be announced");
    assert!(begin.elapsed() < Duration::from_secs(1) + ATTEMPT, "{:?}", begin.elapsed());
    run.hears("the beginning may be in the log: shop MAY STAY PAUSED");
    assert_eq!(bench.outcomes(), ["running"]);
    bench.turnstile.opens();
    run.hears("the way back to READY is announced");
    report(&run.ends(), 125, false, false);
    assert_eq!(bench.outcomes(), ["taken_back"]);
}

fn a_beginning_that_cannot_be_taken_back_is_loud_and_status_1() {
    let bench = Bench::new(Mode::Passes, Mode::HoldsAnswers);
    let ended = bench.start(&["--timeout", "1s", "--end-timeout", "1s"]).ends();
    report(&ended, 1, false, false);
    let loud = "shop MAY STAY PAUSED until `backup-tracker recover --application shop`";
    assert!(ended.stderr.contains(loud), "{ended:?}");
    assert_eq!(bench.outcomes(), ["running"]);
    let recovered = bench.look(&["recover"]);
    assert_eq!(recovered.status, Some(0), "{recovered:?}");
}

fn two_signals_do_not_wait_for_an_announcement_that_hangs() {
    let bench = Bench::new(Mode::Passes, Mode::HoldsAnswers);
    let mut run = bench.start(&[]);
    bench.turnstile.request_came();
    run.signal(Signal::TERM);
    run.hears("ending as soon as it is known whether the beginning is announced");
    run.signal(Signal::TERM);
    run.hears("the beginning may be in the log");
    run.signal(Signal::TERM);
    let ended = run.ends();
    report(&ended, 1, false, false);
    assert!(ended.stderr.contains("SIGTERM: giving up"), "{ended:?}");
}

fn a_broker_that_never_answers_takes_no_longer_than_the_limit() {
    let bench = Bench::new(Mode::Hangs, Mode::Hangs);
    let begin = Instant::now();
    let ended = bench.start(&["--timeout", "1s"]).ends();
    // No attempt is under way, so that none is waited for; but for a machine that is busy.
    assert!(begin.elapsed() < Duration::from_secs(9), "{:?}", begin.elapsed());
    report(&ended, 125, false, false);
}

fn a_broker_that_comes_in_time_is_waited_for() {
    let bench = Bench::new(Mode::Refuses, Mode::Passes);
    let mut run = bench.start(&[]);
    run.hears("trying again");
    bench.turnstile.opens();
    run.hears("the broker answers again");
    let ended = run.ends();
    assert_eq!((ended.status, &*ended.stdout), (Some(0), "ran\n"), "{ended:?}");
    assert_eq!(bench.outcomes(), ["ended"]);
}

fn of_two_that_take_over_at_once_the_second_leaves_the_first_alone() {
    let bench = Bench::behind(Mode::Passes, REGISTERS, Mode::HoldsAnswers);
    bench.announce(&[(Ready, Restoring)]);
    let run = bench.start(&["--take-over"]);
    bench.turnstile.request_came();
    bench.announce(&[(Restoring, Ready), (Ready, BackingUp)]);
    bench.turnstile.opens();
    let ended = run.ends();
    report(&ended, 125, false, false);
    assert!(ended.stderr.contains("shop is BACKING_UP since 1970-01-01T00:00:01Z"), "{ended:?}");
    assert_eq!(bench.outcomes(), ["ended", "running"]);
}

fn main() {
    let missing = Redis::find().err();
    let trial = |name: &str, test: fn()| {
        let missing = missing.clone();
        Trial::ignorable_test(name, move || match missing {
            Some(missing) => Ok(Completion::ignored_with(missing.reason)),
            None => {
                test();
                Ok(Completion::Completed)
            }
        })
    };
    macro_rules! trials {
        ($($test:ident),* $(,)?) => { vec![$(trial(stringify!($test), $test)),*] };
    }
    let trials = trials![
        a_beginning_behind_which_nobody_can_look_is_ended_once_somebody_can,
        a_beginning_that_cannot_be_ended_is_loud_and_status_1,
        what_somebody_else_began_is_not_ended_behind_a_beginning_that_could_not_be_seen,
        a_signal_while_the_log_is_looked_at_ends_what_was_begun,
        a_beginning_that_may_be_in_the_log_is_taken_back,
        a_beginning_that_cannot_be_taken_back_is_loud_and_status_1,
        two_signals_do_not_wait_for_an_announcement_that_hangs,
        a_broker_that_never_answers_takes_no_longer_than_the_limit,
        a_broker_that_comes_in_time_is_waited_for,
        of_two_that_take_over_at_once_the_second_leaves_the_first_alone,
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
