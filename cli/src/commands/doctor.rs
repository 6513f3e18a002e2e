//! `backup-tracker doctor`: whether broker, topic and group are set up well.

mod clock;
mod finding;
mod kafka;
mod log;
mod nats;
mod need;
mod redis;
mod report;

use std::io::{self, Write};
use std::time::Duration;

use clap::Args;

use self::finding::{Checkup, Verdict};
use self::need::Need;
use super::reading::{LogOptions, say, time};
use crate::exit::Exit;
use crate::options::{ApplicationOption, OpenError, Transport, blame};

/// Checks whether broker, topic and group are set up well, and says what to do where they are not.
///
/// It reaches the broker, looks at the topic and what it keeps for how long, at permissions, clocks and the group's position, and reads
/// what was announced. It writes nothing: no event, no topic (--create-topic is without effect), no position. What only
/// writing would tell, and what this user may not see, is `unknown`, which is neither good nor bad.
#[derive(Debug, Args)]
#[command(after_help = AFTER)]
pub(crate) struct Arguments {
    #[command(flatten)]
    application: ApplicationOption,

    /// Write one JSON document instead of the list.
    #[arg(long)]
    json: bool,

    /// For how long a secondary may be away, or an operation last, at most. The topic must keep events for longer.
    #[arg(long, value_name = "TIME", default_value = "3d", value_parser = time::parse_duration)]
    absence: Duration,

    /// How long the broker may take for each answer.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time::parse_duration)]
    timeout: Duration,

    #[command(flatten)]
    log: LogOptions,
}

const AFTER: &str = "\
Each finding is `ok`, a `warning` (it works, and may not for long), a `problem`, or `unknown`, with the next step.

Exit status:
  0  no problem; there may be warnings  1  a problem, or the broker is not reached  2  wrong call or configuration

Examples:
  backup-tracker doctor --bootstrap-server kafka-1:9092 --group search --application shop
  backup-tracker doctor --transport redis --url-file /run/secrets/redis --absence 14d
  backup-tracker doctor --bootstrap-server kafka-1:9092 --json | jq '.findings[] | select(.verdict != \"ok\")'";

/// Runs the command.
pub(crate) async fn run(arguments: &Arguments, out: &mut (dyn Write + Send)) -> io::Result<Exit> {
    let checkup = match examine(arguments).await {
        Ok(checkup) => checkup,
        Err(error) => return Ok(say::failed(&error)),
    };
    let log = arguments.log.log();
    if arguments.json {
        report::json(out, &log, arguments.application.given(), &checkup)?;
    } else {
        report::text(out, &log, &checkup)?;
    }
    out.flush()?;
    match checkup.count(Verdict::Problem) {
        0 => Ok(Exit::Success),
        1 => {
            say::error(format_args!("there is 1 problem; its next step stands below it"));
            Ok(Exit::Failure)
        }
        many => {
            say::error(format_args!("there are {many} problems; mend the first one first"));
            Ok(Exit::Failure)
        }
    }
}

async fn examine(arguments: &Arguments) -> Result<Checkup, OpenError> {
    let log = arguments.log.log();
    let (transport, group) = log.backups.transport_and_group(log.kafka)?;
    let need = Need {
        absence: arguments.absence,
        application: arguments.application.given(),
        group: group.as_deref(),
        topic: log.topic(),
    };
    let mut checkup = Checkup::new(group.clone());
    let lag = match transport {
        Transport::Kafka(kafka) => {
            let kafka = kafka.open_timeout(arguments.timeout);
            let found = kafka.inspect(need.group).await.map_err(blame)?;
            kafka::judge(&found, &need, &mut checkup)
        }
        Transport::Nats(nats) => {
            let nats = nats.open_timeout(arguments.timeout);
            let found = nats.inspect(need.group).await.map_err(blame)?;
            nats::judge(&found, &need, &mut checkup)
        }
        Transport::Redis(redis) => {
            let redis = redis.open_timeout(arguments.timeout);
            let found = redis.inspect(need.group).await.map_err(blame)?;
            redis::judge(&found, &need, &mut checkup)
        }
    };
    log::judge(&log, arguments.timeout, &need, lag, &mut checkup).await;
    Ok(checkup)
}
