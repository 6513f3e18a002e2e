//! The properties of Kafka's client: from the file, from `--kafka-property`, and from the options about signing in.

mod client;
mod file;
mod jaas;
mod java;
mod login;
mod origin;
mod renewal;
mod reserved;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::Arc;

use backup_tracker::StartAt;
use tracing::info;

pub(crate) use self::client::features as librdkafka_features;
use self::login::Login;
use self::origin::{Origin, Properties, Property};
pub(crate) use self::renewal::Renewal;
use super::KafkaOptions;
use super::environment::Environment;
use super::error::OptionsError;
use super::given;
use super::secret::{self, Secret};

/// What the options and the file say together.
pub(crate) struct ClientProperties {
    /// With librdkafka's names, checked.
    pub(crate) properties: BTreeMap<String, String>,
    /// How those are read again that a file says.
    pub(crate) renewal: Option<Renewal>,
    /// The file's `bootstrap.servers`.
    pub(crate) bootstrap_servers: Option<String>,
    /// The file's `group.id`.
    pub(crate) group: Option<String>,
    /// The file's `auto.offset.reset`.
    pub(crate) start: Option<StartAt>,
}

impl ClientProperties {
    pub(crate) fn resolve(
        options: &KafkaOptions,
        environment: Environment<'_>,
    ) -> Result<Self, OptionsError> {
        let Layers(mut properties) = Layers::merge(options, environment)?;
        client::check(&properties)?;
        let mut take = |name: &str| properties.remove(name).filter(|found| !found.value.trim().is_empty());
        let bootstrap_servers = take("bootstrap.servers").map(|found| found.value);
        let group = take("group.id").map(|found| found.value);
        let start = take("auto.offset.reset").map(|found| start(&found)).transpose()?;
        let properties = properties.into_iter().map(|(name, found)| (name, found.value)).collect();
        let renewal = Renewal::new(options, environment)?;
        Ok(Self { properties, renewal, bootstrap_servers, group, start })
    }
}

/// File, properties and options, one upon the other, with librdkafka's names.
struct Layers(Properties);

impl Layers {
    fn merge(options: &KafkaOptions, environment: Environment<'_>) -> Result<Self, OptionsError> {
        let mut properties = Properties::new();
        if let Some(path) = properties_file(options, environment) {
            read_file(&path, &mut properties)?;
        }
        for property in &options.properties {
            let (name, value) = split(property)?;
            properties.insert(name, Property { value, origin: Origin::Option });
        }
        let mut properties = java::translate(properties)?;
        reserved::check(&mut properties)?;
        let password = options.password(environment)?;
        login::apply(
            &mut properties,
            &Login {
                user: given::text(options.user.as_ref()),
                password: password.as_ref().map(Secret::reveal),
                kind: options.login_type.and_then(|word| word.0),
            },
        )?;
        Ok(Self(properties))
    }
}

/// `clap` reads one variable, the second is read here.
fn properties_file(options: &KafkaOptions, environment: Environment<'_>) -> Option<OsString> {
    given::path(options.properties_file.as_ref())
        .map(OsStr::to_owned)
        .or_else(|| environment("KAFKA_PROPERTIES_FILE").filter(|path| !path.is_empty()))
}

fn read_file(path: &OsStr, properties: &mut Properties) -> Result<(), OptionsError> {
    const OPTION: &str = "--kafka-properties";
    let bytes = secret::read(OPTION, path)?;
    let path: Arc<str> = Path::new(path).display().to_string().into();
    let entries = file::parse(&bytes).map_err(|bad| {
        OptionsError::invalid(
            format!("{OPTION} {path}:{}", bad.line),
            "a backslash and `u` are not followed by the four digits of a character",
            "write a backslash that stands for itself twice",
        )
    })?;
    info!(file = &*path, "read {} client properties", entries.len());
    for file::Entry { line, name, value } in entries {
        properties.insert(name, Property { value, origin: Origin::File { path: path.clone(), line } });
    }
    Ok(())
}

fn split(property: &Secret) -> Result<(String, String), OptionsError> {
    let (name, value) = property.reveal().split_once('=').unwrap_or_default();
    let name = name.trim();
    if name.is_empty() {
        // Not repeated: it may be a password.
        let problem = "one of them has no name, or no `=` behind it";
        return Err(OptionsError::invalid("--kafka-property", problem, "write NAME=VALUE"));
    }
    Ok((name.to_owned(), value.to_owned()))
}

fn start(property: &Property) -> Result<StartAt, OptionsError> {
    match property.value.trim().to_lowercase().as_str() {
        "earliest" | "beginning" | "smallest" => Ok(StartAt::Earliest),
        "latest" | "end" | "largest" => Ok(StartAt::Latest),
        _ => Err(OptionsError::invalid(
            property.origin.option("auto.offset.reset"),
            "a new group must begin somewhere",
            "set it to `earliest` or `latest`, or remove it",
        )),
    }
}
