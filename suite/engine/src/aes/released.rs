//! AES as the authors' released code does it, its defect included: the tasks share a flag and a stop, so that one task's
//! loss decides over the other's k. To be compared with [`super::paper`], not to be mended.
//!
//! The rule (paper.md section 4, "Released code"): a new best is remembered and clears `flag`; else, when the best is more
//! than `patience` steps old, k < E and nothing is stopped: with `flag`, k -= 1 and all stops for good, without it k += 1;
//! any change sets `flag`. What paper.md leaves open, from the code (google-research `moe_mtl/main/trainer_utils.py`):
//!
//! - Within one evaluation classification comes first, and `flag` is set after both tasks: when both stall at once, both
//!   grow. A new best of detection clears it, but not where classification has just changed.
//! - k = E is never rolled back, because k < E is asked before anything changes.
//! - The best loss starts at 100, as if measured at step 40,000: without any loss below 100 nothing changes before
//!   40,000 + `patience` steps.
//! - A growth doesn't make the best any younger, so the next evaluation without a new best rolls back.
//! - The last step is like any other: k may grow there, and no step is trained with it.
//!
//! We differ in three places: k never falls below 1 (the code would roll a k of 1 back to 0); a loss that is no number is
//! an error; `flag`, the stop and the best losses' steps survive a resume (the code keeps only k and the best losses).

use adamv_datasets::Task;
use serde::{Deserialize, Serialize};

use super::decision::{Decision, Measured, Reason};

/// The best loss before there is one.
const START: Measured = Measured { step: 40_000, loss: 100.0 };

/// The released code's rule for the tasks of a phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Released {
    patience: u64,
    /// E.
    experts: usize,
    /// Some k changed, and no task had a new best since.
    flag: bool,
    /// Some k was rolled back: none changes again.
    stopped: bool,
    tasks: Vec<Selection>,
}

/// What each task has of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Selection {
    task: Task,
    k: usize,
    best: Measured,
}

impl Released {
    pub fn new(tasks: &[Task], patience: u64, experts: usize, k: usize) -> Self {
        let mut tasks: Vec<Selection> = tasks.iter().map(|&task| Selection { task, k, best: START }).collect();
        tasks.sort_by_key(|selection| selection.task);
        Self { patience, experts, flag: false, stopped: false, tasks }
    }

    pub fn k(&self) -> Vec<(Task, usize)> {
        self.tasks.iter().map(|selection| (selection.task, selection.k)).collect()
    }

    /// `measured` has one loss a task, in the order of [`Released::k`].
    pub fn observe(&mut self, measured: &[Measured]) -> Vec<Decision> {
        let mut decisions = Vec::with_capacity(measured.len());
        let mut changed = false;
        for (selection, &now) in self.tasks.iter_mut().zip(measured) {
            let (k_before, best) = (selection.k, selection.best);
            let reason = if now.loss < best.loss {
                Reason::Improved
            } else if now.step.saturating_sub(best.step) <= self.patience {
                Reason::Waiting
            } else if self.stopped {
                Reason::Frozen
            } else if selection.k >= self.experts {
                Reason::AtUpperBound
            } else if !self.flag {
                Reason::Grown
            } else if selection.k > 1 {
                Reason::RolledBack
            } else {
                Reason::AtLowerBound
            };
            match reason {
                Reason::Improved => {
                    selection.best = now;
                    self.flag = false;
                }
                Reason::Grown => selection.k += 1,
                Reason::RolledBack => selection.k -= 1,
                _ => {}
            }
            self.stopped |= matches!(reason, Reason::RolledBack | Reason::AtLowerBound);
            changed |= selection.k != k_before;
            let (task, k_after) = (selection.task, selection.k);
            let best = Some(best);
            decisions.push(Decision { task, step: now.step, loss: now.loss, best, k_before, k_after, reason });
        }
        self.flag |= changed;
        decisions
    }
}

#[cfg(test)]
mod tests {
    use Reason::{AtLowerBound, AtUpperBound, Frozen, Grown, Improved, RolledBack, Waiting};

    use super::*;
    use crate::aes::tests::two;
    use crate::aes::{Aes, AesConfig, AesMode};

    /// The released rule, Δn = 2000.
    fn aes(experts: usize, k: usize, patience: u64) -> Aes {
        let config = AesConfig { mode: AesMode::Released, patience, ..AesConfig::default() };
        Aes::start(&config, &Task::ALL, 200_000, 0, experts, k).unwrap().unwrap()
    }

    #[test]
    fn improving() {
        two(
            aes(8, 2, 5000),
            &[
                (2000, [70.0, 40.0], [2, 2], [Improved, Improved]),
                (4000, [60.0, 30.0], [2, 2], [Improved, Improved]),
                (6000, [50.0, 20.0], [2, 2], [Improved, Improved]),
            ],
        );
    }

    #[test]
    fn stalled_then_improved() {
        // Detection improves throughout, which also clears the flag that classification's growth set.
        two(
            aes(8, 2, 5000),
            &[
                (2000, [70.0, 40.0], [2, 2], [Improved, Improved]),
                // 2000 and 4000 steps are not more than 5000; 6000 are.
                (4000, [71.0, 39.0], [2, 2], [Waiting, Improved]),
                (6000, [70.0, 38.0], [2, 2], [Waiting, Improved]),
                (8000, [70.5, 37.0], [3, 2], [Grown, Improved]),
                (10_000, [60.0, 36.0], [3, 2], [Improved, Improved]),
                (12_000, [61.0, 35.0], [3, 2], [Waiting, Improved]),
                (14_000, [61.0, 34.0], [3, 2], [Waiting, Improved]),
                (16_000, [61.0, 33.0], [4, 2], [Grown, Improved]),
            ],
        );
    }

    #[test]
    fn grown_then_worse() {
        // Detection is still: its best is too young to matter until the stop. The growth at 8000 doesn't make the best
        // of step 2000 any younger, so the next evaluation rolls back, without patience.
        two(
            aes(8, 2, 5000),
            &[
                (2000, [70.0, 40.0], [2, 2], [Improved, Improved]),
                (4000, [71.0, 41.0], [2, 2], [Waiting, Waiting]),
                (6000, [71.0, 39.0], [2, 2], [Waiting, Improved]),
                (8000, [71.0, 41.0], [3, 2], [Grown, Waiting]),
                (10_000, [71.0, 41.0], [2, 2], [RolledBack, Waiting]),
                (12_000, [71.0, 41.0], [2, 2], [Frozen, Frozen]),
                (14_000, [60.0, 30.0], [2, 2], [Improved, Improved]),
                (16_000, [61.0, 31.0], [2, 2], [Waiting, Waiting]),
                (20_000, [61.0, 31.0], [2, 2], [Frozen, Frozen]),
            ],
        );
    }

    /// The losses of `paper::tests::two_tasks_do_not_interfere`: here detection's k depends on classification's losses.
    #[test]
    fn two_tasks_interfere() {
        two(
            aes(8, 2, 3000),
            &[
                (2000, [4.0, 6.0], [2, 2], [Improved, Improved]),
                (4000, [4.5, 5.0], [2, 2], [Waiting, Improved]),
                // Classification's best is 4000 steps old: it grows, which sets the flag, whatever detection does.
                (6000, [4.5, 4.0], [3, 2], [Grown, Improved]),
                // Its roll-back stops detection too, which has changed nothing yet ..
                (8000, [4.5, 4.5], [2, 2], [RolledBack, Waiting]),
                (10_000, [4.5, 3.0], [2, 2], [Frozen, Improved]),
                (12_000, [3.0, 3.5], [2, 2], [Improved, Waiting]),
                // .. and now can't grow.
                (14_000, [3.5, 3.5], [2, 2], [Waiting, Frozen]),
            ],
        );
        // The same losses of detection beside a classification that improves.
        two(
            aes(8, 2, 3000),
            &[
                (2000, [4.0, 6.0], [2, 2], [Improved, Improved]),
                (4000, [3.9, 5.0], [2, 2], [Improved, Improved]),
                (6000, [3.8, 4.0], [2, 2], [Improved, Improved]),
                (8000, [3.7, 4.5], [2, 2], [Improved, Waiting]),
                (10_000, [3.6, 3.0], [2, 2], [Improved, Improved]),
                (12_000, [3.5, 3.5], [2, 2], [Improved, Waiting]),
                (14_000, [3.4, 3.5], [2, 3], [Improved, Grown]),
            ],
        );
    }

    #[test]
    fn one_tasks_growth_rolls_the_other_back() {
        two(
            aes(8, 2, 3000),
            &[
                (2000, [4.0, 6.0], [2, 2], [Improved, Improved]),
                (4000, [3.5, 6.5], [2, 2], [Improved, Waiting]),
                (6000, [3.6, 6.5], [2, 3], [Waiting, Grown]),
                // Classification stalls for the first time, but the flag is set: it shrinks without ever having grown, and
                // detection's growth is never judged.
                (8000, [3.6, 6.5], [1, 3], [RolledBack, Frozen]),
                (10_000, [3.6, 6.5], [1, 3], [Frozen, Frozen]),
            ],
        );
    }

    #[test]
    fn one_tasks_best_keeps_the_other_growing() {
        two(
            aes(8, 2, 3000),
            &[
                (2000, [4.0, 6.0], [2, 2], [Improved, Improved]),
                (4000, [3.5, 6.5], [2, 2], [Improved, Waiting]),
                (6000, [3.4, 6.5], [2, 3], [Improved, Grown]),
                // Worse after its growth, but classification's best has cleared the flag: detection grows on.
                (8000, [3.3, 7.0], [2, 4], [Improved, Grown]),
                (10_000, [3.2, 8.0], [2, 5], [Improved, Grown]),
                (12_000, [3.3, 9.0], [2, 4], [Waiting, RolledBack]),
                (14_000, [3.3, 1.0], [2, 4], [Frozen, Improved]),
            ],
        );
    }

    #[test]
    fn both_grow_when_both_stall_at_once() {
        two(
            aes(8, 2, 3000),
            &[
                (2000, [4.0, 6.0], [2, 2], [Improved, Improved]),
                (4000, [4.5, 6.5], [2, 2], [Waiting, Waiting]),
                // The flag is set after both.
                (6000, [4.5, 6.5], [3, 3], [Grown, Grown]),
                // The roll-back of the first stops the second at once.
                (8000, [4.5, 6.5], [2, 3], [RolledBack, Frozen]),
            ],
        );
    }

    #[test]
    fn k_at_its_upper_bound_is_never_rolled_back() {
        two(
            aes(3, 2, 3000),
            &[
                (2000, [4.0, 6.0], [2, 2], [Improved, Improved]),
                (4000, [4.5, 5.5], [2, 2], [Waiting, Improved]),
                (6000, [4.5, 5.0], [3, 2], [Grown, Improved]),
                // Worse after its growth, but k = E is kept.
                (8000, [9.0, 5.5], [3, 2], [AtUpperBound, Waiting]),
                // The flag is still set, and hits detection.
                (10_000, [9.0, 5.5], [3, 1], [AtUpperBound, RolledBack]),
                (12_000, [9.0, 4.0], [3, 1], [Frozen, Improved]),
            ],
        );
    }

    #[test]
    fn k_at_its_lower_bound_stays_and_stops() {
        two(
            aes(8, 1, 3000),
            &[
                (2000, [4.0, 6.0], [1, 1], [Improved, Improved]),
                (4000, [3.5, 6.5], [1, 1], [Improved, Waiting]),
                (6000, [3.6, 6.5], [1, 2], [Waiting, Grown]),
                // The code would make classification's k 0.
                (8000, [3.6, 6.5], [1, 2], [AtLowerBound, Frozen]),
                (10_000, [3.0, 6.5], [1, 2], [Improved, Frozen]),
            ],
        );
    }

    #[test]
    fn a_loss_that_never_falls_below_100_waits_for_step_40_000() {
        two(
            aes(8, 2, 5000),
            &[
                (2000, [100.0, 40.0], [2, 2], [Waiting, Improved]),
                (44_000, [150.0, 30.0], [2, 2], [Waiting, Improved]),
                (45_000, [150.0, 20.0], [2, 2], [Waiting, Improved]),
                (46_000, [150.0, 10.0], [3, 2], [Grown, Improved]),
            ],
        );
    }
}
