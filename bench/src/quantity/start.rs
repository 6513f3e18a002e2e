//! From the start of a process until it is synced: with a position that an earlier session committed, and behind it events of
//! other applications and, as the last, the beginning of a backup that is still running.
//!
//! Against it, the same for a process that goes on by the raw client as its documentation does it (on Kafka with `subscribe`),
//! and is done when it has that last event.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use backup_tracker::{Event, SecondaryBackupTracker};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::broker::Broker;
use crate::child::{self, DONE, Start};
use crate::events::{APPLICATION, foreign, ready, step};
use crate::options::Transport;
use crate::samples::{Rounds, Side};
use crate::scale::Size;

const GROUP: &str = "ours";

/// `address`: where another process finds the broker. Without one there is no other process, and the clock begins with the
/// opening.
pub(crate) async fn measure<B: Broker>(
    broker: &B,
    transport: Transport,
    address: Option<&str>,
    size: Size,
) -> Result<Rounds> {
    let topic = format!("start-{}", size.size);
    let all = size.warm_up + size.rounds;
    prepare(broker, &topic, size.size, all).await?;
    let mut rounds = Rounds::default();
    for round in 0..all {
        for side in Side::order(round) {
            let group = match side {
                Side::Ours => GROUP.to_owned(),
                Side::Raw => raw_group(round),
            };
            let start = Start {
                side,
                transport,
                address: address.unwrap_or_default().to_owned(),
                topic: topic.clone(),
                group,
                events: if B::FILTERS { 1 } else { size.size },
            };
            let took = match address {
                Some(_) => process(&start).await?,
                None => {
                    let begin = Instant::now();
                    child::perform(broker, &start, || Ok(begin.elapsed())).await?
                }
            };
            if round >= size.warm_up {
                rounds.add(side, took);
            }
        }
    }
    Ok(rounds)
}

/// A group of its own for each round: what a client has taken, another one of the same group does not get at once on every
/// broker. Ours commits nothing here, and needs one only.
fn raw_group(round: usize) -> String {
    format!("raw-{round}")
}

async fn prepare<B: Broker>(broker: &B, topic: &str, size: usize, rounds: usize) -> Result<()> {
    broker.create(topic).await?;
    let secondary = {
        let source = broker.source(topic, GROUP, Some(APPLICATION)).await?;
        SecondaryBackupTracker::builder(APPLICATION, source).build()?
    };
    broker.fill(topic, std::iter::once(ready(B::FORMAT))).await?;
    secondary.watch().wait_for(|state| *state == backup_tracker::BackupState::Ready).await?;
    secondary.close().await?;
    for round in 0..rounds {
        broker.settle(topic, &raw_group(round)).await?;
    }
    let others = (1..size).map(|number| foreign(number, B::FORMAT));
    let behind: Vec<Event> = others.chain([step(0, APPLICATION, B::FORMAT)]).collect();
    broker.fill(topic, behind.into_iter()).await
}

/// Starts the process and waits until it says that it is done; then lets it end in good order.
async fn process(start: &Start) -> Result<Duration> {
    let program = std::env::current_exe()?;
    let mut command = Command::new(program);
    command.arg("start").args(start.arguments()).stdin(Stdio::null()).stdout(Stdio::piped());
    command.kill_on_drop(true);
    let begin = Instant::now();
    let mut process = command.spawn()?;
    let output = process.stdout.take().context("the process has no output")?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line).await?;
    let took = begin.elapsed();
    let status = process.wait().await?;
    if line.trim_end() != DONE || !status.success() {
        bail!("the process that was started said {line:?} and ended with {status}");
    }
    Ok(took)
}
