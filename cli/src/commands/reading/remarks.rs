//! What a reader of a result should know about it, on standard error.

use super::say::{note, plain};
use crate::ledger::{Account, Counts, Ledger};

/// Remarks about the log, and about these applications.
pub(in crate::commands) fn of<'a>(
    ledger: &Ledger,
    accounts: impl IntoIterator<Item = &'a Account>,
    now_millis: u64,
) {
    if ledger.losses() > 0 {
        note(format_args!("records were removed from the log while it was read; what they said is missing"));
    }
    if ledger.undecodable() > 0 {
        note(format_args!("skipped {}: no announcement; -v tells why", records(ledger.undecodable())));
    }
    for account in accounts {
        let name = plain(account.application());
        let Counts { gaps, forbidden, duplicate, other_operation, other_action, .. } = account.counts();
        for (count, what) in [
            (forbidden, "the state table forbids the step"),
            (duplicate, "the event stands in the log more than once"),
            (other_operation, "the end of another operation than the one that ran; two primaries announce"),
            (other_action, "about neither a backup nor a restore"),
        ] {
            if count > 0 {
                note(format_args!("{name}: skipped {}: {what}", records(count)));
            }
        }
        if gaps > 0 {
            let times = if gaps == 1 { "once".to_owned() } else { format!("{gaps} times") };
            note(format_args!(
                "{name}: a step did not begin in the state before it, {times}: a primary began anew, or steps are missing"
            ));
        }
        if account.lasting(now_millis).is_some_and(|lasting| lasting.skewed) {
            note(format_args!(
                "{name}: its last announcement lies in the future by this machine's clock; one of the clocks is wrong"
            ));
        }
    }
}

fn records(count: u64) -> String {
    if count == 1 { "1 record".to_owned() } else { format!("{count} records") }
}
