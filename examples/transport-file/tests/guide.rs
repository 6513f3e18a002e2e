//! The guide says what the code says.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

fn read(path: impl AsRef<Path>) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn guide() -> String {
    read("../../docs/writing-a-transport.md")
}

#[test]
fn what_the_guide_quotes_stands_in_the_example() {
    let files = ["src/lib.rs", "tests/conformance.rs", "tests/harness/mod.rs"].map(read);
    let guide = guide();
    // Blocks without `ignore` are compiled and run.
    let quotes = guide.split("```rust,ignore\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let quotes: Vec<_> = quotes.collect();
    assert!(quotes.len() >= 8, "{}", quotes.len());
    for quote in quotes {
        assert!(files.iter().any(|file| file.contains(quote)), "in none of the files:\n{quote}");
    }
}

#[test]
fn the_cases_that_the_guide_names_exist() {
    let cases = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance-tests/src/cases"))
        .unwrap();
    let cases = cases.map(|file| read(file.unwrap().path())).collect::<Vec<_>>().concat();
    let guide = guide();
    let names = guide.split('`').filter(|word| {
        word.matches('_').count() >= 4 && !word.contains(|c: char| c != '_' && !c.is_ascii_lowercase())
    });
    let names: Vec<_> = names.collect();
    assert!(names.len() > 16, "{names:?}");
    for name in names {
        assert!(cases.contains(&format!("    {name}")), "no such case: {name}");
    }
}

#[test]
fn every_clause_has_its_row_and_the_transport_its_promised_size() {
    let guide = guide();
    for clause in
        (1..=16).map(|number| format!("S{number}")).chain((1..=7).map(|number| format!("K{number}")))
    {
        assert_eq!(guide.matches(&format!("\n| {clause} |")).count(), 1, "{clause}");
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let lines = fs::read_dir(source).unwrap().map(|file| read(file.unwrap().path()).lines().count());
    assert!(lines.sum::<usize>() < 200);
}
