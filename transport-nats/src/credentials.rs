//! Who signs in, read again for each connection (K7).

use std::path::PathBuf;
use std::sync::Arc;

use async_nats::{Auth, AuthError, ConnectOptions, ServerAddr};
use backup_tracker::{Error, ErrorKind, Result, Secret};
use nkeys::KeyPair;
use percent_encoding::percent_decode_str;
use tokio::sync::watch;
use tokio::task::spawn_blocking;

use crate::signals::{Signals, Trouble};

/// Where user, password, token or key are.
#[derive(Clone, Debug)]
pub(crate) enum Credentials {
    /// In the addresses, which the client library leaves to others.
    InAddresses,
    User(String, Secret),
    Token(Secret),
    /// The text of a `.creds` file.
    Jwt(Option<PathBuf>, Secret),
}

/// The credentials as they are now.
enum Identity {
    Nobody,
    User(String, String),
    Token(String),
    Jwt(String, Box<KeyPair>),
}

impl Credentials {
    fn read(&self, servers: &Secret) -> Result<Identity> {
        Ok(match self {
            Self::InAddresses => in_addresses(&addresses(&servers.read()?)?),
            Self::User(user, password) => Identity::User(user.clone(), password.read()?),
            Self::Token(token) => Identity::Token(token.read()?),
            Self::Jwt(path, text) => parse(&text.read()?).map_err(|why| {
                let place = path.as_ref().map(|path| format!("`{}`: ", path.display())).unwrap_or_default();
                Error::config("credentials file", format!("{place}{why}"))
            })?,
        })
    }

    /// Makes sure that they can be read, and used.
    pub(crate) fn check(&self, servers: &Secret) -> Result<()> {
        match (self.read(servers), self) {
            // A file that a user names is a setting, and is there from the beginning.
            (Err(error), Self::Jwt(Some(_), _))
                if error.kind() != ErrorKind::Config || error.operation() != "configure" =>
            {
                Err(Error::config("credentials file", error.message()))
            }
            (read, _) => read.map(drop),
        }
    }

    /// Options that read the credentials for each connection.
    pub(crate) fn options(&self, servers: &Secret, signals: watch::Sender<Signals>) -> ConnectOptions {
        let (credentials, servers) = (Arc::new(self.clone()), servers.clone());
        ConnectOptions::with_auth_callback(move |nonce| {
            let (credentials, servers) = (Arc::clone(&credentials), servers.clone());
            let signals = signals.clone();
            async move {
                // A secret may be on a slow disk, or in a vault.
                let read = spawn_blocking(move || credentials.read(&servers)?.auth(&nonce)).await;
                match read {
                    Ok(Ok(auth)) => Ok(auth),
                    Ok(Err(error)) => {
                        let cause = Some(error.kind()).filter(|kind| !kind.is_transient());
                        let trouble = Trouble::new(error.message(), cause);
                        signals.send_modify(|signals| signals.trouble = Some(trouble));
                        Err(AuthError::new(error))
                    }
                    Err(panicked) => Err(AuthError::new(panicked)),
                }
            }
        })
    }

    /// Options that are not ours, with the credentials as they are now.
    pub(crate) fn fixed_options(&self, servers: &Secret, options: ConnectOptions) -> Result<ConnectOptions> {
        Ok(match self.read(servers)? {
            Identity::Nobody => options,
            Identity::User(user, password) => options.user_and_password(user, password),
            Identity::Token(token) => options.token(token),
            Identity::Jwt(jwt, key) => {
                let key: Arc<KeyPair> = Arc::from(key);
                options.jwt(jwt, move |nonce| {
                    let key = Arc::clone(&key);
                    async move { key.sign(&nonce).map_err(AuthError::new) }
                })
            }
        })
    }
}

impl Identity {
    fn auth(self, nonce: &[u8]) -> Result<Auth> {
        let mut auth = Auth::new();
        match self {
            Self::Nobody => {}
            Self::User(user, password) => (auth.username, auth.password) = (Some(user), Some(password)),
            Self::Token(token) => auth.token = Some(token),
            Self::Jwt(jwt, key) => {
                let signature = key.sign(nonce).map_err(|error| {
                    Error::new(ErrorKind::Config, "sign in", "the key cannot sign").with_source(error)
                })?;
                (auth.jwt, auth.signature) = (Some(jwt), Some(signature));
            }
        }
        Ok(auth)
    }
}

/// The servers' addresses in a list that commas separate.
pub(crate) fn addresses(servers: &str) -> Result<Vec<ServerAddr>> {
    let servers = servers.split(',').map(str::trim).filter(|server| !server.is_empty());
    // Neither the address nor the cause is repeated: there may be a password in it.
    let parse = |server: &str| {
        server.parse::<ServerAddr>().map_err(|_| Error::config("servers", "one of them is no address"))
    };
    let servers = servers.map(parse).collect::<Result<Vec<_>>>()?;
    if servers.is_empty() {
        return Err(Error::config("servers", "there is none"));
    }
    Ok(servers)
}

fn in_addresses(servers: &[ServerAddr]) -> Identity {
    let user = servers.iter().find_map(|server| Some((server.username()?, server.password())));
    match user {
        Some((user, Some(password))) => Identity::User(decoded(user), decoded(password)),
        Some((token, None)) => Identity::Token(decoded(token)),
        None => Identity::Nobody,
    }
}

/// The text that is percent-encoded in an address. What is no encoding stands for itself.
fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// JWT and key of a credentials file: each is the line behind a line of dashes with `BEGIN` in it.
fn parse(text: &str) -> Result<Identity, &'static str> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut section = || {
        lines.find(|line| line.starts_with("---") && line.contains("BEGIN"))?;
        lines.next()
    };
    let jwt = section().ok_or("it holds no user JWT")?;
    let seed = section().ok_or("it holds no seed of a key")?;
    let key = KeyPair::from_seed(seed).map_err(|_no_seed| "the seed of its key is wrong")?;
    Ok(Identity::Jwt(jwt.to_owned(), Box::new(key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(credentials: &Credentials, servers: &str) -> Auth {
        credentials.read(&servers.into()).unwrap().auth(b"nonce").unwrap()
    }

    #[test]
    fn an_address_may_hold_user_and_password_or_a_token() {
        let user = read(&Credentials::InAddresses, "nats://a, nats://tr%61cker:p%40ss@b");
        assert_eq!((user.username.as_deref(), user.password.as_deref()), (Some("tracker"), Some("p@ss")));
        let token = read(&Credentials::InAddresses, "nats://sesame@a");
        assert_eq!((token.token.as_deref(), token.username), (Some("sesame"), None));
        let nobody = read(&Credentials::InAddresses, "a:4222");
        assert_eq!((nobody.token, nobody.username), (None, None));
    }

    #[test]
    fn a_credentials_file_gives_jwt_and_signature() {
        let key = KeyPair::new_user();
        let text = format!(
            "-----BEGIN NATS USER JWT-----\r\na.b.c\r\n------END NATS USER JWT------\r\n\n***\n\
             -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
            key.seed().unwrap()
        );
        let auth = read(&Credentials::Jwt(None, text.into()), "a");
        assert_eq!(auth.jwt.as_deref(), Some("a.b.c"));
        key.verify(b"nonce", &auth.signature.unwrap()).unwrap();
        for garbage in
            ["no credentials", "-----BEGIN X-----\na.b.c\n", "---BEGIN\na\n---\n---BEGIN\nhunter2\n"]
        {
            let error = Credentials::Jwt(None, garbage.into()).check(&"a".into()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
    }
}
