//! The run as JSON, one object a line. The names of the fields do not change; there may be more of them one day.

use std::io::{self, Write};
use std::time::Duration;

use backup_tracker::BackupState;
use serde::Serialize;
use uuid::Uuid;

use super::cast::{APPLICATION, Who};
use super::record::{Entry, What};
use super::verdict::Tally;
use super::{Outcome, Show};

#[derive(Debug)]
pub(super) struct JsonLines;

#[derive(Serialize)]
struct Begin<'a> {
    event: &'static str,
    application: &'static str,
    log: &'a str,
    primary: Who,
    secondaries: [Who; 3],
}

/// Something that happens. Fields without a meaning for the event are left out.
#[derive(Serialize)]
struct Happening {
    event: &'static str,
    at_ms: f64,
    service: Who,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<BackupState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<BackupState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replay: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    missed: Option<bool>,
}

#[derive(Serialize)]
struct VerdictLine {
    event: &'static str,
    service: Who,
    good: bool,
    sessions: Vec<SessionLine>,
    slowest_pause_ms: Option<f64>,
    pieces_of_work: usize,
    findings: Vec<String>,
}

#[derive(Serialize)]
struct SessionLine {
    seen: usize,
    expected: usize,
    replays: usize,
}

#[derive(Serialize)]
struct Summary {
    event: &'static str,
    good: bool,
    announced: usize,
    took_ms: f64,
    trouble: Option<String>,
    findings: Vec<String>,
}

impl Show for JsonLines {
    fn begin(&mut self, out: &mut (dyn Write + Send), log: &str) -> io::Result<()> {
        let (primary, secondaries) = (Who::Orders, Who::SECONDARIES);
        line(out, &Begin { event: "begin", application: APPLICATION, log, primary, secondaries })
    }

    fn entry(&mut self, out: &mut (dyn Write + Send), entry: &Entry) -> io::Result<()> {
        match happening(entry) {
            Some(happening) => line(out, &happening),
            None => Ok(()),
        }
    }

    fn end(&mut self, out: &mut (dyn Write + Send), outcome: &Outcome) -> io::Result<()> {
        let judgement = &outcome.judgement;
        for verdict in &judgement.verdicts {
            line(
                out,
                &VerdictLine {
                    event: "verdict",
                    service: verdict.who,
                    good: verdict.is_good(),
                    sessions: verdict.tallies.iter().map(SessionLine::from).collect(),
                    slowest_pause_ms: verdict.slowest_pause.map(millis),
                    pieces_of_work: verdict.pieces,
                    findings: verdict.findings.iter().map(ToString::to_string).collect(),
                },
            )?;
        }
        line(
            out,
            &Summary {
                event: "summary",
                good: outcome.is_good(),
                announced: judgement.announced,
                took_ms: millis(outcome.took),
                trouble: outcome.trouble.as_ref().map(ToString::to_string),
                findings: judgement.findings.iter().map(ToString::to_string).collect(),
            },
        )
    }
}

impl From<&Tally> for SessionLine {
    fn from(tally: &Tally) -> Self {
        Self { seen: tally.seen, expected: tally.expected, replays: tally.replays }
    }
}

fn happening(entry: &Entry) -> Option<Happening> {
    let bare = |event| Happening {
        event,
        at_ms: millis(entry.at),
        service: entry.who,
        state: None,
        from: None,
        id: None,
        replay: None,
        missed: None,
    };
    let with_state = |event, state: BackupState| Happening { state: Some(state), ..bare(event) };
    Some(match &entry.what {
        What::Opened(state) => with_state("opened", *state),
        What::Synced => bare("synced"),
        What::Announcing(state) => with_state("announcing", *state),
        What::Announced(transition) => Happening {
            from: Some(transition.from),
            id: Some(transition.id),
            ..with_state("announced", transition.to)
        },
        What::Shows(state) => with_state("state", *state),
        What::Paused => bare("paused"),
        What::Told(told) => Happening {
            from: Some(told.transition.from),
            id: Some(told.transition.id),
            replay: Some(told.replay),
            missed: Some(told.missed),
            ..with_state("told", told.transition.to)
        },
        What::ListenerReturned(transition) => {
            Happening { id: Some(transition.id), ..with_state("listener_returned", transition.to) }
        }
        What::OperationBegan(state) => with_state("operation_began", *state),
        What::OperationEnded(state) => with_state("operation_ended", *state),
        What::Killed => bare("killed"),
        What::Closed => bare("closed"),
        // Too many for lines of their own; the verdict counts them.
        What::WorkBegan | What::WorkEnded => return None,
    })
}

/// To the microsecond.
fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

fn line(out: &mut (dyn Write + Send), object: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_string(object)?;
    text.push('\n');
    out.write_all(text.as_bytes())
}
