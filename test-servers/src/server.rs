//! What every server can do, whichever it is.

/// The methods of a server that has a `process`, a `folder` and a `port`, and perhaps answers under URLs of this scheme.
macro_rules! server_methods {
    ($scheme:literal) => {
        $crate::server::server_methods!();

        #[doc = concat!("`", $scheme, "://127.0.0.1:<port>`.")]
        #[must_use]
        pub fn url(&self) -> String {
            format!(concat!($scheme, "://127.0.0.1:{}"), self.port)
        }
    };
    () => {
        /// The port of clients, without TLS, on 127.0.0.1.
        #[must_use]
        pub const fn port(&self) -> u16 {
            self.port
        }

        /// The address of clients, without TLS.
        #[must_use]
        pub const fn address(&self) -> std::net::SocketAddr {
            $crate::process::address(self.port)
        }

        /// The folder with configuration, data and log.
        #[must_use]
        pub fn folder(&self) -> &std::path::Path {
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
        pub fn kill(&mut self) -> std::io::Result<()> {
            self.process.kill()
        }

        /// Ends the process in good order (`SIGTERM`).
        ///
        /// # Errors
        ///
        /// When the system refuses.
        pub fn stop(&mut self) -> std::io::Result<()> {
            self.process.stop()
        }

        /// Starts the server again, on the same port and with the same data; while it runs, only waits for its answer.
        ///
        /// # Errors
        ///
        /// When the server does not answer in time.
        pub fn restart(&mut self) -> std::io::Result<()> {
            self.process.spawn()?;
            self.wait()
        }
    };
}
pub(crate) use server_methods;
