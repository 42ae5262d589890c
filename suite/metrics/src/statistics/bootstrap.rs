//! The bootstrap: resamples of units with replacement (Efron and Tibshirani, 1993). Whoever passes the statistic knows what a unit is.

use rayon::prelude::*;

/// For each of `resamples` resamples of `units` units, the numbers that `statistic(weights, out)` writes into `out`, where unit i is
/// in the resample `weights[i]` times. By output, then resample. A function of the arguments alone: resample b has a generator of its
/// own, so the number of threads changes nothing. Two statistics of the same units and seed see the same resamples: their
/// differences are paired.
pub fn bootstrap(
    units: usize,
    resamples: usize,
    seed: u64,
    outputs: usize,
    statistic: impl Fn(&[u32], &mut [f64]) + Sync,
) -> Vec<Vec<f64>> {
    let rows: Vec<Vec<f64>> = (0..resamples)
        .into_par_iter()
        .map_init(
            || vec![0u32; units],
            |weights, resample| {
                let mut generator = Xoshiro::new(seed, resample as u64);
                weights.fill(0);
                for _ in 0..units {
                    weights[generator.below(units as u64) as usize] += 1;
                }
                let mut out = vec![0.0; outputs];
                statistic(weights, &mut out);
                out
            },
        )
        .collect();
    (0..outputs).map(|output| rows.iter().map(|row| row[output]).collect()).collect()
}

/// What bootstrapped differences say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BootstrapSummary {
    /// Their standard deviation.
    pub standard_error: f64,
    /// 2.5th and 97.5th percentile, linearly interpolated.
    pub low: f64,
    pub high: f64,
    /// Two-sided, that there is no difference: twice the smaller share of resamples on either side of 0, a resample added to both.
    pub p: f64,
}

/// `None` without a difference, or where one isn't finite.
pub fn summarize(differences: &[f64]) -> Option<BootstrapSummary> {
    if differences.is_empty() || differences.iter().any(|difference| !difference.is_finite()) {
        return None;
    }
    let count = differences.len() as f64;
    let mean = differences.iter().sum::<f64>() / count;
    let squares: f64 = differences.iter().map(|difference| (difference - mean).powi(2)).sum();
    let mut sorted = differences.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let percentile = |share: f64| {
        let at = share * (count - 1.0);
        let below = sorted[at.floor() as usize];
        below + (sorted[at.ceil() as usize] - below) * at.fract()
    };
    let at_most = differences.iter().filter(|difference| **difference <= 0.0).count() as f64;
    let at_least = differences.iter().filter(|difference| **difference >= 0.0).count() as f64;
    Some(BootstrapSummary {
        standard_error: (squares / (count - 1.0).max(1.0)).sqrt(),
        low: percentile(0.025),
        high: percentile(0.975),
        p: (2.0 * (at_most.min(at_least) + 1.0) / (count + 1.0)).min(1.0),
    })
}

/// xoshiro256++ 1.0 (Blackman and Vigna, <https://prng.di.unimi.it>), seeded through SplitMix64.
struct Xoshiro([u64; 4]);

impl Xoshiro {
    /// Stream `stream` of `seed`.
    fn new(seed: u64, stream: u64) -> Self {
        let mut state = SplitMix(seed);
        let mut state = SplitMix(state.next() ^ stream);
        Self(std::array::from_fn(|_| state.next()))
    }

    fn next(&mut self) -> u64 {
        let s = &mut self.0;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// Uniform in 0..bound, without bias (Lemire, 2019).
    fn below(&mut self, bound: u64) -> u64 {
        let mut product = u128::from(self.next()) * u128::from(bound);
        if (product as u64) < bound {
            let threshold = bound.wrapping_neg() % bound;
            while (product as u64) < threshold {
                product = u128::from(self.next()) * u128::from(bound);
            }
        }
        (product >> 64) as u64
    }
}

struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
