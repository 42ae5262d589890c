//! How far the routing of the same images moves while a phase trains (paper.md section 1, figure 6).

use std::collections::BTreeMap;

use adamv_datasets::{BatchSource, Task};
use adamv_models::moe::ExpertSelection;
use adamv_models::systems::System;
use adamv_models::vit::{Intermediates, Mode};
use adamv_store::RoutingChange;
use tch::{Kind, Tensor};

use super::config::spread;
use crate::batch;
use crate::data::CellData;
use crate::error::EngineError;

/// Which experts each token selected, by task and block: `[T,E]` u8, 1 where selected.
type Selections = BTreeMap<(Task, usize), Tensor>;

/// Watches the routing of a few validation images. Between two looks it keeps what the earlier one saw.
pub struct RoutingWatch {
    /// Images `[B,3,Y,X]` of each task.
    images: Vec<(Task, Tensor)>,
    before: Selections,
}

impl RoutingWatch {
    /// Reads `count` validation images of each of `tasks`, evenly spaced.
    pub fn new(data: &CellData, tasks: &[Task], count: usize, device: tch::Device) -> Result<Self, EngineError> {
        let images = tasks.iter().map(|&task| Ok((task, images_of(data, task, count, device)?)));
        Ok(Self { images: images.collect::<Result<_, EngineError>>()?, before: Selections::new() })
    }

    /// Sees where tokens go now, and remembers it; a row for each task and layer that was seen before. `step` steps of the phase
    /// are done. `autocast` runs a forward pass in the precision of training.
    pub fn look(
        &mut self,
        system: &dyn System,
        autocast: impl Fn(&dyn Fn() -> Intermediates) -> Result<Intermediates, EngineError>,
        step: u64,
        phase: &str,
    ) -> Result<Vec<RoutingChange>, EngineError> {
        let Some(experts) = system.experts() else { return Ok(Vec::new()) };
        let mut now = Selections::new();
        for (task, images) in &self.images {
            let out = autocast(&|| {
                tch::no_grad(|| match task {
                    Task::Classification => system.classify(images, Mode::Evaluate).1,
                    Task::Detection => system.feature_map(images, Mode::Evaluate).1,
                })
            })?;
            now.extend(selections(*task, experts, &out));
        }
        let mut rows = Vec::new();
        for ((task, layer), now) in &now {
            let Some(before) = self.before.get(&(*task, *layer)) else { continue };
            rows.push(RoutingChange {
                step,
                phase: phase.into(),
                task: task.to_string(),
                layer: *layer as u32,
                distance: distance(before, now),
            });
        }
        self.before = now;
        Ok(rows)
    }

    /// What it remembers, by name, for a checkpoint.
    pub fn state(&self) -> BTreeMap<String, Tensor> {
        self.before.iter().map(|((task, layer), seen)| (name(*task, *layer), seen.shallow_clone())).collect()
    }

    /// Remembers what `state` gave, for the layers that `experts` has; what a checkpoint lacks is as if never seen.
    pub fn restore(&mut self, experts: &ExpertSelection, state: &BTreeMap<String, Tensor>) {
        for &(task, _) in &self.images {
            for &layer in experts.layers() {
                if let Some(seen) = state.get(&name(task, layer)) {
                    self.before.insert((task, layer), seen.shallow_clone());
                }
            }
        }
    }
}

fn name(task: Task, layer: usize) -> String {
    format!("routing.{task}.{layer}")
}

fn images_of(data: &CellData, task: Task, count: usize, device: tch::Device) -> Result<Tensor, EngineError> {
    match task {
        Task::Classification => {
            let val = &data.classification.val;
            let mut batch = val.eval_batch(&spread(val.len(), count))?;
            Ok(batch::classification(&mut batch, device)?.0)
        }
        Task::Detection => {
            let val = &data.detection.val;
            let batch = val.eval_batch(&spread(val.len(), count))?;
            Ok(batch::images(batch.images, batch.image_size, device)?)
        }
    }
}

/// On the CPU, where they wait for the next look.
fn selections(task: Task, experts: &ExpertSelection, out: &Intermediates) -> Selections {
    let count = experts.experts() as i64;
    let of = |layer: &usize| {
        let selected = out.get(&format!("selected.{layer}"))?;
        let size = selected.size();
        let tokens = selected.view([size[0] * size[1], size[2]]);
        let bits = Tensor::zeros([size[0] * size[1], count], (Kind::Uint8, selected.device()));
        let ones = tokens.ones_like().to_kind(Kind::Uint8);
        Some(((task, *layer), bits.scatter(1, &tokens, &ones).to_device(tch::Device::Cpu)))
    };
    experts.layers().iter().filter_map(of).collect()
}

/// Hamming distance between two selections `[T,E]`, over the number of experts selected in both, mean over the tokens: 0 the same
/// experts, 1 none in common.
fn distance(before: &Tensor, now: &Tensor) -> f64 {
    let count = |bits: &Tensor| bits.sum_dim_intlist(-1, false, Kind::Double);
    let differing = count(&before.ne_tensor(now));
    (differing / (count(before) + count(now))).mean(Kind::Double).double_value(&[])
}

#[cfg(test)]
mod tests {
    use adamv_models::config::{BackboneConfig, MoeConfig};

    use super::*;

    fn seen(selected: &[i64], k: i64) -> Tensor {
        let moe = MoeConfig { experts: 4, ..MoeConfig::default() };
        let backbone = BackboneConfig { depth: 2, moe: Some(moe.clone()), ..BackboneConfig::default() };
        let selected = Tensor::from_slice(selected).view([1, -1, k]);
        let out = Intermediates::from([("selected.1".to_owned(), selected)]);
        let mut seen = selections(Task::Detection, &ExpertSelection::new(&backbone, &moe), &out);
        seen.remove(&(Task::Detection, 1)).unwrap()
    }

    #[test]
    fn the_distance_is_the_tokens_mean() {
        let before = seen(&[0, 1, 2, 3], 2);
        // The order of the choice is of no consequence.
        assert_eq!(distance(&before, &seen(&[1, 0, 3, 2], 2)), 0.0);
        // The first token keeps one of two, the second none: (2/4 + 4/4) / 2.
        assert_eq!(distance(&before, &seen(&[0, 3, 0, 1], 2)), 0.75);
        // K grew to 3: one more expert than before, 1/5, and then one more and one other, 3/5.
        assert!((distance(&before, &seen(&[0, 1, 2, 2, 0, 1], 3)) - 0.4).abs() < 1e-12);
    }
}
