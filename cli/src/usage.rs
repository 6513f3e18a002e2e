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
    use clap::Parser;

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
            &["wait", "--until", "a\r\nb", "--timeout"],
            &["doctor", "extra", "words"],
        ] {
            let line = said(arguments);
            assert!(line.starts_with("error: ") && !line.contains(char::is_control), "{line:?}");
        }
    }
}
