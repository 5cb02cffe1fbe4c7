//! The numbers, side by side.

use serde::Serialize;

use crate::Result;
use crate::size::grouped;

/// One number of each side.
#[derive(Default, Serialize)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) unit: &'static str,
    pub(crate) ours: Option<f64>,
    pub(crate) floor: Option<f64>,
    pub(crate) peer: Option<f64>,
    /// What ours may be, inclusive; only counts have one.
    pub(crate) target: Option<f64>,
}

#[derive(Default)]
pub(crate) struct Table(Vec<Row>);

impl Table {
    pub(crate) fn add(&mut self, row: Row) {
        self.0.push(row);
    }

    pub(crate) fn print(&self) {
        println!();
        println!("{:<70} {:>6} {:>14} {:>14} {:>14} {:>14}", "", "unit", "ours", "floor", "peer", "target");
        for row in &self.0 {
            let [ours, floor, peer, target] =
                [row.ours, row.floor, row.peer, row.target].map(|number| number.map_or("-".to_owned(), shown));
            println!("{:<70} {:>6} {ours:>14} {floor:>14} {peer:>14} {target:>14}", row.what, row.unit);
        }
        println!();
    }

    pub(crate) fn json(&self) -> Result<String> {
        serde_json::to_string_pretty(&self.0).map_err(|error| error.to_string())
    }
}

/// Whole numbers without a fraction, others with as much as matters.
pub(crate) fn shown(number: f64) -> String {
    if number >= 1000.0 || number.fract() == 0.0 { grouped(number.round() as u64) } else { format!("{number:.2}") }
}
