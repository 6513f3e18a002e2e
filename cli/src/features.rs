//! What this program was built with.

use std::sync::LazyLock;

use backup_tracker_kafka::rdkafka::util::get_rdkafka_version;
use clap::ValueEnum;

use crate::options::{TransportName, librdkafka_features};

/// The version, the transports, and what librdkafka can do.
pub(crate) fn long_version() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        let transports: Vec<_> = TransportName::value_variants().iter().map(|name| name.as_str()).collect();
        let (_, librdkafka) = get_rdkafka_version();
        format!(
            "{}\ntransports: {}\nlibrdkafka: {librdkafka}\nkafka features: {}",
            env!("CARGO_PKG_VERSION"),
            transports.join(", "),
            describe(&librdkafka_features())
        )
    });
    &TEXT
}

/// What users ask about, of what librdkafka says that it was built with.
fn describe(builtin: &str) -> String {
    let has = |name: &str| builtin.split(',').any(|feature| feature.trim() == name);
    [
        ("ssl", "ssl"),
        ("scram", "sasl_scram"),
        ("gssapi", "sasl_gssapi"),
        ("oauthbearer", "sasl_oauthbearer"),
        ("zstd", "zstd"),
    ]
    .map(|(word, feature)| format!("{}{word}", if has(feature) { "+" } else { "-" }))
    .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feature_is_there_only_if_librdkafka_says_so_word_for_word() {
        assert_eq!(describe("gzip,snappy,sasl"), "-ssl -scram -gssapi -oauthbearer -zstd");
        assert_eq!(
            describe("gzip, ssl,sasl_scram,sasl_gssapi,zstd"),
            "+ssl +scram +gssapi -oauthbearer +zstd"
        );
        assert_eq!(describe("sslish"), "-ssl -scram -gssapi -oauthbearer -zstd");
    }
}
