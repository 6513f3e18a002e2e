//! The terminal recordings in the program's README are what the program writes. `scripts/record` makes them anew.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};
use std::{env, fs};

use backup_tracker::BackupState::{self, BackingUp, Ready, Restoring, Starting};
use backup_tracker::BackupTransition;
use uuid::Uuid;

use crate::bench::Bench;
use crate::program::{Ended, program};

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
const PROMPT: &str = "$ backup-tracker ";
const ID: Uuid = Uuid::from_u128(0x9c0c_36d4_2c14_4f7a_8d0e_5b7f_61a2_0c00);
const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;

/// The recorded commands, each with what it wrote.
fn recordings() -> BTreeMap<String, String> {
    let readme = fs::read_to_string(README).unwrap();
    let mut recordings = BTreeMap::new();
    for block in readme.split("```console\n").skip(1) {
        let block = block.split("```").next().unwrap();
        for recording in block.split(PROMPT).skip(1) {
            let (command, output) = recording.split_once('\n').unwrap();
            if !output.is_empty() {
                recordings.insert(command.to_owned(), output.to_owned());
            }
        }
    }
    recordings
}

/// Compares with the recording, or, where `RECORD` is set, replaces it.
fn compare(command: &str, written: &str, comparable: fn(&str) -> Vec<String>) {
    let recorded = recordings().remove(command).unwrap_or_else(|| panic!("README.md has no `{command}`"));
    if env::var_os("RECORD").is_some() {
        let readme = fs::read_to_string(README).unwrap();
        let replaced = readme
            .replace(&format!("{PROMPT}{command}\n{recorded}"), &format!("{PROMPT}{command}\n{written}"));
        fs::write(README, replaced).unwrap();
    } else {
        assert_eq!(
            comparable(written),
            comparable(&recorded),
            "README.md shows another `{command}`; scripts/record mends it:\n{written}"
        );
    }
}

/// A line as it is, but that every digit is as good as another.
fn without_digits(text: &str) -> Vec<String> {
    text.lines().map(|line| line.replace(|c: char| c.is_ascii_digit(), "0")).collect()
}

/// Every line, in any order, without numbers and the columns of the timeline: the services do not wait for each other.
fn without_times(text: &str) -> Vec<String> {
    let words = |line: &str| {
        let words = line.split_whitespace().map(|word| word.trim_matches(|c: char| c.is_ascii_digit()));
        words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
    };
    let mut happens = None;
    let mut lines: Vec<_> = text
        .lines()
        .map(|line| {
            if let Some(column) = line.find("what happens") {
                happens = Some(column);
                return words(line);
            }
            if line.trim().is_empty() {
                happens = None;
            }
            words(&line.chars().skip(happens.unwrap_or(0)).collect::<String>())
        })
        .map(|line| line.replace(|c: char| c.is_ascii_digit(), ""))
        .collect();
    lines.sort();
    lines
}

/// What `status` and `history` show: times are long enough ago, and far enough from the next column of the timeline, that
/// it does not matter how long the test takes.
fn topic() -> Bench {
    let mut bench = Bench::new();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = now.as_millis() as u64;
    let mut events = 0;
    let mut step = |application: &str, ago: u64, from: BackupState, to: BackupState| {
        events += 1;
        let id = Uuid::from_u128(ID.as_u128() + (events << 64));
        bench.announce(&BackupTransition::new(id, application, now - ago, from, to));
    };
    step("shop", 301 * MINUTE, Starting, Ready);
    step("shop", 300 * MINUTE, Ready, BackingUp);
    step("shop", 280 * MINUTE, BackingUp, Ready);
    step("books", 200 * MINUTE + 30 * SECOND, Starting, Ready);
    step("shop", 180 * MINUTE, Ready, Restoring);
    step("shop", 150 * MINUTE, Starting, Ready);
    step("shop", 19 * MINUTE + 30 * SECOND, Ready, BackingUp);
    bench
}

#[test]
fn status_and_history_look_as_recorded() {
    let bench = topic();
    for command in ["status", "history --application shop"] {
        let ended = bench.run(&command.split(' ').collect::<Vec<_>>());
        assert_eq!(ended.status, Some(0), "{ended:?}");
        compare(command, &ended.stdout, without_digits);
    }
}

#[test]
fn the_demo_looks_as_recorded() {
    let ended = Ended::of(&mut program(&["demo"]));
    assert_eq!(ended.status, Some(0), "{ended:?}");
    compare("demo", &ended.stdout, without_times);
}

#[test]
fn recordings_do_not_take_one_thing_for_another() {
    assert_ne!(without_digits("READY 1m"), without_digits("READY 11m"));
    let demo = "  ms  search  what happens\n  12  ● ready  search is told READY\n\n✔ 5 in 3.8 s\n";
    assert_eq!(
        without_times(demo),
        without_times("  ms  search  what happens\n   7  ■ paused search is told READY\n\n✔ 4 in 3.1 s\n")
    );
    assert_ne!(without_times(demo), without_times(&demo.replace("told READY", "told RESTORING")));
}
