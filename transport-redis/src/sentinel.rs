//! Sentinels, who know which server is the primary now. They are asked for every connection.

use std::time::Duration;

use backup_tracker::{Error, ErrorKind, Result};
use redis::{AsyncConnectionConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo};
use tokio::time::timeout;

use crate::access::Redirect;
use crate::error::{Cause, Failure};
use crate::tls::Pem;

/// How long one may take before the next one is asked.
const PATIENCE: Duration = Duration::from_millis(500);
const PORT: u16 = 26379;
const FORM: &str = "it is not redis+sentinel://[[user]:password@]host[:port][,host[:port]…]/name[/database]";

/// Some that watch one primary, and what to tell the primary itself.
pub(crate) struct Sentinels {
    addresses: Vec<Redirect>,
    /// The name under which they know the primary.
    name: String,
    /// For the primary; its host and port are those of the first sentinel, and mean nothing.
    pub(crate) primary: ConnectionInfo,
}

impl Sentinels {
    /// `None`: the URL is one of a server.
    pub(crate) fn parse(url: &str) -> Option<Result<Self>> {
        let (scheme, rest) = url.split_once("+sentinel://")?;
        let scheme = scheme.to_lowercase();
        matches!(&*scheme, "redis" | "rediss")
            .then(|| Self::of(&scheme, rest).ok_or_else(|| Error::config("url", FORM)))
    }

    fn of(scheme: &str, rest: &str) -> Option<Self> {
        let (identity, rest) = rest.rsplit_once('@').map_or(("", rest), |(identity, rest)| (identity, rest));
        let (hosts, path) = rest.split_once('/')?;
        let (name, database) = path.split_once('/').unwrap_or((path, ""));
        let addresses: Option<Vec<_>> = hosts.split(',').map(address).collect();
        let addresses = addresses.filter(|addresses| !addresses.is_empty() && !name.is_empty())?;
        let at = if identity.is_empty() { "" } else { "@" };
        let primary = format!("{scheme}://{identity}{at}primary/{database}");
        let primary = primary.as_str().into_connection_info().ok()?;
        Some(Self { addresses, name: name.to_owned(), primary })
    }

    /// The primary's address, by the first who knows it.
    pub(crate) async fn ask(self, pem: &Pem) -> Result<Redirect, Failure> {
        let mut last = Failure::new(false, Cause::Own(nobody(&self.name)));
        for address in self.addresses {
            let address = address.apply(self.primary.addr());
            let server = address.to_string();
            match timeout(PATIENCE, ask(address, &self.name, pem)).await {
                Ok(Ok(Some(primary))) => return Ok(primary),
                Ok(Ok(None)) => {}
                Ok(Err(cause)) => last = Failure::new(false, cause).to(Some(server)),
                Err(_) => last = Failure::new(false, Cause::Timeout(PATIENCE)).to(Some(server)),
            }
        }
        Err(last)
    }
}

async fn ask(address: ConnectionAddr, name: &str, pem: &Pem) -> Result<Option<Redirect>, Cause> {
    // Without the user and the password, which are the primary's.
    let settings = address.into_connection_info().map_err(Cause::Redis)?;
    let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
    let client = pem.client(settings).map_err(Cause::Redis)?;
    let connecting = client.get_multiplexed_async_connection_with_config(&config).await;
    let mut connection = connecting.map_err(Cause::Redis)?;
    let mut question = redis::cmd("SENTINEL");
    question.arg("GET-MASTER-ADDR-BY-NAME").arg(name);
    let primary: Option<(String, u16)> = question.query_async(&mut connection).await.map_err(Cause::Redis)?;
    Ok(primary.map(|(host, port)| Redirect::new(host, port)))
}

fn nobody(name: &str) -> Error {
    let message = format!("no sentinel knows a primary by the name `{name}`");
    Error::new(ErrorKind::NotFound, "connect", message)
}

fn address(text: &str) -> Option<Redirect> {
    match text.rsplit_once(':') {
        Some(_) => Redirect::parse(text),
        None => (!text.is_empty()).then(|| Redirect::new(text.to_owned(), PORT)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> Sentinels {
        Sentinels::parse(url).unwrap().unwrap()
    }

    #[test]
    fn a_url_names_sentinels_a_primary_and_what_to_tell_it() {
        let one = parsed("redis+sentinel://s1/main");
        assert_eq!(one.addresses, [Redirect::new("s1".into(), 26379)]);
        assert_eq!((one.name.as_str(), one.primary.redis_settings().db()), ("main", 0));
        let two = parsed("rediss+sentinel://maps:a%20secret@s1:1,s2:2/main/3");
        assert_eq!(two.addresses, [Redirect::new("s1".into(), 1), Redirect::new("s2".into(), 2)]);
        let settings = two.primary.redis_settings();
        assert_eq!(
            (settings.username(), settings.password(), settings.db()),
            (Some("maps"), Some("a secret"), 3)
        );
        assert!(matches!(two.primary.addr(), ConnectionAddr::TcpTls { .. }));
    }

    #[test]
    fn what_is_no_such_url_is_refused_without_being_shown() {
        assert!(Sentinels::parse("redis://s1/0").is_none());
        for url in [
            "redis+sentinel://hunter2@",
            "redis+sentinel://s1",
            "redis+sentinel://s1/",
            "redis+sentinel:///x",
        ] {
            let error = Sentinels::parse(url).unwrap().err().unwrap();
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
