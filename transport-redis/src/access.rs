//! Where and as whom to connect.

use backup_tracker::{Error, Result, Secret};
use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};

use crate::error::Cause;
use crate::sentinel::Sentinels;
use crate::tls::{Certificates, Pem};

/// Secrets are read for every connection (K7).
#[derive(Clone)]
pub(crate) struct Access {
    server: Server,
    pub(crate) user: Option<Secret>,
    pub(crate) password: Option<Secret>,
    pub(crate) certificates: Certificates,
}

#[derive(Clone)]
enum Server {
    Url(Secret),
    Native(Box<ConnectionInfo>),
}

/// A host and a port to go to instead of those that are set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Redirect {
    /// Empty: the one that is set.
    host: String,
    port: u16,
}

/// What one connection needs: all secrets as they are now.
pub(crate) struct Plan {
    pub(crate) target: Target,
    pub(crate) pem: Pem,
}

pub(crate) enum Target {
    Server(Box<ConnectionInfo>),
    Sentinels(Box<Sentinels>),
}

impl Redirect {
    pub(crate) const fn new(host: String, port: u16) -> Self {
        Self { host, port }
    }

    /// `host:port`, or `:port` for another port of the same host.
    pub(crate) fn parse(address: &str) -> Option<Self> {
        let (host, port) = address.rsplit_once(':')?;
        Some(Self { host: host.to_owned(), port: port.parse().ok()? })
    }

    pub(crate) fn apply(self, address: &ConnectionAddr) -> ConnectionAddr {
        let Self { host, port } = self;
        let host = |old: &String| if host.is_empty() { old.clone() } else { host.clone() };
        match address {
            ConnectionAddr::Tcp(old, _) => ConnectionAddr::Tcp(host(old), port),
            ConnectionAddr::TcpTls { host: old, insecure, tls_params, .. } => ConnectionAddr::TcpTls {
                host: host(old),
                port,
                insecure: *insecure,
                tls_params: tls_params.clone(),
            },
            other => other.clone(),
        }
    }
}

impl Access {
    pub(crate) fn url(url: Secret) -> Self {
        Self::to(Server::Url(url))
    }

    pub(crate) fn native(connection: ConnectionInfo) -> Self {
        Self::to(Server::Native(Box::new(connection)))
    }

    fn to(server: Server) -> Self {
        Self { server, user: None, password: None, certificates: Certificates::default() }
    }

    /// The secrets as they are now. It reads files.
    pub(crate) fn plan(&self) -> Result<Plan, Cause> {
        let target = self.target().map_err(Cause::Own)?;
        Ok(Plan { target, pem: self.certificates.read().map_err(Cause::Own)? })
    }

    fn target(&self) -> Result<Target> {
        let url = match &self.server {
            Server::Url(url) => url.read()?,
            Server::Native(connection) => {
                return Ok(Target::Server(Box::new(self.identified((**connection).clone())?)));
            }
        };
        if let Some(sentinels) = Sentinels::parse(&url) {
            let mut sentinels = sentinels?;
            sentinels.primary = self.identified(without_delay(sentinels.primary))?;
            return Ok(Target::Sentinels(Box::new(sentinels)));
        }
        // The client library's own words may repeat the URL, and with it the password.
        let settings = url.as_str().into_connection_info().map_err(|_| {
            let message = "it is not redis://[[user]:password@]host[:port][/database], nor rediss://…";
            Error::config("url", message)
        })?;
        Ok(Target::Server(Box::new(self.identified(without_delay(settings))?)))
    }

    /// With the user and the password that are set apart.
    fn identified(&self, settings: ConnectionInfo) -> Result<ConnectionInfo> {
        let mut identity = settings.redis_settings().clone();
        if let Some(user) = &self.user {
            identity = identity.set_username(user.read()?);
        }
        if let Some(password) = &self.password {
            identity = identity.set_password(password.read()?);
        }
        if self.user.is_some() && identity.password().is_none() {
            return Err(Error::config("password", "a user is set and no password"));
        }
        Ok(settings.set_redis_settings(identity))
    }
}

/// Requests are small and wait for their answers: nothing is gained by holding one back.
fn without_delay(settings: ConnectionInfo) -> ConnectionInfo {
    let tcp = settings.tcp_settings().clone().set_nodelay(true);
    settings.set_tcp_settings(tcp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_changes_host_and_port_and_nothing_else() {
        let base: ConnectionInfo = "redis://one:6379/3".into_connection_info().unwrap();
        let to = |address: &str| Redirect::parse(address).unwrap().apply(base.addr()).to_string();
        assert_eq!(to("two:6380"), "two:6380");
        assert_eq!(to(":6380"), "one:6380");
        assert_eq!(Redirect::parse("fe80::1:6380").unwrap().host, "fe80::1");
        assert_eq!(Redirect::parse("nothing"), None);
        assert_eq!(Redirect::parse("host:port"), None);
    }
}
