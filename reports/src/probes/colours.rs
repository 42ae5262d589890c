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

/// Up to this opacity the paper's ink is read on a colour, above it white: either has a contrast of nearly 4:1 where they meet.
pub(super) const READABLE: f64 = 0.78;
