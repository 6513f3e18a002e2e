//! A Redis server.

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use tempfile::TempDir;

use crate::binary::{self, Binary, Missing};
use crate::process::{self, Process};

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

    /// The port on 127.0.0.1 without TLS.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The address without TLS.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        process::address(self.port)
    }

    /// `redis://127.0.0.1:<port>`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The folder with configuration, data and log.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The process id; `None` while the server is down.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.process.id()
    }

    /// Ends the process as `kill -9` does.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub fn kill(&mut self) -> io::Result<()> {
        self.process.kill()
    }

    /// Ends the process in good order (`SIGTERM`).
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub fn stop(&mut self) -> io::Result<()> {
        self.process.stop()
    }

    /// Starts the server again, on the same port and with the same data; while it runs, only waits for its answer.
    ///
    /// # Errors
    ///
    /// When the server does not answer in time.
    pub fn restart(&mut self) -> io::Result<()> {
        self.process.spawn()?;
        let port = self.port;
        self.process.wait(|| {
            // `-LOADING` while the data are read; `-NOAUTH` is a server that works and wants a password.
            let answer = process::ask(port, b"PING\r\n");
            answer.is_some_and(|answer| answer.starts_with("+PONG") || answer.starts_with("-NOAUTH"))
        })
    }
}
