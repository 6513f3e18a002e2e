//! The groups inside other people's commands.

mod contradictions;
mod environment;
mod secrets;
mod table;

use clap::{CommandFactory, Parser};

use super::environment::Environment;
use super::transport::Resolved;
use super::{ApplicationOption, BackupTrackerOptions, KafkaOptions, OptionsError};

/// A service with arguments, short options and headings of its own.
#[derive(Debug, Parser)]
#[command(name = "search", version)]
#[command(group = clap::ArgGroup::new("KafkaOptions"))]
struct Service {
    /// Where to listen.
    #[arg(short, long, default_value = "127.0.0.1:8080")]
    listen: String,

    #[command(flatten)]
    kafka: KafkaOptions,

    #[command(flatten)]
    backups: BackupTrackerOptions,

    /// The topic to index.
    #[arg(short, long, group = "KafkaOptions")]
    topic: Option<String>,

    #[arg(short)]
    group: bool,

    #[arg(short, long)]
    user: Option<String>,

    #[arg(long)]
    tls_key: Option<String>,

    #[command(flatten)]
    application: ApplicationOption,

    #[command(subcommand)]
    command: Option<Sub>,
}

#[derive(Debug, clap::Subcommand)]
enum Sub {
    /// Ends at once.
    Check,
}

fn parse(arguments: &[&str]) -> Service {
    Service::try_parse_from(std::iter::once("search").chain(arguments.iter().copied())).unwrap()
}

fn resolve(arguments: &[&str]) -> Result<Resolved, OptionsError> {
    resolve_with(arguments, &|_| None)
}

fn resolve_with(arguments: &[&str], environment: Environment<'_>) -> Result<Resolved, OptionsError> {
    let service = parse(arguments);
    Resolved::new(&service.backups, &service.kafka, environment)
}

/// The error, which is one line that names the option and a way to mend it.
fn refused(arguments: &[&str]) -> OptionsError {
    let error = match resolve(arguments) {
        Ok(resolved) => panic!("{arguments:?} is {:?}", resolved.transport),
        Err(error) => error,
    };
    check_line(&error);
    error
}

fn check_line(error: &OptionsError) {
    let line = error.to_string();
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(line.starts_with("--"), "{line}");
    assert!(!error.mend().is_empty() && line.ends_with(error.mend()), "{line}");
}

#[test]
fn the_groups_clash_with_nothing_of_a_foreign_command() {
    Service::command().debug_assert();
    let service = parse(&[
        "-l",
        "0.0.0.0:80",
        "-t",
        "documents",
        "-g",
        "-u",
        "me",
        "--tls-key",
        "mine",
        "--bootstrap-servers",
        "kafka:9092",
        "--group",
        "search",
        "--application",
        "shop",
        "check",
    ]);
    assert!(service.group && service.command.is_some());
    assert_eq!(service.topic.as_deref(), Some("documents"));
    assert_eq!(service.user.as_deref(), Some("me"));
    assert_eq!(service.tls_key.as_deref(), Some("mine"));
    assert_eq!(service.listen, "0.0.0.0:80");
    assert_eq!(service.kafka.group(), Some("search"));
    assert_eq!(service.kafka.bootstrap_servers(), Some("kafka:9092"));
    assert_eq!(service.backups.topic(), "backups");
    assert_eq!(service.application.name().unwrap(), "shop");
}

#[test]
fn the_groups_bring_no_short_options_and_no_ids_or_headings_that_others_get() {
    let command = Service::command();
    let ours = table::arguments();
    assert!(ours.len() > 20);
    for argument in &ours {
        assert_eq!(argument.get_short(), None, "{}", argument.get_id());
        assert!(argument.get_id().as_str().starts_with("backup-tracker-"), "{}", argument.get_id());
        assert!(argument.get_help_heading().is_some_and(|heading| heading.ends_with(" options")));
    }
    for own in ["listen", "topic", "group", "user", "tls_key"] {
        let own = command.get_arguments().find(|argument| argument.get_id() == own).unwrap();
        assert_eq!(own.get_help_heading(), None, "{}", own.get_id());
    }
    assert_eq!(
        command.get_about().unwrap().to_string(),
        "A service with arguments, short options and headings of its own"
    );
}

#[test]
fn a_missing_application_is_said() {
    for arguments in [&[][..], &["--application", " "]] {
        let error = parse(arguments).application.name().unwrap_err();
        check_line(&error);
        assert_eq!(error.option(), "--application");
        assert_eq!(error.kind(), super::OptionsErrorKind::Missing);
    }
}
