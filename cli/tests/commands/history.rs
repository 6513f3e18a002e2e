use backup_tracker::BackupState::{BackingUp, Ready, Restoring, Starting};
use backup_tracker::BackupTransition;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::bench::{Bench, MINUTE, TEN};

/// An application with an operation of every outcome, another that runs, and one that never had any.
fn write(bench: &mut Bench) {
    bench.step("shop", TEN, Restoring, Ready);
    bench.step("books", TEN, Starting, Ready);
    bench.step("shop", TEN + 10 * MINUTE, Ready, BackingUp);
    bench.garbage(Some("garbage"));
    bench.step("shop", TEN + 20 * MINUTE, BackingUp, Ready);
    bench.step("shop", TEN + 30 * MINUTE, Ready, Restoring);
    bench.step("music", TEN + 30 * MINUTE, Ready, BackingUp);
    bench.step("shop", TEN + 40 * MINUTE, Starting, Ready);
    let id = Uuid::from_u128(1 << 100);
    let given_up = TEN + 50 * MINUTE;
    bench.announce(&BackupTransition::new(id, "shop", given_up, Ready, BackingUp));
    let back = Uuid::from_u128(id.as_u128() ^ 1);
    bench.announce(&BackupTransition::new(back, "shop", given_up, BackingUp, Ready));
}

fn outcomes(application: &Value) -> Vec<(&str, &str)> {
    let text = |operation: &'_ Value, field: &str| operation[field].as_str().map(str::to_owned);
    let operations = application["operations"].as_array().unwrap();
    assert!(operations.iter().all(|one| text(one, "operation").is_some()));
    operations
        .iter()
        .map(|one| (one["operation"].as_str().unwrap(), one["outcome"].as_str().unwrap()))
        .collect()
}

#[test]
fn json_follows_the_schema() {
    let mut bench = Bench::new();
    write(&mut bench);
    let document = bench.run(&["history", "--json"]).document("history");
    let [books, music, shop] = &document["applications"].as_array().unwrap()[..] else {
        panic!("{document}")
    };
    assert_eq!(outcomes(books), []);
    assert_eq!(outcomes(music), [("BACKING_UP", "running")]);
    assert_eq!(
        outcomes(shop),
        [
            ("RESTORING", "ended"),
            ("BACKING_UP", "ended"),
            ("RESTORING", "interrupted"),
            ("BACKING_UP", "taken_back")
        ]
    );
    let backup = &shop["operations"][1];
    assert_eq!(backup["seconds"], 600.0);
    assert_eq!(
        (&backup["begin"]["time"], &backup["begin"]["to"]),
        (&json!("2025-07-11T10:10:00Z"), &json!("BACKING_UP"))
    );
    assert_eq!(
        (&backup["end"]["time_millis"], &backup["end"]["to"]),
        (&json!(TEN + 20 * MINUTE), &json!("READY"))
    );
    let beginless = &shop["operations"][0];
    assert_eq!((&beginless["begin"], &beginless["seconds"]), (&Value::Null, &Value::Null));
    let running = &music["operations"][0];
    assert_eq!(running["end"], Value::Null);
    let now = document["read_at_millis"].as_f64().unwrap();
    let expected = (now - (TEN + 30 * MINUTE) as f64) / 1000.0;
    assert!((running["seconds"].as_f64().unwrap() - expected).abs() < 0.001);
    assert_eq!((&document["undecodable"], &shop["counts"]["gaps"]), (&json!(3), &json!(1)));
}

#[test]
fn tables_and_timelines_for_people() {
    let mut bench = Bench::new();
    write(&mut bench);
    let ended = bench.run(&["history"]);
    let lines = ended.lines();
    let at = |line: &str| {
        lines
            .iter()
            .position(|found| found.starts_with(line))
            .unwrap_or_else(|| panic!("no `{line}` in\n{}", ended.stdout))
    };
    let shop = at("shop: READY since 2025-07-11T10:50:00Z (");
    assert_eq!(lines[at("books: READY since") + 1], "no operations");
    let day = "2025-07-11T";
    assert_eq!(
        lines[shop + 1..shop + 6],
        [
            "BEGIN END DURATION OPERATION OUTCOME".to_owned(),
            format!("- {day}10:00:00Z - restore ended; no begin in the log"),
            format!("{day}10:10:00Z {day}10:20:00Z 10m backup ended"),
            format!("{day}10:30:00Z {day}10:40:00Z ≤ 10m restore interrupted"),
            format!("{day}10:50:00Z {day}10:50:00Z 0s backup taken back"),
        ]
    );
    let music = at("music: BACKING_UP since");
    assert!(lines[music + 2].starts_with(&format!("{day}10:30:00Z - ")), "{}", lines[music + 2]);
    assert!(lines[music + 2].ends_with(" backup running"));
    assert_eq!(lines[music + 4], format!("{}>", "B".repeat(75)));
    assert!(lines[music + 5].starts_with(&format!("{day}10:30:00Z ")));
    assert_eq!(lines.last().unwrap(), "B backup R restore b r interrupted or taken back > running · neither");
    for line in ended.stdout.lines() {
        assert!(line.chars().count() <= 100, "too wide: {line}");
    }
}

#[test]
fn only_the_newest_or_only_since_a_time() {
    let mut bench = Bench::new();
    write(&mut bench);
    let shop = |more: &[&str]| {
        let arguments = [&["history", "--application", "shop", "--json"], more].concat();
        bench.run(&arguments).document("history")["applications"][0].clone()
    };
    let (restore, taken_back) = (("RESTORING", "interrupted"), ("BACKING_UP", "taken_back"));
    assert_eq!(outcomes(&shop(&["--last", "2"])), [restore, taken_back]);
    assert_eq!(outcomes(&shop(&["--last", "99"])).len(), 4);
    assert_eq!(outcomes(&shop(&["--since", "2025-07-11T10:35:00Z"])), [restore, taken_back]);
    assert_eq!(outcomes(&shop(&["--since", "2025-07-11T10:35:00Z", "--last", "1"])), [taken_back]);
    assert_eq!(outcomes(&shop(&["--since", "2025-07-11"])).len(), 4);
    assert_eq!(outcomes(&shop(&["--since", "1h"])), []);

    let music = bench.run(&["history", "--application", "music", "--since", "1h"]);
    assert!(music.lines()[2].ends_with("backup running"), "what runs ran then: {music:?}");
    let shop = bench.run(&["history", "--application", "shop", "--since", "1h"]);
    assert_eq!(shop.lines()[1], "no operations in that time; 4 before it");
    let nobody = bench.run(&["history", "--application", "nobody"]);
    assert_eq!(nobody.lines(), ["nobody: never announced, as far as the log goes back"]);
    for arguments in [["--last", "0"], ["--since", "yesterday"]] {
        assert_eq!(bench.run(&[&["history"], &arguments[..]].concat()).status, Some(2), "{arguments:?}");
    }
}
