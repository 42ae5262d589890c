//! Adaptive expert selection (AES): how many of the E experts each task activates, chosen while the model trains
//! (paper.md section 4).
//!
//! A state machine: validation losses go in, decisions come out. Knows no tensors, no data and no files; whoever trains
//! asks [`Aes::due`] after a step, measures the losses on D_val, hands them to [`Aes::observe`], and tells the model the
//! new k. The state is part of a checkpoint, so a resumed run decides what the uninterrupted one would have.
//!
//! Where the paper is silent and the released code doesn't help, the choice is marked **inferred**.

mod config;
mod decision;
mod error;
mod held_out;
mod paper;
mod released;
#[cfg(test)]
mod tests;

use adamv_datasets::Task;
use serde::{Deserialize, Serialize};

pub use config::{AesConfig, AesMode};
pub use decision::{Decision, Measured, Reason};
pub use error::AesError;
pub use held_out::{HeldOut, held_out, stratified};

use error::check;

/// The k of every task of a phase, and all that its future depends on.
///
/// Losses are read back to the bit only with serde_json's `float_roundtrip`, which the engine's manifest asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Aes {
    every: u64,
    /// No evaluation before this step.
    first_step: u64,
    rule: Rule,
    decisions: Vec<Decision>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Rule {
    Paper(paper::Paper),
    Released(released::Released),
}

impl Aes {
    /// The start of a phase of `steps` steps, `warmup` of them warm-up, in which every one of `tasks` activates `k` of `experts` experts; none when
    /// AES is off. The configuration is a validated one.
    ///
    /// # Errors
    /// [`AesError::Config`] when k is not one of 1 to `experts`.
    pub fn start(
        config: &AesConfig,
        tasks: &[Task],
        steps: u64,
        warmup: u64,
        experts: usize,
        k: usize,
    ) -> Result<Option<Self>, AesError> {
        check((1..=experts).contains(&k), "model.backbone.moe.k", k, format!("1 to {experts}, the number of experts"))?;
        let rule = match config.mode {
            AesMode::Off => return Ok(None),
            AesMode::Paper => Rule::Paper(paper::Paper::new(tasks, steps, experts, k)),
            AesMode::Released => Rule::Released(released::Released::new(tasks, config.patience, experts, k)),
        };
        Ok(Some(Self { every: config.every, first_step: config.first_step(warmup), rule, decisions: Vec::new() }))
    }

    /// Whether D_val is to be evaluated after `step` steps of the phase: every Δn steps, never before Δn (**inferred**:
    /// untrained weights say nothing of k) nor before the step that the configuration names, last possibly after the last
    /// step.
    pub fn due(&self, step: u64) -> bool {
        step > 0 && step >= self.first_step && step.is_multiple_of(self.every)
    }

    /// How many evaluations of D_val the phase has had.
    pub fn evaluations(&self) -> u64 {
        (self.decisions.len() / self.k().len().max(1)) as u64
    }

    /// How many experts each task activates now.
    pub fn k(&self) -> Vec<(Task, usize)> {
        match &self.rule {
            Rule::Paper(rule) => rule.k(),
            Rule::Released(rule) => rule.k(),
        }
    }

    /// Takes the L_val of every task of the phase, measured after `step` steps, and decides: one decision a task,
    /// classification first. `losses` may be in any order.
    ///
    /// # Errors
    /// [`AesError::NotFinite`], by task and step, when a loss is missing, infinite or NaN; then nothing has changed. The
    /// released code would take NaN for a loss that did not fall, and grow.
    pub fn observe(&mut self, step: u64, losses: &[(Task, f64)]) -> Result<Vec<Decision>, AesError> {
        let mut measured = Vec::new();
        for (task, _) in self.k() {
            let loss = losses.iter().find(|(of, _)| *of == task).map_or(f64::NAN, |(_, loss)| *loss);
            if !loss.is_finite() {
                return Err(AesError::NotFinite { task, step, loss });
            }
            measured.push(Measured { step, loss });
        }
        let decisions = match &mut self.rule {
            Rule::Paper(rule) => rule.observe(&measured),
            Rule::Released(rule) => rule.observe(&measured),
        };
        self.decisions.extend_from_slice(&decisions);
        Ok(decisions)
    }

    /// Every decision of the phase so far.
    pub fn decisions(&self) -> &[Decision] {
        &self.decisions
    }
}
