//! How k is chosen: by whose rule, how often, on which samples. Every default lives here, on its field.

use serde::{Deserialize, Serialize};

use super::error::{AesError, check};

/// Whose rule chooses k (paper.md section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AesMode {
    /// k stays what the model says.
    Off,
    /// The rule that the paper describes (`aes/paper.rs`).
    Paper,
    /// What the authors' released code does, its defect included (`aes/released.rs`).
    Released,
}

/// Batches that the released code evaluates.
const RELEASED_BATCHES: u64 = 11;

/// Adaptive expert selection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AesConfig {
    pub mode: AesMode,
    /// Steps between two evaluations, the paper's Δn; the first comes after as many.
    pub every: u64,
    /// Share of the training samples that is held out as D_val; at least one batch is.
    pub validation_share: f64,
    /// Batches of D_val that an evaluation looks at, at the most; null is all of them, and for `released`, which adds their
    /// losses up, the 11 of its code.
    pub validation_batches: Option<u64>,
    /// Steps of the phase before the first evaluation: while the learning rate rises, so may the loss, which says nothing
    /// of k. Null is the phase's warm-up (**inferred**: the paper doesn't say), and for `released`, which evaluates from the
    /// start, 0.
    pub start_after: Option<u64>,
    /// `released` only: k may change when the best loss is more than this many steps old.
    pub patience: u64,
}

impl Default for AesConfig {
    fn default() -> Self {
        Self {
            mode: AesMode::Paper,
            every: 2_000,
            validation_share: 0.01,
            validation_batches: None,
            start_after: None,
            patience: 5_000,
        }
    }
}

impl AesConfig {
    pub fn is_off(&self) -> bool {
        self.mode == AesMode::Off
    }

    /// Whether D_val runs through the model as training does, with router noise and stochastic depth: so it is in the
    /// released code. The paper says nothing; evaluation mode is inferred.
    pub fn validation_in_training_mode(&self) -> bool {
        self.mode == AesMode::Released
    }

    /// How many batches of D_val an evaluation looks at, at the most; all for none.
    pub fn most_batches(&self) -> Option<u64> {
        self.validation_batches.or((self.mode == AesMode::Released).then_some(RELEASED_BATCHES))
    }

    /// The step of a phase with this warm-up from which on D_val is evaluated.
    pub fn first_step(&self, warmup: u64) -> u64 {
        let default = if self.mode == AesMode::Released { 0 } else { warmup };
        self.start_after.unwrap_or(default)
    }

    /// How many evaluations a phase of `steps` steps has.
    pub fn evaluations(&self, steps: u64, warmup: u64) -> u64 {
        let first = self.first_step(warmup).div_ceil(self.every).max(1);
        (steps / self.every + 1).saturating_sub(first)
    }

    /// L_val from (samples, mean loss) of every batch of D_val, in batches of `batch`: the released code adds the batches'
    /// losses up; for the paper it is the mean over the samples (**inferred**), which doesn't depend on the batch size. A
    /// batch that isn't full weighs what it holds in both. NaN without samples.
    pub fn validation_loss(&self, batches: &[(usize, f64)], batch: usize) -> f64 {
        let samples: usize = batches.iter().map(|(samples, _)| samples).sum();
        let sum: f64 = batches.iter().map(|&(samples, loss)| samples as f64 * loss).sum();
        if self.mode == AesMode::Released && samples > 0 {
            return sum / batch as f64;
        }
        sum / samples as f64
    }

    /// Checks every value for a phase of `steps` steps, `warmup` of them warm-up; nothing when it is off.
    ///
    /// # Errors
    /// [`AesError::Config`]: the first value that is out of its range, by key.
    pub fn validate(&self, steps: u64, warmup: u64) -> Result<(), AesError> {
        if self.is_off() {
            return Ok(());
        }
        let range = format!("1 to {steps}, the steps of the phase (or training.aes.mode: off)");
        check((1..=steps).contains(&self.every), "training.aes.every", self.every, range)?;
        let share = self.validation_share;
        check(share > 0.0 && share < 1.0, "training.aes.validation_share", share, "more than 0 and less than 1")?;
        let batches = self.validation_batches;
        let range = "1 or more, or null for all of D_val";
        check(batches != Some(0), "training.aes.validation_batches", 0, range)?;
        let last = steps / self.every * self.every;
        let start = self.start_after.map_or_else(|| format!("null (the warm-up, {warmup})"), |start| start.to_string());
        let range = format!("0 to {last}, the phase's last evaluation (or null for its warm-up)");
        check(self.first_step(warmup) <= last, "training.aes.start_after", start, range)?;
        let range = format!("less than {steps}, the steps of the phase, or k could never change");
        let waits = self.mode == AesMode::Released;
        check(!waits || self.patience < steps, "training.aes.patience", self.patience, range)
    }
}

#[cfg(test)]
mod tests {
    use adamv_datasets::Task;

    use super::*;
    use crate::aes::Aes;

    fn message(config: AesConfig, steps: u64) -> String {
        config.validate(steps, 300).unwrap_err().to_string()
    }

    #[test]
    fn an_error_names_key_value_and_range() {
        let base = AesConfig::default;
        let released = AesConfig { mode: AesMode::Released, every: 10, ..base() };
        let cases = [
            (message(AesConfig { every: 0, ..base() }, 9000), ["training.aes.every", "0", "1 to 9000"]),
            (message(base(), 1999), ["training.aes.every", "2000", "1 to 1999"]),
            (
                message(AesConfig { validation_share: 0.0, ..base() }, 9000),
                ["training.aes.validation_share", "0", "more than 0 and less than 1"],
            ),
            (
                message(AesConfig { validation_share: 1.0, ..base() }, 9000),
                ["training.aes.validation_share", "1", "more than 0 and less than 1"],
            ),
            (
                message(AesConfig { validation_share: f64::NAN, ..base() }, 9000),
                ["training.aes.validation_share", "NaN", "more than 0 and less than 1"],
            ),
            (
                message(AesConfig { validation_batches: Some(0), ..base() }, 9000),
                ["training.aes.validation_batches", "0", "1 or more, or null"],
            ),
            (message(released, 5000), ["training.aes.patience", "5000", "less than 5000"]),
            (
                message(AesConfig { start_after: Some(8001), ..base() }, 9000),
                ["training.aes.start_after", "8001", "0 to 8000"],
            ),
            (
                message(AesConfig { every: 250, ..base() }, 450),
                ["training.aes.start_after", "null (the warm-up, 300)", "0 to 250"],
            ),
        ];
        for (message, parts) in cases {
            let [key, value, range] = parts;
            let expected = format!("{key}: {value} is not possible; give {range}");
            assert!(message.starts_with(&expected), "{message} instead of {expected}");
        }
    }

    #[test]
    fn evaluations_begin_after_the_warm_up() {
        let with = |mode, every, start_after| AesConfig { mode, every, start_after, ..AesConfig::default() };
        // (configuration, steps, warm-up) -> first step, evaluations, by hand: 10,000 of 200,000 are the paper's.
        let table = [
            (with(AesMode::Paper, 2000, None), 200_000, 10_000, 10_000, 96),
            (with(AesMode::Released, 2000, None), 200_000, 10_000, 0, 100),
            (with(AesMode::Paper, 2000, Some(0)), 200_000, 10_000, 0, 100),
            (with(AesMode::Paper, 2000, Some(1)), 9000, 10, 1, 4),
            (with(AesMode::Released, 2000, Some(2001)), 9000, 10, 2001, 3),
            (with(AesMode::Paper, 50, None), 99, 60, 60, 0),
        ];
        for (config, steps, warmup, first, evaluations) in table {
            assert_eq!((config.first_step(warmup), config.evaluations(steps, warmup)), (first, evaluations));
            let aes = Aes::start(&config, &[Task::Detection], steps, warmup, 8, 2).unwrap().unwrap();
            let due: Vec<u64> = (0..=steps).filter(|&step| aes.due(step)).collect();
            assert_eq!(due.len() as u64, evaluations, "{config:?}");
            assert!(due.iter().all(|&step| step >= first && step.is_multiple_of(config.every)));
        }
    }

    #[test]
    fn what_fits_passes_and_off_is_not_checked() {
        AesConfig::default().validate(2000, 2000).unwrap();
        AesConfig { mode: AesMode::Released, validation_batches: Some(11), ..AesConfig::default() }
            .validate(5001, 5001)
            .unwrap();
        AesConfig { every: 10, patience: 1 << 40, ..AesConfig::default() }.validate(10, 10).unwrap();
        AesConfig { mode: AesMode::Off, every: 0, ..AesConfig::default() }.validate(1, 1).unwrap();
    }

    #[test]
    fn the_papers_loss_is_a_mean_and_the_released_a_sum() {
        // Batches of 4, 4 and 2 samples. Mean over samples: (4 * 1.0 + 4 * 2.0 + 2 * 4.0) / 10 = 2.0; sum of batches, of which
        // the last is half a one: 1.0 + 2.0 + 4.0 / 2 = 5.0.
        let batches = [(4, 1.0), (4, 2.0), (2, 4.0)];
        let with = |mode| AesConfig { mode, ..AesConfig::default() };
        assert_eq!(with(AesMode::Paper).validation_loss(&batches, 4), 2.0);
        assert_eq!(with(AesMode::Released).validation_loss(&batches, 4), 5.0);
        for mode in [AesMode::Paper, AesMode::Released] {
            assert!(with(mode).validation_loss(&[], 4).is_nan(), "no samples are no loss of 0");
            assert_eq!(with(mode).validation_in_training_mode(), mode == AesMode::Released);
        }
        let most =
            |mode, validation_batches| AesConfig { mode, validation_batches, ..AesConfig::default() }.most_batches();
        assert_eq!((most(AesMode::Paper, None), most(AesMode::Released, None)), (None, Some(11)));
        assert_eq!((most(AesMode::Paper, Some(3)), most(AesMode::Released, Some(3))), (Some(3), Some(3)));
    }

    #[test]
    fn keys_are_as_written_and_unknown_ones_are_refused() {
        let text = r#"{"mode":"released","every":5,"validation_share":0.02,"validation_batches":11,"start_after":20,"patience":7}"#;
        let config: AesConfig = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&config).unwrap(), text);
        assert_eq!(serde_json::from_str::<AesConfig>("{}").unwrap(), AesConfig::default());
        assert!(serde_json::from_str::<AesConfig>(r#"{"delta_n":5}"#).is_err());
    }
}
