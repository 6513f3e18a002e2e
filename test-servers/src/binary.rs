//! Finds a server's binary that is new enough.

use std::env;
use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The variable that names a folder with binaries.
pub(crate) const FOLDER: &str = "BACKUP_TRACKER_TEST_SERVERS";

/// What helps where something is missing.
pub(crate) const ADVICE: &str = "run scripts/fetch-test-servers";

/// A server's binary that can be run on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Binary {
    /// Where it is.
    pub path: PathBuf,
    /// What it says of itself: major and minor version.
    pub version: (u32, u32),
}

/// Why there is no binary to run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Missing {
    /// What was looked for and where, in one line, and what would help.
    pub reason: String,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl Error for Missing {}

impl From<Missing> for io::Error {
    fn from(missing: Missing) -> Self {
        Self::new(io::ErrorKind::NotFound, missing)
    }
}

/// Looks for a binary of this name and at least this version.
pub(crate) fn find(name: &str, least: (u32, u32)) -> Result<Binary, Missing> {
    let mut seen = Vec::new();
    for folder in folders() {
        let path = folder.join(name);
        if !path.is_file() {
            continue;
        }
        match version(&path) {
            Ok(version) if version >= least => return Ok(Binary { path, version }),
            Ok((major, minor)) => seen.push(format!("{} is {major}.{minor}", path.display())),
            Err(reason) => seen.push(format!("{} does not run: {reason}", path.display())),
        }
    }
    let (major, minor) = least;
    let found = if seen.is_empty() { "there is none".to_owned() } else { seen.join(", ") };
    let reason = format!("needs {name} {major}.{minor} or later; {found}; {ADVICE}");
    Err(Missing { reason })
}

fn folders() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<_> = env::split_paths(&path).collect();
    folders.extend(env::var_os(FOLDER).map(PathBuf::from));
    folders.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/test-servers/bin"));
    folders
}

/// Asks the binary. Redis says `Redis server v=7.0.15 sha=…`, NATS `nats-server: v2.15.1`.
fn version(path: &Path) -> Result<(u32, u32), String> {
    let output = Command::new(path).arg("--version").output().map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    parse(&text).ok_or_else(|| format!("no version in {:?}", text.trim()))
}

fn parse(text: &str) -> Option<(u32, u32)> {
    text.split_whitespace().find_map(|word| {
        let word = word.strip_prefix("v=").or_else(|| word.strip_prefix('v'))?;
        let mut numbers = word.split('.');
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_the_version_that_each_server_prints() {
        let redis =
            "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=ae4d7c971a948f0";
        assert_eq!(parse(redis), Some((7, 0)));
        assert_eq!(parse("nats-server: v2.15.1\n"), Some((2, 15)));
        assert_eq!(parse("nats-server: v2.9.10"), Some((2, 9)));
        assert_eq!(parse("very old"), None);
    }

    #[test]
    fn what_is_missing_says_so_and_what_would_help() {
        let missing = find("no-such-server", (3, 1)).unwrap_err();
        assert_eq!(
            missing.to_string(),
            "needs no-such-server 3.1 or later; there is none; run scripts/fetch-test-servers"
        );
    }
}
