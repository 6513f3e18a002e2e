//! How an application is brought back to READY.

use std::io::{self, BufRead, IsTerminal, Write};
use std::time::Duration;

use backup_tracker::{BackupState, BackupTracker, RetryPolicy};
use clap::Args;
use serde::Serialize;
use tokio::task::spawn_blocking;

use super::LastWord;
use crate::commands::reading::{Log, LogOptions, json, say, time};
use crate::exit::Exit;
use crate::options::{ApplicationOption, OpenError};

/// The options of whatever brings an application back to READY.
#[derive(Args, Debug)]
pub(in crate::commands) struct ReadyOptions {
    /// How long the broker may take to answer.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time::parse_duration)]
    timeout: Duration,

    /// Write one JSON document instead of a line of text.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    log: LogOptions,
}

/// On whose behalf.
#[derive(Debug)]
pub(in crate::commands) enum Why<'a> {
    /// The application's own primary begins in order.
    Recovery,
    /// Somebody decides that the primary is gone for good.
    Operator {
        reason: &'a str,
        /// Without asking.
        yes: bool,
    },
}

/// The document of `--json`.
#[derive(Debug, Serialize)]
struct Document<'a> {
    application: &'a str,
    /// The state that the log left it in.
    from: BackupState,
    since: Option<String>,
    /// False where it was READY already.
    announced: bool,
    state: BackupState,
    reason: Option<&'a str>,
}

impl ReadyOptions {
    pub(in crate::commands) async fn announce(
        &self,
        application: &ApplicationOption,
        why: &Why<'_>,
        out: &mut (dyn Write + Send),
    ) -> io::Result<Exit> {
        let name = match application.name() {
            Ok(name) => name,
            Err(error) => return Ok(say::failed(&error.into())),
        };
        let log = self.log.log();
        let last = match LastWord::of(&log, name, self.timeout).await {
            Ok(last) => last,
            Err(error) => return Ok(say::failed(&error)),
        };
        if let Some(exit) = at_work(&last) {
            return Ok(exit);
        }
        let announced = last.state != BackupState::Ready;
        if announced {
            if let Some(exit) = self.consent(&last, &log, why).await? {
                return Ok(exit);
            }
            if let Err(error) = self.send(&last, &log, why).await {
                return Ok(say::failed(&error));
            }
        }
        if self.json {
            let document = Document {
                application: name,
                from: last.state,
                since: last.since.as_ref().and_then(|step| time::rfc3339(step.transition.timestamp_millis)),
                announced,
                state: BackupState::Ready,
                reason: reason(why).filter(|_| announced),
            };
            json::write(out, &document)?;
        } else if announced {
            writeln!(out, "{} is READY now; {}", say::plain(name), before(&last))?;
        } else {
            writeln!(out, "{}; nothing to do", last.describe())?;
        }
        Ok(Exit::Success)
    }

    /// Asks, and looks once more then: what was true when the question was put may be so no longer.
    async fn consent(&self, last: &LastWord, log: &Log<'_>, why: &Why<'_>) -> io::Result<Option<Exit>> {
        if matches!(why, Why::Recovery | Why::Operator { yes: true, .. }) {
            return Ok(None);
        }
        if let Some(exit) = ask(last, log).await? {
            return Ok(Some(exit));
        }
        let now = match LastWord::of(log, &last.application, self.timeout).await {
            Ok(now) => now,
            Err(error) => return Ok(Some(say::failed(&error))),
        };
        if now.since != last.since {
            say::error(format_args!("{} meanwhile; nothing was announced", now.describe()));
            return Ok(Some(Exit::Failure));
        }
        Ok(at_work(&now))
    }

    async fn send(&self, last: &LastWord, log: &Log<'_>, why: &Why<'_>) -> Result<(), OpenError> {
        let retry = RetryPolicy::new().give_up_after(self.timeout);
        let primary = last.primary(log, retry, reason(why)).await?;
        let announced = primary.startup_complete().await;
        let closed = primary.close().await;
        announced?;
        if let Err(error) = closed {
            // It is announced.
            tracing::warn!("{error}");
        }
        Ok(())
    }
}

const fn reason<'a>(why: &Why<'a>) -> Option<&'a str> {
    match *why {
        Why::Recovery => None,
        Why::Operator { reason, .. } => Some(reason),
    }
}

fn before(last: &LastWord) -> String {
    match &last.since {
        Some(step) => {
            format!("it was {} since {}", last.state, time::to_the_second(step.transition.timestamp_millis))
        }
        None => "it was never announced before".to_owned(),
    }
}

/// What the program is to exit with where a run is at work.
fn at_work(last: &LastWord) -> Option<Exit> {
    if last.runner().and_then(|runner| runner.is_alive()) != Some(true) {
        return None;
    }
    say::error(format_args!(
        "{}, and that process, or its command, is at work; nothing was announced: wait for it, or end it",
        last.describe()
    ));
    Some(Exit::Failure)
}

/// Asks an operator. Answers with what the program is to exit with, if that is a no.
async fn ask(last: &LastWord, log: &Log<'_>) -> io::Result<Option<Exit>> {
    say::note(format_args!("{}", last.describe()));
    say::note(format_args!(
        "READY will be announced on {log}: every secondary of {} resumes; a {} that runs after all is damaged",
        say::plain(&last.application),
        if last.state == BackupState::Restoring { "restore" } else { "backup" },
    ));
    if !io::stdin().is_terminal() {
        say::error(format_args!("--yes: it is missing, and there is no terminal to ask at; give it"));
        return Ok(Some(Exit::Usage));
    }
    write!(io::stderr(), "Announce READY? [y/N] ")?;
    let answer = spawn_blocking(|| {
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer).map(|_| answer)
    });
    let answer = answer.await.map_err(io::Error::other)??;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(None);
    }
    say::note(format_args!("nothing was announced"));
    Ok(Some(Exit::Failure))
}
