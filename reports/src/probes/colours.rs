//! Colours that lie on pictures or stand for a value: the same on light and on dark paper. Knows no record.

/// For experts and classes, on pictures: distinguishable also with a defect of colour vision (Okabe and Ito, and a violet).
const HUES: [&str; 8] = ["#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7", "#7f3fbf"];

/// How many things have a colour of their own.
pub(super) const DISTINCT: usize = HUES.len();

/// The colour of expert or class number `n`; after eight they come again.
pub(super) fn hue(n: usize) -> &'static str {
    HUES[n % HUES.len()]
}

/// Above 0 and below.
const POSITIVE: &str = "#c2410c";
const NEGATIVE: &str = "#1d5fa8";

/// Colour and opacity of a value in -1 to 1: 0 is the paper.
pub(super) fn signed_colour(value: f64) -> (&'static str, f64) {
    (if value < 0.0 { NEGATIVE } else { POSITIVE }, value.abs().min(1.0))
}

/// Colour and opacity of a share of the largest, 0 to 1: 0 is the paper.
pub(super) fn share_colour(value: f64) -> (&'static str, f64) {
    (NEGATIVE, value.clamp(0.0, 1.0))
}

/// Whether white rather than black is read on a colour of that opacity on white paper: the one of the higher contrast, which is never below
/// 4.5:1 (WCAG 2.1, relative luminance). On dark paper white is read on all of them.
pub(super) fn takes_white(colour: &str, opacity: f64) -> bool {
    let channel = |at: usize| colour.get(at..at + 2).and_then(|hex| u8::from_str_radix(hex, 16).ok()).unwrap_or(0);
    let linear = |at: usize| {
        let value = 1.0 - opacity * (1.0 - f64::from(channel(at)) / 255.0);
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    let luminance = 0.2126 * linear(1) + 0.7152 * linear(3) + 0.0722 * linear(5);
    // Where (1 + 0.05) / (l + 0.05) = (l + 0.05) / 0.05.
    luminance < 0.179
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_is_read_on_dark_colours_only() {
        assert!(takes_white("#000000", 1.0) && !takes_white("#000000", 0.2) && !takes_white("#ffffff", 1.0));
        // Luminance of #767676 is 0.181, of #757575 0.178.
        assert!(!takes_white("#767676", 1.0) && takes_white("#757575", 1.0));
    }
}
