//! The training loop: every phase of a system, step by step, from wherever the last checkpoint left it.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use adamv_datasets::order::SampleStream;
use adamv_datasets::{BatchSource, ClassificationBatch, DetectionBatch, Loader, Task};
use adamv_models::params::Param;
use adamv_models::systems::{Phase, Stage, System};
use adamv_models::vit::{Intermediates, Mode};
use adamv_native::autocast_bf16;
use adamv_store::{CellDir, EventWriter, History, now_seconds};
use tch::{Device, Kind, Tensor};

use crate::batch;
use crate::checkpoint::{Checkpoints, Position};
use crate::config::{CellConfig, Precision, ScheduleConfig};
use crate::data::CellData;
use crate::error::EngineError;
use crate::experts::{Collapse, ExpertUse};
use crate::guard::Guard;
use crate::indicators::Scores;
use crate::optimizer::Optimizer;
use crate::probes::TrainingProbes;
use crate::progress::Progress;
use crate::schedule::learning_rate;
use crate::stream;

/// One loss term of a step: its task, its name, a scalar on the device.
pub type Term = (Option<Task>, String, Tensor);

/// The schedule that a phase follows: that of its stage and of the tasks it trains.
pub fn schedule_of<'a>(config: &'a CellConfig, phase: &Phase) -> &'a ScheduleConfig {
    match (phase.stage, phase.tasks) {
        (Stage::First, _) => &config.training.first_stage,
        (_, [Task::Classification]) => &config.training.classification,
        (_, [Task::Detection]) => &config.training.detection,
        _ => &config.training.joint,
    }
}

/// In the history: the share of wall time, 0 to 1, that steps waited for a batch since the row before. A phase's first
/// batch, and the first after a resume, is left out.
const DATA_WAIT_SHARE: &str = "data_wait_share";

/// Trains `system` to the end of its last phase and leaves the final weights in it. `position` is where to start.
pub struct Trainer<'a> {
    pub config: &'a CellConfig,
    pub system: &'a dyn System,
    pub data: &'a CellData,
    pub cell: &'a CellDir,
    pub device: Device,
}

/// What a training leaves beside its weights.
struct Log<'a> {
    history: History,
    /// None where nobody looks.
    probes: Option<TrainingProbes<'a>>,
    events: &'a mut EventWriter,
}

/// What a batch's forward pass gave.
struct Passed {
    task: Task,
    terms: Vec<Term>,
    samples: Vec<usize>,
    experts: Option<ExpertUse>,
    scores: Option<Scores>,
}

/// Batches of one task, in order.
enum Source {
    Classification(Loader<ClassificationBatch>),
    Detection(Loader<DetectionBatch>),
}

impl Trainer<'_> {
    pub fn run(
        &self,
        mut position: Position,
        events: &mut EventWriter,
        progress: &mut dyn Progress,
    ) -> Result<Position, EngineError> {
        let checkpoints = Checkpoints::new(self.cell.checkpoints());
        let history = resume_history(&self.cell.history(), &position)?;
        self.data.restore_skipped(&position.skipped);
        let phases = self.system.phases(self.config.training.two_stages);
        self.use_experts(position.aes.as_ref())?;
        let looked_at = (self.system, self.data, self.device);
        let at = (position.phase, position.step);
        let resume = |config| TrainingProbes::resume(config, looked_at, &self.cell.probes(), phases, at);
        let probes = Some(&self.config.probes).filter(|config| config.enabled).map(resume).transpose()?;
        let mut log = Log { history, probes, events };
        while let Some(phase) = phases.get(position.phase) {
            if position.step == 0 {
                position.aes = self.start_aes(phase)?;
            }
            self.phase(phases, &mut position, &mut log, &checkpoints, progress)?;
            position.phase += 1;
            position.step = 0;
            log.history.write(&self.cell.history())?;
            if let Some(probes) = &log.probes {
                probes.write(&self.cell.probes())?;
            }
            let done = position.phase == phases.len();
            checkpoints.save(&mut position, self.system.params(), None, self.device, done)?;
        }
        Ok(position)
    }

    /// Trains phase `position.phase` of `phases` to its end, from wherever `position` is in it.
    fn phase(
        &self,
        phases: &[Phase],
        position: &mut Position,
        Log { history, probes, events }: &mut Log,
        checkpoints: &Checkpoints,
        progress: &mut dyn Progress,
    ) -> Result<(), EngineError> {
        let training = &self.config.training;
        let phase = &phases[position.phase];
        let schedule = schedule_of(self.config, phase);
        let (trained, frozen): (Vec<&Param>, Vec<&Param>) =
            self.system.params().iter().partition(|p| self.system.trains(&p.name, phase));
        // Gradients that no step would use aren't computed, nor gathered from phase to phase.
        for (params, wanted) in [(&trained, true), (&frozen, false)] {
            for param in params {
                let _same = param.tensor.set_requires_grad(wanted);
            }
        }
        let mut optimizer = Optimizer::new(trained.into_iter(), training, schedule.weight_decay, position.step);
        let resumed = if position.step > 0 { Some(&optimizer) } else { None };
        let state = checkpoints.load_state(position, resumed, self.device)?;
        let autocast = |f: &dyn Fn() -> Intermediates| self.autocast(f);
        if let Some(probes) = probes {
            probes.begin(phase, position.step, &state, autocast)?;
        }

        let stream = |task| stream::of_phase(self.config, phases, position.phase, task).skip(position.step);
        let mut sources: Vec<Source> = phase.tasks.iter().map(|&task| self.source(task, stream(task))).collect();
        let mut guard = Guard::new(phase.name);
        let mut warnings = Warnings::default();
        progress.phase(phase.name, position.step, schedule.steps);
        let mut clock = Instant::now();
        let mut waited = self.waited(&sources);
        let (first, mut share) = (position.step, WaitShare::default());
        let mut written = history.rows.len();
        for step in position.step..schedule.steps {
            let last = step + 1 == schedule.steps;
            let save = (step + 1).is_multiple_of(training.checkpoint_every) && !last;
            let adapt = position.aes.as_ref().is_some_and(|aes| aes.due(step + 1));
            let log = save || last || adapt || (step + 1).is_multiple_of(training.log_every);
            let rate = learning_rate(schedule, step);
            let mut losses: Vec<Term> = Vec::new();
            let (mut samples, mut used, mut scored) = (Vec::new(), Vec::new(), Vec::new());
            for source in &mut sources {
                let passed = self.forward(source, phase, step, log)?;
                // One backward pass a task: its graph is freed before the next task's is built.
                self.weighted(passed.task, &passed.terms).f_backward()?;
                if let Some(probes) = probes.as_mut().filter(|_| log) {
                    probes.after_backward(passed.task, step + 1, phase.name)?;
                }
                position.images += passed.samples.len() as u64;
                samples.push((passed.task, passed.samples));
                losses.extend(passed.terms);
                used.extend(passed.experts);
                scored.extend(passed.scores);
            }
            let norm = optimizer.step(rate)?;
            losses.push((None, "gradient_norm".into(), norm));
            guard.push(step, rate, &losses, samples);
            position.step = step + 1;
            position.steps += 1;
            if step == first {
                // Nobody could have prepared the first batch ahead of time.
                share.take(self.waited(&sources));
            }

            if log {
                let loss = guard.flush(history, |task, index| self.sample_name(task, index))?;
                for used in &used {
                    for collapse in used.write(position.step, phase.name, history)? {
                        warnings.say(&collapse, progress);
                    }
                }
                for scores in &scored {
                    scores.write(position.step, phase.name, history)?;
                }
                if let Some(share) = share.take(self.waited(&sources)).filter(|_| step > first) {
                    history.push(position.step, phase.name, "", DATA_WAIT_SHARE, share);
                }
                progress.step(position.step, &format!("loss {loss:.3}"));
            }
            if let Some(probes) = probes {
                probes.after_step(position.step, last, phase.name, autocast)?;
            }
            if adapt {
                self.adapt(phase, position, history, progress)?;
                // No step waited meanwhile, and the loaders filled up.
                share.take(self.waited(&sources));
            }
            if log {
                events.rows(&history.rows[written..], position.steps - position.step, now_seconds())?;
                written = history.rows.len();
            }
            if save || last {
                position.train_seconds += clock.elapsed().as_secs_f64();
                clock = Instant::now();
                let now = self.waited(&sources);
                position.data_wait_seconds += (now - waited).as_secs_f64();
                waited = now;
                position.history_rows = history.rows.len();
                position.skipped = self.data.skipped();
            }
            if save {
                history.write(&self.cell.history())?;
                let mut state = optimizer.state();
                if let Some(probes) = probes {
                    probes.write(&self.cell.probes())?;
                    state.extend(probes.state());
                }
                checkpoints.save(position, self.system.params(), Some(state), self.device, false)?;
            }
        }
        optimizer.adopt_average()
    }

    /// Loss terms of the next batch of a task after `step` steps of `phase`, those that balance its experts or keep its deltas
    /// few included; with `observe` also how these were used.
    fn forward(&self, source: &mut Source, phase: &Phase, step: u64, observe: bool) -> Result<Passed, EngineError> {
        let (task, mut terms, samples, out) = match source {
            Source::Classification(loader) => {
                let mut batch = next(loader)?;
                let (terms, out) = self.classification_terms(&mut batch, Mode::Train)?;
                (Task::Classification, terms, batch.indices, out)
            }
            Source::Detection(loader) => {
                let mut batch = next(loader)?;
                let (terms, out) = self.detection_terms(&mut batch, Mode::Train)?;
                (Task::Detection, terms, batch.indices, out)
            }
        };
        let mut used = None;
        if let Some(experts) = self.system.experts() {
            terms.push((Some(task), "expert_balance".into(), experts.auxiliary_loss(&out)));
            used = if observe { ExpertUse::of(task, experts, &out) } else { None };
        }
        let mut scores = None;
        // A first stage has no deltas yet.
        if let Some(indicators) = self.system.indicators().filter(|_| phase.stage != Stage::First) {
            let epochs = (step * samples.len() as u64) as f64 / self.train_samples(task) as f64;
            terms.extend(indicators.penalty(task, epochs).map(|loss| (Some(task), "indicator_penalty".into(), loss)));
            scores = observe.then(|| Scores::of(task, indicators));
        }
        Ok(Passed { task, terms, samples, experts: used, scores })
    }

    /// Loss of a batch, whose pixels are taken, and what was computed on the way.
    pub(crate) fn classification_terms(
        &self,
        batch: &mut ClassificationBatch,
        mode: Mode,
    ) -> Result<(Vec<Term>, Intermediates), EngineError> {
        let (images, labels) = batch::classification(batch, self.device)?;
        let (logits, out) = self.autocast(|| self.system.classify(&images, mode))?;
        let loss = cross_entropy(&logits, &labels, batch.lambda, self.config.training.label_smoothing);
        Ok((vec![(Some(Task::Classification), "cross_entropy".into(), loss)], out))
    }

    /// Losses of a batch, whose tensors are taken, and what was computed on the way.
    pub(crate) fn detection_terms(
        &self,
        batch: &mut DetectionBatch,
        mode: Mode,
    ) -> Result<(Vec<Term>, Intermediates), EngineError> {
        let (images, targets) = batch::detection(batch, self.device)?;
        let (losses, out) = self.autocast(|| {
            let (map, out) = self.system.feature_map(&images, mode);
            (self.system.detector().losses(&map, &targets, mode), out)
        })?;
        Ok((losses.into_iter().map(|(name, loss)| (Some(Task::Detection), name, loss)).collect(), out))
    }

    fn autocast<T>(&self, f: impl FnOnce() -> T) -> Result<T, EngineError> {
        Ok(autocast_bf16(self.device, self.config.training.precision == Precision::Bf16, f)?)
    }

    fn weighted(&self, task: Task, terms: &[Term]) -> Tensor {
        let weights = &self.config.training.loss_weights;
        let weight = match task {
            Task::Classification => weights.classification,
            Task::Detection => weights.detection,
        };
        let terms: Vec<&Tensor> = terms.iter().map(|(_, _, loss)| loss).collect();
        Tensor::stack(&terms, 0).sum(Kind::Float) * weight
    }

    fn source(&self, task: Task, stream: SampleStream) -> Source {
        let prefetch = self.config.data.prefetch;
        match task {
            Task::Classification => {
                let data = Arc::clone(&self.data.classification.train);
                Source::Classification(Loader::train(data, stream, prefetch))
            }
            Task::Detection => {
                let data = Arc::clone(&self.data.detection.train);
                Source::Detection(Loader::train(data, stream, prefetch))
            }
        }
    }

    fn train_samples(&self, task: Task) -> usize {
        match task {
            Task::Classification => self.data.classification.train.len(),
            Task::Detection => self.data.detection.train.len(),
        }
    }

    fn waited(&self, sources: &[Source]) -> Duration {
        sources
            .iter()
            .map(|source| match source {
                Source::Classification(loader) => loader.waited(),
                Source::Detection(loader) => loader.waited(),
            })
            .sum()
    }

    fn sample_name(&self, task: Task, index: usize) -> String {
        match task {
            Task::Classification => self.data.classification.train.sample_name(index),
            Task::Detection => self.data.detection.train.sample_name(index),
        }
    }
}

/// Warns of each layer and task once a phase.
#[derive(Default)]
struct Warnings(BTreeSet<(Task, usize)>);

impl Warnings {
    fn say(&mut self, collapse: &Collapse, progress: &mut dyn Progress) {
        if self.0.insert((collapse.task, collapse.layer)) {
            progress.note(&format!("warning: {collapse}"));
        }
    }
}

/// Measures [`DATA_WAIT_SHARE`].
#[derive(Default)]
struct WaitShare {
    last: Option<(Instant, Duration)>,
}

impl WaitShare {
    /// The share since the call before, none for the first; `waited` is the loaders' total.
    fn take(&mut self, waited: Duration) -> Option<f64> {
        let now = Instant::now();
        let (then, before) = self.last.replace((now, waited))?;
        Some((waited - before).as_secs_f64() / (now - then).as_secs_f64().max(f64::MIN_POSITIVE))
    }
}

fn next<B: Send + 'static>(loader: &mut Loader<B>) -> Result<B, EngineError> {
    match loader.next() {
        Some(batch) => Ok(batch?),
        None => Err(EngineError::Internal("the loader ended before the phase did".into())),
    }
}

/// Cross-entropy `[B,C]` x `[B]` -> scalar, as log-softmax and gather, which is deterministic everywhere. `lambda` is
/// the weight of a sample's own label; the rest goes to the label of its partner in a mixed batch, sample B - 1 - i.
/// `smoothing` of the weight is spread over all classes.
fn cross_entropy(logits: &Tensor, labels: &Tensor, lambda: f32, smoothing: f64) -> Tensor {
    let log = logits.log_softmax(-1, Kind::Float);
    let hit_of = |labels: &Tensor| log.gather(1, &labels.unsqueeze(1), false).mean(Kind::Float);
    let mut hit = hit_of(labels);
    if lambda != 1.0 {
        let lambda = f64::from(lambda);
        hit = hit * lambda + hit_of(&labels.flip([0])) * (1.0 - lambda);
    }
    let spread = log.mean(Kind::Float);
    -(hit * (1.0 - smoothing) + spread * smoothing)
}

/// The history up to `position`: what a killed run wrote after its last checkpoint is forgotten.
fn resume_history(path: &Path, position: &Position) -> Result<History, EngineError> {
    let mut history = if position.history_rows > 0 { History::read(path)? } else { History::default() };
    if history.rows.len() < position.history_rows {
        return Err(EngineError::Checkpoint {
            path: path.into(),
            reason: format!("it has {} rows, the checkpoint {}", history.rows.len(), position.history_rows),
            mend: "delete the cell's folder to start it anew",
        });
    }
    history.rows.truncate(position.history_rows);
    Ok(history)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mixed_batch_weighs_both_labels() {
        let logits = Tensor::from_slice(&[1.0f32, 2.0, 0.5, -1.0, 0.0, 3.0, 0.2, 0.1, 0.0]).view([3, 3]);
        let (own, partner) = (Tensor::from_slice(&[0i64, 2, 1]), Tensor::from_slice(&[1i64, 2, 0]));
        for smoothing in [0.0, 0.1] {
            let loss = |labels: &Tensor, lambda| cross_entropy(&logits, labels, lambda, smoothing).double_value(&[]);
            let want = 0.25 * loss(&own, 1.0) + 0.75 * loss(&partner, 1.0);
            assert!((loss(&own, 0.25) - want).abs() < 1e-6);
            assert!((loss(&own, 0.25) - loss(&own, 1.0)).abs() > 0.1);
        }
    }
}
