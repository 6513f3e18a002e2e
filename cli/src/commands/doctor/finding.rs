//! Findings, and the list of them.

use backup_tracker::{Error, ErrorKind};
use serde::Serialize;

/// What a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    /// As it should be.
    Ok,
    /// It works, and may stop doing so, or loses something that somebody may want.
    Warning,
    /// It does not work, or loses announcements.
    Problem,
    /// It could not be found out.
    Unknown,
}

impl Verdict {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
            Self::Unknown => "unknown",
        }
    }
}

/// One check, what was seen, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) check: &'static str,
    pub(super) verdict: Verdict,
    pub(super) seen: String,
    pub(super) next_step: Option<String>,
}

impl Finding {
    pub(super) fn ok(check: &'static str, seen: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Ok, seen: seen.into(), next_step: None }
    }

    pub(super) fn warning(check: &'static str, seen: impl Into<String>, next: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Warning, seen: seen.into(), next_step: Some(next.into()) }
    }

    pub(super) fn problem(check: &'static str, seen: impl Into<String>, next: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Problem, seen: seen.into(), next_step: Some(next.into()) }
    }

    pub(super) fn unknown(check: &'static str, seen: impl Into<String>, next: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Unknown, seen: seen.into(), next_step: Some(next.into()) }
    }

    /// The broker cannot be reached, or does not let this user in.
    pub(super) fn unreachable(error: &Error, identity: &str) -> Self {
        let next = match error.kind() {
            ErrorKind::Denied => format!("correct {identity}, or have the user allowed in"),
            ErrorKind::Unavailable => {
                "see whether the address is right, the server is up, and nothing on the way is in \
                                       between; -v shows what the client tries"
                    .to_owned()
            }
            _ => "mend what is named; -v shows what the client tries".to_owned(),
        };
        Self::problem("broker", error.message(), next)
    }

    /// What the broker would not or could not tell.
    pub(super) fn untold(check: &'static str, error: &Error, permission: &str) -> Self {
        let next = match error.kind() {
            ErrorKind::Denied => format!("run it as a user who has {permission}"),
            _ => "look at it with the broker's own tools".to_owned(),
        };
        Self::unknown(check, error.message(), next)
    }
}

/// All findings, in the order in which they are to be read.
#[derive(Debug)]
pub(super) struct Checkup {
    pub(super) group: Option<String>,
    findings: Vec<Finding>,
}

impl Checkup {
    pub(super) const fn new(group: Option<String>) -> Self {
        Self { group, findings: Vec::new() }
    }

    pub(super) fn push(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// Says of each of these checks that was not made that it was not.
    pub(super) fn fill(&mut self, checks: &[&'static str], reason: &str) {
        for check in checks {
            if !self.findings.iter().any(|finding| finding.check == *check) {
                self.push(Finding::unknown(
                    check,
                    format!("not checked: {reason}"),
                    "mend the problem first",
                ));
            }
        }
    }

    pub(super) fn findings(&self) -> &[Finding] {
        &self.findings
    }

    pub(super) fn count(&self, verdict: Verdict) -> usize {
        self.findings.iter().filter(|finding| finding.verdict == verdict).count()
    }

    /// Whether it makes sense to read the log.
    pub(super) fn is_readable(&self) -> bool {
        !self.findings.iter().any(|finding| {
            finding.verdict == Verdict::Problem && matches!(finding.check, "broker" | "topic" | "stream")
        })
    }
}
