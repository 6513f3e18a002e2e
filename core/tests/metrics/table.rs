//! The documented table, read.

use std::collections::BTreeMap;

use crate::recorder::series;

const DOCUMENT: &str = include_str!("../../metrics.md");

#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) unit: String,
    /// The values that each label may have; empty for any.
    labels: BTreeMap<String, Vec<String>>,
}

impl Row {
    fn read(line: &str) -> Self {
        let line = line.replace("\\|", "or");
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, kind, unit, labels, meaning, alert] = cells[..] else {
            panic!("not six columns: {line}");
        };
        assert!(!meaning.is_empty(), "no meaning: {line}");
        assert!(alert.contains(name.trim_matches('`')), "the alert is about something else: {line}");
        Self {
            name: name.trim_matches('`').to_owned(),
            kind: kind.to_owned(),
            unit: unit.to_owned(),
            labels: read_labels(labels),
        }
    }

    /// One for each combination of the documented values.
    pub(crate) fn series(&self, application: &str, listener: &str) -> Vec<String> {
        let mut combinations = vec![Vec::new()];
        for (label, values) in &self.labels {
            let any = [if label == "application" { application } else { listener }.to_owned()];
            let values = if values.is_empty() { &any[..] } else { values };
            combinations = combinations
                .iter()
                .flat_map(|labels: &Vec<(&str, String)>| {
                    values.iter().map(|value| [&labels[..], &[(label, value.clone())]].concat())
                })
                .collect();
        }
        let name = |labels: Vec<(&str, String)>| {
            let labels: Vec<_> = labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
            series(&self.name, &labels)
        };
        combinations.into_iter().map(name).collect()
    }
}

/// "`a`, `b` (x, y)"
fn read_labels(cell: &str) -> BTreeMap<String, Vec<String>> {
    let pieces: Vec<_> = cell.split('`').skip(1).collect();
    let label = |piece: &[&str]| {
        let values = piece[1].trim_matches([' ', ',']).trim_matches(['(', ')']).split(", ");
        let values = values.filter(|value| !value.is_empty()).map(str::to_owned).collect();
        (piece[0].to_owned(), values)
    };
    pieces.chunks(2).map(label).collect()
}

pub(crate) fn rows() -> Vec<Row> {
    DOCUMENT.lines().filter(|line| line.starts_with("| `")).map(Row::read).collect()
}
