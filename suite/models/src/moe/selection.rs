//! The experts of a system as training sees them: how many each task's tokens use now, and the losses that balance them.

use std::cell::Cell;

use adamv_datasets::Task;
use tch::{Kind, Tensor};

use super::Route;
use super::config::MoeConfig;
use crate::config::{BackboneConfig, check};
use crate::error::ModelError;
use crate::vit::Intermediates;

/// How many of a system's experts each task uses: one K a task for all layers (paper.md section 4). K changes in place,
/// between any two steps.
#[derive(Debug)]
pub struct ExpertSelection {
    layers: Vec<usize>,
    experts: usize,
    importance_weight: f64,
    load_weight: f64,
    k: [Cell<usize>; Task::ALL.len()],
}

impl ExpertSelection {
    /// Both tasks start with the configuration's K.
    pub fn new(backbone: &BackboneConfig, moe: &MoeConfig) -> Self {
        Self {
            layers: moe.layers.blocks(backbone.depth),
            experts: moe.experts,
            importance_weight: moe.importance_weight,
            load_weight: moe.load_weight,
            k: std::array::from_fn(|_| Cell::new(moe.k)),
        }
    }

    /// Experts of each layer, E.
    pub fn experts(&self) -> usize {
        self.experts
    }

    /// Blocks that have experts: the intermediates' `i`.
    pub fn layers(&self) -> &[usize] {
        &self.layers
    }

    /// Experts that a token of `task` uses now.
    pub fn k(&self, task: Task) -> usize {
        self.of(task).get()
    }

    /// Changes it, from the next forward pass on. An error unless it is 1 to E.
    pub fn set_k(&self, task: Task, k: usize) -> Result<(), ModelError> {
        let range = format!("1 to experts ({})", self.experts);
        check((1..=self.experts).contains(&k), &format!("k of {task}"), k, range)?;
        self.of(task).set(k);
        Ok(())
    }

    /// The route of `task` as it is now.
    pub fn route(&self, task: Task) -> Route {
        Route { task, k: self.k(task) }
    }

    /// The weighted importance and load losses of a forward pass, summed over the layers: a scalar. `out` is what the
    /// pass computed on its way.
    pub fn auxiliary_loss(&self, out: &Intermediates) -> Tensor {
        let weighted = |name: String, weight: f64| out.get(&name).map(|loss| loss * weight);
        let terms: Vec<Tensor> = self
            .layers
            .iter()
            .flat_map(|i| {
                let importance = weighted(format!("importance_loss.{i}"), self.importance_weight);
                [importance, weighted(format!("load_loss.{i}"), self.load_weight)]
            })
            .flatten()
            .collect();
        Tensor::stack(&terms, 0).sum(Kind::Float)
    }

    fn of(&self, task: Task) -> &Cell<usize> {
        match task {
            Task::Classification => &self.k[0],
            Task::Detection => &self.k[1],
        }
    }
}
