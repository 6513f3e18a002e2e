//! A broker that lets in whom it knows, and lets each do what it was granted.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use backup_tracker::{Error, ErrorKind, EventSource, Result};
use backup_tracker_kafka::{CreateTopic, Kafka};
use backup_tracker_test_servers::{Kafka as Server, KafkaBuilder};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use tempfile::TempDir;

use crate::support::{send, soon, texts};

/// Listeners by what they ask of a client.
pub(crate) const SASL: &str = "SASL";
pub(crate) const TLS: &str = "TLS";
pub(crate) const MUTUAL: &str = "MUTUAL";
pub(crate) const SASL_TLS: &str = "SASLTLS";
pub(crate) const OAUTH: &str = "OAUTH";

pub(crate) const MECHANISMS: [&str; 3] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];
/// What a failure may take: less than the ten seconds that opening has, which would make it a time-out.
pub(crate) const SOON: Duration = Duration::from_secs(8);
const ACLS: &str = "org.apache.kafka.tools.AclCommand";
const CONFIGS: &str = "kafka.admin.ConfigCommand";

/// The users, each with the password that [`password`] gives.
const USERS: [&str; 9] =
    ["root", "writer", "reader", "groupless", "topicless", "looker", "leaver", "dismissed", "renewed"];

pub(crate) fn password(user: &str) -> String {
    format!("the-secret-of-{user}")
}

pub(crate) struct Secured {
    server: Server,
    folder: TempDir,
    authority: Authority,
}

impl Secured {
    pub(crate) fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let authority = Authority::new(folder.path(), "ca");
        authority.issue(folder.path(), "server", None);
        authority.issue(folder.path(), "client", None);
        Authority::new(folder.path(), "stranger").issue(folder.path(), "impostor", None);
        let server = settings(folder.path()).start().unwrap();
        let secured = Self { server, folder, authority };
        secured.grant(&["--operation", "Write", "--topic", "guarded"], &["writer"]);
        secured.grant(&["--operation", "Read", "--topic", "guarded"], &["reader", "groupless"]);
        let groups = ["--operation", "Read", "--group", "search", "--resource-pattern-type", "prefixed"];
        secured.grant(&groups, &["reader", "topicless"]);
        secured.grant(&["--operation", "Describe", "--topic", "guarded"], &["topicless", "looker"]);
        secured
    }

    fn grant(&self, what: &[&str], users: &[&str]) {
        acl(&self.server, "--add", what, users);
    }

    /// Gives (`--add`) or takes (`--remove`) a permission.
    pub(crate) async fn may(self: &Arc<Self>, change: &'static str, what: &[&str], user: &'static str) {
        let (secured, what) =
            (Arc::clone(self), what.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        let changing = tokio::task::spawn_blocking(move || {
            acl(&secured.server, change, &what.iter().map(String::as_str).collect::<Vec<_>>(), &[user]);
        });
        changing.await.unwrap();
    }

    /// Makes the broker forget a user's password for this mechanism.
    pub(crate) async fn withdraw(self: &Arc<Self>, mechanism: &str, user: &'static str) {
        self.alter(user, "--delete-config", mechanism.to_owned()).await;
    }

    /// Gives a user another password for this mechanism.
    pub(crate) async fn set_password(self: &Arc<Self>, mechanism: &str, user: &'static str, password: &str) {
        self.alter(user, "--add-config", format!("{mechanism}=[password={password}]")).await;
    }

    async fn alter(self: &Arc<Self>, user: &'static str, change: &'static str, what: String) {
        let secured = Arc::clone(self);
        let altering = tokio::task::spawn_blocking(move || {
            let servers = secured.server.servers();
            let of_whom = ["--entity-type", "users", "--entity-name", user];
            let what = ["--bootstrap-server", &servers, "--alter", change, &what];
            secured.server.tool(CONFIGS, &[what.as_slice(), &of_whom].concat()).unwrap();
        });
        altering.await.unwrap();
    }

    /// A certificate of this name that the broker takes, for so long, over one that was there.
    pub(crate) fn issue(&self, name: &str, lifetime: Option<Duration>) {
        self.authority.issue(self.folder.path(), name, lifetime);
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// As the administrator, whom nothing is asked.
    pub(crate) fn admin(&self, topic: &str) -> Kafka {
        Kafka::new(self.server.servers(), topic).create_topic(CreateTopic::new(1, 1))
    }

    pub(crate) async fn create(&self, topic: &str) {
        drop(soon(self.admin(topic).sink().open()).await.unwrap());
    }

    /// Through this listener, with nothing that it asks for.
    pub(crate) fn through(&self, listener: &str, topic: &str) -> Kafka {
        self.at("127.0.0.1", listener, topic)
    }

    /// The same, with the broker addressed by this name.
    pub(crate) fn at(&self, host: &str, listener: &str, topic: &str) -> Kafka {
        let port = self.server.port_of(listener).unwrap();
        let protocol = match listener {
            SASL | OAUTH => "sasl_plaintext",
            SASL_TLS => "sasl_ssl",
            _ => "ssl",
        };
        Kafka::new(format!("{host}:{port}"), topic).property("security.protocol", protocol)
    }

    /// As this user, with this mechanism.
    pub(crate) fn as_user(&self, user: &str, topic: &str) -> Kafka {
        with_password(self.through(SASL, topic), "SCRAM-SHA-256", user, &password(user))
    }
}

fn acl(server: &Server, change: &str, what: &[&str], users: &[&str]) {
    let servers = server.servers();
    let users: Vec<_> = users.iter().map(|user| format!("User:{user}")).collect();
    let mut arguments = vec!["--bootstrap-server", &servers, change];
    arguments.extend(what);
    arguments.extend(users.iter().flat_map(|user| ["--allow-principal", user]));
    if change == "--remove" {
        arguments.push("--force");
    }
    server.tool(ACLS, &arguments).unwrap();
}

pub(crate) fn with_password(kafka: Kafka, mechanism: &str, user: &str, password: &str) -> Kafka {
    kafka
        .property("sasl.mechanism", mechanism)
        .property("sasl.username", user)
        .property("sasl.password", password)
}

fn settings(folder: &Path) -> KafkaBuilder {
    let file = |name: &str| folder.join(name).display().to_string();
    let users: Vec<_> = USERS.iter().map(|user| format!("user_{user}=\"{}\"", password(user))).collect();
    let plain = "org.apache.kafka.common.security.plain.PlainLoginModule required";
    let scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;";
    let mut builder = Server::builder()
        .listener(SASL, "SASL_PLAINTEXT")
        .listener(TLS, "SSL")
        .listener(MUTUAL, "SSL")
        .listener(SASL_TLS, "SASL_SSL")
        .listener(OAUTH, "SASL_PLAINTEXT")
        .property("sasl.enabled.mechanisms", MECHANISMS.join(","))
        .property("listener.name.oauth.sasl.enabled.mechanisms", "OAUTHBEARER")
        .property(
            "listener.name.oauth.oauthbearer.sasl.jaas.config",
            "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required \
             unsecuredLoginStringClaim_sub=\"broker\";",
        )
        // A connection ends with its token, unless the client brings another one.
        .property("listener.name.oauth.oauthbearer.connections.max.reauth.ms", "3600000")
        .property("ssl.keystore.type", "PEM")
        .property("ssl.keystore.location", file("server.both"))
        .property("ssl.truststore.type", "PEM")
        .property("ssl.truststore.location", file("ca.pem"))
        .property("listener.name.mutual.ssl.client.auth", "required")
        // Clients prove who they are again and again.
        .property("listener.name.sasl.scram-sha-512.connections.max.reauth.ms", "3000")
        .property("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer")
        .property("super.users", "User:ANONYMOUS;User:root;User:CN=client");
    for listener in ["sasl", "sasltls"] {
        let jaas = |mechanism: &str| format!("listener.name.{listener}.{mechanism}.sasl.jaas.config");
        builder = builder
            .property(jaas("plain"), format!("{plain} {};", users.join(" ")))
            .property(jaas("scram-sha-256"), scram)
            .property(jaas("scram-sha-512"), scram);
    }
    for user in USERS {
        for mechanism in &MECHANISMS[1..] {
            builder = builder.scram_user(mechanism, user, &password(user));
        }
    }
    builder
}

/// Who signs certificates; its own is in a file `<name>.pem`.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(folder: &Path, name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        std::fs::write(folder.join(format!("{name}.pem")), issuer.pem()).unwrap();
        Self(issuer)
    }

    /// Files named `<name>.pem` and `<name>.key`, both in `<name>.both`. The certificate is for 127.0.0.1 and no other name.
    fn issue(&self, folder: &Path, name: &str, lifetime: Option<Duration>) {
        let write =
            |name: String, text: String| std::fs::write::<PathBuf, _>(folder.join(name), text).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.subject_alt_names.push(SanType::IpAddress([127, 0, 0, 1].into()));
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        if let Some(lifetime) = lifetime {
            params.not_after = (SystemTime::now() + lifetime).into();
        }
        let certificate = params.signed_by(&key, &self.0).unwrap();
        write(format!("{name}.pem"), certificate.pem());
        write(format!("{name}.key"), key.serialize_pem());
        write(format!("{name}.both"), key.serialize_pem() + &certificate.pem());
    }
}

/// Writing, reading and committing work.
pub(crate) async fn works(kafka: &Kafka) {
    let mut sink = soon(kafka.sink().open()).await.unwrap();
    let mut source = soon(kafka.source("search").open()).await.unwrap();
    send(&mut sink, "app", "one").await;
    assert_eq!(texts(&mut source, 1).await, ["one"]);
    soon(source.commit()).await.unwrap();
}

/// The error of an attempt that must fail in this way, and not by waiting until the time is over.
pub(crate) async fn fails<T>(kind: ErrorKind, attempt: impl Future<Output = Result<T>>) -> Error {
    let begin = Instant::now();
    let Err(error) = soon(attempt).await else { panic!("it succeeded") };
    eprintln!("{error}");
    assert_eq!(error.kind(), kind, "{error} {error:?}");
    assert!(begin.elapsed() < SOON, "after {:?}: {error}", begin.elapsed());
    error
}

/// The error's message says all of this.
pub(crate) fn says(error: &Error, words: &[&str]) {
    let message = error.to_string();
    for word in words {
        assert!(message.contains(word), "{word:?} is missing in {message:?}");
    }
}
