//! What a step saw of a task's deltas: their scores, and how many count. Measured on the device, fetched when a row of the
//! history is written.

use adamv_datasets::Task;
use adamv_models::taps::Indicators;
use adamv_store::History;
use tch::{Device, Kind, Tensor};

use crate::error::EngineError;

/// The scores of one task before a step.
pub struct Scores {
    task: Task,
    layers: Vec<String>,
    threshold: f64,
    /// `[2L]`.
    scores: Tensor,
}

impl Scores {
    /// Those of `task` as they are now; doesn't wait for the device.
    pub fn of(task: Task, indicators: &Indicators) -> Self {
        Self {
            task,
            layers: indicators.layers(task).map(str::to_owned).collect(),
            threshold: indicators.threshold(),
            scores: indicators.scores(task).detach(),
        }
    }

    /// Writes `indicator.LAYER` and `adapted_share`, the share of layers whose delta counts, 0 to 1, as rows of the task after
    /// `step` steps.
    pub fn write(&self, step: u64, phase: &str, history: &mut History) -> Result<(), EngineError> {
        let numbers = |t: &Tensor| Vec::<f64>::try_from(t.to_kind(Kind::Double).to_device(Device::Cpu).contiguous());
        // Compared in f32, as the layer does.
        let counts = numbers(&self.scores.ge(self.threshold))?;
        let mut push = |metric: &str, value| history.push(step, phase, self.task.as_str(), metric, value);
        for (layer, score) in self.layers.iter().zip(numbers(&self.scores)?) {
            push(&format!("indicator.{layer}"), score);
        }
        push("adapted_share", counts.iter().sum::<f64>() / counts.len().max(1) as f64);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use adamv_models::config::{BackboneConfig, TapsConfig};
    use adamv_models::params::Params;
    use adamv_models::vit::Trunk;

    use super::*;

    #[test]
    fn scores_and_share_are_the_layers() {
        let taps = TapsConfig { indicator: Some(0.05), ..TapsConfig::default() };
        let backbone =
            BackboneConfig { depth: 2, width: 4, heads: 1, mlp: 4, taps: Some(taps.clone()), ..Default::default() };
        let mut params = Params::new(0, Device::Cpu);
        let trunk = Trunk::new(params.root(), &backbone, &Task::ALL);
        let indicators = Indicators::new(&trunk, taps.values());
        let set = |name: &str, value| tch::no_grad(|| params.by_name()[name].shallow_clone().fill_(value));
        let _ = set("blocks.0.mlp.fc2.indicator.detection", 0.04);
        let _ = set("blocks.1.mlp.fc1.indicator.classification", -1.0);
        let mut history = History::default();
        Scores::of(Task::Detection, &indicators).write(3, "joint", &mut history).unwrap();
        let rows: Vec<(&str, f64)> = history.rows.iter().map(|row| (row.metric.as_str(), row.value)).collect();
        let at = f64::from(0.05f32);
        let wanted = [
            ("indicator.0.mlp.fc1", at),
            ("indicator.0.mlp.fc2", f64::from(0.04f32)),
            ("indicator.1.mlp.fc1", at),
            ("indicator.1.mlp.fc2", at),
            // A score at the threshold counts.
            ("adapted_share", 0.75),
        ];
        assert_eq!(rows, wanted);
        assert!(
            history
                .rows
                .iter()
                .all(|row| (row.step, row.task.as_str(), row.phase.as_str()) == (3, "detection", "joint"))
        );
    }
}
