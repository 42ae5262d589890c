//! Runs adaptive expert selection beside the training loop: measures each task's loss on D_val and tells the model how many
//! experts to use from now on. Decides nothing: `aes` does.

use std::sync::Arc;

use adamv_datasets::{Loader, Task};
use adamv_models::systems::Phase;
use adamv_models::vit::Mode;
use adamv_native::{rng_state, set_rng_state};
use adamv_store::History;
use tch::{Device, Kind, Tensor};

use crate::aes::{Aes, AesConfig};
use crate::checkpoint::{Position, generators};
use crate::error::EngineError;
use crate::progress::Progress;
use crate::train::{Term, Trainer, schedule_of};

/// Seeds what the losses on D_val draw (anchors and RoIs are sampled), so that two evaluations can be compared.
const SEED: i64 = 0;

impl Trainer<'_> {
    /// AES at the beginning of a phase: none but where both tasks train and the configuration has it (paper.md section 4;
    /// in the released code, too, the first stage has none).
    pub(crate) fn start_aes(&self, phase: &Phase) -> Result<Option<Aes>, EngineError> {
        let (Some(config), Some(experts)) = (&self.config.training.aes, self.system.experts()) else { return Ok(None) };
        if phase.tasks.len() < Task::ALL.len() {
            return Ok(None);
        }
        let schedule = schedule_of(self.config, phase);
        let k = experts.k(Task::Classification);
        Ok(Aes::start(config, phase.tasks, schedule.steps, schedule.warmup, experts.experts(), k)?)
    }

    /// Gives the model the number of experts that AES has come to.
    pub(crate) fn use_experts(&self, aes: Option<&Aes>) -> Result<(), EngineError> {
        if let (Some(aes), Some(experts)) = (aes, self.system.experts()) {
            for (task, k) in aes.k() {
                experts.set_k(task, k)?;
            }
        }
        Ok(())
    }

    /// An evaluation of AES after `position.step` steps: losses, decisions, their rows in the history.
    pub(crate) fn adapt(
        &self,
        phase: &Phase,
        position: &mut Position,
        history: &mut History,
        progress: &mut dyn Progress,
    ) -> Result<(), EngineError> {
        let (Some(config), Some(aes)) = (&self.config.training.aes, &mut position.aes) else { return Ok(()) };
        let losses = self.validation_losses(config, phase, aes.evaluations())?;
        for decision in aes.observe(position.step, &losses)? {
            let task = decision.task;
            for (metric, value) in decision.rows() {
                history.push(decision.step, phase.name, task.as_str(), metric, value);
            }
            if decision.k_before != decision.k_after {
                progress.note(&format!("step {}: {task}: {decision}", decision.step));
            }
        }
        self.use_experts(position.aes.as_ref())
    }

    /// Each task's loss on what evaluation number `evaluation` reads of D_val, without the terms that balance experts, from
    /// the weights themselves and not from their average, as in the released code. Training's random numbers are left alone.
    fn validation_losses(
        &self,
        config: &AesConfig,
        phase: &Phase,
        evaluation: u64,
    ) -> Result<Vec<(Task, f64)>, EngineError> {
        let saved: Result<Vec<(Device, Tensor)>, EngineError> =
            generators(self.device).into_iter().map(|(_, device)| Ok((device, rng_state(device)?))).collect();
        let mut losses = Vec::new();
        for &task in phase.tasks {
            tch::manual_seed(SEED);
            let batch = schedule_of(self.config, phase).batch.of(task);
            losses.push((task, self.validation_loss(config, task, evaluation, batch)?));
        }
        for (device, state) in saved? {
            set_rng_state(device, &state)?;
        }
        Ok(losses)
    }

    /// The loss of one task, in batches of `size`.
    fn validation_loss(
        &self,
        config: &AesConfig,
        task: Task,
        evaluation: u64,
        size: usize,
    ) -> Result<f64, EngineError> {
        let mode = if config.validation_in_training_mode() { Mode::Train } else { Mode::Evaluate };
        let prefetch = self.config.data.prefetch;
        let mut measured: Vec<(usize, Tensor)> = Vec::new();
        match task {
            Task::Classification => {
                let Some(held_out) = &self.data.classification.held_out else { return Err(no_data(task)) };
                let indices = config.read(&held_out.order, evaluation, size);
                for batch in Loader::eval_of(Arc::clone(&held_out.data), indices, size, prefetch) {
                    let mut batch = batch?;
                    let terms = tch::no_grad(|| self.classification_terms(&mut batch, mode))?.0;
                    measured.push((batch.labels.len(), total(&terms)));
                }
            }
            Task::Detection => {
                let Some(held_out) = &self.data.detection.held_out else { return Err(no_data(task)) };
                let indices = config.read(&held_out.order, evaluation, size);
                for batch in Loader::eval_of(Arc::clone(&held_out.data), indices, size, prefetch) {
                    let mut batch = batch?;
                    let terms = tch::no_grad(|| self.detection_terms(&mut batch, mode))?.0;
                    measured.push((batch.image_ids.len(), total(&terms)));
                }
            }
        }
        let losses: Vec<(usize, f64)> =
            measured.iter().map(|(samples, loss)| (*samples, loss.double_value(&[]))).collect();
        Ok(config.validation_loss(&losses, size))
    }
}

fn total(terms: &[Term]) -> Tensor {
    let terms: Vec<&Tensor> = terms.iter().map(|(_, _, loss)| loss).collect();
    Tensor::stack(&terms, 0).sum(Kind::Double)
}

fn no_data(task: Task) -> EngineError {
    EngineError::Internal(format!("no samples of {task} were held out for adaptive expert selection"))
}
