//! Random numbers as a pure function of (seed, stream, epoch, index). Nothing here depends on threads or time.
//!
//! The generator is SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014):
//! a counter stepped by an odd constant and scrambled by [`mix`].

/// Step of the counter: 2^64 divided by the golden ratio, made odd.
const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

/// What a random number is for. Streams with the same seed are independent of each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Order of the samples of an epoch.
    Order = 1,
    /// Crop, scale and flip of a sample.
    Augment = 2,
    /// Content of a built-in detection scene.
    DetectionScene = 3,
    /// Content of a built-in classification image.
    ClassificationScene = 4,
    /// How a batch is mixed.
    Mix = 5,
}

/// SplitMix64's finaliser: a bijection of 64 bits in which each input bit flips each output bit with probability near
/// 1/2.
pub fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A generator for one (seed, stream, epoch, index).
#[derive(Clone, Debug)]
pub struct Rng {
    state: u64,
}

impl Rng {
    /// The generator of this key. Each part is mixed in before the next is added, so keys that differ in any part start
    /// at unrelated points.
    pub fn new(seed: u64, stream: Stream, epoch: u64, index: u64) -> Self {
        let mut state = mix(seed.wrapping_add(GAMMA));
        for part in [stream as u64, epoch, index] {
            state = mix(state.wrapping_add(GAMMA) ^ mix(part.wrapping_add(GAMMA)));
        }
        Rng { state }
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GAMMA);
        mix(self.state)
    }

    /// Uniform in [0, 1), 53 bits.
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Uniform in [from, to).
    pub fn uniform(&mut self, from: f64, to: f64) -> f64 {
        from + (to - from) * self.unit()
    }

    /// Uniform in 0..n, by multiplication with 128 bits (bias below n / 2^64). 0 for n = 0.
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(n)) >> 64) as u64
    }

    /// True with probability 1/2.
    pub fn coin(&mut self) -> bool {
        self.next_u64() >> 63 == 1
    }

    /// Standard normal, by Box and Muller.
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Beta(`alpha`, `alpha`), `alpha` above 0: the share of the first of two gamma variates in their sum. By
    /// logarithms, because with a small alpha both may be too small for a number of their own.
    pub fn beta(&mut self, alpha: f64) -> f64 {
        let (first, second) = (self.ln_gamma_variate(alpha), self.ln_gamma_variate(alpha));
        1.0 / (1.0 + (second - first).exp())
    }

    /// Logarithm of a Gamma(`shape`, 1) variate: Marsaglia and Tsang, "A simple method for generating gamma variables",
    /// ACM TOMS 26, 2000, for shape + 1, times U^(1 / shape) (their section 6), which holds for any shape above 0.
    fn ln_gamma_variate(&mut self, shape: f64) -> f64 {
        let d = shape + 1.0 - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let z = self.normal();
            let v = (1.0 + c * z).powi(3);
            // 1 - unit() is never 0.
            if v > 0.0 && (1.0 - self.unit()).ln() < 0.5 * z * z + d - d * v + d * v.ln() {
                return (d * v).ln() + (1.0 - self.unit()).ln() / shape;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_numbers_are_splitmix64s() {
        // Reference: the first outputs of SplitMix64 from state 1234567 (the published C code).
        let mut rng = Rng { state: 1_234_567 };
        assert_eq!(rng.next_u64(), 6_457_827_717_110_365_317);
        assert_eq!(rng.next_u64(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn every_part_of_the_key_matters() {
        let first = |seed, stream, epoch, index| Rng::new(seed, stream, epoch, index).next_u64();
        let base = first(1, Stream::Order, 2, 3);
        assert_eq!(base, first(1, Stream::Order, 2, 3));
        assert_ne!(base, first(2, Stream::Order, 2, 3));
        assert_ne!(base, first(1, Stream::Augment, 2, 3));
        assert_ne!(base, first(1, Stream::Order, 3, 2));
        assert_ne!(base, first(1, Stream::Order, 2, 4));
    }

    #[test]
    fn numbers_are_spread_evenly() {
        let mut rng = Rng::new(7, Stream::Augment, 0, 0);
        let mut bins = [0usize; 10];
        let (mut sum, mut square) = (0.0, 0.0);
        for _ in 0..100_000 {
            bins[rng.below(10) as usize] += 1;
            let z = rng.normal();
            sum += z;
            square += z * z;
        }
        assert!(bins.iter().all(|&b| (9_500..10_500).contains(&b)), "{bins:?}");
        assert!((sum / 1e5).abs() < 0.02 && (square / 1e5 - 1.0).abs() < 0.02);
    }

    #[test]
    fn beta_has_the_distribution_of_its_name() {
        // Cumulative distributions in closed form.
        type Cdf = fn(f64) -> f64;
        let cases: [(f64, Cdf); 3] = [
            (0.5, |x| x.sqrt().asin() * std::f64::consts::FRAC_2_PI),
            (1.0, |x| x),
            (2.0, |x| x * x * (3.0 - 2.0 * x)),
        ];
        const N: usize = 20_000;
        for (alpha, cdf) in cases {
            let mut rng = Rng::new(3, Stream::Mix, 0, 0);
            let mut drawn: Vec<f64> = (0..N).map(|_| rng.beta(alpha)).collect();
            drawn.sort_unstable_by(f64::total_cmp);
            let distance = drawn
                .iter()
                .enumerate()
                .map(|(i, &x)| (cdf(x) - (i as f64 + 0.5) / N as f64).abs())
                .fold(0.0, f64::max);
            // Kolmogorov and Smirnov's distance; 1.63 / sqrt(n) has a p-value of 1%.
            assert!(distance < 1.63 / (N as f64).sqrt(), "alpha {alpha}: {distance}");
        }
    }

    #[test]
    fn beta_stays_a_share_for_any_alpha() {
        for alpha in [1e-45, 1e-3, 0.2, 10.0] {
            let mut rng = Rng::new(4, Stream::Mix, 0, 0);
            let drawn: Vec<f64> = (0..1000).map(|_| rng.beta(alpha)).collect();
            assert!(drawn.iter().all(|x| (0.0..=1.0).contains(x)));
            let mean = drawn.iter().sum::<f64>() / 1000.0;
            let spread = drawn.iter().map(|x| (x - 0.5).powi(2)).sum::<f64>() / 1000.0;
            assert!((mean - 0.5).abs() < 0.06, "alpha {alpha}: mean {mean}");
            assert!((spread * 4.0 * (2.0 * alpha + 1.0) - 1.0).abs() < 0.1, "alpha {alpha}: variance {spread}");
        }
    }
}
