//! What an evaluation of D_val led to, and why, in words for people and in numbers for the history.

use std::fmt;

use adamv_datasets::Task;
use serde::{Deserialize, Serialize};

/// A loss and the step it was measured at.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// Steps of the phase that were done.
    pub step: u64,
    pub loss: f64,
}

/// Why k is what it is. The number is what the history's `aes_reason` holds: it never gets another meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Reason {
    /// There is nothing to compare with yet.
    FirstEvaluation = 0,
    /// The loss fell below the best so far.
    Improved = 1,
    /// The loss did not fall: one more expert.
    Grown = 2,
    /// The loss is no better with one more expert: one fewer again, for good.
    RolledBack = 3,
    /// An earlier roll-back fixed k.
    Frozen = 4,
    /// The loss did not fall, but every expert is selected.
    AtUpperBound = 5,
    /// k would be rolled back, but one expert is the least. Only in `released`, where k may shrink without having grown.
    AtLowerBound = 6,
    /// The loss did not fall, but the best isn't older than the patience. Only in `released`.
    Waiting = 7,
    /// The loss did not fall at the last step: what would grow could not be trained. Only in `paper`.
    NoStepsLeft = 8,
}

/// What one evaluation led to for one task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    pub task: Task,
    /// Steps of the phase that were done.
    pub step: u64,
    /// L_val of the task at this step.
    pub loss: f64,
    /// The lowest loss before, which this one was compared with.
    pub best: Option<Measured>,
    pub k_before: usize,
    pub k_after: usize,
    pub reason: Reason,
}

impl Decision {
    /// The rows (metric, value) that the history gets: the loss, the best loss it was compared with (none at a first
    /// evaluation), k from here on, and the number of the reason.
    pub fn rows(&self) -> impl Iterator<Item = (&'static str, f64)> + use<> {
        let best = self.best.map(|best| ("aes_best", best.loss));
        let k = ("aes_k", self.k_after as f64);
        [("aes_loss", self.loss)].into_iter().chain(best).chain([k, ("aes_reason", f64::from(self.reason as u8))])
    }
}

/// E.g. `loss 0.5120 did not fall below 0.4980 within 2000 steps: k 2 -> 3`.
impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "loss {:.4} ", self.loss)?;
        match self.best {
            None => write!(f, "is the first")?,
            Some(best) if self.loss < best.loss => write!(f, "fell below {:.4}", best.loss)?,
            Some(best) => {
                let steps = self.step.saturating_sub(best.step);
                write!(f, "did not fall below {:.4} within {steps} steps", best.loss)?;
            }
        }
        let why = match self.reason {
            Reason::FirstEvaluation | Reason::Improved | Reason::Grown => "",
            Reason::RolledBack => " although k had grown",
            Reason::Frozen => ", and k is fixed since a roll-back",
            Reason::AtUpperBound => ", but every expert is selected",
            Reason::AtLowerBound => " although k had grown, but one expert is the least",
            Reason::Waiting => ", but has patience left",
            Reason::NoStepsLeft => ", but no step is left to train with more",
        };
        if self.k_before == self.k_after {
            return write!(f, "{why}: k stays {}", self.k_after);
        }
        write!(f, "{why}: k {} -> {}", self.k_before, self.k_after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decision(loss: f64, best: Option<f64>, k: [usize; 2], reason: Reason) -> Decision {
        let best = best.map(|loss| Measured { step: 4000, loss });
        Decision { task: Task::Detection, step: 6000, loss, best, k_before: k[0], k_after: k[1], reason }
    }

    #[test]
    fn every_reason_is_explained() {
        let stalled = |k, reason| decision(0.512, Some(0.498), k, reason);
        let table = [
            (decision(0.512, None, [2, 2], Reason::FirstEvaluation), "loss 0.5120 is the first: k stays 2"),
            (decision(0.4, Some(0.498), [2, 2], Reason::Improved), "loss 0.4000 fell below 0.4980: k stays 2"),
            (stalled([2, 3], Reason::Grown), "loss 0.5120 did not fall below 0.4980 within 2000 steps: k 2 -> 3"),
            (
                stalled([3, 2], Reason::RolledBack),
                "loss 0.5120 did not fall below 0.4980 within 2000 steps although k had grown: k 3 -> 2",
            ),
            (
                decision(0.4, Some(0.498), [2, 2], Reason::Frozen),
                "loss 0.4000 fell below 0.4980, and k is fixed since a roll-back: k stays 2",
            ),
            (
                stalled([8, 8], Reason::AtUpperBound),
                "loss 0.5120 did not fall below 0.4980 within 2000 steps, but every expert is selected: k stays 8",
            ),
            (
                stalled([1, 1], Reason::AtLowerBound),
                "loss 0.5120 did not fall below 0.4980 within 2000 steps although k had grown, but one expert is the \
                 least: k stays 1",
            ),
            (
                stalled([2, 2], Reason::Waiting),
                "loss 0.5120 did not fall below 0.4980 within 2000 steps, but has patience left: k stays 2",
            ),
            (
                stalled([2, 2], Reason::NoStepsLeft),
                "loss 0.5120 did not fall below 0.4980 within 2000 steps, but no step is left to train with more: k \
                 stays 2",
            ),
        ];
        for (decision, text) in table {
            assert_eq!(decision.to_string(), text);
        }
    }

    #[test]
    fn rows_are_numbers_of_the_history() {
        let grown = decision(0.5, Some(0.25), [2, 3], Reason::Grown);
        let rows: Vec<_> = grown.rows().collect();
        assert_eq!(rows, [("aes_loss", 0.5), ("aes_best", 0.25), ("aes_k", 3.0), ("aes_reason", 2.0)]);
        let first = decision(0.5, None, [2, 2], Reason::FirstEvaluation);
        assert_eq!(first.rows().collect::<Vec<_>>(), [("aes_loss", 0.5), ("aes_k", 2.0), ("aes_reason", 0.0)]);
    }
}
