//! A curve as a picture: both axes logarithmic, both sides' median and p99.

use std::fmt::{self, Write};

use super::curve::Curve;
use crate::result::Measurement;
use crate::samples::Times;
use crate::table::time;

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 110.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 50.0;

/// `None` where there is no curve: fewer than two sizes.
pub(crate) fn draw(curve: &Curve<'_>) -> Option<String> {
    let (first, last) = (curve.points.first()?.size, curve.points.last()?.size);
    let (least, greatest) = curve.times()?;
    if first == last || first == 0 {
        return None;
    }
    let plot = Plot { first: first as f64, last: last as f64, least, greatest };
    plot.draw(curve).ok()
}

struct Plot {
    first: f64,
    last: f64,
    least: f64,
    greatest: f64,
}

impl Plot {
    fn x(&self, size: f64) -> f64 {
        LEFT + (size / self.first).ln() / (self.last / self.first).ln() * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, seconds: f64) -> f64 {
        let share = (seconds / self.least).ln() / (self.greatest / self.least).ln();
        HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)
    }

    fn draw(&self, curve: &Curve<'_>) -> Result<String, fmt::Error> {
        let mut svg = String::new();
        let title = format!("{} on {}", curve.quantity.title(), curve.transport);
        writeln!(
            svg,
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">"#
        )?;
        writeln!(svg, "<title>{title}</title>")?;
        writeln!(svg, r#"<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>"#)?;
        writeln!(svg, r#"<text x="{LEFT}" y="22" font-size="14">{title}</text>"#)?;
        self.axes(&mut svg, curve)?;
        type Of = fn(&Measurement) -> Times;
        let sides: [(&str, &str, Of); 2] =
            [("ours", "#0b6e99", |row| row.ours), ("raw", "#b3541e", |row| row.raw)];
        for (number, (name, colour, of)) in sides.into_iter().enumerate() {
            self.line(&mut svg, curve, colour, "", |row| of(row).median)?;
            self.line(&mut svg, curve, colour, r#" stroke-dasharray="3 4""#, |row| of(row).p99)?;
            let (x, y) = (WIDTH - RIGHT + 14.0, TOP + 10.0 + 18.0 * number as f64);
            writeln!(svg, r#"<text x="{x}" y="{y}" fill="{colour}">{name}</text>"#)?;
        }
        let (x, y) = (WIDTH - RIGHT + 14.0, TOP + 52.0);
        writeln!(svg, r#"<text x="{x}" y="{y}" fill="grey">dotted: p99</text>"#)?;
        writeln!(svg, "</svg>")?;
        Ok(svg)
    }

    fn axes(&self, svg: &mut String, curve: &Curve<'_>) -> fmt::Result {
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        let mut seconds = self.least;
        while seconds <= self.greatest * 1.01 {
            let y = self.y(seconds);
            writeln!(svg, r##"<path d="M{LEFT} {y:.1}H{right}" stroke="#ddd"/>"##)?;
            let (x, below) = (LEFT - 8.0, y + 4.0);
            writeln!(svg, r#"<text x="{x}" y="{below:.1}" text-anchor="end">{}</text>"#, time(seconds))?;
            seconds *= 10.0;
        }
        for row in &curve.points {
            let x = self.x(row.size as f64);
            writeln!(svg, r##"<path d="M{x:.1} {TOP}V{bottom}" stroke="#ddd"/>"##)?;
            let y = bottom + 18.0;
            writeln!(svg, r#"<text x="{x:.1}" y="{y}" text-anchor="middle">{}</text>"#, row.size)?;
        }
        let (x, y) = ((LEFT + right) / 2.0, HEIGHT - 12.0);
        writeln!(svg, r#"<text x="{x}" y="{y}" text-anchor="middle">{}</text>"#, curve.quantity.of_what())
    }

    fn line(
        &self,
        svg: &mut String,
        curve: &Curve<'_>,
        colour: &str,
        style: &str,
        seconds: impl Fn(&Measurement) -> f64,
    ) -> fmt::Result {
        let at = |row: &&Measurement| (self.x(row.size as f64), self.y(seconds(row)));
        let points: Vec<String> =
            curve.points.iter().map(at).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let points = points.join(" ");
        writeln!(
            svg,
            r#"<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"{style}/>"#
        )
    }
}
