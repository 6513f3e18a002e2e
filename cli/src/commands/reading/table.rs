//! Aligned columns.

use std::io::{self, Write};

use anstyle::Style;

const HEAD: Style = Style::new().bold();

/// Text in columns that are as wide as they must be, with a head in bold.
#[derive(Debug)]
pub(in crate::commands) struct Table {
    head: Vec<String>,
    rows: Vec<Vec<(String, Style)>>,
}

impl Table {
    pub(in crate::commands) fn new<const N: usize>(head: [&str; N]) -> Self {
        Self { head: head.map(str::to_owned).into(), rows: Vec::new() }
    }

    pub(in crate::commands) fn row<const N: usize>(&mut self, row: [(String, Style); N]) {
        self.rows.push(row.into());
    }

    pub(in crate::commands) fn write(&self, out: &mut (dyn Write + Send), indent: &str) -> io::Result<()> {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            let widths = cells.map(|(text, _)| text.chars().count());
            widths.chain(self.head.get(column).map(|head| head.chars().count())).max().unwrap_or(0)
        };
        let widths: Vec<_> = (0..self.head.len()).map(width).collect();
        let head = self.head.iter().map(|text| (text.clone(), HEAD)).collect();
        for row in std::iter::once(&head).chain(&self.rows) {
            write!(out, "{indent}")?;
            for (column, ((text, style), width)) in row.iter().zip(&widths).enumerate() {
                if column + 1 == widths.len() {
                    write!(out, "{style}{text}{style:#}")?;
                } else {
                    write!(out, "{style}{text:<width$}{style:#}  ")?;
                }
            }
            writeln!(out)?;
        }
        Ok(())
    }
}
