//! Tables and timelines for people.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use backup_tracker::BackupState;

use super::super::reading::table::Table;
use super::super::reading::{say, time};
use super::Chapter;
use super::timeline::{self, Timeline};
use crate::ledger::{Operation, Outcome, Step};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

pub(super) fn write(
    out: &mut (dyn Write + Send),
    chapters: &[Chapter<'_>],
    since_millis: Option<u64>,
    now_millis: u64,
) -> io::Result<()> {
    for (number, chapter) in chapters.iter().enumerate() {
        if number > 0 {
            writeln!(out)?;
        }
        self::chapter(out, chapter, since_millis, now_millis)?;
    }
    if chapters.iter().any(|chapter| !chapter.operations.is_empty()) {
        writeln!(out)?;
        writeln!(out, "{DIM}{}{DIM:#}", timeline::LEGEND)?;
    }
    Ok(())
}

fn chapter(
    out: &mut (dyn Write + Send),
    Chapter { application, account, operations }: &Chapter<'_>,
    since_millis: Option<u64>,
    now_millis: u64,
) -> io::Result<()> {
    write!(out, "{BOLD}{}{BOLD:#}", say::plain(application))?;
    let Some(account) = account.filter(|account| account.last().is_some()) else {
        return writeln!(out, ": never announced, as far as the log goes back");
    };
    write!(out, ": {}", account.state())?;
    if let (Some(since), Some(lasting)) = (account.since_millis(), account.lasting(now_millis)) {
        write!(out, " since {} ({})", time::to_the_second(since), time::brief(lasting.duration))?;
    }
    writeln!(out)?;
    if operations.is_empty() {
        let all = account.operations().len();
        return match all {
            0 => writeln!(out, "  no operations"),
            _ => writeln!(out, "  no operations in that time; {all} before it"),
        };
    }
    table(operations, now_millis).write(out, "  ")?;
    writeln!(out)?;
    let timeline = Timeline::new(operations, since_millis, now_millis);
    writeln!(out, "  {}", timeline.bar())?;
    writeln!(out, "  {DIM}{}{DIM:#}", timeline.scale())
}

fn table(operations: &[Operation], now_millis: u64) -> Table {
    let plain = Style::new();
    let mut table = Table::new(["BEGIN", "END", "DURATION", "OPERATION", "OUTCOME"]);
    for operation in operations {
        let (outcome, style) = outcome(operation);
        table.row([
            (at(operation.begin.as_ref()), plain),
            (at(operation.end.as_ref()), plain),
            (duration(operation, now_millis), plain),
            (kind(operation.kind).to_owned(), plain),
            (outcome, style),
        ]);
    }
    table
}

fn at(step: Option<&Step>) -> String {
    step.map_or_else(|| "-".to_owned(), |step| time::to_the_second(step.transition.timestamp_millis))
}

fn duration(operation: &Operation, now_millis: u64) -> String {
    let Some(lasting) = operation.lasting(now_millis) else { return "-".to_owned() };
    let at_most = if operation.outcome == Outcome::Interrupted { "≤ " } else { "" };
    format!("{at_most}{}", time::brief(lasting.duration))
}

const fn kind(kind: BackupState) -> &'static str {
    match kind {
        BackupState::Restoring => "restore",
        _ => "backup",
    }
}

fn outcome(operation: &Operation) -> (String, Style) {
    let (words, style) = match operation.outcome {
        Outcome::Running => ("running", AnsiColor::Yellow.on_default()),
        Outcome::Ended => ("ended", Style::new()),
        Outcome::Interrupted => ("interrupted", AnsiColor::Red.on_default()),
        Outcome::TakenBack => ("taken back", DIM),
    };
    let mut words = words.to_owned();
    if operation.begin.is_none() {
        words.push_str("; no begin in the log");
    }
    // What runs is measured by this machine's clock.
    if operation.lasting(u64::MAX).is_some_and(|lasting| lasting.skewed) {
        words.push_str("; the clocks of begin and end disagree");
    }
    (words, style)
}
