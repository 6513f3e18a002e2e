//! What Linux says that a process has used.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde::Serialize;

use crate::measure::seconds;

/// What a process has used since its start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Usage {
    /// In user and system mode, of all threads, also those that have ended; to the clock's tick.
    #[serde(serialize_with = "seconds")]
    pub(crate) processor: Duration,
    /// The same of each thread that lives, by its id, to the nanosecond.
    #[serde(skip)]
    exactly: BTreeMap<u32, Duration>,
    /// How often its threads fell asleep by themselves, and so how often they were woken.
    pub(crate) wakes: u64,
    pub(crate) threads: u64,
    /// Memory that is resident now, and the most that ever was: in KiB, shared pages of files included.
    pub(crate) resident: u64,
    pub(crate) peak: u64,
    /// Of what is resident, what is the process's own: in KiB, without pages of files.
    pub(crate) own: u64,
}

impl Usage {
    pub(crate) fn of(id: u32) -> io::Result<Self> {
        let folder = PathBuf::from(format!("/proc/{id}"));
        let stat = fs::read_to_string(folder.join("stat"))?;
        let ticks = ticks(&stat).ok_or_else(|| unreadable("stat"))?;
        let status = fs::read_to_string(folder.join("status"))?;
        let field = |name: &str| field(&status, name).ok_or_else(|| unreadable(name));
        let (mut wakes, mut exactly) = (0, BTreeMap::new());
        for task in fs::read_dir(folder.join("task"))? {
            let task = task?;
            let Some(thread) = task.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            // A thread may end while this looks.
            if let Ok(status) = fs::read_to_string(task.path().join("status")) {
                wakes += self::field(&status, "voluntary_ctxt_switches").unwrap_or(0);
            }
            // A kernel may be built without.
            let ran = fs::read_to_string(task.path().join("schedstat"));
            if let Some(ran) = ran.ok().as_deref().and_then(nanoseconds) {
                exactly.insert(thread, ran);
            }
        }
        let processor =
            Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64);
        Ok(Self {
            processor,
            exactly,
            wakes,
            threads: field("Threads")?,
            resident: field("VmRSS")?,
            peak: field("VmHWM")?,
            own: field("RssAnon")?,
        })
    }

    /// The time and the wakes since then; the rest as it is now.
    ///
    /// Where the same threads live as then, the time is that of the threads, which is exact. Otherwise it is that of the
    /// process, to the clock's tick, which is 10 ms on most systems.
    pub(crate) fn since(self, before: &Self) -> Self {
        let same = !before.exactly.is_empty() && self.exactly.keys().eq(before.exactly.keys());
        let (now, then) = if same {
            (self.exactly.values().sum(), before.exactly.values().sum())
        } else {
            (self.processor, before.processor)
        };
        let wakes = self.wakes.saturating_sub(before.wakes);
        Self { processor: now.saturating_sub(then), wakes, ..self }
    }
}

/// Whether this system can tell.
pub(crate) fn supported() -> Result<()> {
    ensure!(
        cfg!(target_os = "linux"),
        "memory and processor time are read from /proc as Linux writes it; they are not measured on this system"
    );
    Ok(())
}

fn unreadable(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("/proc does not tell `{what}`"))
}

/// The fields 14 and 15. The second one is the program's name in brackets, which may hold anything.
fn ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// The first of three numbers: the time for which a thread ran.
fn nanoseconds(schedstat: &str) -> Option<Duration> {
    schedstat.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// `VmRSS:      1234 kB`
fn field(status: &str, name: &str) -> Option<u64> {
    let rest = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_name_with_brackets_and_blanks_hides_no_ticks() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 100 0 3 0 41 17 0 0 20 0 3 0 99 1000 50";
        assert_eq!(ticks(stat), Some(58));
        assert_eq!(ticks("7 (a) S 1"), None);
    }

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let status = "Name:\tx\nVmRSSx:\t9 kB\nVmRSS:\t  1234 kB\nThreads:\t7\n";
        assert_eq!((field(status, "VmRSS"), field(status, "Threads")), (Some(1234), Some(7)));
        assert_eq!(field(status, "VmHWM"), None);
    }

    #[test]
    fn the_time_is_exact_while_no_thread_comes_or_goes() {
        let usage = |millis, threads: &[(u32, u64)]| Usage {
            processor: Duration::from_millis(millis),
            exactly: threads.iter().map(|&(id, nanos)| (id, Duration::from_nanos(nanos))).collect(),
            ..Usage::default()
        };
        let before = usage(10, &[(1, 100), (2, 50)]);
        assert_eq!(usage(10, &[(1, 107), (2, 50)]).since(&before).processor, Duration::from_nanos(7));
        assert_eq!(usage(30, &[(1, 107)]).since(&before).processor, Duration::from_millis(20));
        assert_eq!(usage(30, &[(1, 107), (3, 9)]).since(&before).processor, Duration::from_millis(20));
        assert_eq!(usage(30, &[]).since(&usage(10, &[])).processor, Duration::from_millis(20));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn work_and_memory_show() {
        let before = Usage::of(std::process::id()).unwrap();
        let bytes = std::hint::black_box(vec![1_u8; 64 << 20]);
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(20) {
            let used = Usage::of(std::process::id()).unwrap().since(&before);
            if used.processor >= Duration::from_millis(100) && used.own >= before.own + (60 << 10) {
                assert!(
                    used.resident >= used.own && used.peak >= used.resident && used.threads >= 1,
                    "{used:?}"
                );
                return drop(bytes);
            }
        }
        panic!("neither time nor memory was counted: {before:?}");
    }
}
