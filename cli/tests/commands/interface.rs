//! What belongs to no command: the version, completions, manual pages, wrong calls, and readers that stop reading.

use std::process::{Command, Stdio};

use crate::program::{Ended, forks, program};

/// The commands, as the program itself lists them.
fn commands() -> Vec<String> {
    let help = Ended::of(&mut program(&["--help"]));
    let commands: Vec<_> = help
        .stdout
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        // What a long line is continued with stands further to the right.
        .filter_map(|line| line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect();
    assert!(commands.iter().any(|name| name == "doctor") && commands.len() >= 7, "{commands:?}");
    commands
}

#[test]
fn the_readme_lists_every_command() {
    let readme = include_str!("../../README.md");
    for command in commands() {
        let row = format!("| `{command}` | ");
        assert!(readme.lines().any(|line| line.starts_with(&row)), "no line `{row}…`");
    }
}

#[test]
fn the_version_is_short_or_tells_what_the_program_was_built_with() {
    let short = Ended::of(&mut program(&["-V"]));
    assert_eq!(short.stdout, format!("backup-tracker {}\n", env!("CARGO_PKG_VERSION")));
    let long = Ended::of(&mut program(&["--version"])).stdout;
    assert!(long.starts_with(&short.stdout), "{long}");
    assert!(long.contains("\ntransports: kafka, nats, redis\nlibrdkafka: 2."), "{long}");
    for (feature, built) in [
        ("ssl", cfg!(any(feature = "ssl", feature = "ssl-vendored"))),
        ("scram", cfg!(any(feature = "ssl", feature = "ssl-vendored"))),
        ("gssapi", cfg!(feature = "gssapi")),
        ("zstd", cfg!(feature = "zstd")),
    ] {
        let word = format!("{}{feature}", if built { "+" } else { "-" });
        assert!(long.split_whitespace().any(|found| found == word), "no {word} in {long}");
    }
    // It is as it says: a property about TLS is refused exactly where there is none.
    let property = [
        "status",
        "--bootstrap-server",
        "a:1",
        "--kafka-property",
        "ssl.ca.location=/nowhere",
        "--timeout",
        "1s",
    ];
    let refused = Ended::of(&mut program(&property)).stderr.contains("built without TLS");
    assert_eq!(refused, long.contains("-ssl"), "{long}");
}

/// What bash offers for the last of these words.
fn completed(words: &str) -> Vec<String> {
    let script = r#"
        eval "$("$1" completions bash)"
        read -ra COMP_WORDS <<<"$2"
        [[ $2 == *" " ]] && COMP_WORDS+=("")
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        function=$(complete -p backup-tracker)
        function=${function#*-F }
        "${function%% *}" backup-tracker "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
        printf '%s\n' "${COMPREPLY[@]}""#;
    let arguments = ["--norc", "-c", script, "bash", env!("CARGO_BIN_EXE_backup-tracker"), words];
    let bash = forks::output(Command::new("bash").args(arguments));
    assert!(bash.status.success(), "{bash:?}");
    String::from_utf8(bash.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_options_and_their_values() {
    let script = Ended::of(&mut program(&["completions", "bash"]));
    let mut bash = forks::spawn(Command::new("bash").arg("-n").stdin(Stdio::piped()));
    std::io::Write::write_all(&mut bash.stdin.take().unwrap(), script.stdout.as_bytes()).unwrap();
    assert!(bash.wait().unwrap().success());

    assert_eq!(completed("backup-tracker doc"), ["doctor"]);
    let all = completed("backup-tracker ");
    for command in commands() {
        assert!(all.contains(&command), "{command} is not in {all:?}");
    }
    assert_eq!(completed("backup-tracker doctor --abs"), ["--absence"]);
    assert_eq!(completed("backup-tracker status --transport "), ["kafka", "nats", "redis"]);
}

#[test]
fn every_shell_gets_a_script_that_knows_every_command() {
    for (shell, own) in [
        ("bash", "complete -F"),
        ("zsh", "#compdef backup-tracker"),
        ("fish", "complete -c backup-tracker"),
        ("elvish", "edit:completion:arg-completer"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        let script = Ended::of(&mut program(&["completions", shell]));
        assert_eq!(script.status, Some(0), "{shell}");
        assert!(script.stdout.contains(own), "{shell}: {}", script.stdout);
        for command in commands() {
            assert!(script.stdout.contains(&command), "{shell}: {command}");
        }
    }
}

#[test]
fn the_manual_has_a_page_for_each_command_and_the_first_names_them_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    assert_eq!(Ended::of(&mut program(&["man", "--all", path])).status, Some(0));
    let page = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let first = page("backup-tracker.1");
    assert_eq!(first, Ended::of(&mut program(&["man"])).stdout);
    assert!(
        first.contains(&format!(".TH backup-tracker 1  \"backup-tracker {}\"", env!("CARGO_PKG_VERSION"))),
        "{first}"
    );
    for command in commands() {
        assert!(first.contains(&format!("\nbackup\\-tracker\\-{command}(1)\n")), "{command}");
        let own = page(&format!("backup-tracker-{command}.1"));
        assert!(own.contains(&format!("\\fBbackup\\-tracker {command}\\fR")), "{own}");
        assert_eq!(own, Ended::of(&mut program(&["man", &command])).stdout);
    }
    let below = page("backup-tracker-announce-ready.1");
    assert!(below.contains("\\fB\\-\\-reason\\fR"), "{below}");
    assert_eq!(below, Ended::of(&mut program(&["man", "announce", "ready"])).stdout);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1 + commands().len() + 1);
}

#[test]
fn no_secret_of_the_environment_gets_into_help_completions_or_the_manual() {
    for arguments in [
        &["doctor", "--help"][..],
        &["man", "doctor"],
        &["man", "status"],
        &["completions", "zsh"],
        &["--version"],
    ] {
        let mut command = program(arguments);
        command.env("KAFKA_PASSWORD", "hunter2").env("BACKUP_URL", "redis://:hunter2@a");
        let ended = Ended::of(&mut command);
        assert_eq!(ended.status, Some(0));
        assert!(!ended.stdout.contains("hunter2"), "{arguments:?}");
    }
}

#[test]
fn a_wrong_call_is_one_line_that_names_the_option_and_the_mend() {
    for (arguments, words) in [
        (&["status", "--transport", "rabbit"][..], &["'rabbit'", "--transport", "kafka, nats, redis"][..]),
        (
            &["status", "--kafka-login-type", "MD5"],
            &["--kafka-login-type", "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512"],
        ),
        (&["status", "--transprt", "nats"], &["--transprt", "'--transport'"]),
        (&["statsu"], &["statsu", "'status'"]),
        (&["man", "statsu"], &["statsu", "status"]),
        (&["man", "announce", "steady"], &["`steady`", "`backup-tracker announce`", "ready"]),
        (&["wait", "--bootstrap-server", "a:1"], &["--until", "--help"]),
        (&["status", "--timeout"], &["--timeout", "--help"]),
        (&["doctor", "--timeout", "0s"], &["--timeout", "give 1s or more"]),
        (&["completions", "tcsh"], &["tcsh", "bash", "fish"]),
        (&["man", "doctor", "--all", "x"], &["--all", "cannot be used with"]),
        (&["man", "--al\nl"], &["unexpected argument"]),
    ] {
        let ended = Ended::of(&mut program(arguments));
        assert_eq!((ended.status, &*ended.stdout), (Some(2), ""), "{ended:?}");
        assert!(ended.stderr.starts_with("error: ") && ended.stderr.ends_with('\n'), "{ended:?}");
        assert_eq!(ended.stderr.matches('\n').count(), 1, "{ended:?}");
        for word in words {
            assert!(ended.stderr.contains(word), "no {word} in {ended:?}");
        }
    }
    let mut of_environment = program(&["status"]);
    of_environment.env("BACKUP_TRANSPORT", "rabbit");
    let ended = Ended::of(&mut of_environment);
    assert_eq!((ended.status, ended.stderr.lines().count()), (Some(2), 1), "{ended:?}");
}

#[test]
fn help_that_was_asked_for_is_output_and_else_it_is_an_error() {
    let asked = Ended::of(&mut program(&["--help"]));
    assert_eq!(asked.status, Some(0));
    assert!(asked.stdout.contains("\nUsage: backup-tracker") && asked.stderr.is_empty());
    let not_asked = Ended::of(&mut program(&[]));
    assert_eq!((not_asked.status, &*not_asked.stdout), (Some(2), ""));
    assert!(not_asked.stderr.contains("\nUsage: backup-tracker"));
}

#[test]
fn a_reader_that_stops_reading_ends_the_program_quietly() {
    for arguments in [
        &["--help"][..],
        &["--version"],
        &["completions", "bash"],
        &["man", "doctor"],
        &["demo", "--transport", "memory"],
        &["doctor", "--bootstrap-server", "127.0.0.1:1", "--timeout", "1s"],
    ] {
        let mut command = program(arguments);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = forks::output(command.stdout(writer).stderr(Stdio::piped()));
        assert_eq!(output.status.code(), Some(141), "{arguments:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{arguments:?}");
    }
}
