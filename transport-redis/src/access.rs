//! Where and as whom to connect.

use backup_tracker::transport::Place;
use backup_tracker::{Error, Result};
use redis::{Client, ConnectionInfo, IntoConnectionInfo};

use crate::error::{Cause, Failure, RedisErrors};
use crate::tls::Certificates;

/// Without `Debug`: it holds a password and perhaps a key.
#[derive(Clone)]
pub(crate) struct Access {
    server: Server,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) certificates: Certificates,
}

#[derive(Clone)]
enum Server {
    Url(String),
    Native(Box<ConnectionInfo>),
}

impl Access {
    pub(crate) fn url(url: String) -> Self {
        Self::to(Server::Url(url))
    }

    pub(crate) fn native(connection: ConnectionInfo) -> Self {
        Self::to(Server::Native(Box::new(connection)))
    }

    fn to(server: Server) -> Self {
        Self { server, user: None, password: None, certificates: Certificates::default() }
    }

    pub(crate) fn check(&self) -> Result<()> {
        let settings = self.settings()?;
        if self.user.is_some() && settings.redis_settings().password().is_none() {
            return Err(Error::config("password", "a user is set and no password"));
        }
        Ok(())
    }

    /// What the client library needs, except certificates.
    fn settings(&self) -> Result<ConnectionInfo> {
        let mut settings = match &self.server {
            // The client library's own words may repeat the URL, and with it the password.
            Server::Url(url) => {
                let settings = url.as_str().into_connection_info().map_err(|_| {
                    let message =
                        "it is not redis://[[user]:password@]host[:port][/database], nor rediss://…";
                    Error::config("url", message)
                })?;
                // Requests are small and wait for their answers: nothing is gained by holding one back.
                let tcp = settings.tcp_settings().clone().set_nodelay(true);
                settings.set_tcp_settings(tcp)
            }
            Server::Native(connection) => (**connection).clone(),
        };
        let mut identity = settings.redis_settings().clone();
        if let Some(user) = &self.user {
            identity = identity.set_username(user);
        }
        if let Some(password) = &self.password {
            identity = identity.set_password(password);
        }
        settings = settings.set_redis_settings(identity);
        Ok(settings)
    }

    pub(crate) fn client(&self, place: &Place) -> Result<Client> {
        let client = self.certificates.client(self.settings()?);
        client.map_err(|cause| place.failure("open", Failure::new(false, Cause::Redis(cause))))
    }

    /// Server, database and user, as far as they can be shown.
    pub(crate) fn shown(&self) -> Option<(String, i64, Option<String>)> {
        let settings = self.settings().ok()?;
        let identity = settings.redis_settings();
        Some((settings.addr().to_string(), identity.db(), identity.username().map(str::to_owned)))
    }
}
