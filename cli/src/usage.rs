//! A call that the program does not understand, answered in one line.

use std::io::{self, ErrorKind as IoErrorKind, Write};

use clap::error::ErrorKind;

use crate::exit::Exit;

/// Shows help or the version where that was asked for, and else says in one line what is wrong and how to mend it.
pub(crate) fn answer(error: &clap::Error) -> Exit {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => match error.print() {
            Ok(()) => Exit::Success,
            Err(error) if error.kind() == IoErrorKind::BrokenPipe => Exit::OutputClosed,
            Err(error) => {
                complain(&format!("error: {error}"));
                Exit::Failure
            }
        },
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            // Where help cannot be shown there is nowhere left to say so.
            drop(error.print());
            Exit::Usage
        }
        _ => {
            complain(&line(error));
            Exit::Usage
        }
    }
}

fn complain(line: &str) {
    // Where that fails there is nowhere left to say so.
    drop(writeln!(io::stderr(), "{line}"));
}

/// `clap`'s own words, without the usage, in one line.
fn line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let mut parts = text
        .lines()
        .map(str::trim)
        .take_while(|part| !part.starts_with("Usage:") && !part.starts_with("For more information"))
        .filter(|part| !part.is_empty());
    let mut line = parts.next().unwrap_or("error: the arguments are not understood").to_owned();
    // What a parser says of a value is written to say what is right.
    let mut mended = error.kind() == ErrorKind::ValueValidation;
    for part in parts {
        let values = part.strip_prefix("[possible values: ").and_then(|rest| rest.strip_suffix(']'));
        if let Some(values) = values {
            line.push_str("; it is one of ");
            line.push_str(values);
            mended = true;
        } else if let Some(tip) = part.strip_prefix("tip: ") {
            line.push_str("; ");
            line.push_str(tip);
            mended = true;
        } else {
            line.push(' ');
            line.push_str(part);
        }
    }
    if !mended {
        line.push_str("; --help tells what there is");
    }
    line.chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::line;
    use crate::Cli;

    fn said(arguments: &[&str]) -> String {
        let error = Cli::try_parse_from(std::iter::once(&"backup-tracker").chain(arguments)).unwrap_err();
        line(&error)
    }

    #[test]
    fn a_wrong_value_is_named_with_its_option_and_what_it_may_be() {
        assert_eq!(
            said(&["status", "--transport", "rabbit"]),
            "error: invalid value 'rabbit' for '--transport <TRANSPORT>'; it is one of kafka, nats, redis"
        );
        assert_eq!(
            said(&["status", "--timeout", "soon"]),
            "error: invalid value 'soon' for '--timeout <TIME>': it is no length of time such as 90s, 5m or 1h30m"
        );
    }

    #[test]
    fn tips_stay_in_the_line() {
        let typo = said(&["status", "--transprt", "nats"]);
        assert!(typo.starts_with("error: unexpected argument '--transprt' found; "), "{typo}");
        assert!(typo.contains("'--transport'"), "{typo}");
        assert!(said(&["statsu"]).contains("'status'"));
        let similar = said(&["status", "--transport", "kafkaa"]);
        assert!(
            similar.contains("kafka, nats, redis") && similar.contains("a similar value exists"),
            "{similar}"
        );
    }

    #[test]
    fn where_there_is_no_tip_help_is_one() {
        let missing = said(&["wait"]);
        assert!(missing.contains("--until") && missing.ends_with("--help tells what there is"), "{missing}");
        let twice = said(&["status", "--json", "--json"]);
        assert!(twice.contains("'--json' cannot be used multiple times"), "{twice}");
    }

    #[test]
    fn it_is_one_line_whatever_was_typed() {
        for arguments in [
            &["status", "--transport", "ra\nbbit\u{1b}[31m"][..],
            &["--\nx"],
            &["status", "--transport", "ra\rb\tbit\u{7}\u{85}"],
            &["wait", "--until", "a\r\nb", "--timeout"],
            &["doctor", "extra", "words"],
        ] {
            let line = said(arguments);
            assert!(line.starts_with("error: ") && !line.contains(char::is_control), "{line:?}");
        }
    }

    /// The words of a command line, without quotes, as far as a shell takes them for this one command.
    fn words(line: &str) -> Vec<String> {
        let mut words = Vec::new();
        for (number, part) in line.split('\'').enumerate() {
            if number % 2 == 1 {
                words.push(part.to_owned());
                continue;
            }
            for word in part.split_whitespace() {
                if word.starts_with(['#', '|', '&', '>', ';']) {
                    return words;
                }
                words.push(word.to_owned());
            }
        }
        words
    }

    /// The lines of a page that stand in code, each with those that it goes on in.
    fn code(page: &str) -> Vec<String> {
        let lines = page.split("```").skip(1).step_by(2).map(|code| code.replace("\\\n", " "));
        lines.flat_map(|code| code.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
    }

    #[test]
    fn every_command_line_in_documentation_and_help_is_understood() {
        let page = |name| std::fs::read_to_string(format!("{}/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let pages = ["../README.md", "README.md", "../examples/sidecar/README.md"].map(page);
        let program = Cli::command();
        let helps = program.get_subcommands().filter_map(|command| command.get_after_help());
        let helps = helps.flat_map(|help| help.to_string().lines().map(str::to_owned).collect::<Vec<_>>());
        let lines: Vec<_> = pages.iter().flat_map(|page| code(page)).chain(helps).collect();
        let mut seen = 0;
        for line in &lines {
            let line = line.trim_start().trim_start_matches("$ ");
            if line.starts_with("backup-tracker ") {
                let words = words(line);
                assert!(Cli::try_parse_from(&words).is_ok(), "{line}\n{words:?}");
                seen += 1;
            }
        }
        assert!(seen > 30, "{seen}");
    }
}
