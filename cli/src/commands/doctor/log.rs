//! What was announced: whether it can be read and understood, how the application is, and whether the group follows.

use std::time::Duration;

use backup_tracker::ErrorKind;

use super::super::reading::{Log, read_all, say::plain, time};
use super::finding::{Checkup, Finding};
use super::need::Need;
use crate::ledger::{Account, Ledger};
use crate::options::OpenError;

const CHECKS: [&str; 4] = ["read", "application", "lag", "clock"];

/// When the newest announcement is older than this, and nothing runs, every secondary has moved its position behind it.
const QUIET: Duration = Duration::from_secs(600);
/// How far ahead of this machine's clock an announcement may be.
const TOLERANCE: Duration = Duration::from_secs(2);

/// Reads the log, and judges what is in it.
pub(super) async fn judge(
    log: &Log<'_>,
    limit: Duration,
    need: &Need<'_>,
    lag: Option<u64>,
    checkup: &mut Checkup,
) {
    if !checkup.is_readable() {
        return checkup.fill(&CHECKS, "there is nothing to read");
    }
    match read_all(log, limit).await {
        Ok(ledger) => {
            let now = time::now_millis();
            checkup.push(read(&ledger));
            checkup.push(application(&ledger, need.application, now));
            checkup.push(following(&ledger, need.group, lag, now));
            primaries_clock(&ledger, now, checkup);
        }
        Err(error) => checkup.push(unreadable(log, &error)),
    }
    checkup.fill(&CHECKS, "the events could not be read");
}

fn unreadable(log: &Log<'_>, error: &OpenError) -> Finding {
    match error {
        // What a secondary runs on the server is something else.
        OpenError::Broker(error) if error.kind() == ErrorKind::Denied && log.transport() == "redis" => {
            Finding::unknown(
                "read",
                format!("this user may not look as an observer does: {}", error.message()),
                "run it as a user who may; the rules are in the documentation of backup-tracker-redis",
            )
        }
        OpenError::Broker(error) if error.kind() == ErrorKind::Denied => {
            Finding::problem("read", error.message(), "let the user read the topic: every secondary must")
        }
        error => Finding::problem("read", error.to_string(), "see what the broker's own log says"),
    }
}

fn read(ledger: &Ledger) -> Finding {
    let records = match ledger.records() {
        0 => {
            return Finding::unknown(
                "read",
                "nothing was announced yet, or retention has removed it",
                "ask again when there is something to read: whether this user may shows then",
            );
        }
        1 => "1 event".to_owned(),
        many => format!("{many} events"),
    };
    let forbidden: u64 = ledger.accounts().map(|account| account.counts().forbidden).sum();
    if ledger.undecodable() > 0 {
        let seen = format!("{records}, {} of them no announcement", ledger.undecodable());
        return Finding::warning(
            "read",
            seen,
            "find out who else writes to the topic; -v tells where they are",
        );
    }
    if forbidden > 0 {
        let seen = format!("{records}, {forbidden} of them steps that the state table forbids");
        return Finding::warning("read", seen, "see whether two primaries announce the same application");
    }
    Finding::ok("read", format!("{records}, all understood"))
}

fn application(ledger: &Ledger, wanted: Option<&str>, now: u64) -> Finding {
    const CHECK: &str = "application";
    let names = || {
        let mut names: Vec<_> = ledger.accounts().map(|account| plain(account.application())).collect();
        let more = names.len().saturating_sub(10);
        names.truncate(10);
        let names = names.join(", ");
        if more > 0 { format!("{names} and {more} more") } else { names }
    };
    let Some(wanted) = wanted else {
        let seen = match ledger.accounts().count() {
            0 => "none was announced".to_owned(),
            _ => format!("announced were {}", names()),
        };
        return Finding::unknown(CHECK, seen, "give --application to have one looked at");
    };
    let Some(account) = ledger.account(wanted).filter(|account| account.last().is_some()) else {
        let known = if ledger.accounts().next().is_some() {
            format!("announced were {}: correct the name, or start the primary", names())
        } else {
            "start its primary".to_owned()
        };
        return Finding::warning(CHECK, format!("{wanted} was never announced here"), known);
    };
    let lasting = account.lasting(now).map(|lasting| lasting.duration).unwrap_or_default();
    let seen = format!("{wanted} is {} for {}", account.state(), time::brief(lasting));
    let longest = account
        .operations()
        .iter()
        .filter(|operation| operation.end.is_some())
        .filter_map(|operation| operation.lasting(now))
        .map(|lasting| lasting.duration)
        .max();
    match longest {
        Some(longest) if account.state().is_operation() && lasting > 2 * longest => Finding::warning(
            CHECK,
            format!("{seen}; the longest operation before it took {}", time::brief(longest)),
            "see whether its primary is alive; once it has restarted, everybody is back to READY",
        ),
        _ => Finding::ok(CHECK, seen),
    }
}

fn following(ledger: &Ledger, group: Option<&str>, lag: Option<u64>, now: u64) -> Finding {
    const CHECK: &str = "lag";
    let (Some(group), Some(lag)) = (group, lag) else {
        let seen = if group.is_some() { "the group has no position" } else { "no group is named" };
        return Finding::unknown(
            CHECK,
            seen,
            "give --group with the name of a secondary's group that was started",
        );
    };
    let events = if lag == 1 { "1 event".to_owned() } else { format!("{lag} events") };
    let seen = format!("{events} behind the end");
    let newest =
        ledger.accounts().filter_map(Account::last).map(|step| step.transition.timestamp_millis).max();
    let quiet_for = newest.map(|newest| Duration::from_millis(now.saturating_sub(newest)));
    let running = ledger.accounts().any(|account| account.state().is_operation());
    match quiet_for {
        Some(quiet) if lag > 0 && !running && quiet > QUIET => Finding::warning(
            CHECK,
            format!("{seen}, though nothing runs and nothing was announced for {}", time::brief(quiet)),
            format!("see whether a secondary of group `{group}` is running, and what its health says"),
        ),
        _ => Finding::ok(CHECK, seen),
    }
}

/// Announcements from the future, for which only a clock can be to blame.
fn primaries_clock(ledger: &Ledger, now: u64, checkup: &mut Checkup) {
    let newest = ledger
        .accounts()
        .filter_map(|account| Some((account.last()?.transition.timestamp_millis, account.application())))
        .max();
    let ahead =
        newest.map(|(millis, application)| (Duration::from_millis(millis.saturating_sub(now)), application));
    match ahead {
        Some((ahead, application)) if ahead > TOLERANCE => checkup.push(Finding::warning(
            "clock",
            format!("{} was announced {} from now", plain(application), time::brief(ahead)),
            "set the clock of its primary, and of this machine, by NTP",
        )),
        _ if checkup.findings().iter().any(|finding| finding.check == "clock") => {}
        _ => checkup.push(Finding::unknown(
            "clock",
            "the broker does not tell its time; no announcement lies in the future",
            "see on broker and primary that NTP is in step",
        )),
    }
}
