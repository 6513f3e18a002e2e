//! Java, and the jars that Apache Kafka consists of.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::binary::{self, Binary, Missing};

const LEAST_JAVA: u32 = 17;
/// In a folder with jars, what says that Kafka's server is among them.
const SERVER_JAR: &str = "kafka_2.13-4.";
/// Beside the jars, the classes as Java had loaded them: see `scripts/fetch-test-servers`.
const ARCHIVE: &str = "kafka.jsa";
/// Starts fast and stays small: nothing here runs long enough for the better compiler to pay.
const FLAGS: [&str; 5] = [
    "-Xmx256m",
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    // Nothing about an archive that does not fit: it is only slower without.
    "-Xlog:disable",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
];

/// How Kafka's programs are run on this machine.
#[derive(Clone, Debug)]
pub(super) struct Java {
    pub(super) binary: Binary,
    jars: PathBuf,
}

impl Java {
    pub(super) fn find() -> Result<Self, Missing> {
        let binary = find_java()?;
        let seen = folders();
        let jars = seen.iter().find(|folder| has_server(folder)).cloned().ok_or_else(|| {
            let seen: Vec<_> = seen.iter().map(|folder| folder.display().to_string()).collect();
            let seen = seen.join(" nor in ");
            Missing {
                reason: format!(
                    "needs the jars of Apache Kafka 4; there are none in {seen}; {}",
                    binary::ADVICE
                ),
            }
        })?;
        Ok(Self { binary, jars })
    }

    /// What follows the command to run this class.
    pub(super) fn arguments(&self, class: &str) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = FLAGS.iter().map(OsString::from).collect();
        let archive = self.jars.join(ARCHIVE);
        if archive.is_file() {
            let mut flag = OsString::from("-XX:SharedArchiveFile=");
            flag.push(archive);
            arguments.push(flag);
        }
        arguments.push("-cp".into());
        arguments.push(self.jars.join("*").into());
        arguments.push(class.into());
        arguments
    }
}

fn find_java() -> Result<Binary, Missing> {
    let mut paths = Vec::new();
    paths.extend(env::var_os("JAVA_HOME").map(|home| Path::new(&home).join("bin")));
    paths.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    let mut seen = Vec::new();
    for path in paths.into_iter().map(|folder| folder.join("java")).filter(|path| path.is_file()) {
        match version(&path) {
            Some(version) if version.0 >= LEAST_JAVA => return Ok(Binary { path, version }),
            Some((major, _)) => seen.push(format!("{} is {major}", path.display())),
            None => seen.push(format!("{} does not run", path.display())),
        }
    }
    let found = if seen.is_empty() { "there is none".to_owned() } else { seen.join(", ") };
    Err(Missing { reason: format!("needs Java {LEAST_JAVA} or later; {found}; {}", binary::ADVICE) })
}

fn folders() -> Vec<PathBuf> {
    let mut folders: Vec<_> =
        env::var_os(binary::FOLDER).map(|folder| Path::new(&folder).join("kafka")).into_iter().collect();
    folders.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/test-servers/kafka"));
    folders
}

fn has_server(folder: &Path) -> bool {
    // A folder that cannot be read holds no jars for us.
    fs::read_dir(folder).is_ok_and(|entries| {
        entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with(SERVER_JAR))
    })
}

fn version(path: &Path) -> Option<(u32, u32)> {
    // Why it does not run is of no use: what helps is another one.
    let output = Command::new(path).arg("--version").output().ok()?;
    parse(&String::from_utf8_lossy(&output.stdout))
}

/// `openjdk 17.0.15 2025-04-15`
fn parse(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split_whitespace().nth(1)?.split('.');
    let major = numbers.next()?.parse().ok()?;
    Some((major, numbers.next().and_then(|minor| minor.parse().ok()).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn it_reads_the_version_that_java_prints() {
        assert_eq!(parse("openjdk 17.0.15 2025-04-15\nOpenJDK Runtime"), Some((17, 0)));
        assert_eq!(parse("java 25 2025-09-16 LTS"), Some((25, 0)));
        assert_eq!(parse(""), None);
    }
}
