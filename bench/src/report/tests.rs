use std::time::Duration;

use super::*;
use crate::machine::Machine;
use crate::result::{Missing, Used};
use crate::samples::{Rounds, Side};

fn results(quantity: Quantity, sizes: &[usize]) -> Results {
    let measurement = |size: &usize| {
        let mut rounds = Rounds::default();
        rounds.add(Side::Ours, Duration::from_millis(20 * *size as u64));
        rounds.add(Side::Raw, Duration::from_millis(10 * *size as u64));
        Measurement::new(quantity, Transport::Kafka, *size, &rounds)
    };
    let (transport, reason) = ("nats".to_owned(), "there is none".to_owned());
    Results {
        format: FORMAT,
        scale: "full".to_owned(),
        machine: Machine::this(),
        transports: vec![Used {
            transport: "kafka".to_owned(),
            client: "rdkafka 0.1".to_owned(),
            server: "Apache Kafka 4.3".to_owned(),
        }],
        missing: vec![Missing { transport, reason }],
        measurements: sizes.iter().map(measurement).collect(),
    }
}

#[test]
fn the_page_shows_every_measurement_and_what_is_missing() {
    let page = page(&results(Quantity::CatchingUp, &[1, 10]), &[]).unwrap();
    for words in [
        "rdkafka 0.1; Apache Kafka 4.3",
        "not measured: there is none",
        "| kafka | 10 | 1 | 200 ms, 200 ms | 100 ms, 100 ms | 2.000, 2.000 | 2.00 2.00 2.00 |",
        "performance/catching_up-kafka.svg",
    ] {
        assert!(page.contains(words), "`{words}` is missing in\n{page}");
    }
    assert!(!page.contains("## Start to synced"), "{page}");
}

#[test]
fn what_other_programs_printed_stands_under_the_name_of_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let (full, empty) = (folder.path().join("The-open-gate.txt"), folder.path().join("Nothing.txt"));
    fs::write(&full, "gate 1.03\n").unwrap();
    fs::write(&empty, "\n").unwrap();
    let page = page(&results(Quantity::Start, &[1]), &[Printed::read(&full).unwrap()]).unwrap();
    assert!(page.contains("\n## The open gate\n\n```text\ngate 1.03\n```\n"), "{page}");
    assert!(page.contains("(../bench/README.md#what-needs-no-broker-and-what-waiting-costs)"), "{page}");
    assert!(Printed::read(&empty).is_err());
    assert!(Printed::read(&folder.path().join("missing.txt")).is_err());
}

#[test]
fn curves_grow_to_the_right_and_upwards() {
    let results = results(Quantity::Announcement, &[1, 10, 100]);
    let curve = Curve::of(&results, Quantity::Announcement, Transport::Kafka);
    let text = curve.text().unwrap();
    let bars: Vec<usize> = text.lines().skip(1).map(|line| line.matches('█').count()).collect();
    assert!(bars.len() == 6 && bars[0] < bars[2] && bars[2] < bars[4] && bars[1] < bars[0], "{text}");
    let picture = svg::draw(&curve).unwrap();
    assert!(picture.starts_with("<svg") && picture.ends_with("</svg>\n"));
    assert_eq!(picture.matches("<polyline").count(), 4);
    assert!(svg::draw(&Curve::of(&results, Quantity::Start, Transport::Kafka)).is_none());
}

#[test]
fn runs_of_one_machine_are_put_together_and_others_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let keep = |name: &str, results: &Results| {
        fs::write(path(name), serde_json::to_string(results).unwrap()).unwrap();
    };
    keep("a", &results(Quantity::Start, &[1]));
    keep("b", &results(Quantity::Announcement, &[1, 10]));
    let mut other = results(Quantity::Start, &[1]);
    other.machine.cores += 1;
    keep("c", &other);
    assert_eq!(read(&[path("a"), path("b")]).unwrap().measurements.len(), 3);
    assert!(read(&[path("a"), path("c")]).is_err());
    assert!(read(&[path("d")]).is_err());
}
