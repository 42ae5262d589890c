//! Which sample comes when: an endless stream of shuffled epochs, as pure functions of (n, seed, step). Touches no
//! data.

use crate::rng::{Rng, Stream};

/// One sample of the stream. The epoch selects its augmentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pick {
    /// Index in the data set.
    pub index: usize,
    /// From 0.
    pub epoch: u64,
}

/// A permutation of 0..n for (seed, epoch): Fisher and Yates's shuffle, drawn from a generator of that key.
pub fn permutation(n: usize, seed: u64, epoch: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    let mut rng = Rng::new(seed, Stream::Order, epoch, 0);
    for i in (1..n).rev() {
        order.swap(i, rng.below(i as u64 + 1) as usize);
    }
    order
}

/// The picks of one step: positions `step * batch_size ..` of the stream. A batch may span two epochs.
///
/// Empty when `n` or `batch_size` is 0.
pub fn picks_for_step(n: usize, batch_size: usize, seed: u64, step: u64) -> Vec<Pick> {
    Order::new(n, batch_size, seed).picks(step)
}

/// [`picks_for_step`] that remembers the permutation of the last epoch it saw, for whoever walks through many steps.
#[derive(Debug)]
pub struct Order {
    n: usize,
    batch_size: usize,
    seed: u64,
    epoch: Option<u64>,
    shuffled: Vec<usize>,
}

impl Order {
    /// An order of `n` samples in batches of `batch_size`.
    pub fn new(n: usize, batch_size: usize, seed: u64) -> Self {
        Order { n, batch_size, seed, epoch: None, shuffled: Vec::new() }
    }

    /// The picks of any step; the same whatever was asked before.
    pub fn picks(&mut self, step: u64) -> Vec<Pick> {
        if self.n == 0 {
            return Vec::new();
        }
        // 128 bits: step * batch size must not wrap, or order would repeat.
        let start = u128::from(step) * self.batch_size as u128;
        (0..self.batch_size as u128)
            .map(|b| {
                let position = start + b;
                let epoch = (position / self.n as u128) as u64;
                if self.epoch != Some(epoch) {
                    self.shuffled = permutation(self.n, self.seed, epoch);
                    self.epoch = Some(epoch);
                }
                Pick { index: self.shuffled[(position % self.n as u128) as usize], epoch }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn order_is_a_permutation(n in 0usize..300, seed: u64, epoch: u64) {
            let mut seen = permutation(n, seed, epoch);
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..n).collect::<Vec<_>>());
        }

        #[test]
        fn an_epoch_shows_each_sample_once(n in 1usize..60, batch in 1usize..20, seed: u64) {
            let mut order = Order::new(n, batch, seed);
            let steps = (2 * n).div_ceil(batch) as u64;
            let mut stream: Vec<Pick> = (0..steps).flat_map(|s| order.picks(s)).collect();
            stream.truncate(2 * n);
            for epoch in 0..2 {
                let mut seen: Vec<usize> = stream.iter().filter(|p| p.epoch == epoch).map(|p| p.index).collect();
                seen.sort_unstable();
                prop_assert_eq!(seen, (0..n).collect::<Vec<_>>());
            }
        }

        #[test]
        fn a_step_does_not_depend_on_those_before(n in 1usize..60, batch in 1usize..20, seed: u64, step in 0u64..50) {
            let mut walked = Order::new(n, batch, seed);
            for s in 0..step { walked.picks(s); }
            prop_assert_eq!(walked.picks(step), picks_for_step(n, batch, seed, step));
        }
    }

    #[test]
    fn epochs_and_seeds_differ() {
        assert_ne!(permutation(100, 0, 0), permutation(100, 0, 1));
        assert_ne!(permutation(100, 0, 0), permutation(100, 1, 0));
    }
}
