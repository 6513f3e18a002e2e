//! What a run found, by case and by clause.

use std::fmt;
use std::time::Duration;

use crate::clause::Clause;

/// Why a case failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// What the clause asks for.
    pub expected: String,
    /// What the transport did.
    pub seen: String,
    /// The name of the lane, under which the log can be looked at.
    pub lane: String,
    /// Where in the suite the check stands.
    pub check: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "expected: {}", self.expected)?;
        writeln!(f, "seen:     {}", self.seen)?;
        writeln!(f, "lane:     {}", self.lane)?;
        write!(f, "check:    {}", self.check)
    }
}

/// How a case ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The transport did what the clause asks for.
    Passed,
    /// It did not.
    Failed(Failure),
    /// The profile says, with this reason, that the transport or its harness cannot do what the case needs.
    Ignored(String),
}

/// One case, run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CaseReport {
    /// The case's name, a sentence.
    pub name: &'static str,
    /// The clauses that it checks.
    pub clauses: &'static [Clause],
    /// How it ended.
    pub verdict: Verdict,
    /// How long it took.
    pub elapsed: Duration,
}

/// Everything that a run found. `Display` is the report by clause.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// The transport's name.
    pub transport: String,
    /// The cases that ran or were ignored.
    pub cases: Vec<CaseReport>,
}

impl Report {
    /// The cases that failed.
    pub fn failed(&self) -> impl Iterator<Item = &CaseReport> {
        let failed = |case: &&CaseReport| matches!(case.verdict, Verdict::Failed(_));
        self.cases.iter().filter(failed)
    }

    /// The cases of a clause.
    pub fn of(&self, clause: Clause) -> impl Iterator<Item = &CaseReport> {
        self.cases.iter().filter(move |case| case.clauses.contains(&clause))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}, by clause:", self.transport)?;
        for &clause in Clause::ALL {
            let (mut passed, mut failed, mut ignored) = (0, Vec::new(), Vec::new());
            for case in self.of(clause) {
                match &case.verdict {
                    Verdict::Passed => passed += 1,
                    Verdict::Failed(failure) => failed.push((case.name, failure)),
                    Verdict::Ignored(reason) => ignored.push((case.name, reason)),
                }
            }
            let word = match (passed, failed.len()) {
                (0, 0) => "NOT CHECKED".to_owned(),
                (passed, 0) => format!("{passed} passed"),
                (passed, failed) => format!("{failed} FAILED, {passed} passed"),
            };
            write!(f, "{clause:>5}  {word}")?;
            if !ignored.is_empty() {
                write!(f, ", {} ignored", ignored.len())?;
            }
            writeln!(f, ": {}", clause.meaning())?;
            for (name, failure) in failed {
                writeln!(f, "       FAILED  {name}: expected {}, seen {}", failure.expected, failure.seen)?;
            }
            for (name, reason) in ignored {
                writeln!(f, "       ignored {name}: {reason}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_shows_failures_reasons_and_clauses_without_a_case() {
        let failure =
            Failure { expected: "a".into(), seen: "b".into(), lane: "lane-1".into(), check: "x.rs:1".into() };
        let case = |name, clauses, verdict| CaseReport { name, clauses, verdict, elapsed: Duration::ZERO };
        let report = Report {
            transport: "kafka".into(),
            cases: vec![
                case("fine", &[Clause::S1], Verdict::Passed),
                case("broken", &[Clause::S1], Verdict::Failed(failure)),
                case("absent", &[Clause::S2], Verdict::Ignored("no way".into())),
            ],
        };
        let text = report.to_string();
        assert!(text.contains("S1  1 FAILED, 1 passed: one application's"), "{text}");
        assert!(text.contains("FAILED  broken: expected a, seen b"), "{text}");
        assert!(text.contains("S2  NOT CHECKED, 1 ignored: nothing"), "{text}");
        assert!(text.contains("ignored absent: no way"), "{text}");
        assert!(text.contains("T11  NOT CHECKED: an id"), "{text}");
        assert_eq!(report.failed().count(), 1);
    }
}
