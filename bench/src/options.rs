//! What the command line says.

use std::fmt;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use crate::child::Start;
use crate::scale::Scale;

/// Measures backup-tracker against the clients that it is built on, side by side on the same server.
///
/// Each quantity is measured in rounds that take turns: ours, the raw client, ours, the raw client. Servers are started for
/// it and ended after it. The table shows median and p99 of both, and their ratios; what a goal is set for says whether it is met.
#[derive(Debug, Parser)]
#[command(name = "backup-tracker-bench", args_conflicts_with_subcommands = true)]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) hidden: Option<Hidden>,

    /// What to measure on; may be given several times. With `all`, what is not to be had here is named and left out.
    #[arg(long, value_enum, default_values_t = [Choice::All])]
    pub(crate) transport: Vec<Choice>,

    /// What to measure; may be given several times. All of it unless given.
    #[arg(long, value_enum)]
    pub(crate) quantity: Vec<Quantity>,

    /// How much of it.
    #[arg(long, value_enum, default_value_t = Scale::Full)]
    pub(crate) scale: Scale,

    /// Where the results go, as JSON; written anew after each measurement, so that an interrupted run leaves what it has.
    #[arg(long, default_value = "target/bench.json")]
    pub(crate) json: PathBuf,

    /// Measures nothing and reads such a file instead; may be given several times, for transports that were measured one by
    /// one.
    #[arg(long)]
    pub(crate) from: Vec<PathBuf>,

    /// A file with what another program of this package has printed, which the page shows under the file's name; may be given
    /// several times.
    #[arg(long, requires = "report")]
    pub(crate) printed: Vec<PathBuf>,

    /// Writes `performance.md`, and its curves, into this folder.
    #[arg(long)]
    pub(crate) report: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Hidden {
    /// The process whose start is measured.
    #[command(hide = true)]
    Start(Start),
}

/// A transport, or all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Choice {
    Memory,
    Kafka,
    Nats,
    Redis,
    All,
}

/// A transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Transport {
    Memory,
    Kafka,
    Nats,
    Redis,
}

impl Transport {
    pub(crate) const ALL: [Self; 4] = [Self::Memory, Self::Kafka, Self::Nats, Self::Redis];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Kafka => "kafka",
            Self::Nats => "nats",
            Self::Redis => "redis",
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Quantity {
    /// From the call of `start_backup` until the gate of the last secondary is shut.
    Announcement,
    /// The same with one reader, and one part of ours more in each row.
    Parts,
    /// From opening a new group until a backlog is read.
    CatchingUp,
    /// From the start of the process until synced, with a committed position.
    Start,
}

impl Quantity {
    pub(crate) const ALL: [Self; 4] = [Self::Announcement, Self::Parts, Self::CatchingUp, Self::Start];

    /// As the JSON has it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Announcement => "announcement",
            Self::Parts => "parts",
            Self::CatchingUp => "catching_up",
            Self::Start => "start",
        }
    }

    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Announcement => "Announcement to gate shut",
            Self::Parts => "Parts of an announcement",
            Self::CatchingUp => "Catching up",
            Self::Start => "Start to synced",
        }
    }

    /// What its size counts.
    pub(crate) const fn of_what(self) -> &'static str {
        match self {
            Self::Announcement => "secondaries",
            Self::Parts => "parts that are ours",
            Self::CatchingUp | Self::Start => "events",
        }
    }

    /// Whether its sizes are amounts of the same, so that a curve through them says something.
    pub(crate) const fn grows(self) -> bool {
        !matches!(self, Self::Parts)
    }
}

impl Options {
    /// The transports in question, and whether each was asked for by its name.
    pub(crate) fn transports(&self) -> Vec<(Transport, bool)> {
        let named = |transport: Transport| self.transport.iter().any(|choice| choice.is(transport));
        let all = self.transport.contains(&Choice::All);
        Transport::ALL
            .into_iter()
            .map(|transport| (transport, named(transport)))
            .filter(|(_, named)| all || *named)
            .collect()
    }

    pub(crate) fn quantities(&self) -> Vec<Quantity> {
        let all = self.quantity.is_empty();
        Quantity::ALL.into_iter().filter(|quantity| all || self.quantity.contains(quantity)).collect()
    }
}

impl Choice {
    fn is(self, transport: Transport) -> bool {
        matches!(
            (self, transport),
            (Self::Memory, Transport::Memory)
                | (Self::Kafka, Transport::Kafka)
                | (Self::Nats, Transport::Nats)
                | (Self::Redis, Transport::Redis)
        )
    }
}
