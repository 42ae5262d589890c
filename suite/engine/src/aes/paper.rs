//! AES as the paper describes it: each task on its own, one roll-back, then k is fixed. Knows no other task's losses.
//!
//! The rule (paper.md section 4): "evaluate L_val on D_val. If it did not fall within the next Δn iterations, k += 1. If
//! after that it is above the best so far, k -= 1, and k stays fixed from then on." What it leaves open, **inferred**:
//!
//! - A first evaluation only sets the best loss: there is nothing that it could have fallen below.
//! - "Fall" means below the best so far. "Below the loss before" would decide the same, but where a loss equals the best:
//!   while k may still change, the loss before is either the best or the one that made k grow.
//! - An equal loss did not fall, so k grows; but it is not above the best, so it rolls nothing back.
//! - "After that" is the next evaluation. A growth that passes it is kept for good; k may grow again later, and that
//!   growth is judged by itself.
//! - At k = E the loss may do what it likes: k stays. The growth to E itself is judged as any other.
//! - At the last step k doesn't grow, because the model would be evaluated with experts that it never trained with. A
//!   roll-back at the last step is made.
//! - After the roll-back the best loss is still kept up to date, for the record; k no longer depends on it.

use adamv_datasets::Task;
use serde::{Deserialize, Serialize};

use super::decision::{Decision, Measured, Reason};

/// The paper's rule for the tasks of a phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paper {
    /// Of the phase.
    steps: u64,
    /// E.
    experts: usize,
    tasks: Vec<Selection>,
}

/// Where one task stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Selection {
    task: Task,
    k: usize,
    /// The lowest loss so far.
    best: Option<Measured>,
    /// k grew at the evaluation before, and is judged at the next.
    on_trial: bool,
    /// k was rolled back.
    fixed: bool,
}

impl Paper {
    pub fn new(tasks: &[Task], steps: u64, experts: usize, k: usize) -> Self {
        let start = |&task| Selection { task, k, best: None, on_trial: false, fixed: false };
        let mut tasks: Vec<Selection> = tasks.iter().map(start).collect();
        tasks.sort_by_key(|selection| selection.task);
        Self { steps, experts, tasks }
    }

    pub fn k(&self) -> Vec<(Task, usize)> {
        self.tasks.iter().map(|selection| (selection.task, selection.k)).collect()
    }

    /// `measured` has one loss a task, in the order of [`Paper::k`].
    pub fn observe(&mut self, measured: &[Measured]) -> Vec<Decision> {
        let judge = |(selection, now): (&mut Selection, &Measured)| selection.judge(*now, self.steps, self.experts);
        self.tasks.iter_mut().zip(measured).map(judge).collect()
    }
}

impl Selection {
    fn judge(&mut self, now: Measured, steps: u64, experts: usize) -> Decision {
        let (k_before, best) = (self.k, self.best);
        let reason = match best {
            None => Reason::FirstEvaluation,
            _ if self.fixed => Reason::Frozen,
            Some(best) if now.loss < best.loss => Reason::Improved,
            Some(best) if self.on_trial && now.loss > best.loss => Reason::RolledBack,
            _ if self.k >= experts => Reason::AtUpperBound,
            _ if now.step >= steps => Reason::NoStepsLeft,
            _ => Reason::Grown,
        };
        match reason {
            Reason::Grown => self.k += 1,
            Reason::RolledBack => self.k -= 1,
            _ => {}
        }
        self.on_trial = reason == Reason::Grown;
        self.fixed |= reason == Reason::RolledBack;
        if best.is_none_or(|best| now.loss < best.loss) {
            self.best = Some(now);
        }
        Decision { task: self.task, step: now.step, loss: now.loss, best, k_before, k_after: self.k, reason }
    }
}

#[cfg(test)]
mod tests {
    use Reason::{AtUpperBound, FirstEvaluation, Frozen, Grown, Improved, NoStepsLeft, RolledBack};

    use super::*;
    use crate::aes::tests::{one, two};
    use crate::aes::{Aes, AesConfig};

    /// The paper's rule, Δn = 2000, in a phase of 200,000 steps.
    fn aes(experts: usize, k: usize) -> Aes {
        Aes::start(&AesConfig::default(), &Task::ALL, 200_000, 0, experts, k).unwrap().unwrap()
    }

    #[test]
    fn improving() {
        // Every loss is below all before it: k is never touched.
        one(
            aes(8, 2),
            &[
                (2000, 5.0, 2, FirstEvaluation),
                (4000, 4.0, 2, Improved),
                (6000, 3.5, 2, Improved),
                (8000, 3.4999, 2, Improved),
            ],
        );
    }

    #[test]
    fn stalled_then_improved() {
        one(
            aes(8, 2),
            &[
                (2000, 5.0, 2, FirstEvaluation),
                (4000, 4.0, 2, Improved),
                // Not below 4.0: one more expert, on trial.
                (6000, 4.5, 3, Grown),
                // Below 4.0: the growth is kept.
                (8000, 3.0, 3, Improved),
                // Not below 3.0: the next growth, on trial.
                (10_000, 3.5, 4, Grown),
                (12_000, 2.0, 4, Improved),
                (14_000, 1.0, 4, Improved),
            ],
        );
    }

    #[test]
    fn grown_then_worse() {
        one(
            aes(8, 2),
            &[
                (2000, 4.0, 2, FirstEvaluation),
                (4000, 4.5, 3, Grown),
                // Below the 4.5 that made it grow, but above 4.0, the best: back to 2, for good.
                (6000, 4.2, 2, RolledBack),
                (8000, 9.0, 2, Frozen),
                (10_000, 1.0, 2, Frozen),
                (12_000, 2.0, 2, Frozen),
            ],
        );
    }

    #[test]
    fn a_second_growth_is_judged_by_itself() {
        one(
            aes(8, 2),
            &[
                (2000, 4.0, 2, FirstEvaluation),
                (4000, 4.0, 3, Grown),
                (6000, 3.0, 3, Improved),
                (8000, 3.1, 4, Grown),
                // Above 3.0: only the last growth goes.
                (10_000, 3.05, 3, RolledBack),
                (12_000, 1.0, 3, Frozen),
            ],
        );
    }

    #[test]
    fn an_equal_loss_did_not_fall_and_is_not_above() {
        one(
            aes(4, 2),
            &[
                (2000, 4.0, 2, FirstEvaluation),
                (4000, 4.0, 3, Grown),
                // Not above the best, so no roll-back; not below it, so one more.
                (6000, 4.0, 4, Grown),
                (8000, 4.0, 4, AtUpperBound),
                // The growth to 4 was judged at 8000; this loss rolls nothing back.
                (10_000, 7.0, 4, AtUpperBound),
                (12_000, 3.0, 4, Improved),
            ],
        );
    }

    #[test]
    fn k_at_its_upper_bound() {
        one(
            aes(3, 2),
            &[
                (2000, 4.0, 2, FirstEvaluation),
                (4000, 5.0, 3, Grown),
                (6000, 3.0, 3, Improved),
                (8000, 3.5, 3, AtUpperBound),
                (10_000, 9.0, 3, AtUpperBound),
                (12_000, 2.0, 3, Improved),
            ],
        );
        // The growth to E itself is rolled back when it made the loss worse.
        one(
            aes(3, 2),
            &[
                (2000, 4.0, 2, FirstEvaluation),
                (4000, 5.0, 3, Grown),
                (6000, 4.5, 2, RolledBack),
                (8000, 9.0, 2, Frozen),
            ],
        );
    }

    #[test]
    fn k_at_its_lower_bound() {
        // k = 1: a roll-back only takes back what was grown, so 1 is the least.
        one(
            aes(8, 1),
            &[
                (2000, 4.0, 1, FirstEvaluation),
                (4000, 5.0, 2, Grown),
                (6000, 5.0, 1, RolledBack),
                (8000, 6.0, 1, Frozen),
            ],
        );
        // One expert: both bounds at once.
        one(
            aes(1, 1),
            &[
                (2000, 4.0, 1, FirstEvaluation),
                (4000, 5.0, 1, AtUpperBound),
                (6000, 3.0, 1, Improved),
                (8000, 9.0, 1, AtUpperBound),
            ],
        );
    }

    #[test]
    fn the_last_step_takes_back_but_does_not_grow() {
        let short = |steps| Aes::start(&AesConfig::default(), &Task::ALL, steps, 0, 8, 2).unwrap().unwrap();
        one(short(4000), &[(2000, 4.0, 2, FirstEvaluation), (4000, 5.0, 2, NoStepsLeft)]);
        one(short(4001), &[(2000, 4.0, 2, FirstEvaluation), (4000, 5.0, 3, Grown)]);
        one(short(6000), &[(2000, 4.0, 2, FirstEvaluation), (4000, 5.0, 3, Grown), (6000, 5.0, 2, RolledBack)]);
    }

    /// The losses of `released::tests::two_tasks_interfere`: here detection's k comes from detection's losses alone.
    #[test]
    fn two_tasks_do_not_interfere() {
        two(
            aes(8, 2),
            &[
                (2000, [4.0, 6.0], [2, 2], [FirstEvaluation, FirstEvaluation]),
                (4000, [4.5, 5.0], [3, 2], [Grown, Improved]),
                // Classification's roll-back is its own: detection goes on.
                (6000, [4.5, 4.0], [2, 2], [RolledBack, Improved]),
                (8000, [4.5, 4.5], [2, 3], [Frozen, Grown]),
                (10_000, [4.5, 3.0], [2, 3], [Frozen, Improved]),
                (12_000, [3.0, 3.5], [2, 4], [Frozen, Grown]),
                (14_000, [3.5, 3.5], [2, 3], [Frozen, RolledBack]),
            ],
        );
        two(
            aes(8, 2),
            &[
                (2000, [4.0, 6.0], [2, 2], [FirstEvaluation, FirstEvaluation]),
                (4000, [3.9, 5.0], [2, 2], [Improved, Improved]),
                (6000, [3.8, 4.0], [2, 2], [Improved, Improved]),
                (8000, [3.7, 4.5], [2, 3], [Improved, Grown]),
                (10_000, [3.6, 3.0], [2, 3], [Improved, Improved]),
                (12_000, [3.5, 3.5], [2, 4], [Improved, Grown]),
                (14_000, [3.4, 3.5], [2, 3], [Improved, RolledBack]),
            ],
        );
    }
}
