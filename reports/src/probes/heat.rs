//! Heat maps: a box for every pair of row and column, in the colour of its value. Knows no record.

use super::canvas::{Anchor, Canvas, at};
use super::colours::takes_white;

pub(super) struct HeatMap<'a> {
    pub title: &'a str,
    pub rows: Vec<String>,
    pub columns: Vec<String>,
    /// By row, then column; None is crossed out.
    pub values: Vec<Vec<Option<f64>>>,
    /// Colour and opacity of a value.
    pub colour: &'a dyn Fn(f64) -> (&'static str, f64),
    /// What is written into a box, if anything is.
    pub text: Option<fn(f64) -> String>,
}

impl HeatMap<'_> {
    /// Draws it with the upper left corner of its boxes, of the given size, at `[left, top]`. Row names end at the left of it, column
    /// names and title stand above it.
    pub(super) fn draw(&self, canvas: &mut Canvas, [left, top]: [f64; 2], [width, height]: [f64; 2]) {
        canvas.text([left, top - 22.0], Anchor::Start, "head", self.title);
        for (column, name) in self.columns.iter().enumerate() {
            canvas.text([left + (column as f64 + 0.5) * width, top - 5.0], Anchor::Middle, "small", name);
        }
        for (row, (name, values)) in self.rows.iter().zip(&self.values).enumerate() {
            let y = top + row as f64 * height;
            canvas.text([left - 6.0, y + height / 2.0 + 3.5], Anchor::End, "small", name);
            for (column, value) in values.iter().enumerate() {
                let x = left + column as f64 * width;
                let Some(value) = value else {
                    let (x1, y1, x2, y2) = (at(x + 1.0), at(y + 1.0), at(x + width - 1.0), at(y + height - 1.0));
                    canvas.raw(format_args!(
                        "<path class=\"rule none\" d=\"M{x1} {y1}H{x2}V{y2}H{x1}ZL{x2} {y2}M{x1} {y2}L{x2} {y1}\"/>"
                    ));
                    continue;
                };
                let (colour, opacity) = (self.colour)(*value);
                canvas.tile(colour, opacity, [x + 0.5, y + 0.5], [width - 1.0, height - 1.0]);
                if let Some(text) = self.text {
                    let class = if takes_white(colour, opacity) { "small strong" } else { "small deep" };
                    canvas.text([x + width / 2.0, y + height / 2.0 + 3.5], Anchor::Middle, class, &text(*value));
                }
            }
        }
    }
}
