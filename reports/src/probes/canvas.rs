//! An SVG made by hand: shapes and texts on a sheet of fixed width, with title, description and a style sheet that follows the paper,
//! light or dark. Escapes every text. Knows no record.

use std::collections::BTreeSet;
use std::fmt::{Arguments, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::figure::{COLOURS, INK, INK_DARK, RULE, RULE_DARK, escape, hex};

/// Width of every figure, px: two of them fit beside each other on the page, where none is made smaller.
pub(super) const WIDTH: f64 = 560.0;

/// Where a text is held.
#[derive(Debug, Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

#[derive(Debug, Default)]
pub(super) struct Canvas {
    body: String,
    series: BTreeSet<usize>,
}

impl Canvas {
    /// Markup as it is: what it holds of a record must be escaped.
    pub(super) fn raw(&mut self, markup: Arguments) {
        // Writing to a String can't fail.
        let _ = self.body.write_fmt(markup);
        self.body.push('\n');
    }

    /// `class` may be empty.
    pub(super) fn text(&mut self, [x, y]: [f64; 2], anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
        self.raw(format_args!("<text x=\"{}\" y=\"{}\"{anchor}{class}>{}</text>", at(x), at(y), escape(text)));
    }

    /// A grid line or an axis.
    pub(super) fn rule(&mut self, [x1, y1]: [f64; 2], [x2, y2]: [f64; 2]) {
        self.raw(format_args!(
            "<line class=\"rule\" x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"/>",
            at(x1),
            at(y1),
            at(x2),
            at(y2)
        ));
    }

    /// A filled box in the colour of a series.
    pub(super) fn bar(&mut self, series: usize, [x, y]: [f64; 2], [width, height]: [f64; 2]) {
        let class = self.series(series);
        self.raw(format_args!(
            "<rect class=\"{class}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>",
            at(x),
            at(y),
            at(width),
            at(height)
        ));
    }

    /// A box in a colour that is the same on any paper, thinned by `opacity`.
    pub(super) fn tile(&mut self, colour: &str, opacity: f64, [x, y]: [f64; 2], [width, height]: [f64; 2]) {
        self.raw(format_args!(
            "<rect fill=\"{colour}\" fill-opacity=\"{}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>",
            at(opacity),
            at(x),
            at(y),
            at(width),
            at(height)
        ));
    }

    /// A JPEG with its upper left corner at `[x, y]`. Pixels that are much enlarged stay squares: outlines run along their edges.
    pub(super) fn picture(&mut self, id: &str, jpeg: &[u8], [x, y]: [f64; 2], [width, height]: [f64; 2], scale: f64) {
        let style = if scale >= 3.0 { " style=\"image-rendering:pixelated\"" } else { "" };
        let (x, y, width, height) = (at(x), at(y), at(width), at(height));
        self.raw(format_args!(
            "<image id=\"{id}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" preserveAspectRatio=\"none\"{style} \
             href=\"data:image/jpeg;base64,{}\"/>",
            STANDARD.encode(jpeg)
        ));
    }

    /// The same picture, moved by `[x, y]`.
    pub(super) fn picture_again(&mut self, id: &str, [x, y]: [f64; 2]) {
        self.raw(format_args!("<use href=\"#{id}\" x=\"{}\" y=\"{}\"/>", at(x), at(y)));
    }

    /// The class of a series' colour.
    fn series(&mut self, series: usize) -> String {
        self.series.insert(series % COLOURS.len());
        format!("s{}", series % COLOURS.len())
    }

    /// Samples of series with their names from `[x, y]` on; returns the y below them.
    pub(super) fn legend(&mut self, [left, mut y]: [f64; 2], entries: &[(usize, String)]) -> f64 {
        let mut x = left;
        for (series, text) in entries {
            let text = shortened(text, 36);
            // 18 for the sample, 7 a letter of 12 px sans-serif (a wide one), 18 between entries.
            let width = 18.0 + 7.0 * text.chars().count() as f64 + 18.0;
            if x > left && x + width > WIDTH {
                (x, y) = (left, y + 20.0);
            }
            self.bar(*series, [x, y], [12.0, 12.0]);
            self.text([x + 18.0, y + 10.5], Anchor::Start, "", &text);
            x += width;
        }
        y + 24.0
    }

    /// The whole SVG. `name` is a part of file names and ids: letters, digits, `-`.
    pub(super) fn finish(self, name: &str, title: &str, description: &str, height: f64) -> String {
        let (ink, rule) = (hex(INK), hex(RULE));
        let (mut light, mut dark) = (String::new(), String::new());
        for &series in &self.series {
            let (on_light, on_dark) = COLOURS[series];
            let _ = write!(light, ".look .s{series}{{fill:#{on_light:06x}}}");
            let _ = write!(dark, ".look .s{series}{{fill:{on_dark}}}");
        }
        format!(
            "<svg class=\"look\" role=\"img\" aria-labelledby=\"{name}-title {name}-desc\" viewBox=\"0 0 {WIDTH} {}\" \
             xmlns=\"http://www.w3.org/2000/svg\">\n<title id=\"{name}-title\">{}</title>\n<desc id=\"{name}-desc\">{}</desc>\n\
             <style>.look text{{font:12px system-ui,sans-serif;fill:{ink}}}.look .small{{font-size:10px}}\
             .look .head{{font-weight:600}}.look .deep{{fill:#000}}.look .strong{{fill:#fff}}\
             .look .on{{fill:#fff;stroke:#000;stroke-width:2px;paint-order:stroke}}\
             .look .rule{{stroke:{rule};fill:none}}.look .mark{{stroke:{ink};fill:none}}{light}\
             @media screen and (prefers-color-scheme:dark){{.look text{{fill:{INK_DARK}}}.look .deep,.look .strong,.look .on{{fill:#fff}}\
             .look .rule{{stroke:{RULE_DARK}}}.look .mark{{stroke:{INK_DARK}}}{dark}}}</style>\n{}</svg>\n",
            at(height),
            escape(title),
            escape(description),
            self.body
        )
    }
}

/// A coordinate: two decimals at most, and no zeros behind them.
pub(super) fn at(value: f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// At most `longest` letters, on one line.
pub(super) fn shortened(text: &str, longest: usize) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().count() <= longest {
        return text;
    }
    text.chars().take(longest - 1).chain(['…']).collect()
}

/// Round numbers from 0 or below up to `high` or just above, about `count` of them: the marks of an axis.
pub(super) fn ticks(low: f64, high: f64, count: f64) -> Vec<f64> {
    let span = if high > low { high - low } else { 1.0 };
    let unit = 10f64.powf((span / count).log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|times| times * unit).into_iter().find(|step| span / step <= count + 1e-9);
    let step = step.unwrap_or(span);
    let (first, last) = ((low / step + 1e-9).floor() as i64, (high / step - 1e-9).ceil().max(1.0) as i64);
    (first.min(0)..=last).map(|i| i as f64 * step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_have_round_marks() {
        let marks = |low, high, count| ticks(low, high, count).into_iter().map(at).collect::<Vec<_>>();
        assert_eq!(marks(0.0, 0.34, 5.0), ["0", "0.1", "0.2", "0.3", "0.4"]);
        assert_eq!(marks(0.0, 10.0, 5.0), ["0", "2", "4", "6", "8", "10"]);
        assert_eq!(marks(-1.0, 3.0, 5.0), ["-1", "0", "1", "2", "3"]);
        assert_eq!(marks(0.0, 0.0, 5.0), ["0", "0.2"]);
    }

    #[test]
    fn coordinates_are_short() {
        assert_eq!([33.5, 100.0, 0.004, -0.001, 2.345].map(at), ["33.5", "100", "0", "0", "2.35"]);
        assert_eq!(shortened("a\nlong name", 6), "a lon…");
    }
}
