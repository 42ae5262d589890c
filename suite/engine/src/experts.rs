//! How evenly a step used its experts: their load, the router's entropy, and a word when a layer collapses. Measured on
//! the device, fetched when a row of the history is written.

use std::fmt;

use adamv_datasets::Task;
use adamv_models::moe::ExpertSelection;
use adamv_models::vit::Intermediates;
use adamv_store::History;
use tch::{Kind, Tensor};

use crate::error::EngineError;

/// A layer has collapsed when more than this share of its tokens has the same expert as first choice.
const COLLAPSE: f64 = 0.9;

/// A layer of which nearly all tokens choose one expert first.
#[derive(Clone, Debug, PartialEq)]
pub struct Collapse {
    pub task: Task,
    /// Its block.
    pub layer: usize,
    pub expert: usize,
    /// Share of the tokens, 0 to 1.
    pub share: f64,
}

impl fmt::Display for Collapse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: layer {} has collapsed: {:.0}% of its tokens choose expert {} first; a larger \
             model.backbone.moe.importance_weight or load_weight spreads them",
            self.task,
            self.layer,
            100.0 * self.share,
            self.expert
        )
    }
}

/// What one forward pass of a task did with its experts.
pub struct ExpertUse {
    task: Task,
    /// K at that step.
    k: usize,
    /// Block of each MoE layer.
    layers: Vec<usize>,
    /// One row a layer, `[L, 2E + 1]` f32: share of the token-expert pairs that each expert got, share of the tokens that
    /// chose it first, mean entropy of the router's probabilities in nats.
    measured: Tensor,
}

impl ExpertUse {
    /// Measures what a forward pass of `task` left in `out`; doesn't wait for the device.
    pub fn of(task: Task, experts: &ExpertSelection, out: &Intermediates) -> Option<Self> {
        let count = experts.experts() as i64;
        let rows: Option<Vec<Tensor>> = experts
            .layers()
            .iter()
            .map(|i| {
                let selected = out.get(&format!("selected.{i}"))?.detach();
                let probs = out.get(&format!("router_probs.{i}"))?.detach().to_kind(Kind::Float);
                let numbers = Tensor::arange(count, (Kind::Int64, selected.device()));
                // [pairs, E] -> [E]
                let share = |chosen: &Tensor| {
                    chosen.reshape([-1, 1]).eq_tensor(&numbers).to_kind(Kind::Float).mean_dim(0, false, Kind::Float)
                };
                let entropy = -(probs.clamp_min(1e-12).log() * &probs).sum_dim_intlist(-1, false, Kind::Float);
                let first = selected.select(-1, 0);
                Some(Tensor::cat(&[share(&selected), share(&first), entropy.mean(Kind::Float).view([1])], 0))
            })
            .collect();
        let measured = Tensor::stack(&rows?, 0);
        Some(Self { task, k: experts.k(task), layers: experts.layers().to_vec(), measured })
    }

    /// Writes `k`, `expert_load.LAYER.EXPERT` and `router_entropy.LAYER` as rows of the task after `step` steps. Returns the
    /// layers that have collapsed.
    pub fn write(&self, step: u64, phase: &str, history: &mut History) -> Result<Vec<Collapse>, EngineError> {
        let measured = self.measured.to_kind(Kind::Double).to_device(tch::Device::Cpu).contiguous();
        let values = Vec::<f64>::try_from(measured.view([-1]))?;
        let columns = values.len() / self.layers.len().max(1);
        let count = (columns - 1) / 2;
        let mut push = |metric: &str, value| history.push(step, phase, self.task.as_str(), metric, value);
        push("k", self.k as f64);
        let mut collapsed = Vec::new();
        for (layer, row) in self.layers.iter().zip(values.chunks(columns)) {
            for (expert, load) in row[..count].iter().enumerate() {
                push(&format!("expert_load.{layer}.{expert}"), *load);
            }
            push(&format!("router_entropy.{layer}"), row[2 * count]);
            let first = row[count..2 * count].iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
            if let Some((expert, share)) = first.filter(|(_, share)| **share > COLLAPSE && count > 1) {
                collapsed.push(Collapse { task: self.task, layer: *layer, expert, share: *share });
            }
        }
        Ok(collapsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use adamv_models::config::{BackboneConfig, MoeConfig};

    fn written(selected: &[i64], probs: &[f32]) -> (Vec<(String, f64)>, Vec<Collapse>) {
        let moe = MoeConfig { experts: 2, k: 1, ..MoeConfig::default() };
        let backbone = BackboneConfig { depth: 2, moe: Some(moe.clone()), ..BackboneConfig::default() };
        let experts = ExpertSelection::new(&backbone, &moe);
        let tokens = selected.len() as i64;
        let out = Intermediates::from([
            ("selected.1".to_owned(), Tensor::from_slice(selected).view([1, tokens, 1])),
            ("router_probs.1".to_owned(), Tensor::from_slice(probs).view([1, tokens, 2])),
        ]);
        let mut history = History::default();
        let used = ExpertUse::of(Task::Detection, &experts, &out).unwrap();
        let collapsed = used.write(7, "joint", &mut history).unwrap();
        assert!(history.rows.iter().all(|r| r.step == 7 && r.task == "detection"));
        (history.rows.into_iter().map(|r| (r.metric, r.value)).collect(), collapsed)
    }

    #[test]
    fn load_and_entropy_are_the_tokens() {
        // Three of four tokens choose expert 1. Entropies: ln 2 twice, 0 twice.
        let (rows, collapsed) = written(&[1, 1, 0, 1], &[0.5, 0.5, 0.5, 0.5, 1.0, 0.0, 0.0, 1.0]);
        let names: Vec<&str> = rows.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["k", "expert_load.1.0", "expert_load.1.1", "router_entropy.1"]);
        let expected = [1.0, 0.25, 0.75, 0.5 * std::f64::consts::LN_2];
        assert!(rows.iter().zip(expected).all(|((_, value), expected)| (value - expected).abs() < 1e-6), "{rows:?}");
        assert!(collapsed.is_empty());
    }

    #[test]
    fn a_collapsed_layer_is_named() {
        let (_, collapsed) = written(&[1; 20], &[0.5; 40]);
        assert_eq!(collapsed.len(), 1);
        let text = collapsed[0].to_string();
        assert!(text.contains("detection: layer 1") && text.contains("100%") && text.contains("expert 1"), "{text}");
    }
}
