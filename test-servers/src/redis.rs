//! A Redis server.

use std::ffi::OsString;
use std::io;
use std::path::Path;

use tempfile::TempDir;

use crate::binary::{self, Binary, Missing};
use crate::process::{self, Process};
use crate::server::server_methods;

const NAME: &str = "redis-server";
const LEAST: (u32, u32) = (7, 0);

/// A Redis server of its own, with an append-only file that is written before each answer, so that what it acknowledged
/// survives [`kill`](Self::kill). With `appendfsync everysec`, Redis's default, it does not always: the server puts off
/// writing while the disk is still busy with the last second.
#[derive(Debug)]
pub struct Redis {
    // Before the folder, so that the process is gone when its data go.
    process: Process,
    folder: TempDir,
    port: u16,
}

impl Redis {
    /// The binary, if there is one of version 7.0 or later.
    ///
    /// # Errors
    ///
    /// [`Missing`], with the reason for a suite to show.
    pub fn find() -> Result<Binary, Missing> {
        binary::find(NAME, LEAST)
    }

    /// Starts a server.
    ///
    /// # Errors
    ///
    /// When there is no binary, or the server does not answer in time.
    pub fn start() -> io::Result<Self> {
        Self::start_with(&[])
    }

    /// Starts a server with more settings, as they would stand in `redis.conf`, for example
    /// `("requirepass", "secret")`. They win over this crate's.
    ///
    /// # Errors
    ///
    /// As for [`start`](Self::start).
    pub fn start_with(settings: &[(&str, &str)]) -> io::Result<Self> {
        let binary = Self::find()?;
        process::on_free_ports(|| Self::try_start(&binary, settings))
    }

    fn try_start(binary: &Binary, settings: &[(&str, &str)]) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("redis-").tempdir()?;
        let port = process::free_port()?;
        let text = |value: &Path| value.display().to_string();
        let mut lines = vec![
            ("port".to_owned(), port.to_string()),
            ("bind".to_owned(), "127.0.0.1".to_owned()),
            ("dir".to_owned(), text(folder.path())),
            ("appendonly".to_owned(), "yes".to_owned()),
            ("appendfsync".to_owned(), "always".to_owned()),
            ("save".to_owned(), "\"\"".to_owned()),
            ("daemonize".to_owned(), "no".to_owned()),
        ];
        lines.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let config = folder.path().join("redis.conf");
        let lines: Vec<_> = lines.iter().map(|(name, value)| format!("{name} {value}\n")).collect();
        process::write(&config, &lines.concat())?;
        let log = folder.path().join("log");
        let arguments = vec![OsString::from(config)];
        let process = Process::new(binary.path.clone(), arguments, log);
        let mut server = Self { process, folder, port };
        server.restart()?;
        Ok(server)
    }

    server_methods!("redis");

    /// Waits until the server has read its data.
    fn wait(&mut self) -> io::Result<()> {
        let port = self.port;
        self.process.wait(|| {
            // `-LOADING` while the data are read; `-NOAUTH` is a server that works and wants a password.
            let answer = process::ask(port, b"PING\r\n");
            answer.is_some_and(|answer| answer.starts_with("+PONG") || answer.starts_with("-NOAUTH"))
        })
    }
}
