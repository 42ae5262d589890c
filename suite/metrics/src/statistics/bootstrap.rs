//! The bootstrap: a statistic of resamples with replacement (Efron and Tibshirani, An Introduction
//! to the Bootstrap, 1993). Knows units by number only; it may not touch what they are.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::statistics::random::Random;
use crate::statistics::spread::standard_deviation;

/// For each of `resamples` resamples of `units` units with replacement: `statistic(weights, out)`
/// fills `outputs` numbers, zeros at first, from how often each unit was drawn. The result is
/// `[outputs][resamples]`.
///
/// Runs on rayon's threads, and is a function of the arguments alone, whatever their number:
/// resample b has a generator seeded by (`seed`, b). The same seed gives the same resamples for any
/// statistic, so what two calls give can be compared pair by pair.
pub fn bootstrap(
    units: usize,
    resamples: usize,
    seed: u64,
    outputs: usize,
    statistic: impl Fn(&[u32], &mut [f64]) + Sync,
) -> Vec<Vec<f64>> {
    if outputs == 0 {
        return Vec::new();
    }
    let mut by_resample = vec![0.0; resamples * outputs];
    by_resample.par_chunks_mut(outputs).enumerate().for_each_init(
        || vec![0u32; units],
        |weights, (resample, out)| {
            weights.fill(0);
            let mut random = Random::new(seed, resample as u64);
            for _ in 0..units {
                weights[random.below(units as u64) as usize] += 1;
            }
            statistic(weights, out);
        },
    );
    let output = |output| by_resample.iter().skip(output).step_by(outputs).copied().collect();
    (0..outputs).map(output).collect()
}

/// Standard error, 95% percentile interval, two-sided p value (that the difference is 0) of a
/// bootstrapped difference. Units are those of the difference.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BootstrapSummary {
    /// Standard deviation (n - 1) over resamples; 0 where there is one only.
    pub standard_error: f64,
    /// Quantile 0.025 over resamples, between neighbours by straight line.
    pub low: f64,
    /// Quantile 0.975, likewise.
    pub high: f64,
    /// Twice the smaller share of resamples with a difference at most, or at least, 0; at most 1.
    /// Both shares count the observed sample as one resample more (Davison and Hinkley, Bootstrap
    /// Methods and their Application, 1997, 4.2), so B resamples never give less than 2 / (B + 1).
    pub p: f64,
}

/// What the differences found in resamples say; `None` when there are none or a value isn't finite.
pub fn summarize(differences: &[f64]) -> Option<BootstrapSummary> {
    if differences.is_empty() || differences.iter().any(|difference| !difference.is_finite()) {
        return None;
    }
    let mut sorted = differences.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let at_most = sorted.iter().filter(|&&difference| difference <= 0.0).count();
    let at_least = sorted.iter().filter(|&&difference| difference >= 0.0).count();
    let share = (at_most.min(at_least) + 1) as f64 / (sorted.len() + 1) as f64;
    Some(BootstrapSummary {
        standard_error: standard_deviation(differences).unwrap_or(0.0),
        low: quantile(&sorted, 0.025),
        high: quantile(&sorted, 0.975),
        p: (2.0 * share).min(1.0),
    })
}

/// As `numpy.quantile` by default; of at least one number.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = share * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    below + (above - below) * at.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summary_of_known_differences() {
        let differences: Vec<f64> = (0..41).map(|at| f64::from(at) / 10.0 - 0.5).collect();
        let summary = summarize(&differences).unwrap();
        // numpy.std(ddof=1), numpy.quantile
        assert!((summary.standard_error - 1.1979148550710939).abs() < 1e-14);
        assert!((summary.low + 0.4).abs() < 1e-12 && (summary.high - 3.4).abs() < 1e-12);
        // -0.5, ..., 0: six are at most 0.
        assert_eq!(summary.p, 2.0 * 7.0 / 42.0);
    }

    #[test]
    fn no_difference_anywhere() {
        let summary = summarize(&[0.0; 100]).unwrap();
        assert_eq!(summary, BootstrapSummary { standard_error: 0.0, low: 0.0, high: 0.0, p: 1.0 });
        assert_eq!(summarize(&[1.0; 99]).unwrap().p, 2.0 / 100.0);
        assert_eq!(summarize(&[0.5]).unwrap().standard_error, 0.0);
    }

    #[test]
    fn nothing_of_nothing_or_of_what_is_not_finite() {
        assert_eq!(summarize(&[]), None);
        assert_eq!(summarize(&[0.0, f64::NAN]), None);
        assert_eq!(summarize(&[f64::INFINITY, 0.0]), None);
    }
}
