//! Which process of this program announced something, and whether it still lives: a header of every
//! announcement says it.

use std::fmt;
use std::fs;

use backup_tracker::Header;

/// A process, told from every other one that this machine had or will have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::commands) struct Runner {
    host: String,
    /// One boot of the machine, one of its namespaces of process ids, one user: in another one nothing can be
    /// known.
    space: String,
    pid: u32,
    /// When it started, in ticks since the boot: process ids are used again.
    started: String,
}

impl Runner {
    /// The header's name.
    pub(super) const HEADER: &'static str = "backup-tracker-runner";
    /// The variable by which a command that outlives its run is found.
    pub(in crate::commands) const VARIABLE: &'static str = "BACKUP_TRACKER_RUNNER";

    /// This process.
    pub(in crate::commands) fn this() -> Self {
        let pid = std::process::id();
        Self {
            host: read("/proc/sys/kernel/hostname"),
            space: space(),
            pid,
            started: started(pid).unwrap_or_default(),
        }
    }

    /// The process that put its name into these headers.
    pub(super) fn of(headers: &[Header]) -> Option<Self> {
        let header = headers.iter().find(|header| header.name == Self::HEADER)?;
        let text = std::str::from_utf8(&header.value).ok()?;
        let [host, space, pid, started] = text.split(' ').collect::<Vec<_>>()[..] else { return None };
        Some(Self {
            host: host.to_owned(),
            space: space.to_owned(),
            pid: pid.parse().ok()?,
            started: started.to_owned(),
        })
    }

    /// Whether it still runs, or a command that it began does; `None` where that cannot be seen from here: on
    /// another machine, after another boot, in another container, as another user, or on a system without
    /// `/proc`.
    pub(in crate::commands) fn is_alive(&self) -> Option<bool> {
        let known = !self.space.starts_with('-') && self.space == space() && self.started != "-";
        known.then(|| started(self.pid).as_deref() == Some(&self.started) || self.has_orphans())
    }

    /// Whether a process has this one in its environment.
    fn has_orphans(&self) -> bool {
        let mark = format!("{}={self}\0", Self::VARIABLE);
        let marked = |process: fs::DirEntry| {
            // Those of others cannot be read, and are not what this user's run began.
            let environment = fs::read(process.path().join("environ")).unwrap_or_default();
            environment.split_inclusive(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
        };
        fs::read_dir("/proc").is_ok_and(|processes| processes.filter_map(Result::ok).any(marked))
    }
}

impl fmt::Display for Runner {
    /// As in the header.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, space, pid, started } = self;
        if f.alternate() {
            return write!(f, "process {pid} on {host}");
        }
        let or_dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
        write!(f, "{} {} {pid} {}", or_dash(host), or_dash(space), or_dash(started))
    }
}

fn space() -> String {
    let boot = read("/proc/sys/kernel/random/boot_id");
    let user = rustix::process::geteuid().as_raw();
    match fs::read_link("/proc/self/ns/pid") {
        Ok(namespace) if !boot.is_empty() => format!("{boot}/{}/{user}", namespace.display()),
        _ => "-".to_owned(),
    }
}

/// The field `starttime` of `/proc/<pid>/stat` (proc(5)), the 22nd; the name in the second one may contain
/// anything.
fn started(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    // A process that has ended, and that nobody has waited for yet.
    let state = fields.next()?;
    (!matches!(state, "Z" | "X")).then(|| fields.nth(18).map(str::to_owned))?
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().replace(' ', "-")
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    fn header(text: String) -> Vec<Header> {
        vec![Header::new("content-type", "x"), Header::new(Runner::HEADER, text)]
    }

    #[test]
    fn a_runner_is_known_again_by_its_header() {
        let this = Runner::this();
        assert_eq!(Runner::of(&header(this.to_string())), Some(this.clone()));
        assert_eq!(this.is_alive(), Some(true));
        assert_eq!(Runner::of(&[]), None);
        assert_eq!(Runner::of(&header("garbage".to_owned())), None);
    }

    #[test]
    fn a_process_that_has_ended_is_not_alive_even_where_nobody_waited_for_it_yet() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let runner = Runner { pid: child.id(), started: started(child.id()).unwrap(), ..Runner::this() };
        assert_eq!(runner.is_alive(), Some(true));
        let again = Runner { started: "1".to_owned(), ..runner.clone() };
        assert_eq!(again.is_alive(), Some(false), "its number was used again");
        child.kill().unwrap();
        while runner.is_alive() == Some(true) {
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert_eq!(runner.is_alive(), Some(false));
    }

    #[test]
    fn of_a_process_elsewhere_nothing_is_known() {
        let elsewhere = Runner { space: "another-boot/pid:[1]".to_owned(), ..Runner::this() };
        assert_eq!(elsewhere.is_alive(), None);
        let unknown = Runner { space: "-".to_owned(), ..Runner::this() };
        assert_eq!(unknown.is_alive(), None);
    }
}
