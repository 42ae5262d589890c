//! What is looked at while a phase trains: routing every so many steps, gradients with each row of the history. Written with the
//! checkpoints, so that a resumed cell leaves what an uninterrupted one does.

use std::collections::BTreeMap;
use std::path::Path;

use adamv_datasets::Task;
use adamv_models::systems::{Phase, System};
use adamv_models::vit::Intermediates;
use adamv_store::Probes;
use tch::{Device, Tensor};

use super::config::ProbesConfig;
use super::gradients::SharedGradients;
use super::routing::RoutingWatch;
use crate::data::CellData;
use crate::error::EngineError;

/// The probes of a cell's training.
pub struct TrainingProbes<'a> {
    config: &'a ProbesConfig,
    system: &'a dyn System,
    data: &'a CellData,
    device: Device,
    rows: Probes,
    watch: Option<RoutingWatch>,
    gradients: Option<SharedGradients>,
}

impl<'a> TrainingProbes<'a> {
    /// Those of a cell that has `step` steps of the phase `phase` of `phases` behind it: what a killed run wrote after its last
    /// checkpoint is forgotten.
    pub fn resume(
        config: &'a ProbesConfig,
        (system, data, device): (&'a dyn System, &'a CellData, Device),
        folder: &Path,
        phases: &[Phase],
        (phase, step): (usize, u64),
    ) -> Result<Self, EngineError> {
        let Probes { mut routing_changes, mut gradients, .. } = Probes::read(folder)?;
        let kept = |name: &str, row: u64| {
            phases.iter().position(|p| p.name == name).is_some_and(|at| at < phase || (at == phase && row <= step))
        };
        routing_changes.retain(|row| kept(&row.phase, row.step));
        gradients.retain(|row| kept(&row.phase, row.step));
        let rows = Probes { routing_changes, gradients, ..Probes::default() };
        Ok(Self { config, system, data, device, rows, watch: None, gradients: None })
    }

    /// Begins a phase after `step` steps of it; `state` is what [`TrainingProbes::state`] gave then, empty at its beginning, where
    /// routing is looked at for the first time.
    pub fn begin(
        &mut self,
        phase: &Phase,
        step: u64,
        state: &BTreeMap<String, Tensor>,
        autocast: impl Fn(&dyn Fn() -> Intermediates) -> Result<Intermediates, EngineError>,
    ) -> Result<(), EngineError> {
        self.gradients = SharedGradients::of(self.system, phase);
        self.watch = None;
        if let Some(experts) = self.system.experts() {
            let mut watch = RoutingWatch::new(self.data, phase.tasks, self.config.images, self.device)?;
            if step == 0 {
                watch.look(self.system, autocast, 0, phase.name)?;
            } else {
                watch.restore(experts, state);
            }
            self.watch = Some(watch);
        }
        Ok(())
    }

    /// After the backward pass of a task, in a step that writes a row of the history; `step` steps are done with it.
    pub fn after_backward(&mut self, task: Task, step: u64, phase: &str) -> Result<(), EngineError> {
        match (&mut self.gradients, task) {
            (Some(shared), Task::Classification) => {
                shared.after_first();
                Ok(())
            }
            (Some(shared), Task::Detection) => shared.compare(step, phase, &mut self.rows.gradients),
            (None, _) => Ok(()),
        }
    }

    /// After a step, the `step`-th of the phase.
    pub fn after_step(
        &mut self,
        step: u64,
        last: bool,
        phase: &str,
        autocast: impl Fn(&dyn Fn() -> Intermediates) -> Result<Intermediates, EngineError>,
    ) -> Result<(), EngineError> {
        if let Some(watch) = self.watch.as_mut().filter(|_| last || step.is_multiple_of(self.config.every)) {
            self.rows.routing_changes.extend(watch.look(self.system, autocast, step, phase)?);
        }
        Ok(())
    }

    /// Writes what was seen so far.
    pub fn write(&self, folder: &Path) -> Result<(), EngineError> {
        Ok(self.rows.write(folder)?)
    }

    /// What the next look compares with, for a checkpoint within a phase.
    pub fn state(&self) -> BTreeMap<String, Tensor> {
        self.watch.as_ref().map(RoutingWatch::state).unwrap_or_default()
    }
}
