//! Bars in groups over one axis, which starts at 0. Knows no record.

use super::canvas::{Anchor, Canvas, WIDTH, ticks};

/// Where the axis is, and how high the bars may be.
const LEFT: f64 = 48.0;
const HEIGHT: f64 = 180.0;
/// Most of a group's width that its bars take, and the widest bar.
const FILLED: f64 = 0.76;
const WIDEST: f64 = 26.0;

pub(super) struct Bars {
    /// Name of the axis.
    pub axis: &'static str,
    /// Names of the groups.
    pub groups: Vec<String>,
    /// Name of the axis of groups.
    pub of: &'static str,
    /// Number of its colour, and a value for each group; None has no bar.
    pub series: Vec<(usize, Vec<Option<f64>>)>,
    /// How the axis shows a value.
    pub format: fn(f64) -> String,
    /// The least top of the axis, so that figures beside each other have the same.
    pub top: f64,
    /// Where a line across marks what there would be without any difference.
    pub line: Option<f64>,
}

impl Bars {
    /// Draws them from `top` on, and returns the y below.
    pub(super) fn draw(&self, canvas: &mut Canvas, top: f64) -> f64 {
        let values = || self.series.iter().flat_map(|(_, values)| values.iter().flatten());
        let (low, high) = (values().fold(0.0, |a, b| f64::min(a, *b)), values().fold(self.top, |a, b| f64::max(a, *b)));
        let marks = ticks(low, high, 5.0);
        let (low, high) = (marks.first().copied().unwrap_or(0.0), marks.last().copied().unwrap_or(1.0));
        let y = |value: f64| top + 20.0 + HEIGHT * (high - value) / (high - low);
        canvas.text([0.0, top + 8.0], Anchor::Start, "small", self.axis);
        for mark in &marks {
            canvas.rule([LEFT, y(*mark)], [WIDTH, y(*mark)]);
            canvas.text([LEFT - 6.0, y(*mark) + 3.5], Anchor::End, "small", &(self.format)(*mark));
        }
        let group = (WIDTH - LEFT) / self.groups.len().max(1) as f64;
        let bar = (group * FILLED / self.series.len().max(1) as f64).min(WIDEST);
        for (n, name) in self.groups.iter().enumerate() {
            let middle = LEFT + (n as f64 + 0.5) * group;
            let first = middle - bar * self.series.len() as f64 / 2.0;
            for (s, (series, values)) in self.series.iter().enumerate() {
                let Some(value) = values.get(n).copied().flatten() else { continue };
                let (from, to) = (y(value.max(0.0)), y(value.min(0.0)));
                canvas.bar(*series, [first + s as f64 * bar, from], [bar - 1.0, to - from]);
            }
            canvas.text([middle, y(low) + 15.0], Anchor::Middle, "small", name);
        }
        if let Some(value) = self.line.filter(|value| *value <= high) {
            let y = super::canvas::at(y(value));
            canvas.raw(format_args!(
                "<line class=\"mark\" stroke-dasharray=\"4 3\" x1=\"{LEFT}\" y1=\"{y}\" x2=\"{WIDTH}\" y2=\"{y}\"/>"
            ));
        }
        canvas.text([LEFT + (WIDTH - LEFT) / 2.0, y(low) + 32.0], Anchor::Middle, "small", self.of);
        y(low) + 42.0
    }
}
