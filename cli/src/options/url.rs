//! Where NATS or Redis is.

use super::BackupTrackerOptions;
use super::either::Either;
use super::environment::Environment;
use super::error::OptionsError;
use super::secret::Secret;
use super::words::TransportName;

/// What the addresses of a transport look like.
pub(super) struct Addresses {
    transport: TransportName,
    schemes: &'static [&'static str],
    /// What separates several.
    separator: Option<char>,
    /// Whether `host:port` alone is one.
    bare: bool,
    example: &'static str,
}

pub(super) const NATS: Addresses = Addresses {
    transport: TransportName::Nats,
    schemes: &["nats", "tls"],
    separator: Some(','),
    bare: true,
    example: "nats://nats.example:4222",
};

pub(super) const REDIS: Addresses = Addresses {
    transport: TransportName::Redis,
    schemes: &[
        "redis",
        "rediss",
        "valkey",
        "valkeys",
        "unix",
        "redis+unix",
        "valkey+unix",
        "redis+sentinel",
        "rediss+sentinel",
    ],
    // A comma may be part of a password.
    separator: None,
    bare: false,
    example: "redis://redis.example:6379",
};

impl Addresses {
    fn check(&self, url: &str) -> Result<(), OptionsError> {
        let name = self.transport.as_str();
        let mend = format!("{name} has {}", self.example);
        for address in url.split(|c| Some(c) == self.separator).map(str::trim) {
            match address.split_once("://") {
                Some((scheme, _)) if self.schemes.contains(&&*scheme.to_lowercase()) => {}
                // A short word is a scheme; whatever else stands there may be a secret.
                Some((scheme, _))
                    if scheme.len() <= 12 && scheme.bytes().all(|byte| byte.is_ascii_alphabetic()) =>
                {
                    let problem = format!("{scheme}:// is no address of --transport {name}");
                    return Err(OptionsError::contradiction("--url", problem, mend));
                }
                None if self.bare && !address.is_empty() => {}
                _ => return Err(OptionsError::invalid("--url", format!("it is no address of {name}"), mend)),
            }
        }
        Ok(())
    }
}

impl BackupTrackerOptions {
    fn url_option(&self) -> Either<'_> {
        Either {
            option: "--url",
            variable: "BACKUP_URL",
            value: self.url.as_ref(),
            file_option: "--url-file",
            file_variable: "BACKUP_URL_FILE",
            file: self.url_file.as_ref(),
        }
    }

    /// The URL, which begins as one of the transport does.
    pub(super) fn url(
        &self,
        addresses: &Addresses,
        environment: Environment<'_>,
    ) -> Result<Secret, OptionsError> {
        let url = self.url_option().resolve(environment)?.ok_or_else(|| {
            let problem = format!("it is missing, and --transport is {}", addresses.transport.as_str());
            OptionsError::missing("--url", problem, format!("give {}, or set BACKUP_URL", addresses.example))
        })?;
        addresses.check(url.reveal())?;
        Ok(url)
    }
}
