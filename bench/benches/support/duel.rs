//! Ratios of times that are taken in turns, so that whatever else the machine does meets both sides alike.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::Duration;

use crate::support::Effort;

/// How many turns each contender gets. Odd, so that there is one in the middle.
const ROUNDS: usize = 101;
/// How often it is tried whether a turn is long enough.
const TRIES: usize = 5;
/// How long one turn takes, about. Long against a clock's grain, and short against the machine's moods.
const TURN: Duration = Duration::from_millis(5);

/// Something that can be repeated, and says how long that took.
pub(crate) struct Contender<'a> {
    name: &'static str,
    run: Box<dyn FnMut(u64) -> Duration + 'a>,
}

impl<'a> Contender<'a> {
    /// `run` repeats the work so often, and returns how long that took.
    pub(crate) fn new(name: &'static str, run: impl FnMut(u64) -> Duration + 'a) -> Self {
        Self { name, run: Box::new(run) }
    }
}

/// Ours against others, at one thing.
pub(crate) struct Duel<'a> {
    what: String,
    ours: Contender<'a>,
    others: Vec<Contender<'a>>,
}

impl<'a> Duel<'a> {
    pub(crate) fn new(what: impl Into<String>, ours: Contender<'a>) -> Self {
        Self { what: what.into(), ours, others: Vec::new() }
    }

    pub(crate) fn against(mut self, other: Contender<'a>) -> Self {
        self.others.push(other);
        self
    }

    /// Runs all of them in turns, and prints a line for each: the median of its times, in nanoseconds, and the median of the
    /// ratios of ours to it, each taken within one round, with the quartiles.
    pub(crate) fn settle(self, effort: Effort) -> io::Result<()> {
        let rounds = match effort {
            Effort::None => return Ok(()),
            Effort::Smallest => 1,
            Effort::Full => ROUNDS,
        };
        let mut all = vec![self.ours];
        all.extend(self.others);
        // As often for everybody, so that what a turn itself costs weighs the same.
        let count = all.iter_mut().map(|one| repetitions(one, effort)).max().unwrap_or(1);
        let mut times = vec![Vec::with_capacity(rounds); all.len()];
        for round in 0..rounds {
            // Nobody always comes first, or always after the same one.
            for turn in 0..all.len() {
                let one = if round % 2 == 0 { turn } else { all.len() - 1 - turn };
                let time = (all[one].run)(count);
                times[one].push(time.as_secs_f64() * 1e9 / count as f64);
            }
        }
        if effort == Effort::Smallest {
            return writeln!(io::stdout(), "{}: it runs", self.what);
        }
        let mut text = String::new();
        for (one, contender) in all.iter().enumerate() {
            let mut of_one = times[one].clone();
            let [_, median, _] = quartiles(&mut of_one);
            let mut line = format!("{:<32} {:<24} {median:>10.1} ns", self.what, contender.name);
            if one > 0 {
                let mut ratios: Vec<f64> =
                    times[0].iter().zip(&times[one]).map(|(ours, it)| ours / it).collect();
                let [low, middle, high] = quartiles(&mut ratios);
                write!(line, "   ours is {middle:.2} of it ({low:.2} to {high:.2})")
                    .map_err(io::Error::other)?;
            }
            text.push_str(&line);
            text.push('\n');
        }
        io::stdout().write_all(text.as_bytes())
    }
}

/// How many repetitions fill a turn.
fn repetitions(contender: &mut Contender<'_>, effort: Effort) -> u64 {
    let mut count = 1;
    if effort == Effort::Full {
        // The quickest of several: on a machine that is busy, one alone says more about the machine.
        while (0..TRIES).any(|_| (contender.run)(count) < TURN) {
            count *= 2;
        }
    }
    count
}

fn quartiles(values: &mut [f64]) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values[(values.len() - 1) * quarter / 4])
}
