//! The tables, each in a file of its own that the crate's documentation includes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use backup_tracker::{Error, ErrorKind};
use backup_tracker_kafka::rdkafka::types::RDKafkaRespErr as Code;
use tokio::task::{JoinSet, LocalSet};

use crate::codes::{CODES, name};

/// How many codes are tried at once: each trial waits for most of its time.
const AT_ONCE: usize = 16;

/// An error as the tables show it.
pub(crate) fn shown(error: &Error) -> String {
    let kind = |kind: ErrorKind| format!("[`{kind:?}`](backup_tracker::ErrorKind::{kind:?})");
    match error.cause() {
        Some(cause) => format!("{} because of {}", kind(error.kind()), kind(cause)),
        None => kind(error.kind()),
    }
}

/// What the trial of each code came to, in the order of the codes.
pub(crate) async fn of_each_code<T>(trial: impl Fn(Code) -> T) -> Vec<(Code, Vec<String>)>
where
    T: Future<Output = (Code, Vec<String>)> + 'static,
{
    let mut seen = Vec::new();
    for codes in CODES.chunks(AT_ONCE) {
        let trials = async {
            let mut trials = JoinSet::new();
            for code in codes {
                trials.spawn_local(trial(*code));
            }
            trials.join_all().await
        };
        seen.extend(LocalSet::new().run_until(trials).await);
    }
    seen.sort_by_key(|(code, _)| *code as i32);
    seen
}

/// Compares what was seen with the table of this name. Errors that lead to the same are in one row.
pub(crate) fn compare(table: &str, heading: &[&str], seen: Vec<(Code, Vec<String>)>) {
    let mut rows: BTreeMap<Vec<String>, Vec<Code>> = BTreeMap::new();
    for (code, outcome) in seen {
        rows.entry(outcome).or_default().push(code);
    }
    let mut rows: Vec<_> = rows.into_iter().collect();
    rows.sort_by_key(|(_, codes)| codes.iter().map(|code| *code as i32).min());
    let mut text =
        format!("| Broker's answer | {} |\n|---|{}\n", heading.join(" | "), "---|".repeat(heading.len()));
    for (outcome, codes) in rows {
        let names: Vec<_> = codes.into_iter().map(|code| format!("`{}`", name(code))).collect();
        text.push_str(&format!("| {} | {} |\n", names.join(", "), outcome.join(" | ")));
    }
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("answers").join(table);
    if std::env::var_os("BACKUP_TRACKER_WRITE_TABLES").is_some() {
        std::fs::write(&file, &text).unwrap();
    }
    let shown = std::fs::read_to_string(&file).unwrap();
    assert_eq!(text, shown, "the table {} is not what was seen", file.display());
}
