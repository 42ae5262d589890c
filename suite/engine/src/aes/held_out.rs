//! Which training samples are D_val: held out by the seed, never trained on. Touches no data, only indices.

use std::collections::BTreeMap;

use adamv_datasets::{Task, order};

use super::config::{AesConfig, AesMode};
use super::error::{AesError, check};

/// The epoch whose permutation chooses D_val: one that no training reaches, so that the choice has nothing to do with
/// the order of training.
const EPOCH: u64 = u64::MAX;

/// The training samples of a task, split in two. Both parts are ascending; together they are `0..n`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldOut {
    /// D_val.
    pub validation: Vec<usize>,
    /// What is left to train on.
    pub training: Vec<usize>,
}

/// `share` of `0..n`, ascending: rounded to the nearest whole number, at least `batch`, at most `n`. A pure function of
/// its arguments; a larger share holds out the same samples and more.
pub fn held_out(n: usize, share: f64, batch: usize, seed: u64) -> Vec<usize> {
    let mut chosen = order::permutation(n, seed, EPOCH);
    chosen.truncate(count(n, share, batch));
    chosen.sort_unstable();
    chosen
}

fn count(n: usize, share: f64, batch: usize) -> usize {
    ((n as f64 * share).round() as usize).max(batch).min(n)
}

/// The order in which an evaluation reads D_val: positions in it, shuffled by the seed and stratified by `labels` (one a
/// sample), so that every stretch of it has each class about as often as the whole. A pure function of its arguments.
pub fn stratified(labels: &[usize], seed: u64) -> Vec<usize> {
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    labels.iter().for_each(|label| *counts.entry(*label).or_default() += 1);
    // Sample j of the n of its class, in shuffled order, stands at (j + 1/2) / n of the whole.
    let mut seen: BTreeMap<usize, usize> = BTreeMap::new();
    let place = |position: usize| {
        let label = labels[position];
        let j = seen.entry(label).or_default();
        *j += 1;
        ((*j as f64 - 0.5) / counts[&label] as f64, position)
    };
    let mut places: Vec<(f64, usize)> = order::permutation(labels.len(), seed, EPOCH).into_iter().map(place).collect();
    // A stable sort: samples of one place stay shuffled.
    places.sort_by(|a, b| a.0.total_cmp(&b.0));
    places.into_iter().map(|(_, position)| position).collect()
}

impl AesConfig {
    /// The positions in D_val, of the `order` of all of them, that evaluation number `evaluation` (from 0) reads in batches
    /// of `batch`. The paper's rule compares losses of the same samples: all of D_val or the first `validation_batches`.
    /// The released code's iterators live as long as training, so each evaluation goes on where the one before it ended,
    /// and begins anew after the last sample.
    pub fn read(&self, order: &[usize], evaluation: u64, batch: usize) -> Vec<usize> {
        let Some(batches) = self.most_batches() else { return order.to_vec() };
        let count = u128::from(batches) * batch as u128;
        match self.mode {
            AesMode::Released => {
                let start = u128::from(evaluation) * count;
                (start..start + count).map(|i| order[(i % order.len() as u128) as usize]).collect()
            }
            AesMode::Off | AesMode::Paper => {
                order.iter().copied().take(usize::try_from(count).unwrap_or(usize::MAX)).collect()
            }
        }
    }

    /// Splits the `samples` training samples of a task; D_val has at least one batch of `batch` samples. When AES is off,
    /// all of them are left to train on.
    ///
    /// # Errors
    /// [`AesError::Config`] when nothing would be left.
    pub fn hold_out(&self, task: Task, samples: usize, batch: usize, seed: u64) -> Result<HeldOut, AesError> {
        if self.is_off() {
            return Ok(HeldOut { validation: Vec::new(), training: (0..samples).collect() });
        }
        let share = self.validation_share;
        check(
            count(samples, share, batch) < samples,
            "training.aes.validation_share",
            share,
            format!(
                "one that leaves some of the {samples} training samples of {task} to train on (at least one batch, \
                 {batch} samples, is held out), a smaller batch, or more data"
            ),
        )?;
        let validation = held_out(samples, share, batch, seed);
        let mut held = validation.iter().peekable();
        let training = (0..samples).filter(|index| held.next_if_eq(&index).is_none()).collect();
        Ok(HeldOut { validation, training })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(samples: usize, share: f64, batch: usize, seed: u64) -> Result<HeldOut, AesError> {
        let config = AesConfig { validation_share: share, ..AesConfig::default() };
        config.hold_out(Task::Detection, samples, batch, seed)
    }

    #[test]
    fn one_percent_but_at_least_one_batch() {
        // (n, share, batch) -> held out, by hand. ImageNet: 12,811.67 rounds up, as train[:99%] does.
        let table = [
            ((1_281_167, 0.01, 1024), 12_812),
            ((1000, 0.01, 4), 10),
            ((1049, 0.01, 4), 10),
            ((1050, 0.01, 4), 11),
            ((1000, 0.01, 32), 32),
            ((33, 0.01, 32), 32),
            ((10, 0.5, 1), 5),
        ];
        for ((n, share, batch), expected) in table {
            let split = split(n, share, batch, 7).unwrap();
            assert_eq!(split.validation.len(), expected, "n {n}, share {share}, batch {batch}");
            assert_eq!(split.training.len(), n - expected);
        }
    }

    #[test]
    fn both_parts_are_ascending_and_share_nothing() {
        for (n, seed) in [(20, 0), (257, 1), (1000, 2)] {
            let HeldOut { validation, training } = split(n, 0.1, 3, seed).unwrap();
            assert!(validation.is_sorted() && training.is_sorted());
            let mut all = [validation, training].concat();
            all.sort_unstable();
            assert_eq!(all, (0..n).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_seed_chooses_and_nothing_else_does() {
        assert_eq!(held_out(1000, 0.01, 4, 3), held_out(1000, 0.01, 4, 3));
        assert_ne!(held_out(1000, 0.01, 4, 3), held_out(1000, 0.01, 4, 4));
        let more = held_out(1000, 0.05, 4, 3);
        assert!(held_out(1000, 0.01, 4, 3).iter().all(|index| more.contains(index)));
        // Not the head of an epoch that training sees.
        for epoch in 0..100 {
            let mut head = order::permutation(1000, 3, epoch)[..10].to_vec();
            head.sort_unstable();
            assert_ne!(held_out(1000, 0.01, 4, 3), head);
        }
    }

    /// 1,000 samples of 10 classes, sorted by class as a folder lists them; class 9 has 91 samples, the others 101.
    fn labels() -> Vec<usize> {
        (0..1000).map(|i| i / 101).collect()
    }

    #[test]
    fn every_stretch_of_the_order_has_every_class() {
        let labels = labels();
        let order = stratified(&labels, 3);
        let mut all = order.clone();
        all.sort_unstable();
        assert_eq!(all, (0..1000).collect::<Vec<_>>());
        for stretch in order.windows(100) {
            for class in 0..10 {
                // 10.1 and 9.1 of 100 on average; a class's samples lie 9.9 and 11 places apart, but for ties.
                let count = stretch.iter().filter(|&&i| labels[i] == class).count();
                assert!((8..=12).contains(&count), "class {class}: {count} of 100");
            }
        }
        assert_eq!(order, stratified(&labels, 3));
        assert_ne!(order, stratified(&labels, 4));
        // Within a class the order is shuffled, too.
        let of_class: Vec<usize> = order.iter().copied().filter(|&i| labels[i] == 0).collect();
        assert!(!of_class.is_sorted());
    }

    #[test]
    fn the_paper_reads_the_same_samples_and_the_released_code_goes_on() {
        let order: Vec<usize> = [4, 2, 0, 3, 1, 5, 6].into();
        let with = |mode, validation_batches| AesConfig { mode, validation_batches, ..AesConfig::default() };
        for evaluation in 0..3 {
            assert_eq!(with(AesMode::Paper, None).read(&order, evaluation, 2), order);
            assert_eq!(with(AesMode::Paper, Some(2)).read(&order, evaluation, 2), [4, 2, 0, 3]);
            assert_eq!(with(AesMode::Paper, Some(9)).read(&order, evaluation, 2), order);
        }
        let released = with(AesMode::Released, Some(2));
        assert_eq!(released.read(&order, 0, 2), [4, 2, 0, 3]);
        assert_eq!(released.read(&order, 1, 2), [1, 5, 6, 4]);
        assert_eq!(released.read(&order, 2, 2), [2, 0, 3, 1]);
        assert_eq!(with(AesMode::Released, None).read(&order, 0, 2).len(), 22);
    }

    #[test]
    fn nothing_left_to_train_on_is_an_error() {
        for (samples, share, batch) in [(20, 0.01, 32), (20, 0.01, 20), (20, 0.99, 1), (1, 0.5, 1), (0, 0.5, 1)] {
            let message = split(samples, share, batch, 0).unwrap_err().to_string();
            let start = format!("training.aes.validation_share: {share} is not possible; give one that leaves some of");
            assert!(message.starts_with(&start), "{message}");
            assert!(message.contains(&format!("the {samples} training samples of detection")), "{message}");
        }
        split(21, 0.01, 20, 0).unwrap();
    }

    #[test]
    fn off_holds_nothing_out() {
        let off = AesConfig { mode: AesMode::Off, ..AesConfig::default() };
        let all = HeldOut { validation: vec![], training: vec![0, 1, 2] };
        assert_eq!(off.hold_out(Task::Classification, 3, 64, 0).unwrap(), all);
    }
}
