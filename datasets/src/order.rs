//! Which sample comes when: an endless stream of shuffled epochs, as pure functions of (n, seed, position). Touches no
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
    Order::new(n, seed).picks(u128::from(step) * batch_size as u128, batch_size)
}

/// A part of a task's endless stream, cut into batches: what one phase of training reads. A later phase goes on where the
/// one before it ended ([`SampleStream::after`]), so that no pick comes twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleStream {
    seed: u64,
    batch_size: usize,
    /// Samples of the stream before the first batch. 128 bits: it must not wrap, or order would repeat.
    position: u128,
    batches: u64,
}

impl SampleStream {
    /// The first `batches` batches of the stream of `seed`.
    pub fn new(seed: u64, batch_size: usize, batches: u64) -> Self {
        SampleStream { seed, batch_size, position: 0, batches }
    }

    /// As many batches, `samples` samples further on.
    pub fn after(self, samples: u128) -> Self {
        SampleStream { position: self.position + samples, ..self }
    }

    /// The same stream without its first `batches` batches: what a resumed run reads.
    pub fn skip(self, batches: u64) -> Self {
        let rest = self.batches.saturating_sub(batches);
        SampleStream { batches: rest, ..self.after(u128::from(batches) * self.batch_size as u128) }
    }

    /// The seed of order and augmentation.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The picks of every batch, in order, from a data set of `n` samples.
    pub fn batches(self, n: usize) -> impl Iterator<Item = Vec<Pick>> {
        let mut order = Order::new(n, self.seed);
        let position = move |batch: u64| self.position + u128::from(batch) * self.batch_size as u128;
        (0..self.batches).map(move |batch| order.picks(position(batch), self.batch_size))
    }
}

/// Picks at any position, with the permutation of the last epoch remembered, for whoever walks through many.
#[derive(Debug)]
struct Order {
    n: usize,
    seed: u64,
    epoch: Option<u64>,
    shuffled: Vec<usize>,
}

impl Order {
    fn new(n: usize, seed: u64) -> Self {
        Order { n, seed, epoch: None, shuffled: Vec::new() }
    }

    /// `count` picks from `position` on; the same whatever was asked before. None where there are no samples.
    fn picks(&mut self, position: u128, count: usize) -> Vec<Pick> {
        if self.n == 0 {
            return Vec::new();
        }
        (position..position + count as u128)
            .map(|position| {
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
            let steps = (2 * n).div_ceil(batch) as u64;
            let mut stream: Vec<Pick> = SampleStream::new(seed, batch, steps).batches(n).flatten().collect();
            stream.truncate(2 * n);
            for epoch in 0..2 {
                let mut seen: Vec<usize> = stream.iter().filter(|p| p.epoch == epoch).map(|p| p.index).collect();
                seen.sort_unstable();
                prop_assert_eq!(seen, (0..n).collect::<Vec<_>>());
            }
        }

        #[test]
        fn a_batch_does_not_depend_on_those_before(n in 1usize..60, batch in 1usize..20, seed: u64, step in 0u64..50) {
            let walked = SampleStream::new(seed, batch, step + 1).batches(n).last();
            prop_assert_eq!(walked, Some(picks_for_step(n, batch, seed, step)));
            let resumed: Vec<_> = SampleStream::new(seed, batch, step + 1).skip(step).batches(n).collect();
            prop_assert_eq!(resumed, vec![picks_for_step(n, batch, seed, step)]);
        }

        #[test]
        fn parts_of_a_stream_make_up_the_whole(
            n in 1usize..60, sizes in proptest::collection::vec((1usize..20, 0u64..9), 1..5), seed: u64,
        ) {
            let (mut parts, mut samples) = (Vec::new(), 0);
            for (batch, batches) in sizes {
                parts.extend(SampleStream::new(seed, batch, batches).after(samples).batches(n).flatten());
                samples += u128::from(batches) * batch as u128;
            }
            let whole: Vec<Pick> = SampleStream::new(seed, 1, samples as u64).batches(n).flatten().collect();
            prop_assert_eq!(parts, whole);
        }
    }

    #[test]
    fn epochs_and_seeds_differ() {
        assert_ne!(permutation(100, 0, 0), permutation(100, 0, 1));
        assert_ne!(permutation(100, 0, 0), permutation(100, 1, 0));
    }
}
