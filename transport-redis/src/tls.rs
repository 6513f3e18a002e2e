//! Certificates, and what the feature `tls` changes.

use backup_tracker::{Result, Secret};
use redis::{Client, ConnectionInfo, RedisResult};

/// PEM texts, read for every connection.
#[derive(Clone, Default)]
pub(crate) struct Certificates {
    pub(crate) authorities: Option<Secret>,
    /// The chain and the key.
    pub(crate) client: Option<(Secret, Secret)>,
}

/// The texts, as they are now.
pub(crate) struct Pem {
    authorities: Option<Vec<u8>>,
    client: Option<(Vec<u8>, Vec<u8>)>,
}

impl Certificates {
    pub(crate) fn read(&self) -> Result<Pem> {
        let read = |secret: &Secret| secret.read().map(String::into_bytes);
        let authorities = self.authorities.as_ref().map(read).transpose()?;
        let client = match &self.client {
            Some((chain, key)) => Some((read(chain)?, read(key)?)),
            None => None,
        };
        Ok(Pem { authorities, client })
    }
}

#[cfg(feature = "tls")]
impl Pem {
    pub(crate) fn client(&self, settings: ConnectionInfo) -> RedisResult<Client> {
        use redis::{ClientTlsConfig, ConnectionAddr, TlsCertificates};

        let encrypted = matches!(settings.addr(), ConnectionAddr::TcpTls { .. });
        if encrypted {
            use_ring_unless_chosen();
        }
        if self.authorities.is_none() && self.client.is_none() {
            return Client::open(settings);
        }
        let client_tls = self.client.clone();
        let client_tls =
            client_tls.map(|(client_cert, client_key)| ClientTlsConfig { client_cert, client_key });
        Client::build_with_tls(settings, TlsCertificates { client_tls, root_cert: self.authorities.clone() })
    }
}

/// The client library asks rustls for the process's cryptography, and rustls panics when there are several to choose from
/// and nobody chose.
#[cfg(feature = "tls")]
fn use_ring_unless_chosen() {
    use rustls::crypto::{CryptoProvider, ring};

    if CryptoProvider::get_default().is_none() {
        // Fails when somebody else has chosen in between, which is as good.
        drop(ring::default_provider().install_default());
    }
}

#[cfg(not(feature = "tls"))]
impl Pem {
    pub(crate) fn client(&self, settings: ConnectionInfo) -> RedisResult<Client> {
        if self.authorities.is_some() || self.client.is_some() {
            let reason = "certificates need the feature `tls` of backup-tracker-redis";
            return Err((redis::ErrorKind::InvalidClientConfig, reason).into());
        }
        Client::open(settings)
    }
}
