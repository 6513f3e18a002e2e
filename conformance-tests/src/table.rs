//! The row of a transport in a table of transports, and whether a document has it.

use backup_tracker::WireFormat;

use crate::profile::{Ability, Profile};

impl Profile {
    /// The transport's row in a Markdown table with the columns transport, largest event unless set, format unless set, and
    /// what it lacks, each with the reason. What only a harness cannot show is left out.
    ///
    /// ```
    /// use backup_tracker::WireFormat;
    /// use backup_tracker_conformance::{Ability, Profile};
    ///
    /// let profile = Profile::new(1000).lacks(Ability::End, "a queue never ends");
    /// let row = profile.table_row("Pigeon", "1 KiB", WireFormat::Cbor);
    /// assert_eq!(row, "| Pigeon | 1 KiB | CBOR | an end of the log: a queue never ends |");
    /// ```
    #[must_use]
    pub fn table_row(&self, transport: &str, largest_event: &str, format: WireFormat) -> String {
        let format = match format {
            WireFormat::BackupJson => "JSON, `BackupJson`",
            WireFormat::ActionJson => "JSON, `ActionJson`",
            _ => "CBOR",
        };
        let lacks: Vec<_> =
            self.lacking().map(|(ability, reason)| format!("{}: {reason}", ability.phrase())).collect();
        let lacks = if lacks.is_empty() { "nothing".to_owned() } else { lacks.join("; ") };
        format!("| {transport} | {largest_event} | {format} | {lacks} |")
    }
}

/// Whether a document has this line, for a test that keeps a table true.
///
/// # Errors
///
/// When it has not: what the line must be, and what stands there about the same transport.
pub fn check_row(document: &str, row: &str) -> Result<(), String> {
    let first_cell = |line: &str| line.split('|').nth(1).map(|cell| cell.trim().to_owned());
    let rows: Vec<_> = document.lines().filter(|line| first_cell(line) == first_cell(row)).collect();
    match *rows {
        [found] if found == row => Ok(()),
        [] => Err(format!("the table has no row for this transport; it must be\n{row}")),
        [found] => Err(format!("the table says\n{found}\nand the profile\n{row}")),
        _ => Err(format!("the table has {} rows for this transport; it must have one,\n{row}", rows.len())),
    }
}

impl Ability {
    /// What a transport lacks that lacks it.
    const fn phrase(self) -> &'static str {
        match self {
            Self::Raw => "events of foreign programs",
            Self::Tombstones => "records without a value",
            Self::BinaryHeaders => "headers of any bytes",
            Self::MonotonicPosition => "a position that a slower replica cannot move back",
            Self::Trim => "a log that can be trimmed",
            Self::Recreate => "telling a new session that the log was recreated",
            Self::TellsRecreated => "telling a recreated log that is longer than the position",
            Self::RecreateLive => "telling a live session that its log was recreated",
            Self::Delete => "a log that can be away for a while",
            Self::Truncate => "telling that the log lost its newest records",
            Self::RenewsCredentials => "credentials that can be renewed",
            Self::BindsGroups => "binding a group to an application",
            Self::Observers => "sources without a group",
            Self::StoresOnce => "storing once what the client library repeats",
            Self::End => "an end of the log",
            Self::Cut => "a connection that can break",
            Self::BlackHole => "a connection that can fall silent",
            Self::LostAnswers => "answers that can be lost",
            Self::Kill => "a broker that can be killed",
            Self::Stop => "a broker that can be stopped",
            Self::RestartOne => "a broker that can be restarted",
            Self::Roll => "brokers that can be restarted one after the other",
            Self::Delay => "a connection that can be slow",
            Self::PartialBlackHole => "brokers of which one can fall silent",
            Self::Deny => "permissions that can be withdrawn",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile() -> Profile {
        Profile::new(1)
            .lacks(Ability::End, "it never ends")
            .lacks(Ability::Raw, "nobody else writes")
            .not_shown(Ability::Trim, "the harness has no scissors")
    }

    #[test]
    fn a_row_names_what_is_lacking_and_not_what_is_only_not_shown() {
        assert_eq!(
            profile().table_row("X", "1 MiB", WireFormat::BackupJson),
            "| X | 1 MiB | JSON, `BackupJson` | events of foreign programs: nobody else writes; an end of the log: it never ends |"
        );
        assert_eq!(Profile::new(1).table_row("X", "-", WireFormat::Cbor), "| X | - | CBOR | nothing |");
    }

    #[test]
    fn a_document_has_exactly_this_row_or_is_told_what_it_should_have() {
        let row = profile().table_row("X", "1 MiB", WireFormat::Cbor);
        let table =
            |rows: &str| format!("# Transports\n\n| transport | lacks |\n|---|---|\n{rows}\n\nX | Y\n");
        check_row(&table(&row), &row).unwrap();
        for (rows, word) in [
            (String::new(), "no row"),
            (row.replace("never", "always"), "always"),
            (format!("{row}\n{row}"), "2 rows"),
            (row.replace("| X |", "| XX |"), "no row"),
        ] {
            let error = check_row(&table(&rows), &row).unwrap_err();
            assert!(error.contains(word) && error.ends_with(&row), "{error}");
        }
    }
}
