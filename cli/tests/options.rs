//! Trackers from options alone, over each transport: librdkafka's mock cluster, a real NATS server, a real Redis server.

#![allow(clippy::unwrap_used, reason = "a test program without the standard harness is not seen as a test")]
#![allow(clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::future_not_send, reason = "each test stays on its thread, as the mock cluster must")]

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use backup_tracker::{
    BackupState, BackupTracker, BoxSource, ErrorKind, EventSource, PrimaryBackupTracker, Sink, WireFormat,
};
use backup_tracker_cli::options::{BackupTrackerOptions, KafkaOptions, OpenError, OptionsErrorKind};
use backup_tracker_kafka::rdkafka::mocking::MockCluster;
use backup_tracker_kafka::rdkafka::producer::DefaultProducerContext;
use backup_tracker_test_servers::{Missing, Nats, Redis};
use clap::Parser;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use tempfile::TempDir;
use tokio::sync::mpsc;

const SECRET: &str = "hunter2";
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Parser)]
struct Service {
    #[command(flatten)]
    kafka: KafkaOptions,
    #[command(flatten)]
    backups: BackupTrackerOptions,
}

fn service(arguments: &[&str]) -> Service {
    Service::try_parse_from(std::iter::once("service").chain(arguments.iter().copied())).unwrap()
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap()
}

impl Service {
    /// The error of a source, which shows no secret.
    async fn source_error(&self) -> OpenError {
        let error = soon(self.backups.source(&self.kafka)).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains(SECRET), "{error}");
        error
    }

    async fn primary(&self) -> PrimaryBackupTracker {
        soon(self.backups.primary(&self.kafka, "shop")).await.unwrap()
    }
}

fn option_of(error: &OpenError) -> (&str, OptionsErrorKind) {
    match error {
        OpenError::Options(error) => (error.option(), error.kind()),
        other => panic!("{other}"),
    }
}

fn kind_of(error: &OpenError) -> ErrorKind {
    match error {
        OpenError::Broker(error) => error.kind(),
        other => panic!("{other}"),
    }
}

/// A primary announces, a secondary follows, and a second session of it resumes in Ready.
async fn round_trip(arguments: &[&str]) {
    use BackupState::{BackingUp, Ready};

    let service = service(arguments);
    let primary = service.primary().await;
    soon(primary.startup_complete()).await.unwrap();

    let (told, mut changes) = mpsc::unbounded_channel();
    let secondary = service.backups.secondary(&service.kafka, "shop", |secondary| {
        secondary.on_change(move |change, _| told.send(change.transition.to).unwrap())
    });
    let secondary = soon(secondary).await.unwrap();
    soon(secondary.synced()).await.unwrap();
    soon(primary.start_backup()).await.unwrap();
    soon(primary.finish_backup()).await.unwrap();
    for state in [Ready, BackingUp, Ready] {
        assert_eq!(soon(changes.recv()).await, Some(state));
    }
    soon(primary.close()).await.unwrap();
    soon(secondary.close()).await.unwrap();

    let again = soon(service.backups.secondary(&service.kafka, "shop", |secondary| secondary)).await.unwrap();
    assert_eq!(again.state(), Ready);
    soon(again.close()).await.unwrap();
}

async fn payload(source: &mut BoxSource) -> String {
    let record = soon(source.next()).await.unwrap().unwrap();
    String::from_utf8_lossy(&record.payload.unwrap()).into_owned()
}

/// What is written has the chosen format, and a new group begins where it is told to.
async fn format_and_start(arguments: &[&str]) {
    let with = |more: &[&str]| service(&[arguments, more].concat());
    let json = with(&["--group", "search", "--wire-format", "action-json"]);
    let primary = json.primary().await;
    soon(primary.start_backup()).await.unwrap();

    let latest = with(&["--group", "late", "--read-policy", "LATEST"]);
    let mut latest = soon(latest.backups.source(&latest.kafka)).await.unwrap();
    soon(primary.finish_backup()).await.unwrap();
    assert!(payload(&mut latest).await.contains(r#""from":"PROCESSING","to":"READY""#));

    let mut earliest = soon(json.backups.source(&json.kafka)).await.unwrap();
    assert!(payload(&mut earliest).await.contains(r#""to":"PROCESSING""#));

    let default = with(&[]);
    let sink = soon(default.backups.sink(&default.kafka)).await.unwrap();
    assert_eq!(sink.wire_format(), default.backups.wire_format());
    let chosen = soon(json.backups.sink(&json.kafka)).await.unwrap();
    assert_eq!(chosen.wire_format(), WireFormat::ActionJson);
}

async fn without_a_group(arguments: &[&str]) {
    let error = service(arguments).source_error().await;
    assert_eq!(option_of(&error), ("--group", OptionsErrorKind::Missing));
}

fn mock() -> (MockCluster<'static, DefaultProducerContext>, String) {
    let mock = MockCluster::new(1).unwrap();
    mock.create_topic("backups", 1, 1).unwrap();
    let servers = mock.bootstrap_servers();
    (mock, servers)
}

async fn kafka_makes_trackers() {
    let (_mock, servers) = mock();
    round_trip(&["--bootstrap-server", &servers, "--group", "search"]).await;
}

async fn kafka_takes_servers_and_group_from_a_file() {
    let (_mock, servers) = mock();
    let text =
        format!("bootstrap.servers={servers}\ngroup.id=search\nfetch.wait.max.ms=5\nkey.serializer=a.B\n");
    let (_folder, path) = file(&text);
    round_trip(&["--kafka-properties", path.to_str().unwrap()]).await;
}

async fn kafka_has_the_chosen_format_and_start() {
    let (_mock, servers) = mock();
    format_and_start(&["--bootstrap-server", &servers, "--kafka-property", "fetch.wait.max.ms=5"]).await;
}

async fn kafka_says_what_is_wrong() {
    let (_mock, servers) = mock();
    let server = ["--bootstrap-server", &servers];
    without_a_group(&server).await;
    let with = |more: &[&str]| service(&[&server, &["--group", "search"], more].concat());

    let error = with(&["--backup-topic", "other"]).source_error().await;
    assert_eq!(kind_of(&error), ErrorKind::NotFound);

    // The mock knows no identities, and so refuses each.
    let error = with(&["--kafka-user", "me", "--kafka-password", SECRET]).source_error().await;
    assert_eq!(kind_of(&error), ErrorKind::Denied);

    // Right by itself, and wrong with what else is set.
    let clash = with(&["--kafka-property", "max.in.flight.requests.per.connection=100"]);
    let error = soon(clash.backups.primary(&clash.kafka, "shop")).await.unwrap_err();
    assert_eq!(option_of(&error), ("--kafka-property, --kafka-properties", OptionsErrorKind::Invalid));

    let right = with(&[]);
    let error = soon(right.backups.primary(&right.kafka, " ")).await.unwrap_err();
    assert_eq!(kind_of(&error), ErrorKind::Config);
}

async fn nats_makes_trackers_and_creates_what_they_need() {
    let nats = Nats::start().unwrap();
    let url = nats.url();
    let fixed = ["--transport", "nats", "--url", &url, "--group", "search"];
    let error = service(&fixed).source_error().await;
    assert_eq!(kind_of(&error), ErrorKind::NotFound);
    without_a_group(&fixed[..4]).await;

    // A single server cannot keep three copies.
    let create = [&fixed[..], &["--create-topic"]].concat();
    let error = service(&create).source_error().await;
    assert_eq!(option_of(&error), ("--create-topic-replicas", OptionsErrorKind::Invalid));

    round_trip(&[&create[..], &["--create-topic-replicas", "1"]].concat()).await;

    let error = service(&[&fixed[..], &["--backup-topic", "a b"]].concat()).source_error().await;
    assert_eq!(option_of(&error), ("--backup-topic", OptionsErrorKind::Invalid));
}

async fn nats_has_the_chosen_format_and_start() {
    let nats = Nats::start().unwrap();
    let url = nats.url();
    let fixed = ["--transport", "nats", "--url", &url];
    format_and_start(&[&fixed[..], &["--create-topic", "--create-topic-replicas", "1"]].concat()).await;
}

async fn nats_signs_in_with_a_url_from_a_file() {
    let nats = Nats::start_with("authorization { user: me, password: hunter2 }").unwrap();
    signs_in("nats", nats.port(), &["--create-topic", "--create-topic-replicas", "1"]).await;
}

async fn redis_makes_trackers_and_creates_what_they_need() {
    let redis = Redis::start().unwrap();
    let url = redis.url();
    let fixed = ["--transport", "redis", "--url", &url, "--group", "search"];
    let primary = service(&fixed);
    let error = soon(primary.backups.primary(&primary.kafka, "shop")).await.unwrap_err();
    assert_eq!(kind_of(&error), ErrorKind::NotFound);
    without_a_group(&fixed[..4]).await;
    round_trip(&[&fixed[..], &["--create-topic"]].concat()).await;
}

async fn redis_has_the_chosen_format_and_start() {
    let redis = Redis::start().unwrap();
    let url = redis.url();
    format_and_start(&["--transport", "redis", "--url", &url, "--create-topic"]).await;
}

async fn redis_signs_in_with_a_url_from_a_file() {
    let redis =
        Redis::start_with(&[("user", "me on >hunter2 ~* &* +@all"), ("user", "default off")]).unwrap();
    signs_in("redis", redis.port(), &["--create-topic"]).await;
}

/// With the right password in a file, and with the wrong one, which is not shown.
async fn signs_in(scheme: &str, port: u16, create: &[&str]) {
    let (_folder, right) = file(&format!("{scheme}://me:{SECRET}@127.0.0.1:{port}\n"));
    let (_folder2, wrong) = file(&format!("{scheme}://me:no{SECRET}@127.0.0.1:{port}\n"));
    let fixed = [&["--transport", scheme, "--group", "search"], create].concat();
    let error =
        service(&[&fixed[..], &["--url-file", wrong.to_str().unwrap()]].concat()).source_error().await;
    assert_eq!(kind_of(&error), ErrorKind::Denied);
    round_trip(&[&fixed[..], &["--url-file", right.to_str().unwrap()]].concat()).await;
}

fn file(text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

async fn nats_shows_a_certificate_and_checks_the_servers() {
    let Certificates { folder, arguments } = Certificates::new();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let nats = Nats::start_with(&format!(
        "tls {{ cert_file: {:?}, key_file: {:?}, ca_file: {:?}, verify: true }}",
        path("server.pem"),
        path("server.key"),
        path("ca.pem")
    ))
    .unwrap();
    let url = nats.url();
    let create = ["--create-topic", "--create-topic-replicas", "1"];
    encrypted(&[&["--transport", "nats", "--url", &url], &create[..]].concat(), &arguments).await;
}

async fn redis_shows_a_certificate_and_checks_the_servers() {
    let Certificates { folder, arguments } = Certificates::new();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    drop(listener);
    let _redis = Redis::start_with(&[
        ("tls-port", &port),
        ("tls-cert-file", &path("server.pem")),
        ("tls-key-file", &path("server.key")),
        ("tls-ca-cert-file", &path("ca.pem")),
        ("tls-auth-clients", "yes"),
    ])
    .unwrap();
    let url = format!("rediss://127.0.0.1:{port}");
    encrypted(&["--transport", "redis", "--url", &url, "--create-topic"], &arguments).await;
}

/// With the right authority and certificate, and without either.
async fn encrypted(fixed: &[&str], certificates: &[String; 6]) {
    let fixed = [fixed, &["--group", "search"]].concat();
    let certificates: Vec<_> = certificates.iter().map(String::as_str).collect();
    for lacking in [&certificates[..2], &certificates[2..]] {
        let error = service(&[&fixed[..], lacking].concat()).source_error().await;
        assert!(matches!(error, OpenError::Broker(_)), "{error}");
    }
    round_trip(&[&fixed[..], &certificates].concat()).await;
}

/// An authority, a certificate for a server and one for a client, as PEM files.
struct Certificates {
    folder: TempDir,
    /// `--backup-tls-ca FILE`, then the two of the client's certificate.
    arguments: [String; 6],
}

impl Certificates {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let mut settings = rcgen::CertificateParams::new(Vec::new()).unwrap();
        settings.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        // A name of its own: a certificate that is named like its issuer is taken for one that signed itself.
        settings.distinguished_name.push(rcgen::DnType::CommonName, "authority");
        let key = rcgen::KeyPair::generate().unwrap();
        let ca = write("ca.pem", &settings.self_signed(&key).unwrap().pem());
        let issuer = rcgen::Issuer::new(settings, key);
        let issue = |name: &str, host: &str| {
            let key = rcgen::KeyPair::generate().unwrap();
            let settings = rcgen::CertificateParams::new(vec![host.to_owned()]).unwrap();
            let certificate = settings.signed_by(&key, &issuer).unwrap().pem();
            (write(&format!("{name}.pem"), &certificate), write(&format!("{name}.key"), &key.serialize_pem()))
        };
        issue("server", "127.0.0.1");
        let (certificate, key) = issue("client", "client");
        let arguments =
            ["--backup-tls-ca", &ca, "--backup-tls-certificate", &certificate, "--backup-tls-key", &key];
        let arguments = arguments.map(str::to_owned);
        Self { folder, arguments }
    }
}

type Test = fn() -> Pin<Box<dyn Future<Output = ()>>>;

/// Tests that show as ignored where their server is missing.
fn trials(missing: Option<Missing>, tests: Vec<(&'static str, Test)>) -> impl Iterator<Item = Trial> {
    tests.into_iter().map(move |(name, test)| {
        let missing = missing.clone();
        Trial::ignorable_test(name, move || match missing {
            Some(missing) => Ok::<_, Failed>(Completion::ignored_with(missing.reason)),
            None => {
                let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
                runtime.block_on(test());
                Ok(Completion::Completed)
            }
        })
    })
}

macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        vec![$((stringify!($name), || Box::pin($name()))),*]
    };
}

fn main() {
    let kafka = trials(
        None,
        tests![
            kafka_makes_trackers,
            kafka_takes_servers_and_group_from_a_file,
            kafka_has_the_chosen_format_and_start,
            kafka_says_what_is_wrong,
        ],
    );
    let nats = trials(
        Nats::find().err(),
        tests![
            nats_makes_trackers_and_creates_what_they_need,
            nats_has_the_chosen_format_and_start,
            nats_signs_in_with_a_url_from_a_file,
            nats_shows_a_certificate_and_checks_the_servers,
        ],
    );
    let redis = trials(
        Redis::find().err(),
        tests![
            redis_makes_trackers_and_creates_what_they_need,
            redis_has_the_chosen_format_and_start,
            redis_signs_in_with_a_url_from_a_file,
            redis_shows_a_certificate_and_checks_the_servers,
        ],
    );
    libtest_mimic::run(&Arguments::from_args(), kafka.chain(nats).chain(redis).collect()).exit();
}
