//! What the set-up has to be good for.

use std::time::Duration;

use super::super::reading::time::brief;
use super::finding::Finding;

/// What the set-up has to be good for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Need<'a> {
    /// For how long a secondary may be away, or an operation last.
    pub(super) absence: Duration,
    pub(super) application: Option<&'a str>,
    pub(super) group: Option<&'a str>,
    pub(super) topic: &'a str,
}

/// Whether events that are kept for so long are kept for long enough. `set` says how to set another time, in seconds.
pub(super) fn kept(
    check: &'static str,
    kept: Duration,
    absence: Duration,
    set: impl FnOnce(u64) -> String,
) -> Finding {
    let seen = format!("events are kept for {}", brief(kept));
    if kept >= absence {
        return Finding::ok(check, seen);
    }
    let next = format!(
        "{} or more: a secondary that is away for {} would miss what was announced meanwhile",
        set(absence.as_secs()),
        brief(absence)
    );
    Finding::warning(check, seen, next)
}
