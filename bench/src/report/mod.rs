//! The page with the results, and its curves: nothing in them is written by hand but [`NOTES`].

mod curve;
mod svg;

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use self::curve::Curve;
use crate::options::{Quantity, Transport};
use crate::result::{FORMAT, Measurement, Results};
use crate::run::write as write_file;
use crate::table::{goal, rate, time};

/// What the numbers do not say of themselves.
const NOTES: &str = include_str!("notes.md");

/// The page's name, and that of the folder beside it with the curves.
const PAGE: &str = "performance.md";
const CURVES: &str = "performance";

/// Reads what earlier runs have left, which must be of one machine and one scale.
pub(crate) fn read(paths: &[PathBuf]) -> Result<Results> {
    let mut all: Option<Results> = None;
    for path in paths {
        let failed = || format!("{} holds no results", path.display());
        let text = fs::read_to_string(path).with_context(failed)?;
        let results: Results = serde_json::from_str(&text).with_context(failed)?;
        ensure!(results.format == FORMAT, "{} has format {}", path.display(), results.format);
        let Some(before) = &mut all else {
            all = Some(results);
            continue;
        };
        ensure!(
            before.machine == results.machine && before.scale == results.scale,
            "{} is of another machine, or of another scale",
            path.display()
        );
        before.transports.extend(results.transports);
        before.missing.extend(results.missing);
        before.measurements.extend(results.measurements);
    }
    all.context("no results")
}

/// What another program has printed.
pub(crate) struct Printed {
    title: String,
    text: String,
}

impl Printed {
    /// Its title is the file's name, with spaces for hyphens.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let title = path.file_stem().context("a file without a name")?.to_string_lossy().replace('-', " ");
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        ensure!(!text.trim().is_empty(), "{} is empty", path.display());
        Ok(Self { title, text })
    }
}

/// Writes the page and its curves.
pub(crate) fn write(results: &Results, printed: &[Printed], folder: &Path) -> Result<()> {
    for quantity in Quantity::ALL {
        for transport in Transport::ALL {
            let curve = Curve::of(results, quantity, transport);
            if let Some(picture) = svg::draw(&curve) {
                write_file(&folder.join(CURVES).join(file_name(quantity, transport)), &picture)?;
            }
        }
    }
    write_file(&folder.join(PAGE), &page(results, printed)?)
}

fn file_name(quantity: Quantity, transport: Transport) -> String {
    format!("{}-{transport}.svg", quantity.name())
}

fn page(results: &Results, printed: &[Printed]) -> Result<String> {
    let mut page = String::new();
    let machine = &results.machine;
    writeln!(page, "# Performance\n")?;
    writeln!(
        page,
        "What backup-tracker takes on top of the client that it is built on: each pair of numbers comes from one run, whose rounds took turns on the same server. `ratio` is ours divided by the raw client's, so that less is better; the quartiles are those of the rounds' own ratios, and show how restless the measurement was. [`bench`](../bench) says what is measured and how, and writes this page.\n"
    )?;
    writeln!(page, "| | |\n|---|---|")?;
    writeln!(page, "| processor | {}, {} threads |", machine.processor, machine.cores)?;
    writeln!(page, "| memory | {:.1} GiB |", machine.memory_bytes as f64 / f64::from(1 << 30))?;
    writeln!(page, "| system | {} |", machine.system)?;
    for used in &results.transports {
        let server = if used.server.is_empty() { "no server" } else { &used.server };
        writeln!(page, "| {} | {}; {server} |", used.transport, used.client)?;
    }
    for missing in &results.missing {
        writeln!(page, "| {} | not measured: {} |", missing.transport, missing.reason)?;
    }
    let optimised =
        if machine.optimised { "optimised" } else { "not optimised, so that the numbers mean nothing" };
    writeln!(page, "| program | {optimised}; scale `{}` |", results.scale)?;
    writeln!(
        page,
        "\nServers, clients and both sides share the machine. To measure anew, and to write this page:\n"
    )?;
    writeln!(
        page,
        "```sh\nscripts/fetch-test-servers\ncargo run --release -p backup-tracker-bench -- --report docs\n```"
    )?;
    if !printed.is_empty() {
        writeln!(
            page,
            "\nThe last sections are what other programs of that package printed, which has [the commands](../bench/README.md#what-needs-no-broker-and-what-waiting-costs)."
        )?;
    }
    for quantity in Quantity::ALL {
        section(&mut page, results, quantity)?;
    }
    for Printed { title, text } in printed {
        writeln!(page, "\n## {title}\n\n```text\n{}\n```", text.trim_end())?;
    }
    writeln!(page, "\n{}", NOTES.trim())?;
    Ok(page)
}

fn section(page: &mut String, results: &Results, quantity: Quantity) -> Result<()> {
    let rows: Vec<&Measurement> =
        results.measurements.iter().filter(|row| row.quantity == quantity.name()).collect();
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(page, "\n## {}\n\n{}\n", quantity.title(), about(quantity))?;
    let rates = quantity == Quantity::CatchingUp;
    let more = if rates { " rate: ours, raw |" } else { "" };
    writeln!(
        page,
        "| transport | {} | rounds | ours: median, p99 | raw: median, p99 | ratio: median, p99 | quartiles | goal |{more}",
        quantity.of_what()
    )?;
    writeln!(page, "|---|---|---|---|---|---|---|---|{}", if rates { "---|" } else { "" })?;
    for row in rows {
        let [low, middle, high] = row.ratio.quartiles;
        write!(
            page,
            "| {} | {} | {} | {}, {} | {}, {} | {:.3}, {:.3} | {low:.2} {middle:.2} {high:.2} | {} |",
            row.transport,
            row.size,
            row.rounds,
            time(row.ours.median),
            time(row.ours.p99),
            time(row.raw.median),
            time(row.raw.p99),
            row.ratio.median,
            row.ratio.p99,
            goal(row),
        )?;
        if rates {
            let (ours, raw) = (rate(row.size, row.ours.median), rate(row.size, row.raw.median));
            write!(page, " {ours}, {raw} |")?;
        }
        writeln!(page)?;
    }
    for transport in Transport::ALL {
        let curve = Curve::of(results, quantity, transport);
        if let Some(text) = curve.text() {
            writeln!(page, "\n### {} on {transport}\n\n```text\n{text}```\n", quantity.title())?;
            if svg::draw(&curve).is_some() {
                let file = file_name(quantity, transport);
                writeln!(page, "![{} on {transport}]({CURVES}/{file})", quantity.title())?;
            }
        }
    }
    Ok(())
}

/// What a reader of the table has to know.
const fn about(quantity: Quantity) -> &'static str {
    match quantity {
        Quantity::Announcement => {
            "From the call of `start_backup()` until the gate of the *last* secondary is shut, against a raw producer and as many \
             raw consumers, until the last of them has the message. All are in one process. Goal: a ratio of at most 1.05 \
             (median) and 1.15 (p99)."
        }
        Quantity::Parts => {
            "The same with one reader: in each row one part more is ours, and the others are the raw client's. What a row's ratio has \
             beyond that of the row above is what that part takes. 1: the sink, which a raw consumer reads. 2: the source, \
             too. 3: a secondary on the source, with its gate. 4: a primary on the sink."
        }
        Quantity::CatchingUp => {
            "From opening a new group until its backlog is read, of which 20 events are the application's, against a raw consumer \
             that only reads. On NATS the subject keeps other applications' events at the server, so that the backlog is 20 \
             events for both, whatever the stream holds. Goal on Kafka and Redis, for 1,000,000 events: at least 0.9 of the raw \
             rate, a ratio of at most 1.11."
        }
        Quantity::Start => {
            "From the start of a process until `synced()`, with a committed position, events of others behind it, and a backup \
             that is still running as the last; against a process whose raw consumer has that last event: by `subscribe` on \
             Kafka, where a broker lets the first member of a group wait for others (`group.initial.rebalance.delay.ms`, 3 s \
             unless set), by a durable consumer on NATS, by `XREADGROUP` on Redis. In memory there is no other process. Goal on \
             Kafka: a ratio of at most 0.1."
        }
    }
}

#[cfg(test)]
mod tests;
