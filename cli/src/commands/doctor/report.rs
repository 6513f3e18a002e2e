//! The findings, written.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::super::reading::say::plain;
use super::super::reading::{Log, json, time};
use super::finding::{Checkup, Finding, Verdict};

/// The document of `--json`.
#[derive(Debug, Serialize)]
struct Document<'a> {
    transport: &'static str,
    topic: &'a str,
    group: Option<&'a str>,
    application: Option<&'a str>,
    checked_at: Option<String>,
    checked_at_millis: u64,
    healthy: bool,
    findings: &'a [Finding],
}

pub(super) fn json(
    out: &mut (dyn Write + Send),
    log: &Log<'_>,
    application: Option<&str>,
    checkup: &Checkup,
) -> io::Result<()> {
    let now = time::now_millis();
    json::write(
        out,
        &Document {
            transport: log.transport(),
            topic: log.topic(),
            group: checkup.group.as_deref(),
            application,
            checked_at: time::rfc3339(now),
            checked_at_millis: now,
            healthy: checkup.count(Verdict::Problem) == 0,
            findings: checkup.findings(),
        },
    )
}

pub(super) fn text(out: &mut (dyn Write + Send), log: &Log<'_>, checkup: &Checkup) -> io::Result<()> {
    let group = checkup.group.as_ref().map(|group| format!(", group `{group}`")).unwrap_or_default();
    writeln!(out, "{}{}", plain(&log.to_string()), plain(&group))?;
    // Checks with the same outcome for the same reason are told together.
    let same =
        |a: &Finding, b: &Finding| (a.verdict, &a.seen, &a.next_step) == (b.verdict, &b.seen, &b.next_step);
    let findings: Vec<_> = checkup.findings().chunk_by(same).collect();
    let longest = findings.iter().filter(|group| group.len() == 1).map(|group| group[0].check.len()).max();
    let longest = longest.unwrap_or_default();
    for group in findings {
        let Some(Finding { check, verdict, seen, next_step }) = group.first() else { continue };
        let (style, word, seen) = (of(*verdict), verdict.as_str(), plain(seen));
        if let [_, _, ..] = group {
            let names: Vec<_> = group.iter().map(|finding| finding.check).collect();
            writeln!(out, "{style}{word:7}{style:#}  {:longest$}  {seen}: {}", "…", names.join(", "))?;
        } else {
            writeln!(out, "{style}{word:7}{style:#}  {check:longest$}  {seen}")?;
        }
        if let Some(next) = next_step {
            writeln!(out, "{:7}  {:longest$}  → {}", "", "", plain(next))?;
        }
    }
    Ok(())
}

const fn of(verdict: Verdict) -> Style {
    match verdict {
        Verdict::Ok => AnsiColor::Green.on_default(),
        Verdict::Warning => AnsiColor::Yellow.on_default(),
        Verdict::Problem => AnsiColor::Red.on_default().bold(),
        Verdict::Unknown => Style::new().dimmed(),
    }
}
