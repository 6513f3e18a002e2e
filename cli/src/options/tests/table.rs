//! The table in the documentation says what `clap` knows.

use clap::builder::StyledStr;
use clap::{Arg, Args, Command};

use crate::options::{ApplicationOption, BackupTrackerOptions, KafkaOptions};

const TABLE: &str = include_str!("../options.md");

/// Every argument of the groups.
pub(super) fn arguments() -> Vec<Arg> {
    let command = BackupTrackerOptions::augment_args(Command::new("all"));
    let command = ApplicationOption::augment_args(KafkaOptions::augment_args(command));
    command.get_arguments().cloned().collect()
}

#[derive(Debug, PartialEq, Eq)]
struct Row {
    options: Vec<String>,
    variables: Vec<String>,
    default: Option<String>,
}

/// The words of a cell that are set as code.
fn codes(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn documented() -> Vec<Row> {
    let rows = TABLE.lines().skip(2).map(|line| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let [_, options, variables, default, meaning, _] = cells[..] else { panic!("{line}") };
        assert!(!meaning.is_empty(), "{line}");
        let default = default.replace('`', "");
        Row {
            options: codes(options),
            variables: codes(variables),
            default: Some(default).filter(|default| !default.is_empty()),
        }
    });
    rows.collect()
}

fn help(argument: &Arg) -> String {
    argument.get_help().map(StyledStr::to_string).unwrap()
}

/// Variables and defaults that `clap` does not know of are in the text of the help.
fn known(argument: &Arg) -> Row {
    let help = argument.get_long_help().map_or_else(|| help(argument), ToString::to_string);
    let mut options = vec![format!("--{}", argument.get_long().unwrap())];
    options
        .extend(argument.get_visible_aliases().unwrap_or_default().iter().map(|alias| format!("--{alias}")));
    let mut variables: Vec<String> =
        argument.get_env().map(|name| name.to_str().unwrap().to_owned()).into_iter().collect();
    for word in help.split(|c: char| c != '_' && !c.is_ascii_uppercase()) {
        if word.contains('_') && !variables.iter().any(|known| known == word) {
            variables.push(word.to_owned());
        }
    }
    let in_text = || {
        let (_, rest) = help.split_once("[default: ")?;
        let (default, _) = rest.split_once(']')?;
        Some(default.split(", unless").next()?.to_owned())
    };
    let default = argument.get_default_values().first().map(|value| value.to_str().unwrap().to_owned());
    let takes_none = !argument.get_action().takes_values();
    Row { options, variables, default: default.filter(|_| !takes_none).or_else(in_text) }
}

#[test]
fn the_documented_options_are_the_real_ones() {
    let known: Vec<_> = arguments().iter().map(known).collect();
    let documented = documented();
    for row in &documented {
        assert!(known.contains(row), "documented, and not so: {row:?}\n{known:#?}");
    }
    for row in &known {
        assert!(documented.contains(row), "not documented: {row:?}");
    }
    assert_eq!(documented.len(), known.len());
}

#[test]
fn the_documented_words_are_the_real_ones() {
    for argument in arguments() {
        let words: Vec<_> =
            argument.get_possible_values().iter().map(|word| word.get_name().to_owned()).collect();
        if words.is_empty() || !argument.get_action().takes_values() {
            continue;
        }
        let option = format!("`--{}`", argument.get_long().unwrap());
        let line = TABLE.lines().find(|line| line.contains(&option)).unwrap();
        let meaning = line.rsplit('|').nth(1).unwrap();
        assert_eq!(codes(meaning), words, "{line}");
    }
}

#[test]
fn every_option_that_may_hold_a_secret_hides_its_variable() {
    for argument in arguments() {
        let long = argument.get_long().unwrap();
        let secret = ["url", "kafka-password"].contains(&long);
        assert_eq!(argument.is_hide_env_values_set(), secret, "--{long}");
    }
}
