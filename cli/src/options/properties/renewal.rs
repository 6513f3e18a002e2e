//! Secrets that are read again for each new client.

use std::ffi::OsStr;
use std::sync::Arc;

use backup_tracker::{Error, Secret};

use super::{ClientProperties, client, properties_file};
use crate::options::environment::Environment;
use crate::options::error::OptionsError;
use crate::options::{KafkaOptions, given};

/// The options with which secrets are read again: each names its file, and the environment has no part in it any more.
#[derive(Clone)]
pub(crate) struct Renewal(Arc<KafkaOptions>);

impl Renewal {
    /// `None` where no file holds a secret.
    pub(super) fn new(
        options: &KafkaOptions,
        environment: Environment<'_>,
    ) -> Result<Option<Self>, OptionsError> {
        let mut settled = options.clone();
        settled.properties_file = properties_file(options, environment);
        // The file where it is what the password is from, and the password where it is not.
        let password = options.password(environment)?;
        let is_given = password.is_some() && password == options.password;
        let file = given::path(options.password_file.as_ref()).filter(|_| !is_given).map(OsStr::to_owned);
        settled.password = options.password.clone().filter(|_| file.is_none());
        settled.password_file = file;
        let has_file = settled.properties_file.is_some() || settled.password_file.is_some();
        Ok(has_file.then(|| Self(Arc::new(settled))))
    }

    /// What the options and their files say of this property whenever it is read, if it may be a credential.
    pub(crate) fn secret(&self, name: &str) -> Option<Secret> {
        if name != "sasl.username" && !client::is_secret(name) {
            return None;
        }
        let (options, name) = (Arc::clone(&self.0), name.to_owned());
        Some(Secret::from_fn(move || {
            let refused = |error: &OptionsError| Error::config("the credentials", error);
            let found = ClientProperties::resolve(&options, &|_| None).map_err(|error| refused(&error))?;
            let missing = || Error::config(&name, "the file does not say it any more");
            found.properties.get(&name).cloned().ok_or_else(missing)
        }))
    }
}
