//! What `status`, `history` and `wait` write with `--json`.

use std::collections::BTreeMap;
use std::io::{self, Write};

use backup_tracker::{BackupState, BackupTransition};
use serde::Serialize;
use uuid::Uuid;

use super::{Log, time};
use crate::ledger::{Account, Counts, Ledger, Step};

/// One document in one line.
pub(in crate::commands) fn write(out: &mut (dyn Write + Send), document: &impl Serialize) -> io::Result<()> {
    let line = serde_json::to_string(document)?;
    writeln!(out, "{line}")
}

/// What was read, and what of it belongs to no application.
#[derive(Debug, Serialize)]
pub(in crate::commands) struct Head<'a> {
    transport: &'static str,
    topic: &'a str,
    read_at: Option<String>,
    read_at_millis: u64,
    records: u64,
    undecodable: u64,
    losses: u64,
}

impl<'a> Head<'a> {
    pub(in crate::commands) fn new(log: &'a Log<'_>, ledger: &Ledger, now_millis: u64) -> Self {
        Self {
            transport: log.transport(),
            topic: log.topic(),
            read_at: time::rfc3339(now_millis),
            read_at_millis: now_millis,
            records: ledger.records(),
            undecodable: ledger.undecodable(),
            losses: ledger.losses(),
        }
    }
}

/// A step with all that is known of it.
#[derive(Debug, Serialize)]
pub(in crate::commands) struct StepJson<'a> {
    id: Uuid,
    time: Option<String>,
    time_millis: u64,
    from: BackupState,
    to: BackupState,
    position: String,
    headers: BTreeMap<&'a str, String>,
}

impl<'a> From<&'a Step> for StepJson<'a> {
    fn from(Step { transition, position, headers }: &'a Step) -> Self {
        let &BackupTransition { id, timestamp_millis, from, to, .. } = transition;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            id,
            time: time::rfc3339(timestamp_millis),
            time_millis: timestamp_millis,
            from,
            to,
            position: position.to_string(),
            headers: headers.iter().map(|header| (&*header.name, text(&header.value))).collect(),
        }
    }
}

/// What was counted of one application's records.
#[derive(Debug, Default, Serialize)]
pub(in crate::commands) struct CountsJson {
    applied: u64,
    gaps: u64,
    forbidden: u64,
    duplicate: u64,
    other_operation: u64,
    other_action: u64,
}

impl From<Counts> for CountsJson {
    fn from(Counts { applied, gaps, forbidden, duplicate, other_operation, other_action }: Counts) -> Self {
        Self { applied, gaps, forbidden, duplicate, other_operation, other_action }
    }
}

/// The state of an application, since when, and by which step.
#[derive(Debug, Serialize)]
pub(in crate::commands) struct StateJson<'a> {
    application: &'a str,
    state: BackupState,
    since: Option<String>,
    since_millis: Option<u64>,
    seconds: Option<f64>,
    clock_skew: bool,
    last: Option<StepJson<'a>>,
}

impl<'a> StateJson<'a> {
    pub(in crate::commands) fn new(
        application: &'a str,
        account: Option<&'a Account>,
        now_millis: u64,
    ) -> Self {
        let since_millis = account.and_then(Account::since_millis);
        let lasting = account.and_then(|account| account.lasting(now_millis));
        Self {
            application,
            state: account.map_or(BackupState::Starting, Account::state),
            since: since_millis.and_then(time::rfc3339),
            since_millis,
            seconds: lasting.map(|lasting| lasting.duration.as_secs_f64()),
            clock_skew: lasting.is_some_and(|lasting| lasting.skewed),
            last: account.and_then(Account::last).map(StepJson::from),
        }
    }
}
