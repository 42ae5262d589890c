//! The generator behind resamples: xoshiro256++, seeded by splitmix64, both by Blackman and Vigna
//! (prng.di.unimi.it). It is part of what a seed means, so it may not change, as another crate's
//! generator may with its version.

/// xoshiro256++.
pub(super) struct Random([u64; 4]);

impl Random {
    /// Stream `stream` of `seed`. Both are mixed before they meet, so that neighbouring streams or
    /// seeds have nothing in common.
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        let mut seeds = SplitMix(SplitMix(seed).next() ^ SplitMix(!stream).next());
        Self([seeds.next(), seeds.next(), seeds.next(), seeds.next()])
    }

    fn next(&mut self) -> u64 {
        let Self(state) = self;
        let result = state[0].wrapping_add(state[3]).rotate_left(23).wrapping_add(state[0]);
        let shifted = state[1] << 17;
        state[2] ^= state[0];
        state[3] ^= state[1];
        state[1] ^= state[2];
        state[0] ^= state[3];
        state[2] ^= shifted;
        state[3] = state[3].rotate_left(45);
        result
    }

    /// A number below `bound`, each as likely as any other; 0 where `bound` is 0. Lemire, Fast
    /// random integer generation in an interval, 2019: of a product's high half, with those low
    /// halves drawn again that would give some numbers one more chance.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        loop {
            let product = u128::from(self.next()) * u128::from(bound);
            let (high, low) = ((product >> 64) as u64, product as u64);
            if low >= bound || bound == 0 || low >= bound.wrapping_neg() % bound {
                return high;
            }
        }
    }
}

/// splitmix64.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_vectors() {
        // rosettacode.org/wiki/Pseudo-random_numbers/Splitmix64
        let mut splitmix = SplitMix(1_234_567);
        let expected = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431];
        assert_eq!(std::array::from_fn(|_| splitmix.next()), expected);
        // rand_xoshiro's test of xoshiro256plusplus.c
        let mut random = Random([1, 2, 3, 4]);
        let expected = [41943041, 58720359, 3588806011781223, 3591011842654386, 9228616714210784205];
        assert_eq!(std::array::from_fn(|_| random.next()), expected);
    }

    #[test]
    fn no_number_is_likelier() {
        // A bound at which a remainder takes the lower third twice as often as it should, and a
        // bare high half every third number.
        let (bound, draws) = (3u64 << 62, 30_000u32);
        let mut random = Random::new(5, 0);
        let numbers: Vec<u64> = (0..draws).map(|_| random.below(bound)).collect();
        let third = |holds: &dyn Fn(u64) -> bool| numbers.iter().filter(|&&number| holds(number)).count() as f64;
        // Six standard deviations of a binomial.
        let bound = 6.0 * (f64::from(draws) * 2.0 / 9.0).sqrt();
        for part in 0..3 {
            let (counts, rests) = (third(&|number| number >> 62 == part), third(&|number| number % 3 == part));
            assert!((counts - f64::from(draws) / 3.0).abs() < bound, "{counts}");
            assert!((rests - f64::from(draws) / 3.0).abs() < bound, "{rests}");
        }
        assert_eq!((random.below(0), random.below(1)), (0, 0));
    }
}
