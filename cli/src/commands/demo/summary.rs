//! The end of the timeline: what every secondary saw, and whether that is what it should have seen.

use std::io::{self, Write};

use super::Outcome;
use super::style::{BAD, BOLD, GOOD};
use super::verdict::Verdict;

pub(super) fn write(out: &mut (dyn Write + Send), outcome: &Outcome) -> io::Result<()> {
    let judgement = &outcome.judgement;
    writeln!(
        out,
        "{BOLD}{:<9} {:<16} {:>7}  {:>12}  {:>13}   verdict{BOLD:#}",
        "secondary", "saw", "replays", "paused within", "pieces of work"
    )?;
    for verdict in &judgement.verdicts {
        row(out, verdict)?;
    }
    writeln!(out)?;
    if let Some(trouble) = &outcome.trouble {
        writeln!(out, "{BAD}✘ the demo did not come to its end: {trouble}{BAD:#}")?;
    }
    for finding in &judgement.findings {
        writeln!(out, "{BAD}✘ the run: {finding}{BAD:#}")?;
    }
    for verdict in &judgement.verdicts {
        for finding in &verdict.findings {
            writeln!(out, "{BAD}✘ {}: {finding}{BAD:#}", verdict.who)?;
        }
    }
    let (announced, seconds) = (judgement.announced, outcome.took.as_secs_f64());
    let (style, mark, words) = if outcome.is_good() {
        (GOOD, '✔', "every secondary saw exactly what it should have seen")
    } else {
        (BAD, '✘', "not all was as it should have been")
    };
    writeln!(out, "{style}{mark} {announced} announcements in {seconds:.1} s: {words}{style:#}")
}

fn row(out: &mut (dyn Write + Send), verdict: &Verdict) -> io::Result<()> {
    let saw: Vec<_> =
        verdict.tallies.iter().map(|tally| format!("{} of {}", tally.seen, tally.expected)).collect();
    let replays: usize = verdict.tallies.iter().map(|tally| tally.replays).sum();
    let pause = verdict.slowest_pause.map_or("never".to_owned(), |pause| format!("{} ms", pause.as_millis()));
    let (style, word) =
        if verdict.is_good() { (GOOD, "✔ as it should be") } else { (BAD, "✘ wrong, see below") };
    writeln!(
        out,
        "{:<9} {:<16} {replays:>7}  {pause:>13}  {:>14}   {style}{word}{style:#}",
        verdict.who,
        saw.join(" + "),
        verdict.pieces,
    )
}
