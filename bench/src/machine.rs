//! What the measurements were made on.

use std::fs;

use serde::{Deserialize, Serialize};

/// The lock file as it was when this was compiled: the versions that were compiled in.
const LOCK: &str = include_str!("../../Cargo.lock");

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) system: String,
    pub(crate) processor: String,
    /// How many threads it runs at once.
    pub(crate) cores: usize,
    pub(crate) memory_bytes: u64,
    /// Whether this program was compiled with optimisation.
    pub(crate) optimised: bool,
}

impl Machine {
    /// Of what the system does not tell, it says so.
    pub(crate) fn this() -> Self {
        let release = read("/proc/sys/kernel/osrelease");
        let processor = read("/proc/cpuinfo");
        let memory = read("/proc/meminfo");
        Self {
            system: format!("{} {}", std::env::consts::OS, release.trim()),
            processor: field(&processor, "model name").unwrap_or("unknown").to_owned(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_bytes: field(&memory, "MemTotal").and_then(kilobytes).unwrap_or_default(),
            optimised: !cfg!(debug_assertions),
        }
    }
}

/// Empty where there is no such file, as on another system.
fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_once(':').map(|(_, value)| value.trim())
}

fn kilobytes(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse::<u64>().ok().map(|number| number * 1024)
}

/// The version of a package that was compiled in.
pub(crate) fn version_of(package: &str) -> &'static str {
    let entry = format!("name = \"{package}\"\nversion = \"");
    let rest = LOCK.split_once(&*entry).map(|(_, rest)| rest);
    rest.and_then(|rest| rest.split('"').next()).unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_file_tells_versions() {
        assert_eq!(version_of("backup-tracker-bench"), env!("CARGO_PKG_VERSION"));
        assert!(version_of("rdkafka").starts_with("0."));
        assert_eq!(version_of("no-such-package"), "unknown");
    }

    #[test]
    fn fields_are_read_as_the_kernel_writes_them() {
        let text = "MemTotal:       24737552 kB\nMemFree: 1 kB\n";
        assert_eq!(field(text, "MemTotal").and_then(kilobytes), Some(24_737_552 * 1024));
        assert_eq!(field(text, "model name"), None);
    }
}
