//! The results: what one secondary costs, and how that compares with a reader made of the client alone.

use std::fmt;

use serde::Serialize;

use crate::measure::Sample;
use crate::subject::Subject;
use crate::transport::Transport;

/// The share of a core, in percent, that a secondary may cost while nothing happens.
const GOAL: f64 = 0.1;

/// The names of the columns, in two lines. `of raw` is the ratio of what stands before it to that of the raw reader.
const HEAD: [[&str; 12]; 2] = [
    ["", "", "", "% of a core", "", "of", "wakes/s", "resident", "at most", "own KiB", "of", ""],
    [
        "transport",
        "process",
        "readers",
        "each",
        "together",
        "raw",
        "each",
        "MiB",
        "MiB",
        "each",
        "raw",
        "threads",
    ],
];

/// What was measured, and what this machine lacks.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Table {
    samples: Vec<Sample>,
    missing: Vec<Missing>,
}

#[derive(Clone, Debug, Serialize)]
struct Missing {
    transport: Transport,
    reason: String,
}

impl Table {
    pub(crate) fn add(&mut self, sample: Sample) {
        self.samples.push(sample);
    }

    pub(crate) fn miss(&mut self, transport: Transport, reason: String) {
        self.missing.push(Missing { transport, reason });
    }

    fn find(&self, transport: Transport, subject: Subject) -> Option<&Sample> {
        self.samples.iter().find(|sample| sample.transport == transport && sample.subject == subject)
    }

    /// What one reader has for itself of the process's memory, in KiB: what a process without any has is left out.
    fn own_each(&self, sample: &Sample) -> Option<f64> {
        let nothing = self.find(sample.transport, Subject::Nothing)?;
        let readers = sample.usage.own as f64 - nothing.usage.own as f64;
        (sample.subject != Subject::Nothing).then(|| readers / sample.count as f64)
    }

    fn row(&self, sample: &Sample, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let raw = self.find(sample.transport, Subject::Raw).filter(|raw| raw.subject != sample.subject);
        let is_nothing = sample.subject == Subject::Nothing;
        let number = |number: Option<f64>, digits: usize| match number.filter(|number| number.is_finite()) {
            Some(number) => format!("{number:.digits$}"),
            None => "-".to_owned(),
        };
        let of_raw = raw.filter(|_| !is_nothing).map(|raw| sample.percent_each() / raw.percent_each());
        let own = self.own_each(sample);
        let own_of_raw = own.zip(raw.and_then(|raw| self.own_each(raw))).map(|(own, raw)| own / raw);
        let Sample { transport, subject, count, usage, .. } = sample;
        let each = |each: f64| (!is_nothing).then_some(each);
        write_columns(
            f,
            [
                transport.as_str(),
                subject.name(),
                &if is_nothing { 0 } else { *count }.to_string(),
                &number(each(sample.percent_each()), 5),
                &number(Some(sample.percent()), 3),
                &number(of_raw, 2),
                &number(each(sample.wakes_each()), 1),
                &number(Some(mebibytes(usage.resident)), 1),
                &number(Some(mebibytes(usage.peak)), 1),
                &number(own, 1),
                &number(own_of_raw, 2),
                &usage.threads.to_string(),
            ],
        )
    }
}

fn write_columns(f: &mut fmt::Formatter<'_>, columns: [&str; 12]) -> fmt::Result {
    const WIDTHS: [usize; 10] = [8, 12, 9, 7, 9, 9, 8, 9, 7, 8];
    write!(f, "{:<10}{:<13}", columns[0], columns[1])?;
    for (column, width) in columns[2..].iter().zip(WIDTHS) {
        write!(f, "{column:>width$}")?;
    }
    writeln!(f)
}

impl Sample {
    /// The process's share of a core.
    fn percent(&self) -> f64 {
        100.0 * self.usage.processor.as_secs_f64() / self.silence.as_secs_f64()
    }

    fn percent_each(&self) -> f64 {
        self.percent() / self.count as f64
    }

    fn wakes_each(&self) -> f64 {
        self.usage.wakes as f64 / self.silence.as_secs_f64() / self.count as f64
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in HEAD {
            write_columns(f, line)?;
        }
        for sample in &self.samples {
            self.row(sample, f)?;
        }
        for sample in self.samples.iter().filter(|sample| sample.subject == Subject::Secondaries) {
            let (each, transport) = (sample.percent_each(), sample.transport);
            let verdict = if each < GOAL { "met" } else { "missed" };
            writeln!(
                f,
                "{transport}: a silent secondary costs {each:.4} % of a core; goal: under {GOAL} %: {verdict}"
            )?;
        }
        for Missing { transport, reason } in &self.missing {
            writeln!(f, "{transport}: not measured: {reason}")?;
        }
        Ok(())
    }
}

fn mebibytes(kibibytes: u64) -> f64 {
    kibibytes as f64 / 1024.0
}
