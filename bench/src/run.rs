//! Starts what is needed, measures, and keeps what was measured.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use backup_tracker_test_servers as servers;

use crate::broker::Broker;
use crate::brokers::{Kafka, Memory, Nats, Redis};
use crate::machine::{Machine, version_of};
use crate::options::{Options, Quantity, Transport};
use crate::quantity::{announcement, catching_up, parts, start};
use crate::result::{FORMAT, Measurement, Missing, Results, Used};
use crate::table;

/// Measures what the options say. The second value says whether a transport that was asked for by its name is missing.
pub(crate) async fn run(options: &Options, out: &mut (dyn Write + Send)) -> Result<(Results, bool)> {
    let mut run = Run {
        options,
        results: Results {
            format: FORMAT,
            scale: options.scale.name().to_owned(),
            machine: Machine::this(),
            transports: Vec::new(),
            missing: Vec::new(),
            measurements: Vec::new(),
        },
        out,
    };
    let mut named_is_missing = false;
    for (transport, named) in options.transports() {
        if let Some(reason) = missing(transport) {
            writeln!(run.out, "\n{transport} is not measured: {reason}")?;
            run.results.missing.push(Missing { transport: transport.name().to_owned(), reason });
            named_is_missing |= named;
            run.keep()?;
            continue;
        }
        run.transport(transport).await.with_context(|| format!("on {transport}"))?;
    }
    Ok((run.results, named_is_missing))
}

/// Why it cannot be measured here.
fn missing(transport: Transport) -> Option<String> {
    let found = match transport {
        Transport::Memory => return None,
        Transport::Kafka => servers::Kafka::find(),
        Transport::Nats => servers::Nats::find(),
        Transport::Redis => servers::Redis::find(),
    };
    found.err().map(|missing| missing.reason)
}

struct Run<'a> {
    options: &'a Options,
    results: Results,
    out: &'a mut (dyn Write + Send),
}

impl Run<'_> {
    async fn transport(&mut self, transport: Transport) -> Result<()> {
        match transport {
            Transport::Memory => {
                let client = "a list behind a lock, and tokio's Notify".to_owned();
                self.measure(transport, &Memory::default(), None, client, String::new()).await
            }
            Transport::Kafka => {
                // The broker's own default, which the test servers turn off: how long the first member of a group waits for others.
                let server =
                    servers::Kafka::builder().property("group.initial.rebalance.delay.ms", "3000").start()?;
                let said = server.tool("org.apache.kafka.tools.TopicCommand", &["--version"])?;
                let version = format!("Apache Kafka {}", said.split_whitespace().next().unwrap_or("unknown"));
                let (_, librdkafka) = rdkafka::util::get_rdkafka_version();
                let client = format!("rdkafka {} with librdkafka {librdkafka}", version_of("rdkafka"));
                let address = server.servers();
                self.measure(transport, &Kafka::at(&*address), Some(&address), client, version).await
            }
            Transport::Nats => {
                let server = servers::Nats::start()?;
                let url = server.url();
                let found = async_nats::connect(&*url).await?.server_info();
                let client = format!("async-nats {}", version_of("async-nats"));
                let version = format!("NATS {}", found.version);
                self.measure(transport, &Nats::at(&*url), Some(&url), client, version).await
            }
            Transport::Redis => {
                let server = servers::Redis::start()?;
                let url = server.url();
                let broker = Redis::at(&*url);
                let info: redis::InfoDict =
                    redis::cmd("INFO").arg("server").query_async(&mut broker.connect().await?).await?;
                let found = info.get::<String>("redis_version").unwrap_or_else(|| "unknown".to_owned());
                let client = format!("redis {}", version_of("redis"));
                self.measure(transport, &broker, Some(&url), client, format!("Redis {found}")).await
            }
        }
    }

    async fn measure<B: Broker>(
        &mut self,
        transport: Transport,
        broker: &B,
        address: Option<&str>,
        client: String,
        server: String,
    ) -> Result<()> {
        writeln!(self.out, "\n{transport}: {client}; {server}")?;
        self.results.transports.push(Used { transport: transport.name().to_owned(), client, server });
        for quantity in self.options.quantities() {
            let sizes = self.options.scale.sizes(quantity, transport);
            if !sizes.is_empty() {
                writeln!(self.out, "{}", table::head(quantity))?;
            }
            for size in sizes {
                let rounds = match quantity {
                    Quantity::Announcement => announcement::measure(broker, size).await,
                    Quantity::Parts => parts::measure(broker, size).await,
                    Quantity::CatchingUp => catching_up::measure(broker, size).await,
                    Quantity::Start => start::measure(broker, transport, address, size).await,
                };
                let rounds = rounds.with_context(|| {
                    format!("{} with {} {}", quantity.title(), size.size, quantity.of_what())
                })?;
                let measurement = Measurement::new(quantity, transport, size.size, &rounds);
                writeln!(self.out, "{}", table::row(&measurement))?;
                self.out.flush()?;
                self.results.measurements.push(measurement);
                self.keep()?;
            }
        }
        Ok(())
    }

    /// Writes what there is.
    fn keep(&self) -> Result<()> {
        write(&self.options.json, &(serde_json::to_string_pretty(&self.results)? + "\n"))
    }
}

/// Writes a file whole or not at all, and the folder that it is in.
pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    let failed = || format!("{} cannot be written", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(failed)?;
    }
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    fs::write(&partial, text).with_context(failed)?;
    fs::rename(&partial, path).with_context(failed)
}
