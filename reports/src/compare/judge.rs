//! From a difference and how sure it is to a word. Knows numbers only.

use std::fmt;

use adamv_metrics::benjamini_hochberg;
use serde::Serialize;

use super::RATE;
use super::rows::Row;

/// What a row says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Significant after the adjustment, and by the tolerance at least.
    Better,
    Worse,
    /// The whole interval lies inside the tolerance.
    Same,
    /// Neither: more images or seeds would tell.
    Undecided,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Same => "same",
            Self::Undecided => "undecided",
        })
    }
}

/// Adjusts the p values of all rows and gives each its verdict.
pub(crate) fn judge<'a>(rows: impl Iterator<Item = &'a mut Row>) {
    let rows: Vec<&mut Row> = rows.collect();
    let p: Vec<f64> = rows.iter().map(|row| row.p).collect();
    for (row, q) in rows.into_iter().zip(benjamini_hochberg(&p)) {
        row.q = q;
        row.verdict = verdict(row.delta, [row.low, row.high], q, row.tolerance);
    }
}

/// Magnitude and significance, both.
fn verdict(delta: f64, [low, high]: [f64; 2], q: f64, tolerance: f64) -> Verdict {
    let significant = q <= RATE;
    if significant && delta > 0.0 && delta >= tolerance {
        Verdict::Better
    } else if significant && delta < 0.0 && -delta >= tolerance {
        Verdict::Worse
    } else if low >= -tolerance && high <= tolerance {
        Verdict::Same
    } else {
        Verdict::Undecided
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn magnitude_and_significance() {
        for (delta, interval, q, wanted) in [
            (-2.0, [-3.0, -1.5], 0.001, Verdict::Worse),
            (2.0, [1.5, 3.0], 0.05, Verdict::Better),
            // Large, but not sure.
            (-2.0, [-4.5, 0.5], 0.2, Verdict::Undecided),
            // Sure, but small.
            (-0.5, [-0.7, -0.3], 0.001, Verdict::Same),
            (-0.9, [-1.2, -0.6], 0.001, Verdict::Undecided),
            (0.0, [0.0, 0.0], 1.0, Verdict::Same),
            (0.1, [-0.8, 1.1], 0.8, Verdict::Undecided),
        ] {
            assert_eq!(verdict(delta, interval, q, 1.0), wanted, "{delta} {interval:?} {q}");
        }
        assert_eq!(verdict(-0.1, [-0.2, -0.05], 0.01, 0.0), Verdict::Worse);
        assert_eq!(verdict(0.0, [0.0, 0.0], 1.0, 0.0), Verdict::Same);
    }
}
