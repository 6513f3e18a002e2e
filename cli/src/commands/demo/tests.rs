//! Runs that must not be called good.

use anstream::adapter::strip_str;
use backup_tracker_memory::MemoryLog;

use super::broker::saboteur::Fault;
use super::*;

async fn perform_on(log: DemoLog, mut show: impl Show) -> (Exit, String) {
    let mut out = Vec::new();
    let (recorder, entries) = Recorder::new();
    let playing = script::play(&log, &recorder);
    let exit = perform(&log.describe(), playing, entries, &mut show, &mut out).await.unwrap();
    (exit, strip_str(&String::from_utf8(out).unwrap()).to_string())
}

fn empty_log() -> MemoryLog {
    MemoryLog::new("backups").unwrap()
}

fn ended_log() -> DemoLog {
    let log = empty_log();
    log.end();
    DemoLog::Memory(log)
}

/// Runs the demo on a broken source, and expects that it finds this.
async fn finds(fault: Fault, words: &str) {
    let (exit, text) = perform_on(DemoLog::Broken(empty_log(), fault), Timeline::default()).await;
    assert_eq!(exit, Exit::Failure, "{text}");
    assert!(text.contains(words), "`{words}` is missing in\n{text}");
}

#[tokio::test(start_paused = true)]
async fn a_log_that_fails_is_told_and_is_a_failure() {
    let (exit, text) = perform_on(ended_log(), Timeline::default()).await;
    assert_eq!(exit, Exit::Failure);
    assert!(text.contains("✘ the demo did not come to its end: "), "{text}");
    assert!(text.contains("stopped following: "), "{text}");
    assert!(text.contains("✘ wrong"), "{text}");
    assert!(!text.contains('✔'), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_log_that_fails_is_told_in_json_too() {
    let (exit, text) = perform_on(ended_log(), JsonLines).await;
    assert_eq!(exit, Exit::Failure);
    let summary: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(summary["event"], "summary");
    assert_eq!(summary["good"], false);
    assert!(summary["trouble"].is_string(), "{summary}");
}

/// What the secondaries find in the log from before, the primary of this run did not announce.
#[tokio::test(start_paused = true)]
async fn an_old_announcement_in_the_log_is_found() {
    use backup_tracker::{BackupTracker, PrimaryBackupTracker};

    let log = empty_log();
    let stranger = PrimaryBackupTracker::builder(cast::APPLICATION, log.sink()).build().unwrap();
    stranger.startup_complete().await.unwrap();
    let (exit, text) = perform_on(DemoLog::Memory(log), Timeline::default()).await;
    assert_eq!(exit, Exit::Failure);
    assert!(text.contains("✘ search: session 1 should not have been told STARTING to READY"), "{text}");
    assert!(text.contains("✘ 5 announcements"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_source_without_a_fault_is_good() {
    let (exit, text) = perform_on(DemoLog::Memory(empty_log()), Timeline::default()).await;
    assert_eq!(exit, Exit::Success, "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_source_that_forgets_commits_is_found() {
    finds(Fault::ForgetsCommits, "✘ billing: session 2 should not have been told STARTING to READY").await;
}

#[tokio::test(start_paused = true)]
async fn a_source_that_commits_everything_is_found() {
    finds(Fault::CommitsEverything, "✘ billing: session 2 was never told READY to BACKING_UP").await;
}

#[tokio::test(start_paused = true)]
async fn a_source_that_hides_the_backlog_is_found() {
    finds(Fault::HidesTheBacklog, "✘ billing: session 2 was told as new, though it was a replay").await;
}

#[tokio::test(start_paused = true)]
async fn a_source_that_loses_the_last_announcement_is_found() {
    finds(Fault::LosesTheLast, "✘ search: session 1 was never told RESTORING to READY").await;
}

#[tokio::test(start_paused = true)]
async fn a_wait_in_vain_comes_to_an_end() {
    let trouble = trouble::within("what never comes", std::future::pending::<()>()).await.unwrap_err();
    assert_eq!(trouble.to_string(), "waited 10s in vain for what never comes");
}
