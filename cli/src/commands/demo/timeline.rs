//! The timeline for people: a line for each thing that happens, a column for each service.

use std::io::{self, Write};
use std::time::Duration;

use anstyle::Style;
use backup_tracker::BackupState;

use super::cast::{APPLICATION, Who};
use super::record::{Entry, What};
use super::style::{BAD, BOLD, DIM, DOWN, of_state};
use super::{Outcome, Show, summary};

/// How wide a column is, without the space that follows it.
const WIDTH: usize = 11;

const LEGEND: &str =
    "● works   ◐ gate shut, finishes its work   ■ paused, nothing runs   … listener at work   × down";

#[derive(Debug, Default)]
pub(super) struct Timeline {
    services: [Service; Who::ALL.len()],
}

/// A service as the record shows it.
#[derive(Clone, Copy, Debug, Default)]
struct Service {
    life: Life,
    state: Option<BackupState>,
    synced: bool,
    paused: bool,
    /// How many times it was told something and its listener has not returned.
    listening: usize,
    sessions: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Life {
    #[default]
    NotYet,
    Up,
    Killed,
    Closed,
}

impl Show for Timeline {
    fn begin(&mut self, out: &mut (dyn Write + Send), log: &str) -> io::Result<()> {
        writeln!(out, "{BOLD}The services of `{APPLICATION}`, on {log}{BOLD:#}")?;
        writeln!(out)?;
        for who in Who::ALL {
            writeln!(out, "  {BOLD}{who:<8}{BOLD:#} {}", who.role())?;
        }
        writeln!(out)?;
        writeln!(out, "  {DIM}{LEGEND}{DIM:#}")?;
        writeln!(out)?;
        write!(out, "{BOLD}{:>6}  ", "ms")?;
        for who in Who::ALL {
            write!(out, " {who:<WIDTH$}")?;
        }
        writeln!(out, " what happens{BOLD:#}")
    }

    fn entry(&mut self, out: &mut (dyn Write + Send), entry: &Entry) -> io::Result<()> {
        let service = &mut self.services[entry.who as usize];
        service.follow(&entry.what);
        let Some((style, words)) = words(entry, service) else { return Ok(()) };
        self.line(out, entry.at, style, &words)
    }

    fn end(&mut self, out: &mut (dyn Write + Send), outcome: &Outcome) -> io::Result<()> {
        writeln!(out)?;
        summary::write(out, outcome)
    }
}

impl Timeline {
    fn line(&self, out: &mut (dyn Write + Send), at: Duration, style: Style, words: &str) -> io::Result<()> {
        write!(out, "{DIM}{:>6}{DIM:#}  ", at.as_millis())?;
        for (who, service) in Who::ALL.into_iter().zip(&self.services) {
            let (style, text) = service.cell(who);
            write!(out, "{style}{text:<WIDTH$}{style:#} ")?;
        }
        writeln!(out, " {style}{words}{style:#}")
    }
}

impl Service {
    fn follow(&mut self, what: &What) {
        match what {
            What::Opened(state) => {
                let sessions = self.sessions + 1;
                *self = Self { life: Life::Up, state: Some(*state), sessions, ..Self::default() };
            }
            What::Synced => self.synced = true,
            What::Announced(transition) => self.state = Some(transition.to),
            What::Shows(state) => {
                self.state = Some(*state);
                self.paused = false;
            }
            What::Paused => self.paused = true,
            What::Told(_) => self.listening += 1,
            What::ListenerReturned(_) => self.listening = self.listening.saturating_sub(1),
            What::Killed => self.life = Life::Killed,
            What::Closed => self.life = Life::Closed,
            What::Announcing(_)
            | What::WorkBegan
            | What::WorkEnded
            | What::OperationBegan(_)
            | What::OperationEnded(_) => {}
        }
    }

    fn cell(&self, who: Who) -> (Style, String) {
        let state = match self.life {
            Life::NotYet => return (Style::new(), String::new()),
            Life::Killed => return (DOWN, " × down".to_owned()),
            Life::Closed => return (DIM, " closed".to_owned()),
            Life::Up => self.state.unwrap_or(BackupState::Starting),
        };
        let word = match state {
            BackupState::Starting => "starting",
            BackupState::Ready => "ready",
            BackupState::BackingUp => "backup",
            BackupState::Restoring => "restore",
        };
        // The primary has no work but the operation; a secondary does not work before it has caught up.
        let mark = match state.is_operation() || !(self.synced || who == Who::Orders) {
            true if self.paused || who == Who::Orders => '■',
            true => '◐',
            false => '●',
        };
        let listens = self.listening > 0 && !who.listener_time().is_zero();
        (of_state(state), format!(" {mark} {word}{}", if listens { "…" } else { "" }))
    }
}

/// What is said about it; most of it shows in the columns alone.
fn words(entry: &Entry, service: &Service) -> Option<(Style, String)> {
    let who = entry.who;
    let plain = |words: String| Some((Style::new(), words));
    match &entry.what {
        What::Opened(_) if service.sessions > 1 => Some((BOLD, format!("{who} is started again"))),
        What::Opened(_) if who == Who::Orders => plain(format!("{who} is up")),
        What::Synced if service.sessions == 1 => plain(format!("{who} is up, and works")),
        What::Announcing(state) => Some((BOLD, format!("{who} announces {state}"))),
        What::Told(told) if told.replay => {
            plain(format!("{who} is told {} again (replay)", told.transition.to))
        }
        What::Told(told) => plain(format!("{who} is told {}", told.transition.to)),
        What::ListenerReturned(transition) if !who.listener_time().is_zero() => {
            plain(format!("{who}: listener done with {}", transition.to))
        }
        What::Paused => plain(format!("{who} has paused")),
        What::OperationBegan(BackupState::Restoring) => {
            Some((BOLD, format!("nobody works: {who} restores its data")))
        }
        What::OperationBegan(_) => Some((BOLD, format!("nobody works: {who} copies its data"))),
        What::Killed => Some((BAD, format!("{who} is killed"))),
        What::Closed if who == Who::Orders => plain("all are closed".to_owned()),
        _ => None,
    }
}
