//! Certificates, and what the feature `tls` changes.

use redis::{Client, ConnectionInfo, RedisResult};

/// PEM texts. Without `Debug`, because a key is one of them.
#[derive(Clone, Default)]
pub(crate) struct Certificates {
    pub(crate) authorities: Option<Vec<u8>>,
    /// The chain and the key.
    pub(crate) client: Option<(Vec<u8>, Vec<u8>)>,
}

#[cfg(feature = "tls")]
impl Certificates {
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
impl Certificates {
    pub(crate) fn client(&self, settings: ConnectionInfo) -> RedisResult<Client> {
        if self.authorities.is_some() || self.client.is_some() {
            let reason = "certificates need the feature `tls` of backup-tracker-redis";
            return Err((redis::ErrorKind::InvalidClientConfig, reason).into());
        }
        Client::open(settings)
    }
}
